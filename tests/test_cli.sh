#!/bin/sh
# What the programs say and return when something is wrong: SPEC.md, section 2.
. "${srcdir:-.}/tests/programs.sh"

# ---- files made here ----

byte() { printf "\\$(printf %03o "$1")"; }

safetensors() { # header, bytes of data (zeros)
    n=$(printf %s "$1" | wc -c)
    byte $((n % 256)); byte $((n / 256)); printf '\0\0\0\0\0\0'
    printf %s "$1"
    head -c "$2" /dev/zero
}

model() { # shape of fc1.weight, bytes, name of the weight
    arch='{\"input\":[1,2,2],\"kind\":\"cnn\",\"layers\":\"flatten fc1\"}'
    meta='{"octet.arch":"'$arch'","octet.format":"1"}'
    weight='{"dtype":"F32","shape":'$1',"data_offsets":[0,'$2']}'
    safetensors '{"__metadata__":'"$meta"',"'"${3-fc1.weight}"'":'"$weight"'}' "$2"
}

model '[3,4]' 48 >"$work/good.safetensors"
model '[3,5]' 60 >"$work/shape.safetensors"
model '[3,4]' 48 fc9.weight >"$work/missing.safetensors"
model '[3,4]' 48 >"$work/whole" && head -c 200 "$work/whole" >"$work/cut.safetensors"
head -c $(($(wc -c <"$work/whole") - 4)) "$work/whole" >"$work/short.safetensors"
printf '\377\377\377\377\0\0\0\0{}' >"$work/length.safetensors"
: >"$work/empty"
mkdir "$work/folder"
printf '\200\002\377.' >"$work/opcode.pt"              # protocol 2, then no opcode
printf '\200\002cos\nsystem\n(S"true"\ntR.' >"$work/code.pt"
head -c 600 /dev/urandom >"$work/noise"
model '[3,4]' 48 "$(printf 'fc\\u001b[2J\\n')" >"$work/escape.safetensors"
printf 'P5\n2 2\n255\n\001\002\003\004' >"$work/good.pgm"
printf 'P5\n2 2\n255\n\001' >"$work/cut.pgm"
good=$work/good.safetensors
image=$work/good.pgm
esc=$(printf '\033[31m\nX')
cp "$work/empty" "$work/a$esc"

# ---- usage ----

refuse 1 "MODEL INPUT... expected" ./cnn_infer
refuse 1 "MODEL INPUT... expected" ./cnn_infer "$good"
refuse 1 "a command expected" ./octet
refuse 1 "no such command" ./octet quantise
refuse 1 "unknown option '--nosuch'" ./cnn_infer "$good" "$image" --nosuch
refuse 1 "unknown option '-x'" ./octet bench "$good" -x
refuse 1 "unknown option '--plan'" ./octet eval "$good" --plan
refuse 1 "needs a value" ./octet bench "$good" --batch
refuse 1 "takes no value" ./octet inspect "$good" --json=1
refuse 1 "one operand too many" ./octet inspect "$good" "$good"
refuse 1 "--data DATA expected" ./octet eval "$good"
refuse 1 "B expected" ./octet diff "$good"
for number in 0 -1 1x 0x10 '' ' 1' +1 99999999999999999999 1.5 1, nan; do
    refuse 1 "--batch '$number'" ./cnn_infer "$good" "$image" --batch "$number"
    refuse 1 "--threads '$number'" ./octet inspect "$good" --threads "$number"
done
for number in nan inf 0x1p3 '' 1e999 ' 1' 1,2x; do
    refuse 1 "--mean '$number'" ./cnn_infer "$good" "$image" --mean "$number"
done
refuse 1 "--batch '1,2'" ./cnn_infer "$good" "$image" --batch 1,2
refuse 1 "--std '0'" ./cnn_infer "$good" "$image" --std 0
refuse 1 "--mean has 2 values for 1 channels" ./cnn_infer "$good" "$image" --mean 1,2
refuse 1 "--isa" ./octet inspect "$good" --isa avx1024
refuse 1 "--precision 'fp31'" ./octet bench "$good" --precision fp31
refuse 1 "--precision 'fp16,bf16'" ./cnn_infer "$good" "$image" --precision fp16,bf16
refuse 1 "--gemm openblas" ./octet bench "$good" --precision fp16 --gemm openblas
refuse 1 "--device 'tpu': unknown" ./octet bench "$good" --device tpu
refuse 1 "unknown option '--device'" ./octet diff "$good" "$good" --device cuda
if ! grep -q 'define HAVE_CUDA 1' config.h; then
    refuse 1 "--device 'cuda': this build was made without CUDA" ./octet bench "$good" --device cuda
else
    refuse 1 "--isa" ./octet bench "$good" --device cuda --isa ref
    refuse 1 "ours, cublas or auto" ./octet bench "$good" --device cuda --gemm openblas
    [ -e /dev/nvidiactl ] ||
        refuse 3 "no NVIDIA driver" ./octet bench "$good" --device cuda --gemm cublas \
            --quiet
    [ -e /dev/nvidiactl ] || refuse 3 "no NVIDIA driver" ./octet inspect "$good" --plan --device cuda
fi
refuse 1 "--gemm 'mkl'" ./octet bench "$good" --gemm mkl
refuse 1 "ours or openblas" ./octet bench "$good" --gemm cublas
refuse 1 "the model itself" ./octet eval "$good" --data "$image" -o "$good"
refuse 1 "--channels 'XYZ'" ./cnn_infer "$good" "$image" --channels XYZ
refuse 1 "--passes" ./octet diff "$good" --passes folding
refuse 1 "--input" ./octet inspect "$good" --layers "flatten fc1"
refuse 1 "--length is for text" ./octet bench "$good" --length 16
refuse 1 "..." ./octet eval "--$(printf %02000d 7)"
OCT_CPU=avx1024; export OCT_CPU
refuse 1 "OCT_CPU" ./octet inspect "$good"
unset OCT_CPU
# No CPU has both of these; the one it lacks is a usage error.
lacking=avx2
run ./octet inspect "$good" --isa avx2 >/dev/null 2>&1 && lacking=neon
refuse 1 "$lacking" ./octet inspect "$good" --isa $lacking

# ---- help ----

for program in "./cnn_infer" "./resnet_infer" "./distilbert_infer" "./octet" \
    "./octet inspect" "./octet eval" "./octet diff" "./octet bench"; do
    # shellcheck disable=SC2086
    run $program --help >"$work/out" 2>"$work/err" || fail "$program --help: exit $?"
    grep -q '^Usage: ' "$work/out" && grep -q 'xamples:' "$work/out" || fail "$program --help"
    awk 'length > 100 { exit 1 }' "$work/out" || fail "$program --help: a line of over 100"
    # shellcheck disable=SC2086
    run $program --version >"$work/out" || fail "$program --version: exit $?"
    grep -q '(octet) [0-9]' "$work/out" || fail "$program --version"
done

# ---- bad models, in every program ----

each() { # exit code, words, path
    refuse "$1" "$2" ./cnn_infer "$3" "$image"
    refuse "$1" "$2" ./octet inspect "$3"
    refuse "$1" "$2" ./octet eval "$3" --data "$data/cifar/test_256.bin"
    refuse "$1" "$2" ./octet diff "$3" --passes none --data "$image"
    refuse "$1" "$2" ./octet bench "$3" --quiet
}
each 3 "$work/nosuch: " "$work/nosuch"
each 2 "$work/empty: " "$work/empty"
each 2 "$work/shape.safetensors: fc1.weight: shape [3, 5], expected [any, 4]" \
    "$work/shape.safetensors"
each 2 "$work/missing.safetensors: " "$work/missing.safetensors"
each 2 "$work/cut.safetensors: " "$work/cut.safetensors"
each 2 "$work/short.safetensors: " "$work/short.safetensors"
each 2 "$work/length.safetensors: " "$work/length.safetensors"
each 2 "$work/opcode.pt: " "$work/opcode.pt"
each 2 "$work/code.pt: " "$work/code.pt"
each 2 "$work/noise: " "$work/noise"
each 2 ": " "$work/escape.safetensors"
each 2 'a\x1b[31m\nX: ' "$work/a$esc"
refuse 2 "$work/folder: " ./cnn_infer "$work/folder" "$image"
refuse 2 "$work/folder: " ./octet inspect "$work/folder"

# ---- good and bad images ----

run ./cnn_infer "$good" "$image" >"$work/out" 2>"$work/err" ||
    fail "the tiny model: $(cat "$work/err")"
[ "$(cat "$work/out")" = "$image	1	0	0	0.333333" ] || fail "the tiny model: $(cat "$work/out")"
refuse 3 "$work/nosuch.png: " ./cnn_infer "$good" "$work/nosuch.png"
refuse 2 "$work/cut.pgm: " ./cnn_infer "$good" "$work/cut.pgm"
refuse 2 "$work/empty: " ./cnn_infer "$good" "$work/empty"
refuse 2 "$work/folder: " ./cnn_infer "$good" "$work/folder"
refuse 2 "#256" ./cnn_infer "$good" "$data/cifar/test_256.bin#256"
refuse 2 "" ./octet eval "$good" --data "$image"                    # no label
printf '\0\0\010\003\0\0\0\001\0\0\0\002\0\0\0\002abcd' >"$work/x-images-idx3-ubyte"
printf '\0\0\010\001\0\0\0\001\003' >"$work/x-labels-idx1-ubyte"
refuse 2 "label 3, the model has 3 classes" ./octet eval "$good" --data "$work/x-images-idx3-ubyte"
refuse 2 "28x28" ./octet eval "$pretrained/cifar_cnn.safetensors" --data "$mnist" # not 32x32

# The others are done, in order; names keep to their column and line; several ways to batch.
for batch in 1 2 64; do
    cp "$image" "$work/a$(printf '\t')b.pgm"
    run ./cnn_infer "$good" "$image" "$work/cut.pgm" "$work/a$(printf '\t')b.pgm" --batch $batch \
        >"$work/out" 2>"$work/err"
    [ $? = 2 ] || fail "one of three is bad: exit code"
    [ "$(wc -l <"$work/err")" -eq 1 ] || fail "one of three is bad: $(cat "$work/err")"
    [ "$(cut -f 1 "$work/out")" = "$image
$work/a\\tb.pgm" ] || fail "one of three is bad: $(cat "$work/out")"
done
run ./cnn_infer "$good" - <"$image" >"$work/out" || fail "standard input"
[ "$(cut -f 1 "$work/out")" = - ] || fail "standard input: $(cat "$work/out")"
run ./cnn_infer "$good" "$image" --json --top 5 >"$work/out" || fail "--json"
first='{"index": 0, "label": "0", "probability": 0.333[0-9]*}'
grep -q '^{"input": ".*good.pgm", "top": \['"$first"', {.*}, {.*}\], "ms": .*}$' "$work/out" ||
    fail "--json: $(cat "$work/out")"

# ---- labels ----

printf 'cat\r\ndog\nbird' >"$work/three.txt"
printf 'cat\ndog\n' >"$work/two.txt"
run ./cnn_infer "$good" "$image" --labels "$work/three.txt" >"$work/out" || fail "--labels"
[ "$(cut -f 4 "$work/out")" = cat ] || fail "--labels: $(cat "$work/out")"
refuse 2 "$work/two.txt: 2 lines, the model has 3 classes" \
    ./cnn_infer "$good" "$image" --labels "$work/two.txt"
refuse 3 "$work/nosuch.txt: " ./cnn_infer "$good" "$image" --labels "$work/nosuch.txt"

# ---- output files: complete, or untouched ----

mkdir "$work/outdir"
cp "$work/three.txt" "$work/outdir/old.npy"
refuse 2 "$work/cut.pgm: " ./cnn_infer "$good" "$work/cut.pgm" --logits "$work/outdir/old.npy"
refuse 2 "$work/cut.pgm: " ./octet eval "$good" --data "$work/cut.pgm" \
    --logits "$work/outdir/new.npy"
refuse 2 "$work/shape.safetensors: " ./cnn_infer "$work/shape.safetensors" "$image" \
    --logits "$work/outdir/new.npy"
run ./cnn_infer "$good" "$image" "$work/cut.pgm" --logits "$work/outdir/old.npy" >/dev/null 2>&1
cmp -s "$work/three.txt" "$work/outdir/old.npy" || fail "--logits: changed on failure"
[ "$(ls "$work/outdir")" = old.npy ] || fail "--logits: left behind: $(ls "$work/outdir")"
refuse 3 "$work/nowhere/x.npy: " ./cnn_infer "$good" "$image" --logits "$work/nowhere/x.npy"
refuse 3 "$work/folder: is a folder" ./cnn_infer "$good" "$image" --logits "$work/folder"
refuse 3 "/dev/null: is not a plain file" ./cnn_infer "$good" "$image" --logits /dev/null
run ./cnn_infer "$good" "$image" --logits "$work/outdir/old.npy" >/dev/null || fail "--logits"
[ "$(wc -c <"$work/outdir/old.npy")" -eq 140 ] || fail "--logits: size"
[ "$(ls "$work/outdir")" = old.npy ] || fail "--logits: left behind: $(ls "$work/outdir")"

# ---- standard output that cannot be written: an error, never a signal ----

if [ -e /dev/full ]; then
    for program in "./cnn_infer $good $image" "./octet inspect $good" "./octet --help"; do
        # shellcheck disable=SC2086
        run $program >/dev/full 2>"$work/err"
        [ $? = 3 ] || fail "$program >/dev/full: exit code"
        [ "$(wc -l <"$work/err")" -eq 1 ] || fail "$program >/dev/full: $(cat "$work/err")"
    done
    run ./cnn_infer "$good" "$image" --logits "$work/outdir/full.npy" >/dev/full 2>/dev/null
    [ ! -e "$work/outdir/full.npy" ] || fail "--logits written though standard output was not"
fi
run ./octet inspect "$good" >&- 2>"$work/err"
[ $? = 3 ] || fail "closed standard output: exit code"
run ./cnn_infer "$good" "$image" --logits "$work/outdir/closed.npy" >&- <&- 2>"$work/err"
[ $? = 3 ] || fail "closed standard output, --logits: exit code"
[ ! -e "$work/outdir/closed.npy" ] || fail "--logits written though standard output was closed"
{ run ./octet inspect "$good" 2>"$work/err"; echo $? >"$work/code"; } | true
case $(cat "$work/code") in 0 | 3) ;; *) fail "broken pipe: exit $(cat "$work/code")" ;; esac

# ---- diff: a promise, dumps ----

run ./octet diff "$good" --passes none --data "$image" --tolerance 0 >"$work/out" ||
    fail "diff: itself"
grep -q 'same top-1 *1 of 1' "$work/out" || fail "diff: $(cat "$work/out")"
mkdir "$work/dumps"
real=$pretrained/mnist_cnn.safetensors
run ./octet eval "$real" --data "$mnist#0" --quiet --logits "$work/dumps/logits.npy" >/dev/null ||
    fail "eval of one record"
run ./octet diff "$real" "$work/dumps" --data "$mnist#0" --tolerance 1e-4 >"$work/out" ||
    fail "diff: own dumps"

# Every line and field of eval; what differs from run to run and machine to machine is masked.
run ./octet eval "$real" --data "$mnist#0" --threads 1 --isa ref >"$work/eval" || fail "eval"
sed 's/[0-9.]* ms/# ms/g; s/[0-9.]* samples/# samples/; s/memory  [0-9]*/memory  #/' "$work/eval" \
    >"$work/masked"
cat >"$work/want" <<'EOF'
samples      1
correct      1
accuracy     1.000000 (95 %: 0.206549 to 1.000000)
loss         0.000000
time         # ms, # samples/s (without decoding)
batch of 64  # ms median, # ms 99th percentile
on           ref, 1 thread, fp32
model        1725288 bytes
peak memory  # bytes
EOF
cmp "$work/want" "$work/masked" || fail "eval: $(cat "$work/eval")"
run ./octet eval "$real" --data "$mnist#0" --threads 1 --isa ref --batch 3 --json >"$work/eval" ||
    fail "eval --json"
sed 's/\(ms_[a-z0-9]*": \)[0-9.e-]*/\1#/g; s/\(peak_bytes": \)[0-9]*/\1#/
    s/\(loss": [0-9.]\{6\}\)[0-9]*/\1/' "$work/eval" >"$work/masked"
printf '%s, %s, %s, %s\n' >"$work/want" \
    '{"samples": 1, "correct": 1, "accuracy": 1.0, "accuracy_low": 0.206549314377237' \
    '"accuracy_high": 1.0, "loss": 3.7496e-9, "ms_total": #, "ms_p50": #, "ms_p99": #, "batch": 3' \
    '"threads": 1, "isa": "ref", "precision": "fp32", "model_bytes": 1725288' '"peak_bytes": #}'
cmp "$work/want" "$work/masked" || fail "eval --json: $(cat "$work/eval")"
run ./octet diff "$real" "$work/dumps" --data "$mnist#1" --tolerance 1e-4 >"$work/out"
[ $? = 5 ] || fail "diff: dumps of another image are not a broken promise"
grep -q 'first beyond 0.0001  *logits' "$work/out" || fail "diff: $(cat "$work/out")"
printf 'rubbish' >"$work/dumps/conv1.npy"
refuse 2 "conv1.npy: " ./octet diff "$real" "$work/dumps" --data "$mnist#0"

# Fused and as built: every layer that is left has a counterpart, and they agree.
run ./octet diff "$real" --passes none --tolerance 1e-5 --json --quiet >"$work/out" ||
    fail "diff: fused and as built differ"
[ "$(field compared "$work/out")-$(field skipped "$work/out")" = 7-0 ] || fail "diff: not 7 layers"

# ---- a file of tensors that are no network is shown all the same ----

safetensors '{"x":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}}' 8 >"$work/tensors"
run ./octet inspect "$work/tensors" >"$work/out" || fail "inspect: tensors only"
grep -q '^x  *F32  *\[2\]  *8$' "$work/out" || fail "inspect: $(cat "$work/out")"
refuse 2 "$work/tensors: " ./cnn_infer "$work/tensors" "$image"
finish
