#!/bin/sh
# INT8: one SHA-256 of the file and one of the logits, on every instruction set of every machine, for
# every number of threads and every batch size.  tests/golden/int8.sha256 has both of each model
# (of the ResNet-50 of weights/pretrained: tests/accuracy_resnet.sh).
. "${srcdir:-.}/tests/programs.sh"
table=$src/tests/golden/int8.sha256
few=$([ "$emulated$sanitized" = 00 ] && echo 40 || echo 3)
head -c $((3073 * 24)) "$data/cifar/test_256.bin" >"$work/calib.bin"
head -c $((3073 * few)) "$data/cifar/test_256.bin" >"$work/few.bin"
head -c $((3073 * 3)) "$data/cifar/test_256.bin" >"$work/three.bin"
mkdir "$work/digits"
cp "$data"/digits/*.png "$work/digits"

sha() { sha256sum "$1" | cut -d ' ' -f 1; }

expect() { # name, what, file
    want=$(awk -v name="$1" -v what="$2" '$1 == name && $2 == what { print $3 }' "$table")
    got=$(sha "$3")
    [ "$got" = "$want" ] || fail "$1: $2 has SHA-256 $got, expected $want"
}

logits() { # file, model, images, options
    out=$work/$1.npy model=$2 images=$3
    shift 3
    input=/dev/null
    [ $program != distilbert_infer ] || { input=$images; images=-; }
    run "./$program" "$model" "$images" --logits "$out" --quiet "$@" <"$input" >"$work/out" ||
        fail "$model $*: $program exits with an error"
}

same() { cmp -s "$work/a.npy" "$work/b.npy" || fail "$1: other bits"; }

# name, model, three images (their hash is in the table), many; threads and batches; ISAs
check_model() {
    name=$1 model=$2 three=$3 many=$4 isas=$5
    logits a "$model" "$three" --batch 3
    expect "$name" logits "$work/a.npy"
    walked=
    for isa in $isas; do
        run ./octet inspect "$model" --isa $isa >"$work/out" 2>"$work/err" || continue # not here
        logits b "$model" "$three" --isa $isa --threads 2 --batch 2
        same "$name: $isa"
        walked="$walked $isa"
    done
    logits a "$model" "$many" --batch 1 --threads 1
    for threads in 1 2 3 8; do
        for batch in 1 7 32; do
            [ "$emulated$sanitized" = 00 ] || [ $threads$batch = 27 ] || continue
            logits b "$model" "$many" --threads $threads --batch $batch
            same "$name: $threads threads, batch $batch"
        done
    done
    echo "$name:$walked"
}

quantize() { # name, model, calibration data
    # shellcheck disable=SC2086
    run ./octet quantize "$2" --calib "$3" --force -o "$work/$1" --quiet $small >"$work/out" ||
        fail "$1: octet quantize exits with an error"
    expect "$1" file "$work/$1"
}

small=$([ "$emulated" != 1 ] || echo --batch 1) # the file does not depend on it; timings take long
all="ref avx2 avxvnni avx512 neon neondot neoni8mm"
program=cnn_infer
for name in mnist_cnn cifar_cnn; do
    images=$work/calib.bin three=$work/three.bin many=$work/few.bin
    [ $name = cifar_cnn ] || images=$work/digits three=$data/digits/digit_7.png many=$work/digits
    quantize $name "$pretrained/$name.safetensors" "$images"
    check_model $name "$work/$name" "$three" "$many" "$all"
done
for name in resnet20-12fca82f resnet56-4bfd9763; do
    [ -e "$shared/weights/$name.th" ] && [ "$emulated$sanitized" = 00 ] || continue
    quantize $name "$shared/weights/$name.th" "$work/calib.bin"
    check_model $name "$work/$name" "$work/three.bin" "$work/few.bin" "$all"
done
program=resnet_infer
mkdir "$work/some"
some=$([ "$emulated" = 1 ] && echo 40.JPEG || echo 0.JPEG)
cp "$data"/imagenette/*/*$some "$work/some"
check_model resnet50_imagenette "$pretrained/resnet50_imagenette_int8.safetensors" \
    "$data/photos/n03954731_plane.JPEG" "$work/some" "$all"
program=distilbert_infer
for n in 3 $few; do
    tail -n +2 "$data/sst2/dev.tsv" | cut -f 1 | head -n $n >"$work/$n.txt"
done
check_model distilbert_sst2 "$pretrained/distilbert_sst2_int8.safetensors" "$work/3.txt" \
    "$work/$few.txt" "$all"
expect distilbert_sst2 file "$pretrained/distilbert_sst2_int8.safetensors"
finish
