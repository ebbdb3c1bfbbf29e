# Sourced by the tests that run the built programs.  They run in the build folder; $OCT_RUN is the
# emulator's command, if there is one, and OCT_TEST_EMULATED=1 then asks for a few images only.
src=${srcdir:-.}
data=$src/tests/data
golden=$src/tests/golden/logits
pretrained=$src/weights/pretrained
shared=$src/../shared
mnist=$data/mnist/t10k-images-idx3-ubyte.gz
mnist_line="conv1 relu maxpool:2 conv2 relu maxpool:2 flatten fc1 relu fc2"
emulated=${OCT_TEST_EMULATED:-0}
sanitized=${OCT_TEST_SANITIZED:-0}  # 1: leave out what only takes longer, and is run without
unset OCT_CPU
failures=0
work=$(mktemp -d "${TMPDIR:-/tmp}/octet-test.XXXXXX") || exit 99
trap 'rm -rf "$work"' EXIT
trap 'exit 1' HUP INT TERM

run() { # program, arguments
    # shellcheck disable=SC2086
    $OCT_RUN "$@"
}

fail() { echo "FAIL: $*"; failures=$((failures + 1)); }

finish() { [ $failures = 0 ] || { echo "$failures failed"; exit 1; }; exit 0; }

need() { [ -e "$1" ] || { echo "skipped: no $1"; exit 77; }; }

# What a refusal looks like: SPEC.md, section 2.
refuse() { # exit code, words the line holds, command
    want=$1 words=$2
    shift 2
    run "$@" >"$work/out" 2>"$work/err" </dev/null
    code=$?
    [ $code = "$want" ] || fail "$*: exit $code, expected $want: $(cat "$work/err")"
    [ ! -s "$work/out" ] || fail "$*: standard output is not empty"
    [ "$(wc -l <"$work/err")" -eq 1 ] || fail "$*: not one line: $(cat "$work/err")"
    [ "$(wc -c <"$work/err")" -le 1024 ] || fail "$*: a line of more than 1 kB"
    [ "$(tr -d '\n' <"$work/err" | LC_ALL=C tr -d '\040-\176\200-\377' | wc -c)" -eq 0 ] ||
        fail "$*: control bytes on standard error"
    program=$(basename "$1")
    case $(cat "$work/err") in
    "$program: "*"$words"*) ;;
    *) fail "$*: '$(cat "$work/err")' does not hold '$program: ... $words'" ;;
    esac
}

field() { # name, file: a number of a JSON object on one line
    sed -n 's/.*"'"$1"'": *\([-+0-9.eE]*\).*/\1/p' "$2"
}

# As many correct as PyTorch, and its loss, of which the table has six decimals: half of the last
# one, and 1e-6 for logits that differ by 1e-5 of their size.
check_eval() { # what, correct, samples, loss, arguments of octet eval
    what=$1 correct=$2 samples=$3 loss=$4
    shift 4
    if ! run ./octet eval "$@" --json --quiet >"$work/eval.json"; then
        fail "$what: octet eval exits with an error"
        return
    fi
    got="$(field correct "$work/eval.json") of $(field samples "$work/eval.json")"
    [ "$got" = "$correct of $samples" ] || fail "$what: $got correct, expected $correct of $samples"
    field loss "$work/eval.json" | awk -v want="$loss" '{ d = $1 - want }
        END { exit !(NR == 1 && d < 2e-6 && d > -2e-6) }' ||
        fail "$what: loss $(field loss "$work/eval.json"), expected $loss"
    echo "$what: $got, loss $(field loss "$work/eval.json")"
}

# Logits within 1e-4 of the largest of PyTorch's first 256, and the same answers.
check_golden() { # what, golden file, model, data, options
    what=$1 file=$2 model=$3 images=$4
    shift 4
    mkdir "$work/dumps"
    cp "$file" "$work/dumps/logits.npy"
    run ./octet diff "$model" "$work/dumps" --data "$images" --tolerance 1e-4 \
        --passes fold_bn,fuse,dce --json --quiet "$@" >"$work/diff.json" ||
        fail "$what: logits are not PyTorch's"
    [ "$(field same_top1 "$work/diff.json")" = "$(field samples "$work/diff.json")" ] ||
        fail "$what: $(field same_top1 "$work/diff.json") answers are PyTorch's"
    echo "$what: logits within $(field largest_relative "$work/diff.json")"
    rm -rf "$work/dumps"
}
