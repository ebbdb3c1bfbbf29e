#!/bin/sh
# octet quantize as a user runs it: the report is true of the file, the same file every time, what is
# refused, what is left behind, promises.
. "${srcdir:-.}/tests/programs.sh"
[ "$emulated" != 1 ] || exit 77
model=$pretrained/cifar_cnn.safetensors
calib=40 eval=100 isas="avx2 avxvnni avx512"
[ "$sanitized" = 0 ] || calib=12 eval=20 isas=avx2
head -c $((3073 * calib)) "$data/cifar/test_256.bin" >"$work/calib.bin"
head -c $((3073 * eval)) "$data/cifar/test_256.bin" >"$work/eval.bin"
head -c $((3073 * 20)) "$data/cifar/test_256.bin" >"$work/few.bin"

quantize() { # out, options
    out=$1
    shift
    run ./octet quantize "$model" -o "$out" --quiet "$@" >"$work/said" 2>"$work/err" ||
        fail "quantize $*: exit $?: $(cat "$work/err")"
}
nothing_left() { # what
    for file in "$work"/new*; do
        [ ! -e "$file" ] || { fail "$1: $file is left"; rm -f "$file"; }
    done
}

# ---- the file and its report ----

quantize "$work/a" --calib "$work/calib.bin" --eval "$work/eval.bin" --json \
    --report "$work/page.html"
for word in before after layers agreement speedup; do
    grep -q "\"$word\":" "$work/said" || fail "the report lacks '$word'"
done
run ./octet eval "$model" --data "$work/eval.bin" --json --quiet >"$work/before"
run ./octet eval "$work/a" --data "$work/eval.bin" --json --quiet >"$work/after"
[ "$(field correct "$work/after")" -ge $(($(field correct "$work/before") - 1)) ] ||
    fail "$(field correct "$work/before") right in FP32, $(field correct "$work/after") in INT8"
sed 's/.*"after": *{\([^}]*\)}.*/{\1}/' "$work/said" >"$work/part"
for name in samples correct accuracy loss model_bytes; do
    [ "$(field $name "$work/part")" = "$(field $name "$work/after")" ] ||
        fail "$name: the report has $(field $name "$work/part"), the file $(field $name "$work/after")"
done
[ "$(field model_bytes "$work/after")" = "$(($(wc -c <"$work/a")))" ] || fail "not the file's size"
grep -q '"precision": *"int8"' "$work/after" || fail "eval does not say int8"
grep -q '</html>' "$work/page.html" || fail "no page"
run ./octet inspect "$work/a" >"$work/said"
grep -q '^metadata *octet.quant: {"activations":{' "$work/said" || fail "inspect: no octet.quant"
grep -q '^metadata *octet.measured: {"after":{' "$work/said" || fail "inspect: no octet.measured"
run ./octet inspect "$work/a" --plan >"$work/said"
[ "$(grep -c ' U8 .*_s8/' "$work/said")" -ge 6 ] || fail "the plan is not in integers"

# ---- one file, and one answer ----

quantize "$work/plain" --calib "$work/calib.bin"
for how in "--isa ref --threads 1" "--batch 7 --threads 3" "--json"; do
    [ "$sanitized" = 0 ] || [ "$how" = --json ] || continue
    # shellcheck disable=SC2086
    quantize "$work/b" --calib "$work/calib.bin" $how
    cmp -s "$work/plain" "$work/b" || fail "$how: another file"
done
for isa in $isas; do
    run ./octet inspect "$model" --isa $isa >"$work/said" 2>&1 || continue # not here
    quantize "$work/b" --calib "$work/calib.bin" --isa $isa
    cmp -s "$work/plain" "$work/b" || fail "$isa: another file"
done
run ./octet compile "$work/plain" -o "$work/compiled" --quiet
for file in plain compiled a; do
    run ./cnn_infer "$work/$file" "$work/calib.bin" --logits "$work/$file.npy" --quiet >"$work/said"
    cmp -s "$work/plain.npy" "$work/$file.npy" || fail "$file: other answers"
done
run ./octet diff "$model" "$work/plain" --data "$work/calib.bin" --json --quiet >"$work/said"
[ "$(field compared "$work/said")" -ge 12 ] || fail "diff compares $(field compared "$work/said")"

# ---- ranges at run time, layers in FP32 ----

quantize "$work/b" --dynamic --eval "$work/eval.bin" --json
sed 's/.*"after": *{\([^}]*\)}.*/{\1}/' "$work/said" >"$work/part"
[ "$(field correct "$work/part")" -ge $(($(field correct "$work/before") - 1)) ] ||
    fail "dynamic: $(field correct "$work/part") right"
run ./cnn_infer "$work/b" "$work/calib.bin" --logits "$work/a.npy" --quiet >"$work/said"
run ./cnn_infer "$model" "$work/calib.bin" --logits "$work/b.npy" --quiet --precision int8 \
    >"$work/said"
cmp -s "$work/a.npy" "$work/b.npy" || fail "dynamic: not what --precision int8 gives"
quantize "$work/b" --calib "$work/calib.bin" --keep conv1,fc2 --method mse --bits 8
run ./octet inspect "$work/b" --plan >"$work/said"
grep -q '^conv1 .* F32 ' "$work/said" || fail "--keep conv1: $(grep '^conv1' "$work/said")"

# ---- promises ----

quantize "$work/b" --calib "$work/calib.bin" --eval "$work/eval.bin" --max-drop 5 --method minmax
# One range for all of a value that is nearly always tiny: hopeless at first.
run ./octet quantize "$model" -o "$work/b" --quiet --calib "$work/calib.bin" --json --percentile 60 \
    --eval "$work/few.bin" --max-drop 5 >"$work/said" 2>"$work/err"
case $? in
0) grep -q -- '--max-drop' "$work/said" || fail "--max-drop: no layer says why it is in FP32"
   sed 's/.*"after": *{\([^}]*\)}.*/{\1}/' "$work/said" >"$work/part"
   run ./octet eval "$model" --data "$work/few.bin" --json --quiet >"$work/few"
   [ "$(field correct "$work/part")" -ge $(($(field correct "$work/few") - 1)) ] ||
       fail "--max-drop 5: $(field correct "$work/part") of $(field correct "$work/few"), exit 0" ;;
5) [ "$(wc -l <"$work/err")" = 1 ] || fail "--max-drop: $(cat "$work/err")" ;;
*) fail "--max-drop: $(cat "$work/err")" ;;
esac

# ---- refusals leave nothing ----

new=$work/new
refuse 1 "--calib DATA expected" ./octet quantize "$model" -o "$new"
refuse 1 "-o OUT expected" ./octet quantize "$model" --calib "$work/calib.bin"
refuse 1 "--calib is not for it" ./octet quantize "$model" -o "$new" --dynamic \
    --calib "$work/calib.bin"
refuse 1 "--max-drop needs --eval" ./octet quantize "$model" -o "$new" --calib "$work/calib.bin" \
    --max-drop 1
refuse 1 "--method" ./octet quantize "$model" -o "$new" --calib "$work/calib.bin" --method best
refuse 1 "no layer 'conv9'" ./octet quantize "$model" -o "$new" --calib "$work/calib.bin" \
    --keep conv9 --quiet
refuse 1 ".html or .json" ./octet quantize "$model" -o "$new" --calib "$work/calib.bin" \
    --report "$work/new.pdf"
refuse 1 "the model itself" ./octet quantize "$model" -o "$model" --calib "$work/calib.bin"
refuse 2 "scale_255: the data" ./octet quantize "$model" -o "$new" --calib "$work/calib.bin" \
    --scale 1 --quiet --report "$work/new.html"
refuse 2 "quantized already" ./octet quantize "$work/a" -o "$new" --calib "$work/calib.bin" --quiet
refuse 2 "has no label" ./octet quantize "$model" -o "$new" --calib "$work/calib.bin" --quiet \
    --eval "$data/digits"
refuse 3 "" ./octet quantize "$model" -o "$work/none/new" --calib "$work/calib.bin" --quiet
refuse 3 "" ./octet quantize "$model" -o "$new" --calib "$work/none" --quiet
nothing_left "refusals"
quantize "$work/b" --calib "$work/calib.bin" --scale 1 --force
run ./octet inspect "$work/b" >"$work/said"
grep -q '"forced":"scale_255"' "$work/said" || fail "--force is not in the file"
finish
