/* gemm_s8, AVX-512 VNNI, tiles of two groups of up to 7 rows x 32 columns.  Contract in gemm_s8.h.
 *
 * vpdpbusd adds four products of unsigned by signed bytes to an int32 lane without saturating (the
 * form vpdpbusds would): exact for every byte.
 *
 *                          b: 32 columns x 4 k
 *                     +-----------+-----------+
 *                     | b0        | b1        |      2 zmm
 *                     +-----------+-----------+
 *   a, group 0 row i  | s[2i]     | s[2i + 1] |     28 zmm
 *   4 k, bcast  1 row | ...       | ...       |
 *                     +-----------+-----------+
 *   registers: 28 sums + 2 b + 1 a = 31 of 32.   4 k: 28 vpdpbusd (14 cycles on two ports), 2 + 14
 *   loads, 2 prefetches. */
#include <immintrin.h>
#include <string.h>

#include "ops/kernels/gemm_s8.h"
#include "tensor/cpu.h"

enum { ROWS = 7, LANES = 16, WHOLE = ROWS };
#define SHAPES(X) X(1, 1) X(2, 1) X(3, 1) X(4, 1) X(5, 1) X(6, 1) X(7, 1) \
                  X(1, 2) X(2, 2) X(3, 2) X(4, 2) X(5, 2) X(6, 2) X(7, 2)

typedef __m512i vec;
static inline vec vec_load(const void *p) { return _mm512_load_si512(p); }
static inline void vec_store(void *p, vec v) { _mm512_store_si512(p, v); }
static inline vec vec_dup(const uint8_t *p)
{
    int32_t four;
    memcpy(&four, p, sizeof four);
    return _mm512_set1_epi32(four);
}
static inline vec vec_dot(vec s, vec a, vec b) { return _mm512_dpbusd_epi32(s, a, b); }

#include "ops/kernels/gemm_s8_zmm.h"
#include "ops/kernels/gemm_s8_tmpl.h"

static int place(int j, int p) { return oct_gemm_s8_column(&oct_gemm_s8_avx512, j) * KR + p; }

const oct_gemm_s8 oct_gemm_s8_avx512 = {
    .isa = "avx512", .needs = OCT_CPU_AVX512, .x_max = 255, .rows = ROWS, .nr = NR, .kr = KR,
    .lanes = LANES, .place = place, .tile = tile };
