/* sparse_f32, AVX2 + FMA: up to 14 vectors of 8 pixels.  Contract in sparse_f32.h, code in
 * sparse_f32_tmpl.h over simd_avx2.h.
 *
 *   singles   14 sums + 1 w = 15 of 16, x are memory operands: 14 FMAs (7 cycles on two ports),
 *             14 + 2 loads
 *   quads     12 sums + 3 x + 1 w = 16: 12 FMAs (6 cycles), 3 + 5 loads */
#include <immintrin.h>

#include "ops/kernels/simd_avx2.h"
#include "tensor/cpu.h"

enum { WAIT = 8, QUADS = 3 };
#define SHAPES(X) X(1) X(2) X(3) X(4) X(5) X(6) X(7) X(8) X(9) X(10) X(11) X(12) X(13) X(14)
#include "ops/kernels/sparse_f32_tmpl.h"

const oct_sparse_f32 oct_sparse_f32_avx2 = {
    .isa = "avx2", .needs = OCT_CPU_AVX2, .lanes = VW, .vecs = VECS, .input = input,
    .tile = tile };
