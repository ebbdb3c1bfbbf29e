/* winograd_s8, AVX-512 VNNI: products of up to 14 tiles x 32 columns.  Contract in winograd_s8.h,
 * the transforms in winograd_s8_tmpl.h.
 *
 *                          u: 32 columns x 2 c, int16
 *                     +-----------+-----------+
 *                     | b0        | b1        |      2 zmm
 *                     +-----------+-----------+
 *   v, tile i         | s[2i]     | s[2i + 1] |     28 zmm
 *   2 c, broadcast    +-----------+-----------+
 *   registers: 28 sums + 2 b + 1 v = 31 of 32.   2 c: 28 vpdpwssd, half the rate of vpdpbusd in
 *   products, so F(2x2) never wins here and F(4x4) does where the transforms are small. */
#include <immintrin.h>
#include <string.h>

#include "ops/kernels/gemm_s8.h"
#include "ops/kernels/winograd_s8.h"
#include "tensor/cpu.h"

enum { ROWS = 14, LANES = 16, WHOLE = 4 };
#define SHAPES(X) X(1) X(2) X(3) X(4) X(5) X(6) X(7) X(8) X(9) X(10) X(11) X(12) X(13) X(14)

typedef __m512i vec;
static inline vec vec_load(const void *p) { return _mm512_load_si512(p); }

#include "ops/kernels/gemm_s8_zmm.h"

INLINE vec widen(const uint8_t *p)
{
    return _mm512_cvtepu8_epi16(_mm256_loadu_si256((const void *)p));
}
INLINE void pairs_dot(vec *s, const int16_t *p, vec b0, vec b1)
{
    int32_t two;
    memcpy(&two, p, sizeof two);
    const vec a = _mm512_set1_epi32(two);
    s[0] = _mm512_dpwssd_epi32(s[0], a, b0);
    s[1] = _mm512_dpwssd_epi32(s[1], a, b1);
}

#include "ops/kernels/winograd_s8_tmpl.h"

static int place(int j, int p) { return oct_pack_order(LANES, j) * 2 + p; }

const oct_winograd_s8 oct_winograd_s8_avx512 = { "avx512", OCT_CPU_AVX512, NR, LANES, place, input,
                                                 product, output };
