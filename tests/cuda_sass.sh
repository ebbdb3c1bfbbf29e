#!/bin/sh
# Every __global__ of cuda/*.cu has machine code for sm_80 and sm_90 without spilled registers, as
# ptxas said when it made the objects (cuda/NAME.ptxas), and the program has them all in it.
src=${srcdir:-.}
ls cuda/*.ptxas >/dev/null 2>&1 || { echo "skipped: built without CUDA"; exit 77; }
failures=0
fail() { echo "FAIL: $*"; failures=$((failures + 1)); }

for source in "$src"/cuda/*.cu; do
    name=$(basename "$source" .cu)
    log=cuda/$name.ptxas
    [ -s "$log" ] || { fail "$source: no $log"; continue; }
    # static __global__ [attributes] void NAME(, perhaps on the second line; templates are one name
    kernels=$(cat "$source" $(sed -n "s|^#include \"\(cuda/.*_mma.cuh\)\"|$src/\1|p" "$source") |
        grep '__global__' | sed 's/.*void \([a-z_0-9]*\)(.*/\1/')
    [ -n "$kernels" ] || fail "$source: no kernels found"
    for kernel in $kernels; do
        for arch in sm_80 sm_90; do
            grep -q "Compiling entry function '_Z[A-Za-z0-9_]*${#kernel}$kernel[A-Z0-9].*$arch'" \
                "$log" || fail "$source: no $arch code of $kernel"
        done
    done
    grep 'spill' "$log" | grep -v ' 0 bytes spill stores, 0 bytes spill loads' &&
        fail "$source: registers are spilled"
done
LC_ALL=C grep -q '\.nv_fatbin' ./octet || fail "octet has no device code"
[ $failures = 0 ] || { echo "$failures failed"; exit 1; }
