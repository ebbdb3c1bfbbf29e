#!/bin/sh
# A ResNet-50 quantized with the default settings, as a user runs it: photographs to resnet_infer, and
# as many right as PyTorch's FP32, less 0.3 points.
. "${srcdir:-.}/tests/programs.sh"
need "$shared/weights/resnet50_imagenette.safetensors"
[ "$emulated$sanitized" = 00 ] || exit 77
model=$work/int8.safetensors
run ./octet quantize "$shared/weights/resnet50_imagenette.safetensors" \
    --calib "$shared/data/imagenette/calib" -o "$model" --quiet >"$work/said" ||
    fail "octet quantize exits with an error"

# A folder for each class, sorted: class k is the k-th.
check() { # what, folder, least right, photographs
    run ./resnet_infer "$model" "$2" --quiet >"$work/answers" || {
        fail "$1: resnet_infer exits with an error"
        return
    }
    ls "$2" >"$work/classes"
    right=$(awk -F '\t' 'NR == FNR { class[$1] = FNR - 1; next }
        { n = split($1, part, "/"); right += class[part[n - 1]] == $3; lines++ }
        END { print right + 0, lines }' "$work/classes" "$work/answers")
    echo "$1: $right"
    [ "${right#* }" = "$4" ] || fail "$1: ${right#* } answers of $4"
    [ "${right% *}" -ge "$3" ] || fail "$1: ${right% *} right, at least $3 expected"
}

# PyTorch has 41 of the 50 and 428 of the 500.  One of 50 is 2 points: the bound is held by the 500.
check subset "$data/imagenette" 40 50
check imagenette "$shared/data/imagenette/val" 427 500

# What runs: integers from the first convolution to the average.
run ./octet inspect "$model" --plan >"$work/plan" || fail "octet inspect --plan"
awk '$2 == "conv2d" { n++; ints += / U8 +[a-z0-9]*_s8\// }
     $2 ~ /pool/ { ints += / U8 / } END { exit n != 53 || ints != 55 }' "$work/plan" ||
    { fail "plan"; cat "$work/plan"; }
finish
