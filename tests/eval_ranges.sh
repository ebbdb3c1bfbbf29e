#!/bin/sh
# octet eval -o and --check: the ranges in the file, which is otherwise the model; one file on every
# instruction set; what is counted, what is refused.
. "${srcdir:-.}/tests/programs.sh"
[ "$emulated" != 1 ] || exit 77
model=$pretrained/cifar_cnn.safetensors
head -c $((3073 * 20)) "$data/cifar/test_256.bin" >"$work/few.bin"

evaluate() { # options
    run ./octet eval --data "$work/few.bin" --quiet --json "$@" >"$work/said" 2>"$work/err"
}
refuse() { # exit code, pattern, options
    code=$1 pattern=$2
    shift 2
    evaluate -o "$work/new" "$@"
    got=$?
    [ $got = "$code" ] && grep -q -e "$pattern" "$work/err" && [ "$(wc -l <"$work/err")" = 1 ] ||
        fail "$*: exit $got: $(cat "$work/err")"
    [ ! -s "$work/said" ] || fail "$*: standard output is not empty"
    [ ! -e "$work/new" ] || fail "$*: a file is left"
}

echo theirs >"$work/a.tmp" # somebody's, or what is left of a machine that died
evaluate "$model" --check -o "$work/a" || fail "eval: $(cat "$work/err")"
[ "$(cat "$work/a.tmp")" = theirs ] || fail "another file has changed"
rm "$work/a.tmp"
grep -q '"nan": *0, "infinite": *0, "first_not_finite": *null' "$work/said" ||
    fail "--check: $(cat "$work/said")"
evaluate "$work/a" -o "$work/b" --logits "$work/got.npy" --threads 3 --batch 7 ||
    fail "eval of what was written"
evaluate "$model" --logits "$work/want.npy" || fail "eval: $(cat "$work/err")"
cmp "$work/want.npy" "$work/got.npy" || fail "other answers"
for isa in ref avx2; do
    evaluate "$model" -o "$work/b" --isa $isa --batch 3 2>/dev/null || continue
    cmp -s "$work/a" "$work/b" || fail "$isa: another file"
done
run ./octet inspect "$work/a" >"$work/said"
grep -q '^metadata *octet.ranges: {"samples":20,"sha256":"[0-9a-f]*","values":{"' "$work/said" ||
    fail "inspect: no octet.ranges"
run ./octet inspect "$work/a" --plan --json >"$work/plan" || fail "inspect --plan --json"
run ./octet inspect "$work/a" --plan >"$work/plan"
steps=$(sed -n '/^step /,/^total/s/^\([^ ]*\) .*/\1/p' "$work/plan" | sed '1d;$d')
[ "$(echo "$steps" | wc -l)" -gt 6 ] || fail "the plan has few steps: $steps"
for name in $steps; do
    grep -q "octet.ranges:.*\"$name\":[0-9]" "$work/said" || fail "no range of $name"
done

# Ranges are of these weights: others do not keep them.
run ./octet prune "$work/a" --amount 0.5 -o "$work/pruned" --quiet >"$work/said" || fail "prune"
run ./octet inspect "$work/pruned" | grep -q octet.ranges && fail "prune keeps the ranges"

# ---- texts: a folder becomes one file ----

mkdir "$work/encoder"
cp "$src/tests/golden/encoders/distilbert"/* "$work/encoder"
head -n 999 "$src/tests/golden/wordpiece/vocab.txt" >"$work/encoder/vocab.txt"
printf 'I love this film\t0\nwhat a bore\t1\nCaf\303\251, na\303\257ve? 42!\t0\n' >"$work/list.tsv"
texts() { # model, options
    run ./octet eval "$@" --data "$work/list.tsv" --quiet >"$work/said" 2>"$work/err" ||
        fail "$*: $(cat "$work/err")"
}
texts "$work/encoder" --logits "$work/want.npy" -o "$work/texts" --batch 2
texts "$work/texts" --logits "$work/got.npy" --check
cmp "$work/want.npy" "$work/got.npy" || fail "texts: other answers"
grep -q '^not finite   0 NaN, 0 infinite$' "$work/said" || fail "texts, --check: $(cat "$work/said")"
run ./octet inspect "$work/texts" |
    grep -q '^metadata *octet.ranges: {"samples":3,.*"distilbert.transformer.layer.0.attention' ||
    fail "texts: no octet.ranges"

# ---- what is not finite ----

huge='--scale 1e30 --mean 0 --std 1e-30'
# shellcheck disable=SC2086
evaluate "$model" --check $huge || fail "$huge: $(cat "$work/err")"
grep -q '"infinite": *[1-9]' "$work/said" || fail "nothing counted: $(cat "$work/said")"
# shellcheck disable=SC2086
run ./octet eval "$model" --data "$work/few.bin" --check $huge --quiet >"$work/said"
grep -q '^not finite .*, first in ' "$work/said" || fail "--check says nothing"
# shellcheck disable=SC2086
refuse 2 'a range cannot be told' "$model" $huge

# ---- refused ----

refuse 2 'in fp32; this runs in int8' "$model" --precision int8
refuse 2 'in fp32; this runs in fp16' "$model" --precision fp16
refuse 1 '--passes' "$model" --passes none
run ./octet compile "$model" -o "$work/compiled" --quiet || fail "compile"
refuse 2 'compiled' "$work/compiled"
evaluate "$work/b" -o "$work/b" && fail "the model itself is overwritten"
finish
