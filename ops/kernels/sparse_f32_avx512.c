/* sparse_f32, AVX-512: up to 14 vectors of 16 pixels.  Contract in sparse_f32.h, code in
 * sparse_f32_tmpl.h over simd_avx512.h.
 *
 *   singles   14 sums + 1 w, x are memory operands: 14 FMAs (7 cycles on two ports), 14 + 2 loads
 *   quads     24 sums + 6 x + 1 w = 31 of 32: 24 FMAs (12 cycles), 6 + 5 loads */
#include <immintrin.h>

#include "ops/kernels/simd_avx512.h"
#include "tensor/cpu.h"

enum { WAIT = 8, QUADS = 6 };
#define SHAPES(X) X(1) X(2) X(3) X(4) X(5) X(6) X(7) X(8) X(9) X(10) X(11) X(12) X(13) X(14)
#include "ops/kernels/sparse_f32_tmpl.h"

const oct_sparse_f32 oct_sparse_f32_avx512 = {
    .isa = "avx512", .needs = OCT_CPU_AVX512, .lanes = VW, .vecs = VECS, .input = input,
    .tile = tile };
