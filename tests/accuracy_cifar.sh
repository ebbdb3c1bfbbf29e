#!/bin/sh
# The bundled CIFAR-10 network: PyTorch's logits on the bundled images, and its count on 5,000.
. "${srcdir:-.}/tests/programs.sh"
model=$pretrained/cifar_cnn.safetensors
need "$model"

if [ "$emulated" = 1 ]; then # the label is the image's name
    run ./cnn_infer "$model" "$data/cifar/ship.png" "$data/cifar/horse.png" >"$work/two" ||
        fail "cnn_infer exits with an error"
    awk -F '\t' '{ n++; if ($1 !~ $4 "\\.png$") exit 1 } END { if (n != 2) exit 1 }' "$work/two" ||
        { fail "labels"; cat "$work/two"; }
    finish
fi
check_golden cifar_cnn "$golden/cifar_cnn.npy" "$model" "$data/cifar/test_256.bin"
if [ "$sanitized" = 0 ] && [ -e "$shared/data/cifar10/test_5000.bin" ]; then
    check_eval cifar_cnn 4306 5000 0.399967 "$model" --data "$shared/data/cifar10/test_5000.bin"
fi
finish
