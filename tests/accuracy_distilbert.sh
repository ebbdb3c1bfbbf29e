#!/bin/sh
# DistilBERT in INT8, one file that comes with octet, on the 872 sentences of SST-2's dev set: 787
# are right in FP32, at most 3 fewer may be here, and the count does not change.  The same of a file
# calibrated on 200 sentences, where the weights in FP32 are.
. "${srcdir:-.}/tests/programs.sh"
model=$pretrained/distilbert_sst2_int8.safetensors dev=$data/sst2/dev.tsv
few=$([ "$emulated$sanitized" = 00 ] || echo 1)

n=872 right=787
[ -z "$few" ] || n=4 right=4
tail -n +2 "$dev" | head -n $n | cut -f 1 >"$work/texts"
tail -n +2 "$dev" | head -n $n | cut -f 2 >"$work/labels"
run ./distilbert_infer "$model" --batch 16 <"$work/texts" >"$work/lines" ||
    fail "distilbert_infer exits with an error"
got=$(cut -f 3 "$work/lines" | paste - "$work/labels" | awk '$1 == $2' | wc -l)
echo "$got of $(wc -l <"$work/lines") right, $right expected"
[ "$(wc -l <"$work/lines")" -eq $n ] || fail "not an answer for each text"
[ "$got" -eq $right ] || fail "$got of $n right, expected $right"
[ -n "$few" ] || [ "$got" -ge 784 ] || fail "more than 0.4 points fewer than in FP32"
[ -z "$few" ] || finish

check_eval distilbert_sst2_int8 787 872 0.272502 "$model" --data "$dev"
if [ -e "$shared/weights/distilbert_sst2" ]; then
    sh "$src/weights/pretrained/make_distilbert_int8.sh" . "$shared" "$work/made" >"$work/out" ||
        fail "it cannot be made again"
    cmp "$model" "$work/made" || fail "what makes it gives other bytes"
    head -n 201 "$shared/data/sst2/train.tsv" >"$work/train.tsv"
    run ./octet quantize "$shared/weights/distilbert_sst2" --calib "$work/train.tsv" --eval "$dev" \
        -o "$work/static" --json --quiet >"$work/said" || fail "--calib exits with an error"
    sed 's/.*"after": *{\([^}]*\)}.*/{\1}/' "$work/said" >"$work/after"
    got=$(field correct "$work/after") share=$(field of_four_bytes "$work/said")
    echo "calibrated: $got of $(field samples "$work/after") right, $share of four bytes a weight"
    [ "$got" -eq 788 ] || fail "calibrated: $got right, expected 788"
    echo "$share" | awk '{ exit !($1 <= 0.26) }' || fail "$share of four bytes a weight"
fi
finish
