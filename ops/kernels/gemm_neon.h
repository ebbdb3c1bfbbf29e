#ifndef OCT_OPS_KERNELS_GEMM_NEON_H
#define OCT_OPS_KERNELS_GEMM_NEON_H

/* gemm_f32_tmpl.h's words for four floats.  fmax would differ from x < 0 ? 0 : x on NaN and -0:
 * compare and select instead.  The includer has included <arm_neon.h>. */
#include "ops/kernels/gemm_f32.h"

enum { LANES = 4 };

typedef float32x4_t vec;
static inline vec vec_zero(void) { return vdupq_n_f32(0); }
static inline vec vec_load(const float *p) { return vld1q_f32(p); }
static inline vec vec_dup(const float *p) { return vld1q_dup_f32(p); }
static inline vec vec_fma(vec a, vec b, vec s) { return vfmaq_f32(s, a, b); }
static inline vec vec_add(vec a, vec b) { return vaddq_f32(a, b); }

static inline vec vec_clamp(vec y, oct_act act)
{
    const vec zero = vdupq_n_f32(0), six = vdupq_n_f32(6);
    if (act != OCT_ACT_NONE) y = vbslq_f32(vcltq_f32(y, zero), zero, y);
    if (act == OCT_ACT_RELU6) y = vbslq_f32(vcgtq_f32(y, six), six, y);
    return y;
}

static inline vec vec_load_n(const float *p, int n) /* there is no masked load: lane by lane */
{
    if (n >= LANES) return vld1q_f32(p);
    float part[LANES] = { 0 };
    for (int l = 0; l < n; l++) part[l] = p[l];
    return vld1q_f32(part);
}
static inline void vec_store_n(float *p, int n, vec v)
{
    if (n >= LANES) {
        vst1q_f32(p, v);
        return;
    }
    float part[LANES];
    vst1q_f32(part, v);
    for (int l = 0; l < n; l++) p[l] = part[l];
}

#endif
