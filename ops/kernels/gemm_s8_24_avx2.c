/* gemm_s8_24, AVX2 for any byte, rows of 4 x 16 columns.  Contract in gemm_s8_24.h.
 *
 * Bytes are widened to int16, 0 and 2 first, then 1 and 3, and multiplied by vpmaddwd: exact,
 * 2 * 255 * 128 < 2^31.  No faster than the dense kernel, which adds most products in int16. */
#include <immintrin.h>
#include <string.h>

#include "ops/kernels/gemm_s8_24.h"
#include "tensor/cpu.h"

enum { ROWS = 4, LANES = 8, PACK = LANES };
#define SHAPES(X) X(1) X(2) X(3) X(4)

#include "ops/kernels/gemm_s8_24_ymm.h"
static inline vec vec_dot(vec s, vec x, vec w)
{
    const vec w0 = _mm256_srai_epi16(_mm256_slli_epi16(w, 8), 8), w1 = _mm256_srai_epi16(w, 8);
    const vec x0 = _mm256_and_si256(x, _mm256_set1_epi16(255)), x1 = _mm256_srli_epi16(x, 8);
    s = _mm256_add_epi32(s, _mm256_madd_epi16(x0, w0));
    return _mm256_add_epi32(s, _mm256_madd_epi16(x1, w1));
}
#include "ops/kernels/gemm_s8_24_tmpl.h"

const oct_gemm_s8 oct_gemm_s8_24_avx2 = {
    .isa = "avx2", .needs = OCT_CPU_AVX2, .x_max = 255, .rows = ROWS, .nr = NR, .kr = KR,
    .lanes = LANES, .place = place, .tile = tile };
