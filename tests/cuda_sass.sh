#!/bin/sh
# Every __global__ of cuda/*.cu has machine code for sm_80 and sm_90 without spilled registers, as
# ptxas said when it made the objects (cuda/NAME.ptxas), and the program has them all in it: as
# cuobjdump says, where there is one.
src=${srcdir:-.}
ls cuda/*.ptxas >/dev/null 2>&1 || { echo "skipped: built without CUDA"; exit 77; }
failures=0
fail() { echo "FAIL: $*"; failures=$((failures + 1)); }

# "sm_80 KERNEL", a line for each function in the program's device code; nothing without cuobjdump.
nvcc=$(sed -n 's/^NVCC = //p' Makefile)
cuobjdump=$(command -v cuobjdump || command -v "$(dirname "$nvcc")/cuobjdump")
program=octet
[ -e .libs/octet ] && program=.libs/octet # ./octet is libtool's script then
inside=
if [ -n "$cuobjdump" ]; then
    inside=$("$cuobjdump" --dump-resource-usage $program |
        awk '/arch = /{ arch = $NF } /^[ \t]*Function/{ sub(/:$/, ""); print arch, $NF }')
    [ -n "$inside" ] || fail "$cuobjdump finds no device code in $program"
fi
asked=0

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
            [ -n "$inside" ] || continue
            asked=$((asked + 1))
            echo "$inside" | grep -q "^$arch _Z[A-Za-z0-9_]*${#kernel}$kernel[A-Z0-9]" ||
                fail "$program: no $arch code of $kernel"
        done
    done
    grep 'spill' "$log" | grep -v ' 0 bytes spill stores, 0 bytes spill loads' &&
        fail "$source: registers are spilled"
done
LC_ALL=C grep -q '\.nv_fatbin' $program || fail "$program has no device code"
[ -n "$cuobjdump" ] && echo "cuobjdump: asked $asked times" || echo "cuobjdump: there is none"
[ $failures = 0 ] || { echo "$failures failed"; exit 1; }
