#!/bin/sh
# A trained ResNet-50 on photographs: as many right as PyTorch, its loss, its logits; what runs; an
# answer of resnet_infer, as a user gets it.
. "${srcdir:-.}/tests/programs.sh"
model=$shared/weights/resnet50_imagenette.safetensors
photos=$data/imagenette
need "$model"
[ "$emulated$sanitized" = 00 ] || exit 77

run ./resnet_infer "$model" "$photos/n03028079" >"$work/churches" ||
    fail "resnet_infer exits with an error"
awk -F '\t' '{ n++; right += $2 == 1 && $3 == 4 && $4 == "church" }
    END { exit !(n == 5 && right >= 4) }' "$work/churches" ||
    { fail "churches"; cat "$work/churches"; }

# PyTorch's logits of the 50 are rows of ../shared/goldens, kept here.
check_eval subset 41 50 0.816005 "$model" --data "$photos"
check_golden subset "$golden/resnet50_imagenette.npy" "$model" "$photos"
val=$shared/data/imagenette/val all=$shared/goldens/resnet50_imagenette.npy
if [ -e "$val" ]; then
    check_eval imagenette 428 500 0.633213 "$model" --data "$val"
    [ ! -e "$all" ] || check_golden imagenette "$all" "$model" "$val"
fi

# The text of the plan: a convolution has its batch norm, addition and ReLU in it.
run ./octet inspect "$model" --plan >"$work/plan" || fail "octet inspect --plan"
awk '$2 == "conv2d" { n++; relu += / \+relu / } $2 ~ /^(batchnorm|relu|add)$/ { bad = 1 }
    END { exit bad || n != 53 || relu != 49 }' "$work/plan" || { fail "plan"; cat "$work/plan"; }
run ./octet inspect "$model" --plan --passes none >"$work/plan" ||
    fail "octet inspect --passes none"
awk '{ n[$2]++ } END { exit n["conv2d"] != 53 || n["batchnorm"] != 53 || n["add"] != 16 }' \
    "$work/plan" || { fail "plan without passes"; cat "$work/plan"; }

# The file has a recipe and says that it is a ResNet of v1.5's kind; torchvision's own does not.
run ./octet inspect "$model" >"$work/info" || fail "octet inspect"
grep -q '^in doubt' "$work/info" && fail "in doubt: $(grep '^in doubt' "$work/info")"

# Another size of input: of the photographs, and so of the network.
run ./resnet_infer "$model" "$photos/n03028079" --resize 320 --crop 288 >"$work/larger" ||
    fail "resnet_infer --crop 288"
cmp -s "$work/larger" "$work/churches" && fail "--crop 288 changes nothing"
finish
