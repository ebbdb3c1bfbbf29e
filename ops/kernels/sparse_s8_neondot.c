/* sparse_s8, NEON with dotprod: up to 14 vectors of 4 pixels, a column at a time.  Contract in
 * sparse_s8.h.
 *
 * sdot multiplies signed bytes: the strip holds x - 128, and the packed bias gives 128 * colsum
 * back.  The register map is sparse_s8_avx512.c's with q registers. */
#include <arm_neon.h>
#include <string.h>

#include "ops/kernels/gemm_s8.h"
#include "ops/kernels/sparse_s8.h"
#include "tensor/cpu.h"

#include "ops/kernels/sparse_s8_q.h"

INLINE vec vec_dot(vec s, vec x, vec w)
{
    return vdotq_s32(s, vreinterpretq_s8_s32(x), vreinterpretq_s8_s32(w));
}

#include "ops/kernels/sparse_s8_4x1.h"
#include "ops/kernels/sparse_s8_dot.h"
#include "ops/kernels/sparse_s8_tmpl.h"

const oct_sparse_s8 oct_sparse_s8_neondot = {
    .isa = "neondot", .needs = OCT_CPU_NEON | OCT_CPU_NEONDOT, .x_max = 255, .share = 1,
    .lanes = LANES, .vecs = VECS, .nr = NR, .pack = PACK, .flip = 128, .input = input,
    .tile = tile };

const oct_sparse_s8 oct_sparse_s8_4x1_neondot = {
    .isa = "neondot", .needs = OCT_CPU_NEON | OCT_CPU_NEONDOT, .x_max = 255, .share = SHARE,
    .lanes = PIECE, .vecs = PIECES, .nr = NR, .pack = PACK, .flip = 128, .input = input_4x1,
    .tile = tile_4x1 };
