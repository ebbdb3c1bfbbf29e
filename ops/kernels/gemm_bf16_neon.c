/* gemm_bf16, NEON without BF16 instructions: a bfloat16 is the upper half of a float, so a pair is
 * two floats after an AND and a shift, and two FMAs.  (bfdot sums two products first and rounds to
 * odd.)  Contract in gemm_bf16.h.
 *
 *   registers: 16 sums + 4 of b + 2 of a + 1 mask = 23 of 32.
 *   a step of two k: 32 FMAs, 20 others */
#include <arm_neon.h>
#include <string.h>

#include "ops/kernels/gemm_neon.h"
#include "tensor/cpu.h"

enum { ROWS = 4 };
#define SHAPES(X) X(1, 1) X(2, 1) X(3, 1) X(4, 1) X(1, 2) X(2, 2) X(3, 2) X(4, 2)

typedef uint32_t elem;
static inline vec vec_b(const elem *p) { return vreinterpretq_f32_u32(vld1q_u32(p)); }
static inline vec vec_a(const float *p)
{
    uint32_t pair;
    memcpy(&pair, p, sizeof pair);
    return vreinterpretq_f32_u32(vdupq_n_u32(pair));
}
static inline vec odd(vec v)
{
    return vreinterpretq_f32_u32(vandq_u32(vreinterpretq_u32_f32(v), vdupq_n_u32(0xffff0000)));
}
static inline vec even(vec v)
{
    return vreinterpretq_f32_u32(vshlq_n_u32(vreinterpretq_u32_f32(v), 16));
}
static inline vec vec_mac(vec a, vec b, vec s)
{
    return vec_fma(even(a), even(b), vec_fma(odd(a), odd(b), s));
}
static inline void round_lanes(const float *x, uint16_t *y)
{
    const uint32x4_t u = vreinterpretq_u32_f32(vld1q_f32(x)), top = vshrq_n_u32(u, 16);
    const uint32x4_t a = vandq_u32(u, vdupq_n_u32(0x7fffffff));
    const uint32x4_t last = vandq_u32(top, vdupq_n_u32(1));
    uint32x4_t r = vshrq_n_u32(vaddq_u32(vaddq_u32(u, vdupq_n_u32(0x7fff)), last), 16);
    r = vbslq_u32(vcgtq_u32(a, vdupq_n_u32(0x7f800000)), vorrq_u32(top, vdupq_n_u32(0x40)), r);
    r = vbslq_u32(vcltq_u32(a, vdupq_n_u32(0x00800000)), vandq_u32(top, vdupq_n_u32(0x8000)), r);
    vst1_u16(y, vmovn_u32(r));
}

#include "ops/kernels/gemm_bf16_tmpl.h"

const oct_gemm_f32 oct_gemm_bf16_neon = {
    "gemm_bf16", "neon", OCT_CPU_NEON, OCT_BF16, ROWS, NR, tile, gemv, pairs,
};
