/* gemm_s8_24, AVX2 for 7-bit activations, rows of 4 x 16 columns.  Contract in gemm_s8_24.h.
 *
 * vpmaddubsw adds two products in int16 and saturates; with a <= 127 it cannot: 2 * 127 * 128 =
 * 32,512.
 *
 *   registers: 8 sums + 4 w and places + ones + 1 a + 1 picked = 15 of 16.   8 k of a row and a
 *   vector: 1 shuffle, 2 multiplies, 1 add; the dense kernel has 3 multiplies and 2 adds. */
#include <immintrin.h>
#include <string.h>

#include "ops/kernels/gemm_s8_24.h"
#include "tensor/cpu.h"

enum { ROWS = 4, LANES = 8, PACK = LANES };
#define SHAPES(X) X(1) X(2) X(3) X(4)

#include "ops/kernels/gemm_s8_24_ymm.h"
static inline vec vec_dot(vec s, vec x, vec w)
{
    const vec two = _mm256_maddubs_epi16(x, w);
    return _mm256_add_epi32(s, _mm256_madd_epi16(two, _mm256_set1_epi16(1)));
}
#include "ops/kernels/gemm_s8_24_tmpl.h"

const oct_gemm_s8 oct_gemm_s8_24_avx2_a7 = {
    .isa = "avx2", .needs = OCT_CPU_AVX2, .x_max = 127, .rows = ROWS, .nr = NR, .kr = KR,
    .lanes = LANES, .place = place, .tile = tile };
