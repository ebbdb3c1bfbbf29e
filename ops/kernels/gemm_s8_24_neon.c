/* gemm_s8_24, NEON for any byte, rows of 8 x 8 columns.  Contract in gemm_s8_24.h.
 *
 * smull makes int16 products of two columns, which are added in pairs to int32, then these in pairs
 * to sums of 4.  A product of -128 by -128 fits int16, two do not, so nothing is added in int16.
 *
 *   registers: 16 sums + 4 w and places + 1 a + 1 picked + 2 products + flip = 25 of 32. */
#include <arm_neon.h>
#include <string.h>

#include "ops/kernels/gemm_s8_24.h"
#include "tensor/cpu.h"

#include "ops/kernels/gemm_s8_24_q.h"
static inline vec vec_dot(vec s, vec x, vec w)
{
    const int8x16_t a = vreinterpretq_s8_s32(x), b = vreinterpretq_s8_s32(w);
    const vec low = vpaddlq_s16(vmull_s8(vget_low_s8(a), vget_low_s8(b)));
    const vec high = vpaddlq_s16(vmull_high_s8(a, b));
    return vaddq_s32(s, vpaddq_s32(low, high));
}
#include "ops/kernels/gemm_s8_24_tmpl.h"

const oct_gemm_s8 oct_gemm_s8_24_neon = {
    .isa = "neon", .needs = OCT_CPU_NEON, .x_max = 255, .rows = ROWS, .nr = NR, .kr = KR,
    .flip = 128, .place = place, .tile = tile };
