#!/bin/sh
# octet's tools on models of texts: compile, bench, diff, lint, quantize on samples; with ../shared,
# SST-2.
. "${srcdir:-.}/tests/programs.sh"
vocabulary=$src/tests/golden/wordpiece/vocab.txt
encoders=$src/tests/golden/encoders

small() { # kind, tokens of its vocabulary
    mkdir "$work/$1"
    cp "$encoders/$1"/* "$work/$1"
    head -n "$2" "$vocabulary" >"$work/$1/vocab.txt"
}
small distilbert 999
small bert 333
model=$work/distilbert
printf 'I love this film\t0\nwhat a bore\t1\n\t1\nCaf\303\251, na\303\257ve? 42!\t0\n' \
    >"$work/list.tsv"
cut -f 1 "$work/list.tsv" >"$work/texts"

same() { cmp "$work/$1" "$work/$2" || fail "$3"; }

# ---- compile: one file, the same answers, for every ISA here ----

walked=
for kind in distilbert bert; do
    for precision in fp32 int8; do
        run ./distilbert_infer "$work/$kind" --precision $precision --logits "$work/want.npy" \
            <"$work/texts" >"$work/want" || fail "$kind, $precision"
        for isa in ref avx2 avxvnni avx512 neon neondot neoni8mm; do
            run ./octet inspect "$work/$kind" --isa $isa >"$work/said" 2>"$work/err" || continue
            walked="$walked $isa"
            file=$work/$kind-$precision-$isa.octet
            run ./octet compile "$work/$kind" -o "$file" --precision $precision --isa $isa \
                --quiet || fail "compile $kind, $precision, $isa"
            for options in "" "--batch 3 --threads 2"; do
                # shellcheck disable=SC2086
                run ./distilbert_infer "$file" $options --logits "$work/got.npy" <"$work/texts" \
                    >"$work/got" || fail "$file $options"
                same got.npy want.npy "$file $options: other bits"
                same got want "$file $options: other answers"
            done
        done
    done
done
echo "same answers:$walked"
compiled=$work/distilbert-fp32-ref.octet
run ./octet compile "$model" -o "$work/again.octet" --isa ref --quiet || fail "compile again"
cmp -s "$compiled" "$work/again.octet" || fail "another file the second time"
printf 'x\ny\nz\n' >"$work/names"
printf '{"do_lower_case": false, "model_max_length": 4}' >"$model/tokenizer_config.json"
run ./octet compile "$model" -o "$work/rules.octet" --labels "$work/names" --quiet ||
    fail "compile --labels"
run ./distilbert_infer "$model" --labels "$work/names" <"$work/texts" >"$work/want" \
    2>"$work/want.err" || fail "rules"
run ./distilbert_infer "$work/rules.octet" <"$work/texts" >"$work/got" 2>"$work/err" ||
    fail "rules, compiled"
same got want "the tokenizer's rules do not travel"
same err want.err "the tokenizer's limit does not travel"
run ./distilbert_infer "$work/rules.octet" --tokens "I love" >"$work/got" || fail "--tokens"
run ./distilbert_infer "$model" --tokens "I love" >"$work/want" || fail "--tokens of the folder"
same got want "--tokens of a compiled model"
rm "$model/tokenizer_config.json"
run ./octet inspect "$compiled" >"$work/said" || fail "inspect"
grep -q '^kind        distilbert$' "$work/said" && grep -q '^compiled    for ref,' "$work/said" &&
    grep -q '^recipe      {"lowercase":true,"max_length":512,"type":"text"}$' "$work/said" &&
    grep -q '^labels      bad so so good$' "$work/said" || { fail "inspect"; cat "$work/said"; }
run ./octet inspect "$compiled" --plan >"$work/said" || fail "inspect --plan"
run ./octet eval "$model" --data "$work/list.tsv" --isa ref --json --quiet >"$work/want.json" ||
    fail "eval"
run ./octet eval "$compiled" --data "$work/list.tsv" --json --quiet >"$work/got.json" ||
    fail "eval of a compiled model"
for name in samples correct loss; do
    [ "$(field $name "$work/got.json")" = "$(field $name "$work/want.json")" ] ||
        fail "eval of a compiled model: $name"
done

cp -r "$model" "$work/special"
rm "$work/special/vocab.txt"
sed 's/"vocab": {/"added_tokens_are_missing": {/' >"$work/special/tokenizer.json" <<'END'
{"added_tokens": [{"id": 6, "content": "<x>", "special": true}],
 "normalizer": {"type": "BertNormalizer", "lowercase": true},
 "pre_tokenizer": {"type": "BertPreTokenizer"},
 "post_processor": {"type": "TemplateProcessing"},
 "model": {"type": "WordPiece", "vocab" : {"[PAD]": 0, "[UNK]": 1, "[CLS]": 2, "[SEP]": 3,
                                           "[MASK]": 4, "so": 5}}}
END
refuse 2 "special tokens of its own" ./octet compile "$work/special" -o "$work/x.octet"
[ ! -e "$work/x.octet" ] || fail "a file is left"
refuse 2 "compiled already, for ref" ./octet compile "$compiled" -o "$work/x.octet"
refuse 2 "not images" ./cnn_infer "$compiled" "$data/digits/digit_7.png"
cp "$encoders/distilbert/model.safetensors" "$work/alone.safetensors"
refuse 2 "heads" ./octet compile "$work/alone.safetensors" -o "$work/x.octet"

# ---- bench ----

row() { # arguments: the rows of octet bench --json
    run ./octet bench "$@" --seconds 0.001 --quiet --json >"$work/rows" 2>"$work/err" ||
        fail "bench $*: $(cat "$work/err")"
}
row "$model" --length 2,16 --batch 1,3 --precision fp32,int8
[ "$(wc -l <"$work/rows")" -eq 8 ] || fail "bench: $(wc -l <"$work/rows") rows"
sed -n 's/.*"batch": \([0-9]*\), "length": \([0-9]*\),.*"precision": "\([^"]*\)".*/\1 \2 \3/p' \
    "$work/rows" | sort | tr '\n' ',' >"$work/got"
echo "1 16 fp32,1 16 int8,1 2 fp32,1 2 int8,3 16 fp32,3 16 int8,3 2 fp32,3 2 int8," |
    tr -d '\n' >"$work/want"
same got want "bench: rows"
# Multiply-adds: d 60, hidden 130, 2 layers of which the last is for first tokens only, 3 classes.
row "$model" --length 16 --batch 2
awk -v gops="$(field gops "$work/rows")" -v ms="$(field ms_p50 "$work/rows")" 'BEGIN {
    rows = 32; texts = 2; t = 16; d = 60; h = 130
    macs = rows * (4 * d * d + 2 * d * h + 2 * t * d) + rows * 2 * d * d
    macs += texts * (2 * d * d + 2 * d * h + 2 * t * d + d * d + 3 * d)
    x = gops * ms * 1e6 / (2 * macs)
    exit !(x > 0.999 && x < 1.001) }' || fail "bench: operations: $(cat "$work/rows")"
row "$work/bert"
[ "$(field length "$work/rows")" = 128 ] || fail "bench: default length"
row "$compiled" --length 7
row "$model" --data "$work/list.tsv" --batch 3 # 6, 8 and 2 tokens; the empty line counts as one
[ "$(field length "$work/rows" | cut -c 1-5)" = 5.333 ] || fail "bench --data: $(cat "$work/rows")"
run ./octet bench "$model" --length 5 --by-layer --seconds 0.001 >"$work/said" 2>"$work/err" ||
    fail "bench --by-layer"
grep -q "no --data: timing seeded random input" "$work/err" || fail "bench: no note"
grep -q "^    distilbert.transformer.layer.0.attention  *attention .* GOP/s .* attention/" \
    "$work/said" || { fail "bench --by-layer"; cat "$work/said"; }
rm "$work/bert/vocab.txt"
row "$work/bert" --length 3 # random ids need no tokenizer
head -n 333 "$vocabulary" >"$work/bert/vocab.txt"
refuse 2 "texts of 131 tokens, the model takes 1 to 130" ./octet bench "$work/bert" --length 131 \
    --quiet
refuse 1 "--length: the texts of --data" ./octet bench "$model" --length 3 --data "$work/list.tsv"

# ---- diff ----

run ./octet diff "$model" "$encoders/dumps" --data "$work/list.tsv" --tolerance 1e-5 --json \
    >"$work/diff.json" || { fail "diff: not transformers' values"; cat "$work/diff.json"; }
[ "$(field compared "$work/diff.json") $(field same_top1 "$work/diff.json")" = "5 4" ] ||
    fail "diff: $(cat "$work/diff.json")"
for batch in 1 3; do
    run ./octet diff "$model" "$encoders/dumps" --data "$work/list.tsv" --batch $batch --json \
        --tolerance 1e-5 >"$work/got.json" || fail "diff, batch $batch"
    same got.json diff.json "diff, batch $batch"
done
printf 'I love\na bore\n so so so so so so so so so so so so so so so so so so\na\n' >"$work/long"
refuse 2 "16 tokens, text 2 has 20" ./octet diff "$model" "$encoders/dumps" --data "$work/long"
mkdir "$work/dumps"
cp "$encoders/dumps/pre_classifier.npy" "$work/dumps/distilbert.embeddings.npy"
refuse 2 "(n, tokens, k)" ./octet diff "$model" "$work/dumps" --data "$work/list.tsv"
run ./octet diff "$model" "$compiled" --tolerance 0 --json --quiet >"$work/got.json" ||
    fail "diff: a compiled model is another"
[ "$(field samples "$work/got.json") $(field skipped "$work/got.json")" = "64 0" ] ||
    fail "diff: $(cat "$work/got.json")"
run ./octet diff "$model" --passes none --tolerance 0 --data "$work/list.tsv" >"$work/said" ||
    fail "diff --passes none"
run ./octet diff "$model" --precision int8 --tolerance 1e-9 --data "$work/list.tsv" >"$work/said"
[ $? = 5 ] || fail "diff: int8 is fp32"
grep -q "^first beyond 1e-09  *distilbert\.embeddings$" "$work/said" ||
    { fail "diff --precision int8"; cat "$work/said"; }
refuse 2 "takes ids of 333 tokens, the other of 999" ./octet diff "$model" "$work/bert" --quiet

# ---- lint ----

refused() { # cause, model, data
    cause=$1
    shift
    refuse 2 ": $cause: the data " ./octet lint "$1" --calib "$2" --quiet
    run ./octet lint "$1" --calib "$2" --quiet --json >"$work/out" 2>"$work/err"
    [ $? = 2 ] && grep -q "\"cause\": \"$cause\"" "$work/out" ||
        fail "$cause --json: $(cat "$work/out")"
}
for word in $(seq 20); do
    printf 'so so good %d film\t%d\n' "$word" $((word % 3))
done >"$work/clean"
run ./octet lint "$model" --calib "$work/clean" >"$work/out" 2>"$work/err" || fail "lint, clean"
[ "$(wc -l <"$work/out")" -eq 1 ] && grep -q "^clean: .*no batch norm" "$work/out" ||
    fail "lint, clean: $(cat "$work/out")"
sed 's/^.*\t/\t/' "$work/clean" >"$work/data"
refused all_padding "$model" "$work/data"
sed '1,4s/^.*\t/\t/' "$work/clean" >"$work/data"
refused empty_texts "$model" "$work/data"
head -n 7 "$work/clean" >"$work/data"
refused few_samples "$model" "$work/data"
sed 's/[0-9]* film/film/' "$work/clean" >"$work/data"
refused duplicates "$model" "$work/data"
sed 's/.$/1/' "$work/clean" >"$work/data"
refused one_class "$model" "$work/data"
head -n 5 "$vocabulary" >"$work/distilbert/vocab.txt"
refused other_vocabulary "$model" "$work/clean"
head -n 999 "$vocabulary" | sed '500,$s/^[a-z]/X&/' >"$work/distilbert/vocab.txt"
refused wrong_case "$model" "$work/clean"
head -n 999 "$vocabulary" >"$work/distilbert/vocab.txt"
printf 'a\t3\n' >"$work/data"
refuse 2 "label 3, the model has 3 classes" ./octet lint "$model" --calib "$work/data"
printf '\n' >"$work/data"
refuse 2 "no text in the list" ./octet lint "$model" --calib "$work/data"

# ---- quantize on samples: one file, the same however it is made, refused as lint does ----

quantize() { # out, data, options
    out=$1 texts=$2
    shift 2
    run ./octet quantize "$model" --calib "$texts" -o "$out" --quiet "$@" >"$work/said" \
        2>"$work/err" || fail "quantize $*: exit $?: $(cat "$work/err")"
}
quantize "$work/static" "$work/clean" --eval "$work/clean" --json
grep -q '"method": "mse", "bits": 8,' "$work/said" || fail "quantize: other defaults"
cut -f 1 "$work/clean" >"$work/lines"
quantize "$work/other" "$work/lines" --batch 3 --threads 2 --isa ref
quantize "$work/again" "$work/clean"
same other again "quantize: other bytes without labels, in other batches"
run ./distilbert_infer "$work/static" --logits "$work/want.npy" <"$work/texts" >"$work/want" ||
    fail "distilbert_infer, calibrated"
run ./distilbert_infer "$work/static" --isa ref --batch 3 --logits "$work/got.npy" \
    <"$work/texts" >"$work/got" || fail "distilbert_infer --isa ref, calibrated"
same got.npy want.npy "calibrated: other bits"
run ./octet compile "$work/static" -o "$work/static.octet" --quiet >"$work/said" ||
    fail "compile, calibrated"
run ./distilbert_infer "$work/static.octet" --logits "$work/got.npy" <"$work/texts" \
    >"$work/got" || fail "distilbert_infer, calibrated and compiled"
same got.npy want.npy "calibrated and compiled: other bits"
run ./octet diff "$model" "$work/static" --data "$work/list.tsv" >"$work/said" ||
    fail "diff, calibrated"
head -n 7 "$work/clean" >"$work/data"
refuse 2 ": few_samples: the data " ./octet quantize "$model" --calib "$work/data" \
    -o "$work/new" --quiet
[ ! -e "$work/new" ] || fail "quantize: refused, and there is a file"
quantize "$work/forced" "$work/data" --force
run ./octet inspect "$work/forced" | grep -q '"forced":"few_samples"' || fail "quantize --force"

# --smooth: factors are in the file, shown, and compile; from samples, of GELU's layers only.
quantize "$work/smooth" "$work/clean" --smooth 0.5,0.75
run ./octet inspect "$work/smooth" >"$work/said" || fail "inspect, smooth"
grep -q '"smooth":\[0.5,0.75\]' "$work/said" || fail "inspect: no strengths"
grep -q 'quantize --smooth 0.5,0.75' "$work/said" || fail "inspect: no --smooth in the command"
run ./octet inspect "$work/smooth" --json |
    grep -q '"distilbert.transformer.layer.1.ffn.lin1.smooth"' || fail "inspect --json: no factors"
run ./distilbert_infer "$work/smooth" --logits "$work/want.npy" <"$work/texts" >"$work/want" ||
    fail "distilbert_infer, smooth"
run ./octet compile "$work/smooth" -o "$work/smooth.octet" --quiet >"$work/said" ||
    fail "compile, smooth"
run ./distilbert_infer "$work/smooth.octet" --logits "$work/got.npy" <"$work/texts" \
    >"$work/got" || fail "distilbert_infer, smooth and compiled"
same got.npy want.npy "smooth and compiled: other bits"
refuse 1 "--smooth needs --calib" ./octet quantize "$model" --smooth 0.5 -o "$work/new"
refuse 2 "no quantized linear layer before or after a GELU" ./octet quantize "$work/bert" \
    --calib "$work/lines" --force --smooth 1 -o "$work/new" --quiet
refuse 1 "a text a line say" ./octet quantize "$model" --method mse -o "$work/new"
refuse 1 "--calib is not for it" ./octet quantize "$model" --dynamic --calib "$work/clean" \
    -o "$work/new"

# ---- SST-2: what is known of it is clean; with its words shuffled it is another vocabulary ----

sst2=$shared/weights/distilbert_sst2 dev=$shared/data/sst2/dev.tsv
if [ "$emulated" != 1 ] && [ "$sanitized" != 1 ] && [ -e "$sst2" ] && [ -e "$dev" ]; then
    run ./octet lint "$sst2" --calib "$dev" --quiet >"$work/out" 2>&1 ||
        fail "lint, SST-2: $(cat "$work/out")"
    mkdir "$work/shuffled"
    cp "$sst2/config.json" "$sst2/model.safetensors" "$work/shuffled"
    awk 'NR > 999 { word[NR - 1000] = $0; next } { print }
        END { n = NR - 999; for (i = 0; i < n; i++) print word[i * 7919 % n] }' \
        "$sst2/vocab.txt" >"$work/shuffled/vocab.txt"
    refused other_vocabulary "$work/shuffled" "$dev"
    head -n 100 "$dev" >"$work/data"
    run ./octet compile "$sst2" -o "$work/sst2.octet" --precision int8 --quiet || fail "SST-2"
    run ./octet eval "$sst2" --precision int8 --data "$work/data" --logits "$work/want.npy" \
        --quiet >"$work/out" || fail "SST-2, int8"
    run ./octet eval "$work/sst2.octet" --data "$work/data" --logits "$work/got.npy" --quiet \
        >"$work/out" || fail "SST-2, int8, compiled"
    same got.npy want.npy "SST-2, int8, compiled: other bits"
fi
finish
