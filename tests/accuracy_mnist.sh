#!/bin/sh
# The bundled MNIST network: the right digit on the bundled images, and as many of the 10,000 test
# images as PyTorch.
. "${srcdir:-.}/tests/programs.sh"
model=$pretrained/mnist_cnn.safetensors
need "$model"

for digit in 0 1 2 3 4 5 6 7 8 9; do
    set -- "$@" "$data/digits/digit_$digit.png"
done
run ./cnn_infer "$model" "$@" >"$work/digits" || fail "cnn_infer exits with an error"
awk -F '\t' '{ n++; if ($1 !~ "digit_" $4 "\\.png$" || $2 != 1 || $3 != $4 || $5 < 0.5) exit 1 }
    END { if (n != 10) exit 1 }' "$work/digits" || { fail "digits"; cat "$work/digits"; }

if [ "$emulated" != 1 ]; then
    check_eval mnist_cnn 9941 10000 0.020380 "$model" --data "$mnist"
    check_golden mnist_cnn "$golden/mnist_cnn.npy" "$model" "$mnist"
fi
finish
