/* winograd_f32, NEON: 4 channels a vector.  Contract in winograd_f32.h, code in
 * winograd_f32_tmpl.h.  Registers of a pass of F(4): 17 of 32; F(2)'s tile: 16 values + 4 = 20. */
#include <arm_neon.h>
#include <string.h>

#include "ops/kernels/winograd_f32.h"
#include "tensor/cpu.h"

enum { LANES = 4 };
typedef float32x4_t vec;

static inline vec load(const float *p) { return vld1q_f32(p); }
static inline void store(float *p, vec x) { vst1q_f32(p, x); }
static inline vec set1(float x) { return vdupq_n_f32(x); }

static inline vec load_n(const float *p, int n)
{
    float x[4] = { 0 };
    memcpy(x, p, (size_t)n * sizeof *p);
    return vld1q_f32(x);
}

static inline void store_n(float *p, vec x, int n)
{
    float out[4];
    vst1q_f32(out, x);
    memcpy(p, out, (size_t)n * sizeof *p);
}

static inline vec add(vec a, vec b) { return vaddq_f32(a, b); }
static inline vec sub(vec a, vec b) { return vsubq_f32(a, b); }
static inline vec mul(vec a, vec b) { return vmulq_f32(a, b); }
static inline vec madd(vec a, vec b, vec c) { return vfmaq_f32(c, a, b); }
static inline vec nmadd(vec a, vec b, vec c) { return vfmsq_f32(c, a, b); }

/* not fmax and fmin, which differ in NaN and -0: compare and select */
static inline vec relu(vec x)
{
    const vec zero = vdupq_n_f32(0.0f);
    return vbslq_f32(vcltq_f32(x, zero), zero, x);
}
static inline vec min6(vec x)
{
    const vec six = vdupq_n_f32(6.0f);
    return vbslq_f32(vcgtq_f32(x, six), six, x);
}

#include "ops/kernels/winograd_f32_tmpl.h"

const oct_winograd_f32 oct_winograd_f32_neon = { "neon", OCT_CPU_NEON, input, output };
