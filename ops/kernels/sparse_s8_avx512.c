/* sparse_s8, AVX-512 VNNI: up to 14 vectors of 16 pixels, a column at a time.  Contract in
 * sparse_s8.h.
 *
 *                      w: 4 bytes, broadcast
 *                     +-----------+
 *   x, 16 pixels      | s[0]      |     14 zmm
 *                     | ...       |
 *                     +-----------+
 *   registers: 14 sums + 1 w + the x in flight, of 32.   a block: 14 vpdpbusd (7 cycles on two
 *   ports), 14 + 2 loads.  vpdpbusd takes its unsigned operand from a register, so each x is a load
 *   of its own; a tap's x crosses lines, two of them a cycle become one. */
#include <immintrin.h>
#include <string.h>

#include "ops/kernels/gemm_s8.h"
#include "ops/kernels/sparse_s8.h"
#include "tensor/cpu.h"

enum { LANES = 16, PACK = LANES, FLIP = 0, SUMS = 28, WAIT = 12, AT_ONCE = 4 };
enum { WHOLE = 1 };            /* nothing is: its tiles have one group */
#define SHAPES(X) X(1) X(2) X(3) X(4) X(5) X(6) X(7) X(8) X(9) X(10) X(11) X(12) X(13) X(14)

typedef __m512i vec;
#include "ops/kernels/gemm_s8_zmm.h"

INLINE vec vec_rows(const void *from, size_t step)
{
    const char *p = from;
    vec v = _mm512_castsi128_si512(_mm_loadu_si128((const void *)p));
    v = _mm512_inserti32x4(v, _mm_loadu_si128((const void *)(p + step)), 1);
    v = _mm512_inserti32x4(v, _mm_loadu_si128((const void *)(p + 2 * step)), 2);
    return _mm512_inserti32x4(v, _mm_loadu_si128((const void *)(p + 3 * step)), 3);
}
INLINE void vec_put(void *p, vec v) { _mm512_storeu_si512(p, v); }
INLINE vec vec_low32(vec a, vec b) { return _mm512_unpacklo_epi32(a, b); }
INLINE vec vec_high32(vec a, vec b) { return _mm512_unpackhi_epi32(a, b); }
INLINE vec vec_low64(vec a, vec b) { return _mm512_unpacklo_epi64(a, b); }
INLINE vec vec_high64(vec a, vec b) { return _mm512_unpackhi_epi64(a, b); }
INLINE vec vec_low16(vec a, vec b) { return _mm512_unpacklo_epi16(a, b); }
INLINE vec vec_high16(vec a, vec b) { return _mm512_unpackhi_epi16(a, b); }
INLINE vec vec_low8(vec a, vec b) { return _mm512_unpacklo_epi8(a, b); }
INLINE vec vec_high8(vec a, vec b) { return _mm512_unpackhi_epi8(a, b); }
INLINE vec vec_input(const void *p, size_t step) { return vec_rows(p, step); }
#include "ops/kernels/sparse_s8_xmm.h"

INLINE vec vec_load(const void *p) { return _mm512_loadu_si512(p); }
INLINE void vec_store(void *p, vec v) { _mm512_store_si512(p, v); }
INLINE vec vec_dup(int32_t x) { return _mm512_set1_epi32(x); }
INLINE vec vec_dot(vec s, vec x, vec w) { return _mm512_dpbusd_epi32(s, x, w); }
INLINE vec vec_sum(vec a, vec b) { return _mm512_add_epi32(a, b); }

#include "ops/kernels/sparse_s8_4x1.h"
#include "ops/kernels/sparse_s8_dot.h"
#include "ops/kernels/sparse_s8_tmpl.h"

const oct_sparse_s8 oct_sparse_s8_avx512 = {
    .isa = "avx512", .needs = OCT_CPU_AVX512, .x_max = 255, .share = 1, .lanes = LANES,
    .vecs = VECS, .nr = NR, .pack = PACK, .input = input, .tile = tile };

const oct_sparse_s8 oct_sparse_s8_4x1_avx512 = {
    .isa = "avx512", .needs = OCT_CPU_AVX512, .x_max = 255, .share = SHARE, .lanes = PIECE,
    .vecs = PIECES, .nr = NR, .pack = PACK, .input = input_4x1, .tile = tile_4x1 };
