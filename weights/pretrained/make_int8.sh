#!/bin/sh
# weights/pretrained/make_int8.sh BUILD SHARED: the quantized models of this folder, byte for byte, by
# the octet in BUILD from the FP32 weights and the data in SHARED.
set -eu
here=$(dirname "$0")
"$1/octet" quantize "$2/weights/resnet50_imagenette.safetensors" --calib "$2/data/imagenette/calib" \
    --eval "$2/data/imagenette/val" -o "$here/resnet50_imagenette_int8.safetensors"
