/* winograd_s8, AVX2: products of up to 6 tiles x 16 columns.  Contract in winograd_s8.h, the
 * transforms in winograd_s8_tmpl.h.
 *
 *                          u: 16 columns x 2 c, int16
 *                     +-----------+-----------+
 *                     | b0        | b1        |      2 ymm
 *                     +-----------+-----------+
 *   v, tile i         | s[2i]     | s[2i + 1] |     12 ymm
 *   2 c, broadcast    +-----------+-----------+
 *   registers: 12 sums + 2 b + 1 v + 1 product = 16 of 16. */
#include <immintrin.h>
#include <string.h>

#include "ops/kernels/gemm_s8.h"
#include "ops/kernels/winograd_s8.h"
#include "tensor/cpu.h"

enum { ROWS = 6, LANES = 8 };
#define SHAPES(X) X(1) X(2) X(3) X(4) X(5) X(6)

typedef __m256i vec;
static inline vec vec_load(const void *p) { return _mm256_load_si256(p); }

#include "ops/kernels/gemm_s8_ymm.h"

INLINE vec widen(const uint8_t *p)
{
    return _mm256_cvtepu8_epi16(_mm_loadu_si128((const void *)p));
}
INLINE void pairs_dot(vec *s, const int16_t *p, vec b0, vec b1)
{
    int32_t two;
    memcpy(&two, p, sizeof two);
    const vec a = _mm256_set1_epi32(two);
    s[0] = _mm256_add_epi32(s[0], _mm256_madd_epi16(a, b0));
    s[1] = _mm256_add_epi32(s[1], _mm256_madd_epi16(a, b1));
}

#include "ops/kernels/winograd_s8_tmpl.h"

static int place(int j, int p) { return oct_pack_order(LANES, j) * 2 + p; }

const oct_winograd_s8 oct_winograd_s8_avx2 = {
    "avx2", OCT_CPU_AVX2, NR, LANES, place, input, product, output };
