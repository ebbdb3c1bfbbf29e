/* gemm_s8_24, NEON with dotprod, rows of 8 x 8 columns.  Contract in gemm_s8_24.h.
 *
 *   registers: 16 sums + 4 w and places + 1 a + 1 picked + flip = 23 of 32.   8 k of a row and a
 *   vector: tbl and sdot for the dense kernel's two sdot. */
#include <arm_neon.h>
#include <string.h>

#include "ops/kernels/gemm_s8_24.h"
#include "tensor/cpu.h"

#include "ops/kernels/gemm_s8_24_q.h"
static inline vec vec_dot(vec s, vec x, vec w)
{
    return vdotq_s32(s, vreinterpretq_s8_s32(x), vreinterpretq_s8_s32(w));
}
#include "ops/kernels/gemm_s8_24_tmpl.h"

const oct_gemm_s8 oct_gemm_s8_24_neondot = {
    .isa = "neondot", .needs = OCT_CPU_NEON | OCT_CPU_NEONDOT, .x_max = 255, .rows = ROWS, .nr = NR,
    .kr = KR, .flip = 128, .place = place, .tile = tile };
