#!/bin/sh
# The CIFAR ResNets as published, files of others: as many correct as PyTorch, and its logits.
. "${srcdir:-.}/tests/programs.sh"
images=$shared/data/cifar10/test_5000.bin
need "$images"
need "$shared/weights/resnet20-12fca82f.th"
[ "$emulated$sanitized" = 00 ] || exit 77

while read -r name correct loss; do
    for file in "$shared/weights/$name"-*.th; do
        check_eval "$name" "$correct" 5000 "$loss" "$file" --data "$images" </dev/null
        [ ! -e "$golden/$name.npy" ] ||
            check_golden "$name" "$golden/$name.npy" "$file" "$images" </dev/null
    done
done <<END
resnet20 4560 0.377471
resnet32 4637 0.358283
resnet44 4654 0.325726
resnet56 4670 0.346600
END
finish
