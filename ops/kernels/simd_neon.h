#ifndef OCT_OPS_KERNELS_SIMD_NEON_H
#define OCT_OPS_KERNELS_SIMD_NEON_H

/* Four floats; what the functions mean is in simd_math.h.  The includer has
 * included <arm_neon.h>. */
#include <stddef.h>
#include <stdint.h>

typedef float32x4_t vf;
typedef uint32x4_t vm;
enum { VW = 4 };

static inline vf v_set1(float x) { return vdupq_n_f32(x); }
static inline vf v_load(const float *p) { return vld1q_f32(p); }

static inline vf v_load_part(const float *p, int n)
{
    vf v = vdupq_n_f32(0);
    if (n > 0) v = vld1q_lane_f32(p, v, 0);
    if (n > 1) v = vld1q_lane_f32(p + 1, v, 1);
    if (n > 2) v = vld1q_lane_f32(p + 2, v, 2);
    return v;
}

static inline void v_store(float *p, vf v) { vst1q_f32(p, v); }

static inline void v_store_part(float *p, vf v, int n)
{
    if (n & 2) {
        vst1_f32(p, vget_low_f32(v));
        if (n & 1) vst1q_lane_f32(p + 2, v, 2);
    } else if (n & 1) {
        vst1q_lane_f32(p, v, 0);
    }
}

static inline vf v_add(vf a, vf b) { return vaddq_f32(a, b); }
static inline vf v_sub(vf a, vf b) { return vsubq_f32(a, b); }
static inline vf v_mul(vf a, vf b) { return vmulq_f32(a, b); }
static inline vf v_div(vf a, vf b) { return vdivq_f32(a, b); }
static inline vf v_fma(vf a, vf b, vf c) { return vfmaq_f32(c, a, b); }
/* Not FMAX and FMIN: those differ on NaN and on zeros of both signs. */
static inline vf v_max(vf a, vf b) { return vbslq_f32(vcgtq_f32(a, b), a, b); }
static inline vf v_min(vf a, vf b) { return vbslq_f32(vcltq_f32(a, b), a, b); }
static inline vf v_abs(vf a) { return vabsq_f32(a); }

static inline vf v_copysign(vf a, vf sign)
{
    return vbslq_f32(vdupq_n_u32(0x80000000u), sign, a);
}

static inline vm v_less(vf a, vf b) { return vcltq_f32(a, b); }

static inline vm v_unordered(vf a, vf b)
{
    return vmvnq_u32(vandq_u32(vceqq_f32(a, a), vceqq_f32(b, b)));
}

static inline vm v_or(vm a, vm b) { return vorrq_u32(a, b); }
static inline vm v_none(void) { return vdupq_n_u32(0); }
static inline vf v_select(vm m, vf a, vf b) { return vbslq_f32(m, a, b); }

static inline vf v_keep(vf v, int n)
{
    static const uint32_t ones[8] = { ~0u, ~0u, ~0u, ~0u };
    return vreinterpretq_f32_u32(vandq_u32(vreinterpretq_u32_f32(v), vld1q_u32(ones + 4 - n)));
}

static inline vf v_pow2(vf t)
{
    const uint32x4_t n = vshlq_n_u32(vreinterpretq_u32_f32(t), 23);
    return vreinterpretq_f32_u32(vaddq_u32(n, vdupq_n_u32(0x3f800000u)));
}

static inline vf v_quads(const float *const *row, size_t col) { return vld1q_f32(row[0] + col); }

static inline void v_transpose4(vf v[4])
{
    const float32x4_t a = vzip1q_f32(v[0], v[2]), b = vzip2q_f32(v[0], v[2]);
    const float32x4_t c = vzip1q_f32(v[1], v[3]), d = vzip2q_f32(v[1], v[3]);
    v[0] = vzip1q_f32(a, c);
    v[1] = vzip2q_f32(a, c);
    v[2] = vzip1q_f32(b, d);
    v[3] = vzip2q_f32(b, d);
}

static inline void v_store3(float *p, vf a, vf b, vf c)
{
    vst3q_f32(p, (float32x4x3_t){ { a, b, c } });
}

#endif
