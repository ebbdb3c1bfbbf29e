/* gemm_s8, AVX2 for any byte, tiles of two groups of up to 3 rows x 16 columns.  Contract in
 * gemm_s8.h.
 *
 * vpmaddubsw would saturate: 2 * 255 * 127 > 32,767.  Weights are packed as int16, and the four
 * bytes of a lane become two int16 pairs, k 0 and 2 by a mask, k 1 and 3 by a shift, each multiplied
 * by vpmaddwd: exact, 255 * 128 * 2 < 2^31.
 *
 *                          b: 16 columns x k 0, 2; then x k 1, 3
 *                     +-----------+-----------+
 *                     | b0        | b1        |      2 ymm
 *                     +-----------+-----------+
 *   a, group 0 row i  | s[2i]     | s[2i + 1] |     12 ymm
 *   2 k, bcast  1 row | ...       | ...       |
 *                     +-----------+-----------+
 *   registers: 12 sums + 2 b + 1 a + 1 product = 16 of 16, the mask in memory.   4 k: 24 multiplies
 *   (12 cycles on two ports), 24 adds, 12 masks and shifts, 4 + 12 + 6 loads, 2 prefetches. */
#include <immintrin.h>
#include <string.h>

#include "ops/kernels/gemm_s8.h"
#include "tensor/cpu.h"

enum { ROWS = 3, LANES = 8, HALVES = 2 };
#define SHAPES(X) X(1, 1) X(2, 1) X(3, 1) X(1, 2) X(2, 2) X(3, 2)

typedef __m256i vec;
static inline vec vec_load(const void *p) { return _mm256_load_si256(p); }
static inline void vec_store(void *p, vec v) { _mm256_store_si256(p, v); }
static inline vec vec_dup(const uint8_t *p, int half)
{
    int32_t four;
    memcpy(&four, p, sizeof four);
    const vec a = _mm256_set1_epi32(four);
    return half ? _mm256_srli_epi16(a, 8) : _mm256_and_si256(a, _mm256_set1_epi16(255));
}
static inline vec vec_dot(vec s, vec a, vec b)
{
    return _mm256_add_epi32(s, _mm256_madd_epi16(a, b));
}

#include "ops/kernels/gemm_s8_ymm.h"
#include "ops/kernels/gemm_s8_tmpl.h"

static int place(int j, int p) /* [half][vector][lane][2] */
{
    return p % 2 * NR * 2 + oct_gemm_s8_column(&oct_gemm_s8_avx2, j) * 2 + p / 2;
}

const oct_gemm_s8 oct_gemm_s8_avx2 = {
    .isa = "avx2", .needs = OCT_CPU_AVX2, .x_max = 255, .rows = ROWS, .nr = NR, .kr = KR,
    .size = 2, .lanes = LANES, .place = place, .tile = tile };
