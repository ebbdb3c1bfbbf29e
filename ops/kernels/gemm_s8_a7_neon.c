/* gemm_s8, NEON for 7-bit activations, tiles of two groups of up to 4 rows x 8 columns.  Contract
 * in gemm_s8.h.
 *
 * A vector of b is four columns x k 0, 1, then x k 2, 3: smull and smlal put two products in an
 * int16, exact as 2 * 127 * 128 = 32,512 < 32,767, and sadalp adds neighbours to a column's sum.
 *
 *                          b: 8 columns x 4 k
 *                     +-----------+-----------+
 *                     | b0        | b1        |      2 q
 *                     +-----------+-----------+
 *   a, group 0 row i  | s[2i]     | s[2i + 1] |     16 q
 *   4 k, bcast  1 row | ...       | ...       |
 *                     +-----------+-----------+
 *   registers: 16 sums + 2 b + 1 a + 1 product + 1 table = 21 of 32; a ld1r a row, more of them
 *   in flight. */
#include <arm_neon.h>
#include <string.h>

#include "ops/kernels/gemm_s8.h"
#include "tensor/cpu.h"

enum { ROWS = 4, LANES = 4 };
#define SHAPES(X) X(1, 1) X(2, 1) X(3, 1) X(4, 1) X(1, 2) X(2, 2) X(3, 2) X(4, 2)

typedef int32x4_t vec;
static inline vec vec_load(const void *p) { return vld1q_s32(p); }
static inline void vec_store(void *p, vec v) { vst1q_s32(p, v); }
static inline vec vec_dup(const uint8_t *p)
{
    uint32_t four;
    memcpy(&four, p, sizeof four);
    static const uint8_t spread[16] = { 0, 1, 0, 1, 0, 1, 0, 1, 2, 3, 2, 3, 2, 3, 2, 3 };
    const uint8x16_t a = vqtbl1q_u8(vreinterpretq_u8_u32(vdupq_n_u32(four)), vld1q_u8(spread));
    return vreinterpretq_s32_u8(a);
}
static inline vec vec_dot(vec s, vec a, vec b)
{
    const int8x16_t x = vreinterpretq_s8_s32(a), w = vreinterpretq_s8_s32(b);
    const int16x8_t low = vmull_s8(vget_low_s8(x), vget_low_s8(w));
    return vpadalq_s16(s, vmlal_high_s8(low, x, w));
}

#include "ops/kernels/gemm_s8_q.h"
#include "ops/kernels/gemm_s8_tmpl.h"

static int place(int j, int p) { return j / 4 * 16 + p / 2 * 8 + j % 4 * 2 + p % 2; }

const oct_gemm_s8 oct_gemm_s8_neon_a7 = {
    .isa = "neon", .needs = OCT_CPU_NEON, .x_max = 127, .rows = ROWS, .nr = NR, .kr = KR,
    .place = place, .tile = tile };
