/* winograd_s8, NEON: products of up to 8 tiles x 8 columns.  Contract in winograd_s8.h, the
 * transforms in winograd_s8_tmpl.h.
 *
 *                          u: 8 columns x 2 c, int16
 *                     +-----------+-----------+
 *                     | b0   c 0  | b1   c 1  |      2 q
 *                     +-----------+-----------+
 *   v, tile i         | s[2i]     | s[2i + 1] |     16 q: columns 0 .. 3, 4 .. 7
 *   2 c               +-----------+-----------+
 *   registers: 16 sums + 2 b + 1 v = 19 of 32.   2 c: 32 smlal.  With dotprod a product of bytes
 *   does 16 for the 4 of a smlal, so direct convolution wins there. */
#include <arm_neon.h>
#include <string.h>

#include "ops/kernels/gemm_s8.h"
#include "ops/kernels/winograd_s8.h"
#include "tensor/cpu.h"

enum { ROWS = 8, LANES = 4 };
#define SHAPES(X) X(1) X(2) X(3) X(4) X(5) X(6) X(7) X(8)

typedef int32x4_t vec;
static inline vec vec_load(const void *p) { return vld1q_s32(p); }

#include "ops/kernels/gemm_s8_q.h"

INLINE vec widen(const uint8_t *p)
{
    return vreinterpretq_s32_u16(vmovl_u8(vld1_u8(p)));
}
INLINE void pairs_dot(vec *s, const int16_t *p, vec b0, vec b1)
{
    const int16x8_t even = vreinterpretq_s16_s32(b0), odd = vreinterpretq_s16_s32(b1);
    s[0] = vmlal_n_s16(vmlal_n_s16(s[0], vget_low_s16(even), p[0]), vget_low_s16(odd), p[1]);
    s[1] = vmlal_high_n_s16(vmlal_high_n_s16(s[1], even, p[0]), odd, p[1]);
}

#include "ops/kernels/winograd_s8_tmpl.h"

static int place(int j, int p) { return p * NR + j; }

const oct_winograd_s8 oct_winograd_s8_neon = { "neon", OCT_CPU_NEON, NR, 0, place, input, product,
                                               output };
