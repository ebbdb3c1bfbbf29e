#!/bin/bash
# The whole road of labelled photographs, read, decoded, resized, run: how busy it keeps the CPUs.
#     bench/road.sh MODEL DATA [OPTION]...          in the build folder; on a machine at rest
# share = processor time / (time passed x CPUs we may use), loading the model included.
model=$1 data=$2
shift 2
cpus=$(nproc)
for batch in 1 8; do
    { time -p ./octet eval "$model" --data "$data" --batch $batch --quiet "$@" >/dev/null; } 2>&1 |
        awk -v cpus="$cpus" -v batch=$batch '{ t[$1] = $2 } END {
            busy = t["user"] + t["sys"]
            printf "batch %d  %.2f s, processor time %.2f s, share of %d CPUs %.1f %%\n",
                   batch, t["real"], busy, cpus, 100 * busy / t["real"] / cpus }'
done
