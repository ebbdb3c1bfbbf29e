#!/bin/sh
# Time from exec to answer, files in the page cache: of a model as it is and compiled.
#
#     bench/first_answer.sh MODEL IMAGE [RUNS [PROGRAM]]      in the build folder
#
# Milliseconds, best and median of RUNS (50), with the clock's own cost (two runs of date and one
# fork) taken off; then the same for --version, which is what starting a process costs.
model=$1 image=$2 runs=${3-50} program=${4-./resnet_infer}
[ -r "$model" ] && [ -r "$image" ] || { echo "usage: $0 MODEL IMAGE [RUNS [PROGRAM]]" >&2; exit 1; }
[ -x "$program" ] || program=./cnn_infer
work=$(mktemp -d) || exit 3
trap 'rm -rf "$work"' EXIT

sample() { # command: one line of nanoseconds for each run
    "$@" >"$work/out" || exit 2
    i=0
    while [ $i -lt "$runs" ]; do
        start=$(date +%s%N)
        "$@" >"$work/out"
        end=$(date +%s%N)
        echo $((end - start))
        i=$((i + 1))
    done | sort -n
}

clock=$(sample true | head -1)
measure() { # what, command
    what=$1
    shift
    sample "$@" | awk -v what="$what" -v clock="$clock" '{ t[NR] = ($1 - clock) / 1e6 }
        END { printf "%-24s best %7.1f ms   median %7.1f ms\n", what, t[1], t[int((NR + 1) / 2)] }'
}

./octet compile "$model" -o "$work/compiled" --quiet || exit 2
measure "$(basename "$program") --version" "$program" --version
measure "as it is" "$program" "$model" "$image"
measure "compiled" "$program" "$work/compiled" "$image"
measure "compiled, one thread" "$program" "$work/compiled" "$image" --threads 1
