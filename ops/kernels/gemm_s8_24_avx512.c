/* gemm_s8_24, AVX-512 VNNI, rows of 12 x 32 columns.  Contract in gemm_s8_24.h.
 *
 *   registers: 24 sums + 4 w and places + 1 a + 1 picked = 30 of 32.   8 k: 24 vpshufb and 24
 *   vpdpbusd on two ports, as many steps as the dense kernel's 48 vpdpbusd. */
#include <immintrin.h>
#include <string.h>

#include "ops/kernels/gemm_s8_24.h"
#include "tensor/cpu.h"

enum { ROWS = 12, LANES = 16, PACK = LANES };
enum { WHOLE = 1 };
#define SHAPES(X) X(1) X(2) X(3) X(4) X(5) X(6) X(7) X(8) X(9) X(10) X(11) X(12)

typedef __m512i vec;
static inline vec vec_load(const void *p) { return _mm512_load_si512(p); }
static inline void vec_store(void *p, vec v) { _mm512_store_si512(p, v); }
static inline vec vec_eight(const uint8_t *p)
{
    int64_t eight;
    memcpy(&eight, p, sizeof eight);
    return _mm512_set1_epi64(eight);
}
static inline vec vec_pick(vec x, vec at) { return _mm512_shuffle_epi8(x, at); }
static inline vec vec_dot(vec s, vec x, vec w) { return _mm512_dpbusd_epi32(s, x, w); }

#include "ops/kernels/gemm_s8_zmm.h"
#include "ops/kernels/gemm_s8_24_tmpl.h"

const oct_gemm_s8 oct_gemm_s8_24_avx512 = {
    .isa = "avx512", .needs = OCT_CPU_AVX512, .x_max = 255, .rows = ROWS, .nr = NR, .kr = KR,
    .lanes = LANES, .place = place, .tile = tile };
