#!/bin/sh
# octet compile as a user meets it: the same logits from the compiled file, its refusals, what is
# left when writing fails, and a file cut short while a program has it mapped.
. "${srcdir:-.}/tests/programs.sh"
model=$pretrained/mnist_cnn.safetensors
need "$model"
digit=$data/digits/digit_7.png
mkdir "$work/digits" "$work/made"
cp "$data"/digits/digit_[0-6].png "$work/digits"

compile() { # out, options
    out=$1
    shift
    run ./octet compile "$model" -o "$out" --quiet "$@" >"$work/said" 2>&1 ||
        fail "compile $*: $(cat "$work/said")"
}

# ---- the same answers, for every ISA here ----

run ./cnn_infer "$model" "$work/digits" --logits "$work/want.npy" --quiet >"$work/want"
walked=
for isa in ref avx2 avxvnni avx512 neon neondot neoni8mm; do
    run ./octet inspect "$model" --isa $isa >"$work/said" 2>"$work/err" || continue # not here
    walked="$walked $isa"
    file=$work/$isa.octet
    compile "$file" --isa $isa
    for batch in 1 3 16; do
        run ./cnn_infer "$file" "$work/digits" --batch $batch --logits "$work/got.npy" --quiet \
            >"$work/got" || fail "$isa: cnn_infer exits with an error"
        cmp -s "$work/want.npy" "$work/got.npy" || fail "$isa, batch $batch: other bits"
        cmp -s "$work/want" "$work/got" || fail "$isa, batch $batch: other answers"
    done
    echo theirs >"$work/again.octet.tmp" # somebody's, or what is left of a machine that died
    compile "$work/again.octet" --isa $isa --threads 1
    [ "$(cat "$work/again.octet.tmp")" = theirs ] || fail "another file has changed"
    cmp -s "$file" "$work/again.octet" || fail "$isa: another file the second time"
    run ./octet inspect "$file" >"$work/said" || fail "$isa: inspect"
    grep -q "^compiled    for $isa, packing" "$work/said" || fail "$isa: inspect says nothing"
    run ./octet inspect "$file" --plan >"$work/said" || fail "$isa: inspect --plan"
done
echo "same answers:$walked"
# Smaller operands: half the bytes, the bits of the source run with them, and no other precision.
for precision in fp16 bf16; do
    file=$work/$precision.octet
    compile "$file" --isa ref --precision $precision
    run ./cnn_infer "$model" "$work/digits" --logits "$work/a.npy" --quiet --isa ref \
        --precision $precision >"$work/said"
    run ./cnn_infer "$file" "$work/digits" --logits "$work/b.npy" --quiet >"$work/got" ||
        fail "$precision: cnn_infer exits with an error"
    cmp -s "$work/a.npy" "$work/b.npy" || fail "$precision: other bits"
    cmp -s "$work/want.npy" "$work/b.npy" && fail "$precision: the bits of fp32"
    [ "$(wc -c <"$file")" -lt $(($(wc -c <"$work/ref.octet") * 6 / 10)) ] ||
        fail "$precision: not about half of fp32's size"
    refuse 2 "compiled with --precision $precision, not fp32" ./octet inspect "$file" --plan \
        --precision fp32
done

compiled=$work/ref.octet
run ./octet diff "$model" "$compiled" --data "$work/digits" --passes fold_bn,fuse,dce --quiet \
    >"$work/said" 2>&1 && fail "diff: --passes of a compiled model"
run ./octet diff "$model" "$compiled" --data "$work/digits" --tolerance 0 --quiet --json \
    >"$work/said" 2>"$work/err" || fail "diff: $(cat "$work/err")"
run ./octet bench "$compiled" --seconds 0.01 --quiet >"$work/said" 2>&1 || fail "bench"

# ---- refusals ----

refuse 1 "-o OUT expected" ./octet compile "$model"
refuse 1 "unknown isa" ./octet compile "$model" -o "$work/made/x" --isa avx3
refuse 1 "the model itself" ./octet compile "$compiled" -o "$compiled"
refuse 2 "compiled already, for ref" ./octet compile "$compiled" -o "$work/made/x"
refuse 2 "has its passes already" ./cnn_infer "$compiled" "$digit" --passes none
if grep -q 'define HAVE_CUDA 1' config.h; then
    refuse 2 "packed for the CPU's ref: use the model it was made from" \
        ./cnn_infer "$compiled" "$digit" --device cuda
fi
case $walked in
*avx2*) refuse 2 "compiled for avx2, which packs weights differently from --isa ref" \
            ./cnn_infer "$work/avx2.octet" "$digit" --isa ref ;;
esac
head -c 5000 "$compiled" >"$work/cut.octet"
refuse 2 "" ./cnn_infer "$work/cut.octet" "$digit"

# ---- nothing is left when writing fails ----

refuse 3 "/dev/full: is not a plain file" ./octet compile "$model" -o /dev/full
refuse 3 "" ./octet compile "$model" -o "$work/none/x.octet"
(ulimit -f 100 && refuse 3 "writing" ./octet compile "$model" -o "$work/made/x.octet"
 [ $failures = 0 ]) || fail "a file larger than allowed"
[ -z "$(ls -A "$work/made")" ] || fail "left behind: $(ls -A "$work/made")"

# ---- cut short while it is mapped: between two images, the second of which comes by a pipe ----

mapped() { grep -q "cut\.octet" "/proc/$1/maps" 2>/dev/null; }

if [ "$emulated" = 0 ] && [ -r /proc/self/maps ]; then
    cp "$compiled" "$work/cut.octet"
    mkfifo "$work/pipe"
    ./cnn_infer "$work/cut.octet" "$digit" - --logits "$work/made/l.npy" --threads 1 \
        <"$work/pipe" >"$work/said" 2>"$work/err" &
    pid=$!
    exec 3>"$work/pipe"
    for _ in 1 2 3 4 5 6 7 8 9 10; do mapped $pid && [ -s "$work/said" ] && break; sleep 0.2; done
    mapped $pid || fail "the compiled file is not mapped"
    truncate -s 4096 "$work/cut.octet"
    cat "$digit" >&3
    exec 3>&-
    wait $pid
    code=$?
    [ $code = 3 ] || fail "cut short while mapped: exit $code, expected 3"
    [ "$(cat "$work/err")" = "cnn_infer: $work/cut.octet: cut short while in use" ] ||
        fail "cut short while mapped: '$(cat "$work/err")'"
    [ -z "$(ls -A "$work/made")" ] || fail "cut short, left behind: $(ls -A "$work/made")"
fi
finish
