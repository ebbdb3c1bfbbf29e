/* gemm_s8, NEON with dotprod, tiles of two groups of up to 4 rows x 8 columns.  Contract in
 * gemm_s8.h.
 *
 * sdot multiplies signed bytes: the kernel takes a - 128 (the top bit flipped), and the packed bias
 * gives 128 * colsum back.  Exact for every byte.
 *
 *                          b: 8 columns x 4 k
 *                     +-----------+-----------+
 *                     | b0        | b1        |      2 q
 *                     +-----------+-----------+
 *   a, group 0 row i  | s[2i]     | s[2i + 1] |     16 q
 *   4 k, bcast  1 row | ...       | ...       |
 *                     +-----------+-----------+
 *   registers: 16 sums + 2 b + 1 a + 1 flip = 20 of 32; a ld1r a row, more of them in flight. */
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
    return vreinterpretq_s32_u32(veorq_u32(vdupq_n_u32(four), vdupq_n_u32(0x80808080)));
}
static inline vec vec_dot(vec s, vec a, vec b)
{
    return vdotq_s32(s, vreinterpretq_s8_s32(a), vreinterpretq_s8_s32(b));
}

#include "ops/kernels/gemm_s8_q.h"
#include "ops/kernels/gemm_s8_tmpl.h"

static int place(int j, int p) { return j * KR + p; }

const oct_gemm_s8 oct_gemm_s8_neondot = {
    .isa = "neondot", .needs = OCT_CPU_NEON | OCT_CPU_NEONDOT, .x_max = 255, .rows = ROWS,
    .nr = NR, .kr = KR,
    .flip = 128, .place = place, .tile = tile };
