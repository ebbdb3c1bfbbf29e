#!/bin/sh
# distilbert_infer on small models that transformers saved, with the tokenizer's answers and those
# of transformers; streams, errors, equal bits; with ../shared, SST-2.
. "${srcdir:-.}/tests/programs.sh"
vocabulary=$src/tests/golden/wordpiece/vocab.txt

small() { # kind, tokens of its vocabulary
    mkdir "$work/$1"
    cp "$src/tests/golden/encoders/$1"/* "$work/$1"
    head -n "$2" "$vocabulary" >"$work/$1/vocab.txt"
}
small distilbert 999
small bert 333
model=$work/distilbert
printf 'I love this film\nwhat a bore\n\nCaf\303\251, na\303\257ve? 42!\n' >"$work/texts"

same() { cmp "$work/$1" "$work/$2" || fail "$3"; }

# ---- transformers' ids and answers ----

cat >"$work/want" <<END
2 51 823 569 679 3
2 599 43 44 279 281 276 3
2 3
2 45 275 297 276 16 56 275 277 302 276 35 24 292 5 3
END
run ./distilbert_infer "$model" --tokens <"$work/texts" >"$work/ids" || fail "--tokens"
same ids want "--tokens"
run ./distilbert_infer "$model" --tokens --json "what a" >"$work/ids" || fail "--tokens --json"
echo '{"input": "what a", "tokens": [2, 599, 43, 3]}' >"$work/want"
same ids want "--tokens --json"

answers() { # model, index label probability of each text in $work/want
    run ./distilbert_infer "$work/$1" <"$work/texts" >"$work/lines" || fail "$1"
    cut -f 1 "$work/lines" >"$work/got"
    same got texts "$1: input"
    paste "$work/lines" "$work/want" | awk -F '\t' '{ d = $5 - $8 }
        $2 != 1 || $3 != $6 || $4 != $7 || d > 2e-6 || d < -2e-6 { bad = 1 }
        END { exit bad || NR != 4 }' || { fail "$1: answers"; cat "$work/lines"; }
}
printf '0\tbad\t0.504963\n1\tso so\t0.874349\n1\tso so\t0.653038\n0\tbad\t0.759611\n' >"$work/want"
answers distilbert
printf '1\t1\t0.866232\n1\t1\t0.961488\n1\t1\t0.931252\n1\t1\t0.861178\n' >"$work/want"
answers bert

# ---- operands, options ----

run ./distilbert_infer "$model" <"$work/texts" >"$work/lines" || fail "lines"
run ./distilbert_infer "$model" "I love this film" "what a bore" "" "$(tail -n 1 "$work/texts")" \
    >"$work/got" || fail "operands"
same got lines "operands are not the lines"
run ./distilbert_infer "$model" - <"$work/texts" >"$work/got" || fail "-"
same got lines "-"
sed 's/$/\r/' "$work/texts" | run ./distilbert_infer "$model" >"$work/got" || fail "CR LF"
same got lines "CR LF"
printf %s "what a bore" | run ./distilbert_infer "$model" >"$work/got" || fail "no line end"
[ "$(cat "$work/got")" = "$(sed -n 2p "$work/lines")" ] || fail "no line end"
: | run ./distilbert_infer "$model" >"$work/got" 2>&1 || fail "no lines"
[ ! -s "$work/got" ] || fail "no lines: something is printed"
printf 'so\000so\tx\033\377\n' | run ./distilbert_infer "$model" >"$work/got" || fail "controls"
[ "$(cut -f 1 "$work/got")" = 'so\x00so\tx\x1b\xff' ] || { fail "escapes"; cat "$work/got"; }
printf 'so\000so\n\377\n' | run ./distilbert_infer "$model" --json >"$work/got" || fail "--json"
grep -q '^{"input": "so\\u0000so", "top": \[{"index": ' "$work/got" &&
    grep -q '^{"input": "\\\\xff", ' "$work/got" || { fail "--json"; cat "$work/got"; }
run ./distilbert_infer "$model" "what a bore" --top 9 >"$work/got" || fail "--top"
[ "$(cut -f 2 "$work/got" | tr '\n' ' ')" = "1 2 3 " ] || fail "--top"
printf 'x\ny\nz\n' >"$work/names"
run ./distilbert_infer "$model" "what a bore" --labels "$work/names" >"$work/got" || fail "--labels"
[ "$(cut -f 4 "$work/got")" = y ] || fail "--labels"

# ---- long texts ----

long=$(printf 'so %.0s' $(seq 600))
run ./distilbert_infer "$model" --tokens "x" "$long" >"$work/ids" 2>"$work/err" || fail "long text"
[ "$(tail -n 1 "$work/ids" | wc -w)" -eq 512 ] || fail "a long text is not cut to the positions"
echo "distilbert_infer: text 2: only its first 512 tokens count" >"$work/want"
same err want "notice of a long text"
run ./distilbert_infer "$model" --max-length 9999 "$long" >"$work/got" 2>"$work/err" || fail "9999"
[ -s "$work/err" ] || fail "--max-length is more than the positions, and no notice"
run ./distilbert_infer "$work/bert" "$long" >"$work/got" 2>"$work/err" || fail "bert, long text"
grep -q "only its first 130 tokens count" "$work/err" || fail "bert: $(cat "$work/err")"
run ./distilbert_infer "$model" --max-length 4 --quiet <"$work/texts" >"$work/got" 2>"$work/err" ||
    fail "--max-length 4"
[ ! -s "$work/err" ] || fail "--quiet: $(cat "$work/err")"
printf '{"model_max_length": 4}' >"$model/tokenizer_config.json"
run ./distilbert_infer "$model" <"$work/texts" >"$work/want" 2>"$work/err" || fail "its limit"
same got want "--max-length is not model_max_length"
[ "$(grep -c "^distilbert_infer: line [124]: only its first 4 tokens" "$work/err")" -eq 3 ] ||
    fail "model_max_length: $(cat "$work/err")"
rm "$model/tokenizer_config.json"

# ---- a stream is answered line by line ----

wait_for() { # lines of $work/got
    for tenth in $(seq 600); do
        [ "$(wc -l <"$work/got")" -ge "$1" ] && return
        sleep 0.1
    done
    fail "$batch: line $1 is not answered after $tenth tenths of a second"
    return 1
}
for batch in "--batch 1" "--batch 8"; do
    rm -f "$work/pipe"
    mkfifo "$work/pipe"
    # shellcheck disable=SC2086
    run ./distilbert_infer "$model" $batch <"$work/pipe" >"$work/got" &
    exec 3>"$work/pipe"
    n=0
    while IFS= read -r line; do
        printf '%s' "$line" >&3
        printf '\n' >&3
        n=$((n + 1))
        wait_for $n || break
    done <"$work/texts"
    exec 3>&-
    wait $! || fail "$batch: a stream ends with an error"
    same got lines "$batch: a stream has other answers"
done

# ---- octet eval: the same answers, of a list with labels ----

printf '0\n1\n1\n' >"$work/digits"
{
    printf 'sentence\tlabel\n'
    sed '3d' "$work/texts" | paste - "$work/digits"
} >"$work/list.tsv"
printf 'a\tb\t1\n' >>"$work/list.tsv" # the last tab is before the label
run ./octet eval "$model" --data "$work/list.tsv" --logits "$work/want.npy" --json >"$work/got" ||
    fail "octet eval"
[ "$(field samples "$work/got") $(field correct "$work/got")" = "4 3" ] ||
    fail "octet eval: $(cat "$work/got")"
cut -f 1 "$work/list.tsv" | sed '1d; s/^a$/a\tb/' | run ./distilbert_infer "$model" --top 3 \
    --logits "$work/got.npy" >"$work/got" || fail "the list's texts"
same got.npy want.npy "octet eval has other logits than distilbert_infer"
for batch in 1 3; do
    run ./octet eval "$model" --data "$work/list.tsv" --batch $batch --logits "$work/got.npy" \
        >"$work/out" || fail "octet eval, batch $batch"
    same got.npy want.npy "octet eval, batch $batch: other logits"
done
run ./octet eval "$model" --data "$work/list.tsv" --max-length 3 >"$work/out" 2>"$work/err" ||
    fail "octet eval --max-length"
echo "octet: $work/list.tsv: of 4 texts only the first 3 tokens count" >"$work/want"
same err want "octet eval: notice of long texts"
printf 'a\t3\n' >"$work/list.tsv"
refuse 2 "label 3, the model has 3 classes" ./octet eval "$model" --data "$work/list.tsv"
printf 'a\nb\n' >"$work/list.tsv"
refuse 2 "has no label" ./octet eval "$model" --data "$work/list.tsv"
printf 'a\t1\nb\n' >"$work/list.tsv"
refuse 2 "no tab and label" ./octet eval "$model" --data "$work/list.tsv"
refuse 3 "no-such-file" ./octet eval "$model" --data "$work/no-such-file"
printf 'so so\t1\n' >"$work/list.tsv"
refuse 2 "texts is for text models only" \
    ./octet eval "$pretrained/mnist_cnn.safetensors" --data "$work/list.tsv"

# ---- the same bits: batches, threads, instruction sets ----

few=$([ "$emulated" = 1 ] && echo 3 || echo 20)
for word in $(seq $few); do
    head -n $((word * word)) "$vocabulary" | tail -n $word | tr '\n#' '  '
    echo
done >"$work/many"
for precision in fp32 int8; do
    run ./distilbert_infer "$model" --precision $precision --logits "$work/want.npy" \
        <"$work/many" >"$work/want" || fail "$precision"
    [ "$(wc -l <"$work/want")" -eq $few ] || fail "$precision: lines"
    for options in "--batch 8" "--batch 8 --threads 1" "--threads 3" "--isa ref --batch 5" \
        "--isa avx2" "--isa avxvnni" "--isa avx512" "--isa neon" "--isa neondot" \
        "--isa neoni8mm"; do
        # shellcheck disable=SC2086
        run ./distilbert_infer "$model" $options --precision $precision --logits "$work/got.npy" \
            <"$work/many" >"$work/got" 2>"$work/err"
        code=$?
        [ $code = 1 ] && grep -q -e --isa "$work/err" && continue # not on this machine
        [ $code = 0 ] || fail "$precision $options: $(cat "$work/err")"
        same got want "$precision $options: other lines"
        same got.npy want.npy "$precision $options: other bits"
    done
    run ./distilbert_infer "$model" --precision $precision --logits "$work/$precision.npy" \
        <"$work/texts" >"$work/got" || fail "$precision"
done
# ... and of machines.
echo "4af9f223ffd3a3381ccca62051c53a39afbc6ebe01fe209a5a13f57907a95526  $work/fp32.npy
02fcaf3b74195810735dc16793129c256daaf543d974ceb771f87013779e79cc  $work/int8.npy" | sha256sum -c --quiet ||
    fail "other bits than on other machines"
for precision in bf16 fp16; do
    run ./distilbert_infer "$model" --precision $precision <"$work/texts" >"$work/got" ||
        fail "$precision"
    [ "$(cut -f 1 "$work/got")" = "$(cat "$work/texts")" ] || fail "$precision: inputs"
done

# ---- one file: octet quantize, and everything reads it ----

one=$work/one
quantize() { # out, options
    out=$1
    shift
    run ./octet quantize "$model" -o "$out" --quiet "$@" >"$work/said" 2>"$work/err" ||
        fail "quantize $*: exit $?: $(cat "$work/err")"
}
printf 'I love this film\t0\nwhat a bore\t1\nso so\t2\n' >"$work/list.tsv"
quantize "$one" --dynamic
quantize "$work/two" # what a model of texts gets
run ./distilbert_infer "$one" --logits "$work/got.npy" <"$work/texts" >"$work/got" || fail "one file"
same got.npy int8.npy "one file: not what --precision int8 gives"
run ./distilbert_infer "$work/two" --logits "$work/got.npy" <"$work/texts" >"$work/got" ||
    fail "without --dynamic"
same got.npy int8.npy "without --dynamic: other bits"
run ./distilbert_infer "$model" --tokens <"$work/many" >"$work/want"
run ./distilbert_infer "$one" --tokens <"$work/many" >"$work/got" || fail "one file, --tokens"
same got want "one file: other tokens"
for options in "--isa ref --threads 1" "--batch 3"; do
    # shellcheck disable=SC2086
    quantize "$work/two" --dynamic $options
    same one two "quantize $options: another file"
done
quantize "$work/two" --dynamic --eval "$work/list.tsv" --json --report "$work/page.html"
grep -q '"name": "distilbert.embeddings", "op": "embedding"' "$work/said" || fail "no embedding"
grep -q '</html>' "$work/page.html" || fail "no page"
sed 's/.*"after": *{\([^}]*\)}.*/{\1}/' "$work/said" >"$work/part"
run ./octet eval "$work/two" --data "$work/list.tsv" --json >"$work/got" || fail "eval one file"
for name in samples correct accuracy loss model_bytes; do
    [ "$(field $name "$work/part")" = "$(field $name "$work/got")" ] ||
        fail "$name: the report has $(field $name "$work/part"), the file $(field $name "$work/got")"
done
[ "$(field model_bytes "$work/got")" = "$(($(wc -c <"$work/two")))" ] || fail "not the file's size"
quantize "$work/two" --dynamic --max-length 4 --keep distilbert.embeddings \
    --labels "$work/names"
run ./octet inspect "$work/two" >"$work/got" || fail "inspect one file"
for line in 'recipe *{"lowercase":true,"max_length":4,"type":"text"}' 'labels *x y z' \
    'vocabulary *999 tokens' '.*"command":"octet quantize --dynamic .*--max-length 4"' \
    'distilbert.embeddings .* F16 '; do
    grep -q "^$line" "$work/got" || fail "inspect: no line '$line'"
done
run ./distilbert_infer "$work/two" "$(sed -n 2p "$work/texts")" >"$work/got" 2>"$work/err"
grep -q "only its first 4 tokens count" "$work/err" || fail "one file: $(cat "$work/err")"
run ./octet quantize "$work/bert" --dynamic -o "$work/two" --quiet >"$work/said" || fail "bert"
run ./distilbert_infer "$work/two" --logits "$work/got.npy" <"$work/texts" >"$work/got"
run ./distilbert_infer "$work/bert" --precision int8 --logits "$work/want.npy" <"$work/texts" \
    >"$work/got"
same got.npy want.npy "bert in one file: not what --precision int8 gives"

new=$work/new
refuse 2 "few_samples" ./octet quantize "$model" --calib "$work/list.tsv" -o "$new"
refuse 1 "--calib DATA expected" ./octet quantize "$model" --method mse -o "$new"
refuse 1 "--calib is not for it" \
    ./octet quantize "$model" --dynamic --calib "$work/list.tsv" -o "$new"
refuse 1 "the model itself" ./octet quantize "$model" --dynamic -o "$model/model.safetensors"
refuse 1 "no layer 'lin9'" ./octet quantize "$model" --dynamic -o "$new" --keep lin9 --quiet
refuse 2 "quantized already" ./octet quantize "$one" --dynamic -o "$new"
refuse 3 "no-such-file" ./octet quantize "$model" --dynamic -o "$new" --eval "$work/no-such-file"
refuse 2 "the model is quantized to int8" ./distilbert_infer "$one" x --precision fp32
head -c 100000 "$one" >"$work/cut"
refuse 2 "cut" ./distilbert_infer "$work/cut" x
for file in "$work"/new*; do
    [ ! -e "$file" ] || fail "refusals: $file is left"
done

# ---- refusals ----

printf "x\ny\n" >"$work/two"
refuse 1 "MODEL [TEXT...] expected" ./distilbert_infer
refuse 1 "unknown option '--resize'" ./distilbert_infer "$model" x --resize 3
refuse 1 "--max-length '1'" ./distilbert_infer "$model" x --max-length 1
refuse 1 "--tokens computes no answers" \
    ./distilbert_infer "$model" x --tokens --logits "$work/x.npy"
refuse 3 "no-such-file" ./distilbert_infer "$work/no-such-file" x
refuse 2 "not texts" ./distilbert_infer "$pretrained/mnist_cnn.safetensors" x
refuse 2 "2 lines, the model has 3 classes" ./distilbert_infer "$model" x --labels "$work/two"
mkdir "$work/wide" "$work/bare"
cp "$model"/* "$work/wide"
head -n 1000 "$vocabulary" >"$work/wide/vocab.txt"
refuse 2 "the vocabulary has 1000 tokens, the model's embedding 999 rows" \
    ./distilbert_infer "$work/wide" x
printf 'a\n' >"$work/wide/vocab.txt"
refuse 2 "[UNK]" ./distilbert_infer "$work/wide" x
cp "$model"/*.safetensors "$model/config.json" "$work/bare"
refuse 3 "neither tokenizer.json nor vocab.txt" ./distilbert_infer "$work/bare" x
refuse 2 "config.json" ./distilbert_infer "$work/bare/model.safetensors" x

# A line that is too long does not end the others, but the file of logits.
{
    echo "what a bore"
    head -c 16777217 /dev/zero | tr '\000' a
    printf '\nI love this film\n'
} >"$work/long"
for batch in 1 8; do
    run ./distilbert_infer "$model" --batch $batch --logits "$work/x.npy" <"$work/long" \
        >"$work/got" 2>"$work/err"
    [ $? = 2 ] || fail "a line too long: exit status"
    echo "distilbert_infer: standard input: line 2: more than 16777216 bytes" >"$work/want"
    same err want "a line too long"
    { sed -n 2p "$work/lines"; sed -n 1p "$work/lines"; } >"$work/want"
    same got want "a line too long, batch $batch: the others"
    [ ! -e "$work/x.npy" ] || fail "a line too long: logits are written"
done
run ./distilbert_infer "$model" --tokens <"$work/long" >"$work/got" 2>"$work/err"
[ $? = 2 ] && [ "$(wc -l <"$work/got")" -eq 2 ] || fail "a line too long, --tokens"
run ./distilbert_infer "$model" <"$work" >"$work/got" 2>"$work/err"
[ $? = 3 ] && grep -q "standard input: cannot be read" "$work/err" || fail "a folder as input"
if [ -e /dev/full ]; then
    run ./distilbert_infer "$model" <"$work/texts" >/dev/full 2>"$work/err"
    [ $? = 3 ] && grep -q "standard output" "$work/err" || fail "a full disk"
fi

# ---- SST-2: PyTorch's 787 of 872, INT8 at most 3 fewer ----

sst2=$shared/weights/distilbert_sst2 dev=$shared/data/sst2/dev.tsv
if [ "$emulated" != 1 ] && [ -e "$sst2" ] && [ -e "$dev" ]; then
    check_eval distilbert_sst2 787 872 0.273758 "$sst2" --data "$dev"
    tail -n +2 "$dev" | cut -f 1 >"$work/dev"
    tail -n +2 "$dev" | cut -f 2 >"$work/labels"
    tail -c $((872 * 2 * 4)) "$shared/goldens/distilbert_sst2.npy" | od -An -v -t f4 -w8 |
        awk '{ print ($2 > $1) }' >"$work/golden"
    for precision in fp32 int8; do
        run ./distilbert_infer "$sst2" --precision $precision --batch 16 <"$work/dev" \
            >"$work/got" || fail "SST-2, $precision"
        cut -f 3 "$work/got" >"$work/answers"
        right=$(paste "$work/answers" "$work/labels" | awk '$1 == $2' | wc -l)
        as=$(paste "$work/answers" "$work/golden" | awk '$1 == $2' | wc -l)
        echo "SST-2, $precision: $right of $(wc -l <"$work/answers"), $as answers are PyTorch's"
        case $precision in
        fp32) [ "$right" -eq 787 ] && [ "$as" -eq 872 ] || fail "SST-2: not PyTorch's answers" ;;
        int8) [ "$right" -ge 784 ] || fail "SST-2, int8: $right right, 787 in FP32" ;;
        esac
    done
fi
finish
