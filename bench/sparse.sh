#!/bin/bash
# Sparse as decided against all dense, end to end, at densities of 10 to 90 %: is any plan slower?
#     bench/sparse.sh MODEL DATA|--dynamic|--float [OPTION]...   in the build folder, on a machine at rest
# Blocks of 1x4, or what STRUCTURE says, 4x1 or 2:4, are pruned, each layer alike, and the model is
# quantized: on samples, DATA, with activations quantized at run time, or not at all. Options go to
# bench/bench_sparse: --isa=LIST (every ISA of the CPU by default), --batch=LIST, --lengths=LIST,
# --seconds=S. A line a row, then the worst; where no layer runs sparse there is no row. DENSITIES:
# other ones; ALONE: a command that runs another while nothing else does.
model=$1 how=$2
shift 2
densities=${DENSITIES:-10 20 30 40 50 60 70 80 90}
work=$(mktemp -d) || exit 99
trap 'rm -rf "$work"' EXIT

quantize() {
    case $how in
    --float) cp "$work/pruned" "$work/model" ;;
    --dynamic) ./octet quantize "$work/pruned" --dynamic -o "$work/model" ;;
    *) ./octet quantize "$work/pruned" --calib "$how" --force -o "$work/model" ;;
    esac
}

echo "density isa size sparse_layers dense_ms ms ratio"
for density in $densities; do
    amount=$(bc -l <<<"1 - $density / 100")
    ./octet prune "$model" --structure "${STRUCTURE-1x4}" --per-layer --amount "$amount" \
        -o "$work/pruned" >/dev/null && quantize >/dev/null || exit 1
    $ALONE ./bench/bench_sparse "$work/model" --isa=avx512,avxvnni,avx2 "$@" | sed "s/^/$density /"
done | tee "$work/rows"
awk '/OTHER/ { other++ }
     $7 > worst { worst = $7; row = $0 }
     $4 > 0 && (least == 0 || $7 < least) { least = $7; best = $0 }
     END { print "worst:", row; print "best: ", best; if (other) print other, "rows with other results" }' \
    "$work/rows"
