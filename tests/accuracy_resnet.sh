#!/bin/sh
# The INT8 ResNet-50 of weights/pretrained, as a user runs it: photographs to resnet_infer, and as
# many right as PyTorch's FP32.  And it is what the default settings of octet quantize make.
. "${srcdir:-.}/tests/programs.sh"
[ "$emulated$sanitized" = 00 ] || exit 77
model=$pretrained/resnet50_imagenette_int8.safetensors

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

# All that comes after the header, whose length is the first 8 bytes.
same_tensors() {
    for file; do
        tail -c +$(($(od -An -tu8 -N8 "$file") + 9)) "$file" | sha256sum
    done | uniq | wc -l | grep -q '^1$'
}

# PyTorch has 41 of the 50 and 428 of the 500.
check subset "$data/imagenette" 41 50
source=$shared/weights/resnet50_imagenette.safetensors val=$shared/data/imagenette/val
if [ -e "$source" ] && [ -e "$val" ]; then
    check imagenette "$val" 428 500
    run ./octet quantize "$source" --calib "$shared/data/imagenette/calib" --eval "$val" \
        -o "$work/made" --quiet >"$work/said" || fail "octet quantize exits with an error"
    same_tensors "$work/made" "$model" || fail "octet quantize makes other tensors"
    for file in "$work/made" "$model"; do
        run ./octet inspect "$file" | grep '^metadata *octet.quant: ' >"$work/quant" ||
            fail "$file has no scales"
        sha256sum <"$work/quant"
    done | uniq | wc -l | grep -q '^1$' || fail "octet quantize makes other scales"
fi

# What runs: integers from the first convolution to the average.
run ./octet inspect "$model" --plan >"$work/plan" || fail "octet inspect --plan"
awk '$2 == "conv2d" { n++; ints += / U8 +[a-z0-9]*_s8\// }
     $2 ~ /pool/ { ints += / U8 / } END { exit n != 53 || ints != 55 }' "$work/plan" ||
    { fail "plan"; cat "$work/plan"; }
finish
