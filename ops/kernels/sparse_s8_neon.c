/* sparse_s8, NEON for any byte: up to 14 vectors of 4 pixels, a column at a time.  Contract in
 * sparse_s8.h.
 *
 * There is no product of unsigned by signed bytes: the strip holds x - 128, and the packed bias
 * gives 128 * colsum back.  smull makes int16 products of two pixels, which are added in pairs to
 * int32, then these in pairs to sums of 4.  A product of -128 by -128 fits int16, two do not, so
 * nothing is added in int16. */
#include <arm_neon.h>
#include <string.h>

#include "ops/kernels/gemm_s8.h"
#include "ops/kernels/sparse_s8.h"
#include "tensor/cpu.h"

#include "ops/kernels/sparse_s8_q.h"

INLINE vec vec_dot(vec s, vec x, vec w)
{
    const int8x16_t a = vreinterpretq_s8_s32(x), b = vreinterpretq_s8_s32(w);
    const vec low = vpaddlq_s16(vmull_s8(vget_low_s8(a), vget_low_s8(b)));
    const vec high = vpaddlq_s16(vmull_high_s8(a, b));
    return vaddq_s32(s, vpaddq_s32(low, high));
}

#include "ops/kernels/sparse_s8_4x1.h"
#include "ops/kernels/sparse_s8_dot.h"
#include "ops/kernels/sparse_s8_tmpl.h"

const oct_sparse_s8 oct_sparse_s8_neon = {
    .isa = "neon", .needs = OCT_CPU_NEON, .x_max = 255, .share = 1,
    .lanes = LANES, .vecs = VECS, .nr = NR, .pack = PACK, .flip = 128, .input = input,
    .tile = tile };

const oct_sparse_s8 oct_sparse_s8_4x1_neon = {
    .isa = "neon", .needs = OCT_CPU_NEON, .x_max = 255, .share = SHARE,
    .lanes = PIECE, .vecs = PIECES, .nr = NR, .pack = PACK, .flip = 128, .input = input_4x1,
    .tile = tile_4x1 };
