#!/bin/sh
# octet lint as a user runs it: exit codes, one line, JSON.
. "${srcdir:-.}/tests/programs.sh"
[ "$emulated$sanitized" = 00 ] || exit 77
model=$pretrained/cifar_cnn.safetensors
images=$data/cifar/test_256.bin

run ./octet lint "$model" --calib "$images" --quiet >"$work/out" 2>"$work/err" ||
    fail "clean: exit $?"
[ "$(wc -l <"$work/out")" = 1 ] && grep -q '^clean: ' "$work/out" ||
    fail "clean: $(cat "$work/out")"
[ ! -s "$work/err" ] || fail "clean: $(cat "$work/err")"

refused() { # cause, options
    cause=$1
    shift
    run ./octet lint "$@" --quiet >"$work/out" 2>"$work/err"
    code=$?
    [ $code = 2 ] || fail "$cause: exit $code"
    [ ! -s "$work/out" ] || fail "$cause: $(cat "$work/out")"
    [ "$(wc -l <"$work/err")" = 1 ] && grep -q ": $cause: the data " "$work/err" ||
        fail "$cause: $(cat "$work/err")"
    run ./octet lint "$@" --quiet --json >"$work/out" 2>"$work/err"
    code=$?
    [ $code = 2 ] || fail "$cause --json: exit $code"
    [ "$(wc -l <"$work/out")" = 1 ] && grep -q "\"cause\": \"$cause\"" "$work/out" ||
        fail "$cause --json: $(cat "$work/out")"
}
refused scale_255 "$model" --calib "$images" --scale 1
refused no_mean_std "$model" --calib "$images" --mean 0 --std 1
refused bgr "$model" --calib "$images" --channels BGR
refused few_samples "$model" --calib "$images#5"
refused few_samples "$pretrained/mnist_cnn.safetensors" --calib "$data/digits/digit_3.png"

mkdir -p "$work/set/7"
for i in 0 1 2 3 4 5 6 7 8 9; do cp "$data/digits/digit_$i.png" "$work/set/7/"; done
refused one_class "$pretrained/mnist_cnn.safetensors" --calib "$work/set"

run ./octet lint "$model" >"$work/out" 2>"$work/err"
[ $? = 1 ] && grep -q 'calib' "$work/err" || fail "no --calib: $(cat "$work/err")"
run ./octet lint "$model" --calib "$work/none" >"$work/out" 2>"$work/err"
[ $? = 3 ] || fail "a missing file: $(cat "$work/err")"
finish
