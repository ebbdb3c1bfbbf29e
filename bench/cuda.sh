#!/bin/sh
# Everything that asks for a GPU, in one go: the tests of the device, the times that are to be in
# bench/RESULTS.md, PyTorch's beside them, INT8's and FP32's bytes beside the CPU's, FP16's answers
# beside FP32's.
#     sh bench/cuda.sh [SHARED]     in the build folder of a `configure --with-cuda` that was made,
#                                   or in what bench/cuda_kit.sh made of one
# SHARED (../shared of the sources) has weights/ and data/.  Without it, weights in FP32 are made of
# the INT8 files of weights/pretrained.  What is not there is left out and said.
#     PARTS='tests times torch bytes agreement layers rest'     which, in which order
#     LIMIT=540                                                 seconds, all together
#     OUT=DIR                                                   where long lists are kept, if at all
# What matters most comes first, each part is cut off at its own limit, and no failure stops the
# rest.  Exit 1: something failed, 77: there is no GPU.
src=$(CDPATH='' cd -- "$(dirname -- "$0")/.." && pwd)
shared=${1:-$src/../shared}
python=${PYTHON:-python3}
work=$(mktemp -d "${TMPDIR:-/tmp}/octet-cuda.XXXXXX") || exit 99
lists=${OUT:-$work}
making=
trap 'kill $making 2>/dev/null; rm -rf "$work"' EXIT
trap 'exit 1' HUP INT TERM
begun=$(date +%s)
failures=0 skipped=0
skip() { echo "left out: $*"; skipped=$((skipped + 1)); }
fail() { echo "FAIL: $*"; failures=$((failures + 1)); }
left() { echo $((begun + ${LIMIT:-540} - $(date +%s))); }
limited() { # seconds, command
    seconds=$1
    shift
    [ "$seconds" -le "$(left)" ] || seconds=$(left)
    [ "$seconds" -ge 1 ] || { echo "the time is up" >&2; return 124; }
    timeout -k 5 "$seconds" "$@"
    code=$?
    [ $code != 124 ] || echo "cut off after $seconds s" >&2
    return $code
}
there() { [ -e "$1" ] || { skip "there is no $(short "$1")"; return 1; }; }
short() { echo "$*" | sed "s|$shared/||g; s|$work/||g; s|$src/||g"; }
reason() { short "$(tail -n 1 "$work/err")"; } # why the last command failed

# ---- what it is done with ----

machine() {
    echo "## Machine"
    nvidia-smi --query-gpu=name,driver_version,clocks.max.sm,clocks.max.mem,power.limit \
        --format=csv,noheader || { echo "there is no GPU here"; exit 77; }
    sed -n 's/^model name[^:]*: //p' /proc/cpuinfo | sort | uniq -c
    [ ! -e Makefile ] || "$(sed -n 's/^NVCC = //p' Makefile)" --version | tail -n 2
    git -C "$src" log -1 --format='%h %s' 2>/dev/null
    date -u
    # the driver's libraries, where they lie beside its programs and the loader does not look
    driver=$(dirname "$(dirname "$(command -v nvidia-smi)")")/lib64
    [ ! -e "$driver/libcuda.so.1" ] || LD_LIBRARY_PATH=${LD_LIBRARY_PATH:+$LD_LIBRARY_PATH:}$driver
    [ -z "${LD_LIBRARY_PATH:-}" ] || export LD_LIBRARY_PATH
    ./octet --version || { echo "FAIL: octet does not start"; exit 1; }
}

# The program says what it does not find; PyTorch may have it.
find_cublas() {
    for any in "$mnist" "$cifar" "$resnet_int8"; do [ ! -e "$any" ] || break; done
    needs_cublas() { limited 30 ./octet inspect --plan "$any" --device cuda --gemm cublas; }
    needs_cublas >"$work/out" 2>"$work/err" && { echo "cuBLAS: found"; return; }
    name=$(sed -n 's/.*\(libcublas\.so\.[0-9]*\).*/\1/p' "$work/err" | tail -n 1)
    [ -n "$name" ] || { echo "cuBLAS: $(reason)"; return; }
    blas=$("$python" -c 'import glob, sys
for folder in sys.path:
    for file in glob.glob(folder + "/nvidia/*/lib/" + sys.argv[1]):
        print(file)' "$name" 2>/dev/null | head -n 1)
    [ -n "$blas" ] || { echo "cuBLAS: $(reason)"; return; }
    LD_LIBRARY_PATH=$(dirname "$blas")${LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}
    export LD_LIBRARY_PATH
    needs_cublas >"$work/out" 2>"$work/err" && echo "cuBLAS: $blas" || echo "cuBLAS: $(reason)"
}

resnet=$shared/weights/resnet50_imagenette.safetensors
resnet_int8=$src/weights/pretrained/resnet50_imagenette_int8.safetensors
bert=$shared/weights/distilbert_sst2
bert_int8=$src/weights/pretrained/distilbert_sst2_int8.safetensors
images=$shared/data/imagenette/val
cifar=$src/weights/pretrained/cifar_cnn.safetensors
mnist=$src/weights/pretrained/mnist_cnn.safetensors
cifar_data=$src/tests/data/cifar/test_256.bin
mnist_data=$src/tests/data/mnist/t10k-images-idx3-ubyte.gz
texts=$src/tests/data/sst2/dev.tsv
seeded_resnet=$work/seeded/resnet50.safetensors
seeded_bert=$work/seeded/distilbert

# While the tests run: real weights, and PyTorch's networks with seeded weights.
make_weights() {
    [ -e "$resnet" ] || "$python" "$src/bench/dequantize.py" "$resnet_int8" "$resnet"
    [ -e "$bert" ] || "$python" "$src/bench/dequantize.py" "$bert_int8" "$bert"
    mkdir "$work/seeded"
    "$python" "$src/bench/peers/torch_cuda.py" --save "$work/seeded"
}

weights() {
    [ -e "$images" ] || images=$src/tests/data/imagenette
    [ -e "$resnet" ] || resnet=$work/resnet50.safetensors
    [ -e "$bert" ] || bert=$work/distilbert.safetensors
    make_weights >"$work/making" 2>&1 &
    making=$!
}

# Before the first part that needs them.
weights_are_made() {
    [ -n "$making" ] || return
    wait $making
    making=
    case $resnet$bert in
    *"$work"*) echo "real weights: in FP32 of the INT8 files (bench/dequantize.py), no $shared" ;;
    esac
    [ -e "$seeded_resnet" ] && [ -e "$seeded_bert" ] && return
    echo "no seeded weights (times are of the real ones): $(tail -n 1 "$work/making")"
    [ -e "$seeded_resnet" ] || seeded_resnet=$resnet
    [ -e "$seeded_bert" ] || seeded_bert=$bert
}

# ---- parts ----

part_tests() {
    echo "## Tests of the device"
    for t in device_cuda device_cuda_layers device_cuda_islands device_cuda_products \
        device_cuda_rows; do
        [ -x tests/$t ] || make -s tests/$t >/dev/null 2>"$work/err" ||
            { fail "tests/$t does not build: $(reason)"; continue; }
        srcdir=$src limited 60 ./tests/$t >"$work/test" 2>&1
        code=$?
        cat "$work/test" >>"$lists/tests.txt"
        grep '^[0-9]*%:\|^skipped' "$work/test" | sed "s/^/$t: /"
        [ $code = 0 ] && continue
        fail "tests/$t: exit $code"
        grep ':[FE]:\|cut off' "$work/test" | cut -c 1-200 | head -n 6
    done
}

bench() { # seconds, arguments
    limit=$1
    shift
    there "$1" || return
    echo "octet bench $(short "$*") --device cuda"
    limited "$limit" ./octet bench "$@" --device cuda --seconds 0.3 --quiet >"$work/out" \
        2>"$work/err" || fail "bench $(short "$*"): $(reason)"
    tr -s ' ' <"$work/out"
}

part_times() {
    echo "## Times, FP16"
    weights_are_made
    bench 40 "$seeded_resnet" --batch 1,256
    bench 40 "$seeded_bert" --length 64,512
}

torch_times() { # arguments
    limited 100 "$python" "$src/bench/peers/torch_cuda.py" --seconds 0.3 "$@" 2>"$work/err" ||
        fail "torch_cuda.py: $(reason)"
    grep 'left out' "$work/err"
}

part_torch() {
    echo "## PyTorch, FP16, the same networks"
    "$python" -c 'import torch' 2>"$work/err" || { skip "$(reason)"; return; }
    torch_times --batch 1,256 --text-batch 1
}

same() { # what, program, arguments
    what=$1 program=$2
    shift 2
    limited 60 "./$program" "$@" --quiet --logits "$work/cpu.npy" >"$work/cpu" 2>"$work/err" &&
        limited 60 "./$program" "$@" --quiet --logits "$work/gpu.npy" --device cuda \
            >"$work/gpu" 2>"$work/err" || { fail "$what: $(reason)"; return; }
    if cmp -s "$work/cpu.npy" "$work/gpu.npy"; then
        echo "$what: equal, $(sha256sum <"$work/gpu.npy" | cut -c 1-16)"
    else
        fail "$what: other bytes"
    fi
}

part_bytes() {
    echo "## INT8 and FP32: the CPU's logits, byte for byte"
    weights_are_made
    head -n 101 "$texts" >"$work/few.tsv"
    there "$resnet_int8" &&
        same "resnet50, calibrated" resnet_infer "$resnet_int8" "$images" --batch 16
    there "$bert_int8" &&
        same "distilbert, at run time" octet eval "$bert_int8" --data "$work/few.tsv"
    if there "$bert"; then
        limited 60 ./octet quantize "$bert" --calib "$texts" -o "$work/bert_int8" --quiet \
            >/dev/null 2>"$work/err" && same "distilbert, calibrated" octet eval \
            "$work/bert_int8" --data "$work/few.tsv" || fail "distilbert, calibrated: $(reason)"
        same "distilbert, FP32" octet eval "$bert" --data "$work/few.tsv" --precision fp32
    fi
    there "$resnet" &&
        same "resnet50, FP32" resnet_infer "$resnet" "$images" --batch 16 --precision fp32
    there "$cifar" || return
    limited 60 ./octet quantize "$cifar" --calib "$cifar_data" -o "$work/cifar" --quiet \
        >/dev/null 2>"$work/err" && same "cifar_cnn, calibrated" octet eval "$work/cifar" \
        --data "$cifar_data" || fail "cifar_cnn, calibrated: $(reason)"
    same "cifar_cnn, at run time" octet eval "$cifar" --data "$cifar_data" --precision int8
    same "cifar_cnn, FP32" octet eval "$cifar" --data "$cifar_data" --precision fp32
}

agree() { # what, program, arguments; its standard input is the file $input
    what=$1 program=$2
    shift 2
    limited 90 "./$program" "$@" --quiet <"$input" >"$work/cpu" 2>"$work/err" &&
        limited 60 "./$program" "$@" --quiet --device cuda <"$input" >"$work/gpu" \
            2>"$work/err" || { fail "$what: $(reason)"; return; }
    cut -f 1,3 "$work/cpu" >"$work/a"
    cut -f 1,3 "$work/gpu" >"$work/b"
    paste "$work/a" "$work/b" | awk -F '\t' -v what="$what" '
        { n++; same += $2 == $4 } END {
            printf "%s: %d of %d answers are the same, %.2f %%\n", what, same, n, 100 * same / n
            exit !(n && same >= 0.999 * n) }' || fail "$what: below 99.9 %"
}

part_agreement() {
    echo "## FP16: the answers of FP32"
    weights_are_made
    input=/dev/null
    there "$resnet" && agree "resnet50" resnet_infer "$resnet" "$images" --batch 16
    sed 1d "$texts" | cut -f 1 >"$work/texts"
    input=$work/texts
    there "$bert" && agree "distilbert" distilbert_infer "$bert" --batch 32
    input=/dev/null
    there "$cifar" && agree "cifar_cnn" cnn_infer "$cifar" "$cifar_data" --batch 64
    there "$mnist" && agree "mnist_cnn" cnn_infer "$mnist" "$mnist_data" --batch 64
    there "$resnet" || return
    limited 60 ./octet eval "$resnet" --data "$images" --device cuda --check --quiet \
        >"$work/out" 2>"$work/err" || { fail "eval --check: $(reason)"; return; }
    grep 'accuracy\|not finite' "$work/out"
}

# All rows in a file; here what takes longest, blocks of a stage and layers of an encoder together.
by_layer() { # arguments
    there "$1" || return
    limited 30 ./octet bench "$@" --by-layer --device cuda --seconds 0.3 --quiet >"$work/out" \
        2>"$work/err" || { fail "bench --by-layer $(short "$*"): $(reason)"; return; }
    { echo "octet bench $(short "$*") --by-layer --device cuda"; cat "$work/out"; } \
        >>"$lists/layers.txt"
    echo "octet bench $(short "$*") --by-layer"
    awk '/^    .* ms .* GOP/ { sub(/\.[0-9]+\./, ".*.", $1); what = $1 " " $NF
            n[what]++; ms[what] += $3; all += $3 }
        END { printf "%.4f ms in all\n", all
            for (what in n) printf "%.4f ms in %d of %s\n", ms[what], n[what], what }' \
        "$work/out" | sort -gr | head -n 9
}

part_layers() {
    echo "## Times by layer, FP16"
    weights_are_made
    by_layer "$seeded_resnet" --batch 256
    by_layer "$seeded_resnet" --batch 1
    by_layer "$seeded_bert" --length 512
    by_layer "$seeded_bert" --length 64
    for model in "$seeded_resnet" "$seeded_bert"; do
        limited 20 ./octet inspect --plan "$model" --device cuda >"$work/plan" 2>"$work/err" ||
            { fail "inspect --plan: $(reason)"; continue; }
        cat "$work/plan" >>"$lists/plans.txt"
        grep '^launches' "$work/plan"
        echo "$(short "$model"), batch 1: cuBLAS for $(grep -c '/cublas' "$work/plan") of" \
            "$(grep -c '(ours' "$work/plan") products"
    done
}

memcheck() {
    command -v compute-sanitizer >/dev/null || { skip "no compute-sanitizer"; return; }
    srcdir=$src limited 90 compute-sanitizer --tool memcheck --target-processes all \
        --error-exitcode 9 --print-limit 20 ./tests/device_cuda_layers >"$lists/memcheck.txt" 2>&1
    code=$?
    grep 'ERROR SUMMARY\|Device not supported\|cut off' "$lists/memcheck.txt" ||
        echo "compute-sanitizer: exit $code: $(tail -n 1 "$lists/memcheck.txt")"
    [ $code != 9 ] || { grep -A 4 '= Invalid' "$lists/memcheck.txt" | head -n 10
                        fail "compute-sanitizer"; }
}

part_rest() {
    echo "## The rest"
    weights_are_made
    bench 60 "$seeded_resnet" --batch 2,4,8,16,32,64,128
    bench 40 "$seeded_bert" --length 64,512 --batch 8,32
    there "$resnet_int8" && bench 40 "$resnet_int8" --batch 1,8,64,256
    for gemm in ours cublas; do
        bench 30 "$seeded_resnet" --gemm $gemm --batch 1,64,256
        bench 30 "$seeded_bert" --gemm $gemm --length 64,512
    done
    bench 30 "$seeded_bert" --precision int8 --length 64,512
    bench 30 "$bert" --length 64,512
    "$python" -c 'import torch' 2>/dev/null && torch_times --batch 8,64 --text-batch 8
    memcheck
    [ ! -e Makefile ] || srcdir=$src limited 60 sh "$src/tests/cuda_sass.sh" || fail "cuda_sass.sh"
}

machine
weights
find_cublas
for part in ${PARTS:-tests times torch bytes agreement layers rest}; do
    command -v "part_$part" >/dev/null || { fail "there is no part $part"; continue; }
    [ "$(left)" -gt 0 ] || { fail "$part: no time was left"; continue; }
    "part_$part"
    echo "($(left) s are left)"
done
[ $failures = 0 ] || { echo "$failures failed, $skipped left out"; exit 1; }
echo "all passed, $skipped left out"
