#!/bin/sh
# The same network as others trained it: an old PyTorch file that says neither layers nor recipe.
. "${srcdir:-.}/tests/programs.sh"
model=$shared/weights/mnist_classifier.pt
need "$model"
[ "$emulated$sanitized" = 00 ] || exit 77

set -- --layers "$mnist_line" --mean 0.1307 --std 0.3081 --channels L
check_eval mnist_classifier 9896 10000 0.031853 "$model" --data "$mnist" "$@"
check_golden mnist_classifier "$golden/mnist_classifier.npy" "$model" "$mnist" "$@"
finish
