#!/bin/sh
# octet prune as a user runs it: the report is true of the file, the same file every time, what
# stays as it was, models of texts, what is refused and what is left behind.
. "${srcdir:-.}/tests/programs.sh"
brief=$((emulated + sanitized))
model=$pretrained/mnist_cnn.safetensors
cifar=$pretrained/cifar_cnn.safetensors
head -c $((3073 * 40)) "$data/cifar/test_256.bin" >"$work/eval.bin"

prune() { # model, out, options
    from=$1 out=$2
    shift 2
    run ./octet prune "$from" -o "$out" --quiet "$@" >"$work/said" 2>"$work/err" ||
        fail "prune $*: exit $?: $(cat "$work/err")"
}
sparsity() { # layer, per cent, of the text in $work/said
    grep -q "^Sparsity in $1: *$2%  " "$work/said" ||
        fail "$1: not $2 %: $(grep -F "Sparsity in $1:" "$work/said")"
}
names() { # model, to: names, dtypes and shapes of all tensors
    run ./octet inspect "$1" --json | sed 's/.*"tensors"://' >"$2"
}

# ---- the file and its report ----

prune "$model" "$work/a" --amount 0.5
sparsity conv1.weight 7.00
sparsity fc1.weight 51.77
grep -q '^Global sparsity: *50.00%  215250 of 430500$' "$work/said" || fail "not 50 % of all"
names "$model" "$work/want"
names "$work/a" "$work/got"
cmp -s "$work/want" "$work/got" || fail "other tensors"
run ./octet inspect "$work/a" >"$work/said"
grep -q '^metadata *octet.prune: {"amount":0.5,"density":{"conv1.weight":0.93,' "$work/said" ||
    fail "inspect: no octet.prune"
grep -q '"command":"octet prune --amount 0.5"' "$work/said" || fail "inspect: another command"
prune "$model" "$work/b" --amount 0.5 --isa ref --threads 1 --json --report "$work/report.json"
cmp -s "$work/a" "$work/b" || fail "another file"
cmp -s "$work/said" "$work/report.json" || fail "--report is not what --json prints"
[ "$(field zeros "$work/said")" != "" ] || fail "--json: no zeros"

prune "$model" "$work/b" --amount 0.5 --per-layer
sparsity conv1.weight 50.00
sparsity fc2.weight 50.00
prune "$model" "$work/b" --amount 1 --only 'fc2,conv*'
sparsity conv2.weight 100.00
sparsity fc1.weight 0.00
sparsity fc2.weight 100.00
prune "$model" "$work/b" --structure 2:4
sparsity conv1.weight 0.00
sparsity fc1.weight 50.00
prune "$model" "$work/b" --structure 4x1 --amount 0.25 --per-layer --only conv1.weight
sparsity conv1.weight 24.80 # 31 of 125 blocks: half to even
prune "$work/a" "$work/b" --structure 1x4 --amount 0.8
grep -q '^Global sparsity: *[89]' "$work/said" || fail "pruned again: $(tail -4 "$work/said")"

# ---- whole channels ----

sides() { # layer, outputs, inputs, of the text in $work/said
    grep -q "^$1  *$2  *$3  " "$work/said" || fail "$1: not $2, $3: $(grep -F "$1 " "$work/said")"
}
prune "$model" "$work/c" --structure channel --amount 0.3 --per-layer
sides conv1.weight "20 of 20" "1 of 1" # of no more than 32 none goes
sides conv2.weight "32 of 50" "20 of 20"
sides fc1.weight "352 of 500" "512 of 800"
sides fc2.weight "10 of 10" "352 of 500"
grep -q '^multiply-adds  *2.29 M  *1.50 M' "$work/said" || fail "multiply-adds: $(cat "$work/said")"
run ./octet inspect "$work/c" >"$work/said"
grep -q '^metadata *octet.prune: .*"multiple":32,"per_layer":true,"shapes":{"conv2.weight":' \
    "$work/said" || fail "inspect: no shapes: $(grep octet.prune "$work/said")"
[ "$(wc -c <"$work/c")" -lt 850000 ] || fail "the file has $(wc -c <"$work/c") bytes"
run ./cnn_infer "$work/c" "$data/digits/digit_7.png" --quiet >"$work/said" || fail "cannot be run"
prune "$model" "$work/b" --structure channel --amount 0.3 --per-layer --isa ref --threads 1 --json
cmp -s "$work/c" "$work/b" || fail "channels: another file"
for name in macs macs_before weights_left; do
    [ "$(field $name "$work/said")" != "" ] || fail "--json: no $name"
done
prune "$model" "$work/b" --structure channel --amount 0.31 --per-layer --multiple 1 --only 'conv*'
sides conv1.weight "14 of 20" "1 of 1"
sides conv2.weight "34 of 50" "14 of 20" # 15.5 of 50: half to even
sides fc1.weight "500 of 500" "544 of 800"
run ./octet quantize "$work/b" --dynamic -o "$work/int8" --quiet >"$work/said" 2>&1 ||
    fail "quantize: $(cat "$work/said")"
run ./cnn_infer "$work/int8" "$data/digits/digit_7.png" --quiet >"$work/said" ||
    fail "INT8: cannot be run"
# ---- compressed, and sparse once quantized ----

prune "$cifar" "$work/b" --structure 1x4 --amount 0.75
names "$cifar" "$work/want"
names "$work/b" "$work/got"
cmp -s "$work/want" "$work/got" || fail "compressed: other tensors"
[ "$(wc -c <"$work/b")" -lt 2000000 ] || fail "compressed: $(wc -c <"$work/b") bytes"
prune "$cifar" "$work/b" --structure 1x4 --amount 0.9 --per-layer
run ./octet quantize "$work/b" --calib "$work/eval.bin" --force --quiet -o "$work/q" >/dev/null ||
    fail "quantize: exit $?"
run ./octet inspect "$work/q" >"$work/said"
grep -q '^metadata *octet.sparse: {"conv' "$work/said" || fail "no octet.sparse"
grep -q '^conv4 .* [ 1][09]\.[0-9] %  ' "$work/said" || fail "inspect: no densities"
grep -q '^conv4 .* %  [a-z0-9_]*/[a-z0-9]*$' "$work/said" || fail "inspect: no kernels"
refuse 2 "neither pruned nor quantized" ./octet inspect "$cifar" --measure
refuse 1 "not with --plan" ./octet inspect "$work/q" --measure --plan
if [ $brief -eq 0 ]; then
    if run ./octet inspect "$work/q" --isa avx2 >"$work/said" 2>/dev/null; then # it is sparse there
        run ./octet inspect "$work/q" --isa avx2 --measure >"$work/said"
        grep -q '^conv4 .* %  sparse_s8/avx2 ([0-9.]*x)$' "$work/said" ||
            fail "--measure: $(grep conv4 "$work/said")"
    fi
    run ./octet eval "$work/q" --data "$work/eval.bin" --logits "$work/l1" --quiet >/dev/null
    run ./octet eval "$work/q" --data "$work/eval.bin" --logits "$work/l2" --quiet --isa ref \
        >/dev/null
    cmp -s "$work/l1" "$work/l2" || fail "sparse: other logits than ref"
    run ./octet prune "$cifar" --break-even --threads 1 --json >"$work/said" ||
        fail "--break-even: exit $?"
    grep -q '"precision": "fp32", "structure": "4x1",.*"break_even":' "$work/said" || fail "--break-even: $(head -1 "$work/said")"
fi
run ./octet prune "$cifar" --break-even --structure channel >/dev/null 2>"$work/err"
[ $? -eq 1 ] && grep -q 'structure 1x4, 4x1 or 2:4 expected' "$work/err" ||
    fail "--break-even --structure channel: $(cat "$work/err")"

# ---- FP32: zeros left out, the dense bits ----

prune "$model" "$work/s" --structure 4x1 --amount 0.85 --per-layer
run ./octet inspect "$work/s" >"$work/said"
grep -q '^metadata *octet.sparse: .*"conv2":\["avx512",' "$work/said" || fail "FP32: no octet.sparse"
run ./octet compile "$work/s" -o "$work/packed" --quiet >/dev/null || fail "FP32: compile: exit $?"
for how in "s --isa ref" s packed "s --gemm ours --precision fp32 --threads 3"; do
    run ./cnn_infer "$work/"$how "$data/digits" --quiet --logits "$work/l2" >/dev/null ||
        fail "FP32: $how: exit $?"
    [ "$how" != "s --isa ref" ] || mv "$work/l2" "$work/l1"
    [ "$how" = "s --isa ref" ] || cmp -s "$work/l1" "$work/l2" || fail "FP32: $how: other logits"
done

# ---- the answers ----

prune "$model" "$work/b" --amount 0
for file in "$model" "$work/b"; do
    run ./cnn_infer "$file" "$data/digits/digit_7.png" --logits "$work/$(basename "$file").npy" \
        --quiet >"$work/said"
done
cmp -s "$work/mnist_cnn.safetensors.npy" "$work/b.npy" || fail "--amount 0: other answers"

if [ $brief = 0 ]; then
    prune "$cifar" "$work/b" --amount 0.7 --eval "$work/eval.bin" --json
    for side in before after; do
        sed "s/.*\"$side\": *{\([^}]*\)}.*/{\1}/" "$work/said" >"$work/$side"
    done
    for side in before after; do
        file=$cifar
        [ $side = before ] || file=$work/b
        run ./octet eval "$file" --data "$work/eval.bin" --json --quiet >"$work/alone"
        for name in samples correct accuracy loss model_bytes; do
            [ "$(field $name "$work/$side")" = "$(field $name "$work/alone")" ] ||
                fail "$side, $name: $(field $name "$work/$side"), $(field $name "$work/alone")"
        done
    done
    run ./octet inspect "$work/b" >"$work/said"
    grep -q '^metadata *octet.measured: {"after":{' "$work/said" || fail "no octet.measured"
    run ./octet quantize "$work/b" --dynamic -o "$work/int8" --quiet >"$work/said" 2>&1 ||
        fail "quantize: $(cat "$work/said")"
    run ./octet inspect "$work/int8" >"$work/said"
    grep -q '^metadata *octet.prune: {"amount":0.7,' "$work/said" || fail "INT8: no octet.prune"
fi

# ---- repaired on samples ----

number() { # field, of which object, file
    sed "s/.*\"$2\": *{\([^}]*\)}.*/{\1}/" "$3" >"$work/object"
    field "$1" "$work/object"
}

head -c $((3073 * 12)) "$data/cifar/test_256.bin" >"$work/calib.bin"
head -c $((3073 * 5)) "$data/cifar/test_256.bin" >"$work/five.bin"
refuse 2 "few_samples: the data has too few samples" ./octet prune "$cifar" -o "$work/new" --quiet \
    --amount 0.5 --calib "$work/five.bin"
prune "$cifar" "$work/b" --amount 0.5 --only conv1 --calib "$work/five.bin" --force
grep -q '^lint (forced) *has too few samples' "$work/said" || fail "--force: $(head "$work/said")"
run ./octet inspect "$work/b" >"$work/said"
grep -q '^metadata *octet.prune: .*"repair":{"forced":"few_samples","samples":5,"sha256":"' \
    "$work/said" || fail "inspect: not forced"
prune "$cifar" "$work/b" --amount 0.5 --only conv1,conv2 --calib "$work/calib.bin" --samples 5
grep -q '^  samples *5$' "$work/said" || fail "--samples 5: $(grep -F samples "$work/said")"
prune "$cifar" "$work/c" --amount 0.5 --only conv1,conv2 --calib "$work/calib.bin" --samples 5 \
    --threads 3 --isa ref
cmp -s "$work/b" "$work/c" || fail "--calib: other bytes"
names "$cifar" "$work/want"
names "$work/b" "$work/got"
cmp -s "$work/want" "$work/got" || fail "--calib: other tensors"
run ./octet inspect "$work/b" >"$work/said"
grep -q '^metadata *octet.prune: .*"repair":{"samples":5,"sha256":"' "$work/said" ||
    fail "inspect: no repair"

if [ $brief = 0 ]; then
    prune "$cifar" "$work/b" --amount 0.5 --per-layer --structure 1x4 --json \
        --calib "$data/cifar/test_256.bin" --eval "$work/eval.bin"
    cp "$work/said" "$work/report"
    before=$(number correct before "$work/report") pruned=$(number correct pruned "$work/report")
    after=$(number correct after "$work/report")
    [ "$pruned" -lt $((before - 10)) ] || fail "pruned: $pruned of 40, $before before"
    [ "$after" -ge $((before - 2)) ] || fail "repaired: $after of 40, $before before"
    run ./octet eval "$work/b" --data "$work/eval.bin" --json --quiet >"$work/alone"
    [ "$(field correct "$work/alone")" = "$after" ] || fail "after: not what the file answers"
    grep -q '"repaired": true, "error_before": 0\.[0-9e.-]*, "error_after": 0\.' "$work/report" ||
        fail "--json: no layer is repaired"
fi

# whole channels: what reads those that are left makes up for the others
prune "$cifar" "$work/b" --structure channel --amount 0.3 --per-layer --only 'conv[12]' \
    --calib "$work/calib.bin"
awk '/^conv[12].weight .* %$/ && !/of/ { bad = 1 }  # they read what they did
    /^conv3.weight .* %$/ && !/of/ { good = $4 + 0 < $2 / 4 } END { exit bad || !good }' \
    "$work/said" || fail "not conv3 alone is repaired: $(tail -4 "$work/said")"
run ./octet eval "$work/b" --data "$work/eval.bin" --json --quiet >"$work/alone" ||
    fail "fewer channels, repaired: cannot be run"

# ---- models of texts become one file ----

mkdir "$work/texts"
cp "$src"/tests/golden/encoders/distilbert/* "$work/texts"
head -n 999 "$src/tests/golden/wordpiece/vocab.txt" >"$work/texts/vocab.txt"
prune "$work/texts" "$work/b" --amount 0
run ./distilbert_infer "$work/texts" "what a bore" >"$work/want"
run ./distilbert_infer "$work/b" "what a bore" >"$work/got"
cmp -s "$work/want" "$work/got" || fail "texts, --amount 0: other answers"
prune "$work/b" "$work/c" --amount 0.5 --per-layer --only '*.q_lin,pre_classifier'
sparsity distilbert.transformer.layer.0.attention.q_lin.weight 50.00
sparsity distilbert.transformer.layer.0.attention.k_lin.weight 0.00
! grep -q embeddings "$work/said" || fail "embeddings are pruned"
printf '%s\n' "what a bore" "a charming film" "neither good nor bad" >"$work/calib.txt"
prune "$work/texts" "$work/c" --amount 0.5 --per-layer --calib "$work/calib.txt" --force
prune "$work/texts" "$work/d" --amount 0.5 --per-layer --calib "$work/calib.txt" --force \
    --threads 3
cmp -s "$work/c" "$work/d" || fail "texts, --calib: other bytes"
grep -q '^  samples *3$' "$work/said" || fail "texts: not 3 samples"
sparsity distilbert.transformer.layer.0.attention.k_lin.weight 50.00
prune "$work/texts" "$work/c" --amount 0.5 --only '*.0.attention.q_lin' --force \
    --calib "$work/calib.txt"
grep -q 'q_lin.weight *as pruned: it is read as one with' "$work/said" || fail "q_lin alone"

# ---- --max-drop ----

if [ $brief = 0 ]; then
    prune "$cifar" "$work/b" --structure 4x1 --only 'conv*' --max-drop 20 --eval "$work/eval.bin" \
        --json
    amount=$(field amount "$work/said")
    lost() { # amount: images of 40
        prune "$cifar" "$work/c" --structure 4x1 --only 'conv*' --amount "$1" --json \
            --eval "$work/eval.bin"
        echo $(($(number correct before "$work/said") - $(number correct after "$work/said")))
    }
    [ "$(lost "$amount")" -le 8 ] || fail "--max-drop 20: $amount loses more"
    cmp -s "$work/b" "$work/c" && fail "--max-drop is not in the file"
    more=$(awk "BEGIN { print $amount + 1 / 32 }")
    [ "$(lost "$more")" -gt 8 ] || fail "--max-drop 20: $amount, but $more keeps it, too"
fi

# heads and neurons; quantized, compiled
layer=distilbert.transformer.layer.0
prune "$work/texts" "$work/c" --structure channel --amount 0.4 --multiple 8
sides $layer.attention.q_lin.weight "[0-9]* of 60" "60 of 60"
sides $layer.ffn.lin2.weight "60 of 60" "[0-9]* of 130"
prune "$work/texts" "$work/c" --structure head --amount 0.4
sides $layer.attention.v_lin.weight "[0-9]* of 60" "60 of 60"
sides $layer.ffn.lin1.weight "130 of 130" "60 of 60"
prune "$work/c" "$work/b" --structure neuron --amount 0.4 --only '*.lin1'
sides $layer.ffn.lin1.weight "[0-9]* of 130" "60 of 60"
sides pre_classifier.weight "60 of 60" "60 of 60"
run ./distilbert_infer "$work/b" "what a bore" >"$work/want" || fail "fewer heads: cannot be run"
run ./octet compile "$work/b" -o "$work/compiled" --quiet >"$work/said" 2>&1 ||
    fail "compile: $(cat "$work/said")"
run ./distilbert_infer "$work/compiled" "what a bore" >"$work/got"
cmp -s "$work/want" "$work/got" || fail "fewer heads, compiled: other answers"
run ./octet quantize "$work/b" -o "$work/int8" --quiet >"$work/said" 2>&1 ||
    fail "quantize: $(cat "$work/said")"
run ./distilbert_infer "$work/int8" "what a bore" >"$work/said" || fail "INT8: cannot be run"

# ---- refusals leave nothing ----

new=$work/new
sed -n '700,939p' "$work/texts/vocab.txt" | tr -d '\043' | paste -d' ' - - - - >"$work/random.txt"
run ./distilbert_infer "$work/texts" <"$work/random.txt" | cut -f 1,3 >"$work/random.tsv"
refuse 5 "--max-drop 0 is not kept" ./octet prune "$work/texts" -o "$new" --quiet --per-layer \
    --structure 4x1 --max-drop 0 --eval "$work/random.tsv"
refuse 1 "--max-drop needs --eval" ./octet prune "$model" -o "$new" --max-drop 1
refuse 1 "--amount is not for it" ./octet prune "$model" -o "$new" --max-drop 1 --amount 0.5 \
    --eval "$work/eval.bin"
refuse 1 "2:4 has none" ./octet prune "$model" -o "$new" --max-drop 1 --structure 2:4 \
    --eval "$work/eval.bin"
run ./octet quantize "$model" --dynamic -o "$work/int8" --quiet >"$work/said" 2>&1
run ./octet compile "$model" -o "$work/compiled" --quiet >"$work/said" 2>&1
refuse 1 "--amount A expected" ./octet prune "$model" -o "$new"
refuse 1 "-o OUT expected" ./octet prune "$model" --amount 0.5
refuse 1 "--amount '1.5'" ./octet prune "$model" -o "$new" --amount 1.5
refuse 1 "--amount '-0.1'" ./octet prune "$model" -o "$new" --amount -0.1
refuse 1 "--amount 'nan'" ./octet prune "$model" -o "$new" --amount nan
refuse 1 "2:4 leaves two" ./octet prune "$model" -o "$new" --amount 0.7 --structure 2:4
refuse 1 "--amount A expected" ./octet prune "$model" -o "$new" --structure channel
refuse 1 "only where whole channels go" ./octet prune "$model" -o "$new" --amount 0.5 --multiple 8
refuse 1 "--multiple '0'" ./octet prune "$model" -o "$new" --amount 0.5 --structure channel \
    --multiple 0
refuse 2 "no whole head" ./octet prune "$model" -o "$new" --amount 0.5 --structure head
refuse 2 "all named by --only" ./octet prune "$model" -o "$new" --amount 0.5 --structure channel \
    --only fc2
refuse 1 "--structure '3:4'" ./octet prune "$model" -o "$new" --amount 0.5 --structure 3:4
refuse 1 ".json" ./octet prune "$model" -o "$new" --amount 0.5 --report "$work/new.html"
refuse 1 "the model itself" ./octet prune "$work/a" -o "$work/a" --amount 0.5
refuse 1 "unknown option '--precision'" ./octet prune "$model" -o "$new" --amount 0.5 \
    --precision int8
refuse 1 "no layer 'conv9'" ./octet prune "$model" -o "$new" --amount 0.5 --only conv1,conv9
refuse 1 "--samples needs --calib" ./octet prune "$model" -o "$new" --amount 0.5 --samples 4
refuse 1 "--samples '0'" ./octet prune "$model" -o "$new" --amount 0.5 --samples 0
refuse 3 "" ./octet prune "$model" -o "$new" --amount 0.5 --calib "$work/none"
refuse 2 "wrong_size: the data is of another size" ./octet prune "$model" -o "$new" --quiet \
    --amount 0.5 --calib "$work/calib.bin"
refuse 1 "--force needs --calib" ./octet prune "$model" -o "$new" --amount 0.5 --force
refuse 2 "quantized already" ./octet prune "$work/int8" -o "$new" --amount 0.5
refuse 2 "compiled" ./octet prune "$work/compiled" -o "$new" --amount 0.5
refuse 2 "has no label" ./octet prune "$model" -o "$new" --amount 0.5 --quiet \
    --eval "$data/digits" --report "$work/new.json"
refuse 3 "" ./octet prune "$model" -o "$work/none/new" --amount 0.5
refuse 3 "" ./octet prune "$model" -o "$new" --amount 0.5 --eval "$work/none"
for file in "$work"/new* "$work"/.new*; do
    [ ! -e "$file" ] || fail "refusals: $file is left"
done
finish
