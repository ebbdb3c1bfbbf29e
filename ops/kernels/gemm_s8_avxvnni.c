/* gemm_s8, AVX-VNNI, tiles of two groups of up to 6 rows x 16 columns, six rows in
 * registers at a time.  Contract in gemm_s8.h.
 *
 * vpdpbusd on ymm, exact for every byte as in gemm_s8_avx512.c.
 *
 *                          b: 16 columns x 4 k
 *                     +-----------+-----------+
 *                     | b0        | b1        |      2 ymm
 *                     +-----------+-----------+
 *   a, group 0 row i  | s[2i]     | s[2i + 1] |     12 ymm
 *   4 k, bcast  1 row | ...       | ...       |
 *                     +-----------+-----------+
 *   registers: 12 sums + 2 b + 1 a = 15 of 16.   4 k: 12 vpdpbusd, 2 + 6 loads, 1 prefetch. */
#include <immintrin.h>
#include <string.h>

#include "ops/kernels/gemm_s8.h"
#include "tensor/cpu.h"

enum { ROWS = 3, LANES = 8 };
#define SHAPES(X) X(1, 1) X(2, 1) X(3, 1) X(1, 2) X(2, 2) X(3, 2)

typedef __m256i vec;
static inline vec vec_load(const void *p) { return _mm256_load_si256(p); }
static inline void vec_store(void *p, vec v) { _mm256_store_si256(p, v); }
static inline vec vec_dup(const uint8_t *p)
{
    int32_t four;
    memcpy(&four, p, sizeof four);
    return _mm256_set1_epi32(four);
}
static inline vec vec_dot(vec s, vec a, vec b) { return _mm256_dpbusd_avx_epi32(s, a, b); }

#include "ops/kernels/gemm_s8_ymm.h"
#include "ops/kernels/gemm_s8_tmpl.h"

static int place(int j, int p) { return oct_gemm_s8_column(&oct_gemm_s8_avxvnni, j) * KR + p; }

const oct_gemm_s8 oct_gemm_s8_avxvnni = {
    .isa = "avxvnni", .needs = OCT_CPU_AVX2 | OCT_CPU_AVXVNNI, .x_max = 255, .rows = 2 * ROWS,
    .nr = NR, .kr = KR, .lanes = LANES, .place = place, .tile = tile };
