#!/bin/sh
# Quantized on 200 samples with the default settings, models lose at most 0.3 points of accuracy,
# mnist_cnn at most 2 images of 10,000; what PyTorch's FP32 has stands beside each.
. "${srcdir:-.}/tests/programs.sh"
[ "$emulated$sanitized" = 00 ] || exit 77
need "$shared/data/cifar10/calib_500.bin"
head -c $((3073 * 200)) "$shared/data/cifar10/calib_500.bin" >"$work/calib.bin"

# The first 200 of MNIST's training images as a pair of idx files of their own.
train=$shared/data/mnist/train
{ printf '\0\0\010\003\0\0\0\310\0\0\0\034\0\0\0\034'
  gzip -dc "$train-images-idx3-ubyte.gz" | tail -c +17 | head -c $((784 * 200)); } \
    >"$work/calib-images-idx3-ubyte"
{ printf '\0\0\010\001\0\0\0\310'
  gzip -dc "$train-labels-idx1-ubyte.gz" | tail -c +9 | head -c 200; } \
    >"$work/calib-labels-idx1-ubyte"

check() { # model, calibration data, evaluation data, right in FP32, how many fewer may be
    name=$(basename "$1")
    if ! run ./octet quantize "$1" --calib "$2" --eval "$3" -o "$work/int8" --json --quiet \
            >"$work/said"; then
        fail "$name: octet quantize exits with an error"
        return
    fi
    sed 's/.*"after": *{\([^}]*\)}.*/{\1}/' "$work/said" >"$work/after"
    right=$(field correct "$work/after")
    echo "$name: $right of $(field samples "$work/after") right, $4 in FP32"
    [ "$right" -ge $(($4 - $5)) ] || fail "$name: $right right, $4 in FP32"
    [ "$(field of_four_bytes "$work/said" | awk '{ print $1 <= 0.27 }')" = 1 ] ||
        fail "$name: $(field of_four_bytes "$work/said") of four bytes a parameter"
}

cifar=$shared/data/cifar10/test_5000.bin
check "$pretrained/mnist_cnn.safetensors" "$work/calib-images-idx3-ubyte" "$mnist" 9941 2
check "$pretrained/cifar_cnn.safetensors" "$work/calib.bin" "$cifar" 4306 15
check "$shared/weights/resnet20-12fca82f.th" "$work/calib.bin" "$cifar" 4560 15
check "$shared/weights/resnet32-d509ac18.th" "$work/calib.bin" "$cifar" 4637 15
check "$shared/weights/resnet44-014dd654.th" "$work/calib.bin" "$cifar" 4654 15
check "$shared/weights/resnet56-4bfd9763.th" "$work/calib.bin" "$cifar" 4670 15
finish
