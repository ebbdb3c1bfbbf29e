#!/bin/sh
# weights/pretrained/make_distilbert_int8.sh BUILD SHARED [OUT]: distilbert_sst2_int8.safetensors of
# this folder, byte for byte, by the octet in BUILD from the weights and the data in SHARED.
set -eu
"$1/octet" quantize "$2/weights/distilbert_sst2" --dynamic --eval "$2/data/sst2/dev.tsv" \
    -o "${3-$(dirname "$0")/distilbert_sst2_int8.safetensors}"
