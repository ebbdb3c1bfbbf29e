#!/bin/sh
# resnet_infer on the file that PyTorch wrote: torchvision's answers, its recipe, sizes, labels.
. "${srcdir:-.}/tests/programs.sh"
model=$src/tests/golden/resnets/narrow.pth
photos=$data/photos

# What the file does not say is said aloud.
run ./octet inspect "$model" >"$work/info" || fail "octet inspect"
grep -q '^recipe .*"crop":224.*"mean":\[0.485,0.456,0.406\].*"resize":256' "$work/info" ||
    fail "recipe: $(grep '^recipe' "$work/info")"
grep -q "^in doubt  *recipe: torchvision's convention for ResNets, not in the file" "$work/info" ||
    fail "the recipe is not in doubt"
grep -q '^labels  *none in the file: --labels FILE' "$work/info" || fail "labels"
run ./octet inspect "$model" --json >"$work/info" || fail "octet inspect --json"
grep -q '"in_doubt": \["recipe: torch' "$work/info" || fail "in_doubt of --json"

# torchvision's logits, for its own sizes and others.
golden=$src/tests/golden/resnets
if [ "$emulated" != 1 ]; then
    check_golden narrow "$golden/narrow.npy" "$model" "$photos"
    check_golden "crop 288" "$golden/narrow288.npy" "$model" "$photos" --resize 320 --crop 288
fi
check_golden "crop 17" "$golden/narrow17.npy" "$model" "$photos" --resize 20 --crop 17
check_golden "32 high, 64 wide" "$golden/narrow32x64.npy" "$model" "$photos" --resize 32,64 \
    --crop 32,64

# Files named one by one go the road of a folder; a bad one among them does not stop the others.
run ./resnet_infer "$model" "$photos" --logits "$work/folder.npy" >"$work/folder" || fail "folder"
dog=$photos/n02090721_Irish_wolfhound.JPEG
glasses=$photos/n02841315_binoculars.JPEG plane=$photos/n03954731_plane.JPEG
head -c 3000 "$plane" >"$work/cut.JPEG"
: >"$work/empty.JPEG"
for batch in $([ "$emulated" = 1 ] && echo 2 || echo 1 2 64); do
    run ./resnet_infer "$model" "$dog" "$glasses" "$plane" --batch $batch \
        --logits "$work/files.npy" >"$work/files" || fail "files, batch $batch"
    cmp -s "$work/folder.npy" "$work/files.npy" && cmp -s "$work/folder" "$work/files" ||
        fail "files are not the folder, batch $batch"
    run ./resnet_infer "$model" "$dog" "$work/cut.JPEG" "$glasses" "$work/empty.JPEG" "$plane" \
        --batch $batch >"$work/files" 2>"$work/err"
    [ $? = 2 ] && cmp -s "$work/folder" "$work/files" && [ "$(wc -l <"$work/err")" -eq 2 ] ||
        { fail "two bad files, batch $batch"; cat "$work/files" "$work/err"; }
    run ./resnet_infer "$model" "$dog" - "$plane" --batch $batch <"$glasses" >"$work/files" ||
        fail "standard input among files"
    [ "$(cut -f 2- "$work/files")" = "$(cut -f 2- "$work/folder")" ] ||
        fail "standard input among files, batch $batch"
done

# Labels of a file, as many as there are classes.
printf 'dog\nbinoculars\naeroplane\n' >"$work/labels"
run ./resnet_infer "$model" "$photos" --labels "$work/labels" --top 3 >"$work/out" ||
    fail "--labels"
awk -F '\t' '$4 ~ /^(dog|binoculars|aeroplane)$/ { n++ } END { exit n != 9 }' "$work/out" ||
    { fail "--labels"; cat "$work/out"; }

# Too few labels: one line, nothing printed.
refuse() { # words, arguments of resnet_infer
    words=$1
    shift
    run ./resnet_infer "$@" >"$work/out" 2>"$work/err" && fail "$words: not refused"
    [ ! -s "$work/out" ] && [ "$(wc -l <"$work/err")" -eq 1 ] && grep -q "$words" "$work/err" ||
        { fail "$words"; cat "$work/out" "$work/err"; }
}
printf 'dog\n' >"$work/labels"
refuse "1 lines, the model has 3 classes" "$model" "$photos" --labels "$work/labels"
finish
