#!/bin/sh
# The same logits, byte for byte, for every instruction set this machine has, every number of
# threads and every batch size.
. "${srcdir:-.}/tests/programs.sh"
need "$pretrained/mnist_cnn.safetensors"

# The first images of a CIFAR file are a file of their own: 3,073 bytes each.
few=$([ "$emulated$sanitized" = 00 ] && echo 65 || echo 3)
head -c $((3073 * few)) "$data/cifar/test_256.bin" >"$work/few.bin"
head -c $((3073 * 3)) "$data/cifar/test_256.bin" >"$work/three.bin"
mkdir "$work/digits"
cp "$data"/digits/digit_[0-4].png "$work/digits"

logits() { # file, model, images, options
    out=$work/$1.npy model=$2 images=$3
    shift 3
    run ./cnn_infer "$model" "$images" --logits "$out" --quiet "$@" >"$work/out" ||
        fail "$model $*: cnn_infer exits with an error"
}

same() { # what: $work/a.npy against $work/b.npy
    cmp -s "$work/a.npy" "$work/b.npy" || fail "$1: other bits"
}

check_model() { # model, images, three images, name
    model=$1 many=$2 three=$3 name=$4
    logits a "$model" "$many"
    for threads in 1 2 3 8; do
        for batch in 1 7 64; do
            [ "$emulated$sanitized" = 00 ] || [ $threads$batch = 27 ] || continue
            logits b "$model" "$many" --threads $threads --batch $batch
            same "$name: $threads threads, batch $batch"
        done
    done
    logits a "$model" "$three" --batch 3
    walked=
    for isa in ref avx2 avxvnni avx512 neon neondot neoni8mm; do
        run ./octet inspect "$model" --isa $isa >"$work/out" 2>"$work/err" || continue # not here
        for threads in 1 2 3; do
            logits b "$model" "$three" --isa $isa --threads $threads --batch 2
            same "$name: $isa, $threads threads"
        done
        walked="$walked $isa"
    done
    case $walked in *ref*) ;; *) fail "$name: ref does not run" ;; esac
    echo "$name:$walked"
}

check_model "$pretrained/cifar_cnn.safetensors" "$work/few.bin" "$work/three.bin" cifar_cnn
check_model "$pretrained/mnist_cnn.safetensors" "$work/digits" "$data/digits/digit_7.png" mnist_cnn
resnet=$shared/weights/resnet20-12fca82f.th
[ ! -e "$resnet" ] || check_model "$resnet" "$work/few.bin" "$work/three.bin" resnet20

# ResNet-50: few runs, on ref one only, which takes seconds.
check_resnet() { # model, one image, some images
    logits a "$1" "$3"
    for how in "1 7" "2 7" "3 7" "2 1"; do
        logits b "$1" "$3" --threads "${how% *}" --batch "${how#* }"
        same "resnet50: threads and batch $how"
    done
    logits a "$1" "$2"
    for isa in ref avx2 avx512 neon; do
        run ./octet inspect "$1" --isa $isa >"$work/out" 2>"$work/err" || continue # not here
        logits b "$1" "$2" --isa $isa
        same "resnet50: $isa"
    done
}
resnet=$shared/weights/resnet50_imagenette.safetensors
if [ -e "$resnet" ] && [ "$emulated$sanitized" = 00 ]; then
    mkdir "$work/some"
    cp "$data"/imagenette/*/*0.JPEG "$work/some"
    check_resnet "$resnet" "$data/photos/n03954731_plane.JPEG" "$work/some"
fi
finish
