#!/bin/sh
# Everything that asks for a GPU, in one go: the tests of the device, INT8's and FP32's bytes beside
# the CPU's, FP16's answers beside FP32's, and the times that bench/RESULTS.md is to have.
#     sh bench/cuda.sh [SHARED]     in the build folder of a `configure --with-cuda` that was made
# SHARED (../shared of the sources) has weights/ and data/; what is not there is left out and said.
# About six minutes on an H200 with 16 CPU cores, it is hoped: each part is cut off at its own limit,
# so that what was found by then is printed.  Exit 1: something failed.
src=$(CDPATH='' cd -- "$(dirname -- "$0")/.." && pwd)
shared=${1:-$src/../shared}
work=$(mktemp -d "${TMPDIR:-/tmp}/octet-cuda.XXXXXX") || exit 99
trap 'rm -rf "$work"' EXIT
trap 'exit 1' HUP INT TERM
failures=0
fail() { echo "FAIL: $*"; failures=$((failures + 1)); }
limited() { # seconds, command
    timeout "$@"
    code=$?
    [ $code != 124 ] || echo "cut off after $1 s: $2 $3" >&2
    return $code
}
there() { [ -e "$1" ] || { echo "left out: there is no $1"; return 1; }; }

echo "## Machine"
nvidia-smi --query-gpu=name,driver_version,clocks.max.sm,clocks.max.mem,power.limit \
    --format=csv,noheader || { echo "there is no GPU here"; exit 77; }
sed -n 's/^model name[^:]*: //p' /proc/cpuinfo | sort | uniq -c
sed -n 's/^NVCC = //p' Makefile | while read -r nvcc; do "$nvcc" --version | tail -n 2; done
git -C "$src" log -1 --format='%h %s' 2>/dev/null
date -u

# cuBLAS where the toolkit has none but PyTorch does.
python=${PYTHON:-python3}
lib=$(sed -n 's/^#define OCT_CUDA_LIB "\(.*\)"/\1/p' config.h)
if ! ldconfig -p | grep -q 'libcublas\.so' && ! ls "$lib"/libcublas.so.* >/dev/null 2>&1; then
    blas=$("$python" -c 'import glob, sys
for p in sys.path:
    for f in glob.glob(p + "/nvidia/*/lib/libcublas.so.*"): print(f)' 2>/dev/null | head -n 1)
    [ -z "$blas" ] || LD_LIBRARY_PATH=$(dirname "$blas")${LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}
    [ -z "$blas" ] || export LD_LIBRARY_PATH
    echo "cuBLAS: ${blas:-none}"
fi

echo "## Tests of the device"
for t in device_cuda device_cuda_layers device_cuda_islands device_cuda_products; do
    [ -x tests/$t ] || make -s tests/$t >/dev/null || { fail "tests/$t does not build"; continue; }
    srcdir=$src limited 60 ./tests/$t || fail "tests/$t"
done
# Reads and writes beyond what was allocated, where NVIDIA's tool is and works.
if command -v compute-sanitizer >/dev/null; then
    srcdir=$src limited 90 compute-sanitizer --tool memcheck --error-exitcode 9 --print-limit 5 \
        ./tests/device_cuda_layers >"$work/memcheck" 2>&1
    code=$?
    grep 'ERROR SUMMARY\|Device not supported' "$work/memcheck"
    [ $code != 9 ] || { head -n 40 "$work/memcheck"; fail "compute-sanitizer"; }
else
    echo "left out: there is no compute-sanitizer"
fi
srcdir=$src limited 60 sh "$src/tests/cuda_sass.sh" || fail "cuda_sass.sh"

resnet=$shared/weights/resnet50_imagenette.safetensors
resnet_int8=$src/weights/pretrained/resnet50_imagenette_int8.safetensors
bert=$shared/weights/distilbert_sst2
images=$shared/data/imagenette/val
[ -e "$images" ] || images=$src/tests/data/imagenette
cifar=$src/weights/pretrained/cifar_cnn.safetensors
mnist=$src/weights/pretrained/mnist_cnn.safetensors
cifar_data=$src/tests/data/cifar/test_256.bin
[ -e "$resnet" ] || resnet=

echo "## INT8 and FP32: the CPU's logits, byte for byte"
same() { # what, program, arguments
    what=$1 program=$2
    shift 2
    limited 60 "./$program" "$@" --quiet --logits "$work/cpu.npy" >"$work/cpu" 2>"$work/err" &&
        limited 60 "./$program" "$@" --quiet --logits "$work/gpu.npy" --device cuda \
            >"$work/gpu" 2>"$work/err" || { fail "$what: $(tail -n 1 "$work/err")"; return; }
    if cmp -s "$work/cpu.npy" "$work/gpu.npy"; then
        echo "$what: equal, $(sha256sum <"$work/gpu.npy" | cut -c 1-16)"
    else
        fail "$what: other bytes"
    fi
}
./octet quantize "$cifar" --calib "$cifar_data" -o "$work/cifar" --quiet >/dev/null 2>&1 &&
    same "cifar_cnn, calibrated" octet eval "$work/cifar" --data "$cifar_data"
same "cifar_cnn, at run time" octet eval "$cifar" --data "$cifar_data" --precision int8
same "cifar_cnn, FP32" octet eval "$cifar" --data "$cifar_data" --precision fp32
[ -z "$resnet" ] ||
    same "resnet50, FP32" resnet_infer "$resnet" "$images" --batch 16 --precision fp32
for file in "$src"/weights/pretrained/distilbert*_int8.safetensors; do
    head -n 100 "$src"/tests/data/sst2/*.tsv >"$work/few.tsv" 2>/dev/null && [ -e "$file" ] &&
        same "distilbert, calibrated" octet eval "$file" --data "$work/few.tsv"
done
there "$resnet_int8" && same "resnet50, calibrated" resnet_infer "$resnet_int8" "$images" --batch 16
if there "$bert"; then
    head -n 200 "$shared/data/sst2/dev.tsv" >"$work/texts.tsv"
    same "distilbert, at run time" octet eval "$bert" --data "$work/texts.tsv" --precision int8
fi

echo "## FP16: the answers of FP32"
agree() { # what, program, arguments
    what=$1 program=$2
    shift 2
    limited 90 "./$program" "$@" --quiet >"$work/cpu" 2>"$work/err" &&
        limited 60 "./$program" "$@" --quiet --device cuda >"$work/gpu" 2>"$work/err" ||
        { fail "$what: $(tail -n 1 "$work/err")"; return; }
    cut -f 1,3 "$work/cpu" >"$work/a"
    cut -f 1,3 "$work/gpu" >"$work/b"
    paste "$work/a" "$work/b" | awk -F '\t' -v what="$what" '
        { n++; same += $2 == $4 } END {
            printf "%s: %d of %d answers are the same, %.2f %%\n", what, same, n, 100 * same / n
            exit !(n && same >= 0.999 * n) }' || fail "$what: below 99.9 %"
}
agree "cifar_cnn" cnn_infer "$cifar" "$cifar_data" --batch 64
agree "mnist_cnn" cnn_infer "$mnist" "$src"/tests/data/mnist/*images* --batch 64
[ -z "$resnet" ] || agree "resnet50" resnet_infer "$resnet" "$images" --batch 16
if there "$bert"; then
    cut -f 1 "$work/texts.tsv" >"$work/texts"
    agree_texts() { ./distilbert_infer "$bert" --batch 32 --quiet "$@" <"$work/texts"; }
    agree_texts >"$work/a" && agree_texts --device cuda >"$work/b" || fail "distilbert"
    [ "$(cut -f 3 "$work/a")" = "$(cut -f 3 "$work/b")" ] &&
        echo "distilbert: all answers the same" || fail "distilbert: other answers"
fi
if [ -n "$resnet" ]; then
    limited 60 ./octet eval "$resnet" --data "$images" --device cuda --batch 64 --check --quiet ||
        fail "eval --check"
fi

echo "## Times"
bench() { # seconds, arguments
    limit=$1
    shift
    echo "octet bench $* --device cuda" | sed "s|$shared/||; s|$src/||"
    limited "$limit" ./octet bench "$@" --device cuda --seconds 0.3 --quiet || fail "bench $*"
}
if [ -n "$resnet" ]; then
    bench 60 "$resnet" --batch 1,2,4,8,16,32,64,128,256
    bench 20 "$resnet" --batch 1 --by-layer
    bench 20 "$resnet" --batch 256 --by-layer
    for gemm in ours cublas; do bench 40 "$resnet" --gemm $gemm --batch 1,8,64,256; done
    echo "who multiplies, batch 1:"
    limited 20 ./octet inspect --plan "$resnet" --device cuda | grep 'cublas' ||
        echo "all ours: no cuBLAS was found"
fi
there "$resnet_int8" && bench 40 "$resnet_int8" --batch 1,8,64,256
if there "$bert"; then
    bench 40 "$bert" --length 64,512 --batch 1,8,32
    bench 20 "$bert" --length 64,512 --by-layer
    for gemm in ours cublas; do bench 30 "$bert" --gemm $gemm --length 64,512; done
    bench 30 "$bert" --precision int8 --length 64,512
fi

echo "## PyTorch, FP16"
if "$python" -c 'import torch' 2>/dev/null; then
    limited 120 "$python" "$src/bench/peers/torch_cuda.py" --seconds 0.3
else
    echo "left out: $python has no torch"
fi

[ $failures = 0 ] || { echo "$failures failed"; exit 1; }
echo "all passed"
