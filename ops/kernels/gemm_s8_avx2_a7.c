/* gemm_s8, AVX2 for 7-bit activations, tiles of two groups of up to 3 rows x 16 columns.  Contract
 * in gemm_s8.h.
 *
 * vpmaddubsw adds two products in int16 and saturates; with a <= 127 it cannot: 2 * 127 * 128 =
 * 32,512 < 32,767.  vpmaddwd by ones and vpaddd follow: 3 operations for 32 products.
 *
 *                          b: 16 columns x 4 k
 *                     +-----------+-----------+
 *                     | b0        | b1        |      2 ymm
 *                     +-----------+-----------+
 *   a, group 0 row i  | s[2i]     | s[2i + 1] |     12 ymm
 *   4 k, bcast  1 row | ...       | ...       |
 *                     +-----------+-----------+
 *   registers: 12 sums + 2 b + 1 a + 1 product = 16 of 16, the ones in memory.   4 k: 24 multiplies
 *   (12 cycles on two ports), 12 adds, 2 + 6 + 12 loads, 1 prefetch. */
#include <immintrin.h>
#include <string.h>

#include "ops/kernels/gemm_s8.h"
#include "tensor/cpu.h"

enum { ROWS = 3, LANES = 8, HALVES = 1 };
#define SHAPES(X) X(1, 1) X(2, 1) X(3, 1) X(1, 2) X(2, 2) X(3, 2)

typedef __m256i vec;
static inline vec vec_load(const void *p) { return _mm256_load_si256(p); }
static inline void vec_store(void *p, vec v) { _mm256_store_si256(p, v); }
static inline vec vec_dup(const uint8_t *p, int half)
{
    int32_t four;
    (void)half;
    memcpy(&four, p, sizeof four);
    return _mm256_set1_epi32(four);
}
static inline vec vec_dot(vec s, vec a, vec b)
{
    const vec pairs = _mm256_maddubs_epi16(a, b);
    return _mm256_add_epi32(s, _mm256_madd_epi16(pairs, _mm256_set1_epi16(1)));
}

#include "ops/kernels/gemm_s8_tmpl.h"
#include "ops/kernels/gemm_s8_ymm.h"

static int place(int j, int p) { return oct_gemm_s8_column(&oct_gemm_s8_avx2_a7, j) * KR + p; }

const oct_gemm_s8 oct_gemm_s8_avx2_a7 = {
    .isa = "avx2", .needs = OCT_CPU_AVX2, .x_max = 127, .rows = ROWS, .nr = NR, .kr = KR,
    .size = 1, .lanes = LANES, .place = place, .tile = tile };
