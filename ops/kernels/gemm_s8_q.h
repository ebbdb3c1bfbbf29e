/* finish() of gemm_s8 for NEON: a tile's sums -> c.  Contract in requant.h.
 *
 * vcvtn rounds to nearest even and saturates, so do the narrowing moves, so both clamps come after
 * the rounding.  Columns are in order. */
#include "ops/kernels/gemm_s8_rows.h"

typedef struct u8_params {
    float32x4_t bias[2], scale[2], residual_scale, residual_zero;
    int16x8_t low, high, zero;
} u8_params;

static inline void store_part(void *c, const void *from, int cols, size_t size)
{
    memcpy(c, from, (size_t)(cols < NR ? cols : NR) * size);
}

static inline void row_u8(const oct_gemm_s8_args *t, const u8_params *p, const int32_t *acc,
                          row_pos x)
{
    float32x4_t y0 = vaddq_f32(vcvtq_f32_s32(vld1q_s32(acc)), p->bias[0]);
    float32x4_t y1 = vaddq_f32(vcvtq_f32_s32(vld1q_s32(acc + LANES)), p->bias[1]);
    y0 = vmulq_f32(y0, p->scale[0]);
    y1 = vmulq_f32(y1, p->scale[1]);
    if (t->residual[0]) {
        const uint16x8_t w = vmovl_u8(vld1_u8((const uint8_t *)t->residual[x.group] + x.at));
        const float32x4_t r0 = vcvtq_f32_u32(vmovl_u16(vget_low_u16(w)));
        const float32x4_t r1 = vcvtq_f32_u32(vmovl_u16(vget_high_u16(w)));
        y0 = vfmaq_f32(y0, vsubq_f32(r0, p->residual_zero), p->residual_scale);
        y1 = vfmaq_f32(y1, vsubq_f32(r1, p->residual_zero), p->residual_scale);
    }
    int16x8_t q = vcombine_s16(vqmovn_s32(vcvtnq_s32_f32(y0)), vqmovn_s32(vcvtnq_s32_f32(y1)));
    q = vaddq_s16(vminq_s16(vmaxq_s16(q, p->low), p->high), p->zero);
    uint8_t bytes[NR];
    vst1_u8(bytes, vqmovun_s16(q));
    store_part((uint8_t *)t->c[x.group] + x.at, bytes, t->cols, 1);
}

static inline float32x4_t clamp_f32(float32x4_t y, oct_act act) /* fmax differs on NaN and -0 */
{
    const float32x4_t zero = vdupq_n_f32(0), six = vdupq_n_f32(6);
    if (act != OCT_ACT_NONE) y = vbslq_f32(vcltq_f32(y, zero), zero, y);
    if (act == OCT_ACT_RELU6) y = vbslq_f32(vcgtq_f32(y, six), six, y);
    return y;
}

static void row_f32(const oct_gemm_s8_args *t, const int32_t *acc, row_pos x)
{
    const float *scale = (const float *)t->panel + NR, *fbias = scale + NR;
    const int32_t *colsum = (const int32_t *)t->panel + 3 * NR;
    float y[NR], r[NR] = { 0 };
    if (t->residual[0])
        store_part(r, (const float *)t->residual[x.group] + x.at, t->cols, sizeof *r);
    for (int l = 0; l < NR; l += LANES) {
        int32x4_t s = vld1q_s32(acc + l);
        if (t->row_zero[0])
            s = vmlsq_n_s32(s, vld1q_s32(colsum + l), t->row_zero[x.group][x.i]);
        float32x4_t v = vmulq_f32(vcvtq_f32_s32(s), vld1q_f32(scale + l));
        if (t->row_scale[0]) v = vmulq_n_f32(v, t->row_scale[x.group][x.i]);
        v = vaddq_f32(v, vld1q_f32(fbias + l));
        if (t->residual[0]) v = vaddq_f32(v, vld1q_f32(r + l));
        vst1q_f32(y + l, clamp_f32(v, t->out->act));
    }
    store_part((float *)t->c[x.group] + x.at, y, t->cols, sizeof *y);
}

static __attribute__((noinline)) void finish(const oct_gemm_s8_args *t, const int32_t (*acc)[NR])
{
    const oct_requant *q = t->out;
    const float *scale = (const float *)t->panel + NR, *fbias = scale + NR;
    const u8_params p = {
        .bias = { vld1q_f32(fbias), vld1q_f32(fbias + LANES) },
        .scale = { vld1q_f32(scale), vld1q_f32(scale + LANES) },
        .residual_scale = vdupq_n_f32(q->residual_scale),
        .residual_zero = vdupq_n_f32((float)q->residual_zero),
        .low = vdupq_n_s16((int16_t)(q->lo - q->zero)),
        .high = vdupq_n_s16((int16_t)(q->hi - q->zero)), .zero = vdupq_n_s16((int16_t)q->zero) };
    for (int r = 0; r < t->rows * t->groups; r++) {
        const row_pos x = row_of(t, r);
        if (q->kind == OCT_REQUANT_U8) row_u8(t, &p, acc[r], x);
        else if (q->kind == OCT_REQUANT_F32) row_f32(t, acc[r], x);
        else store_part((int32_t *)t->c[x.group] + x.at, acc[r], t->cols, sizeof **acc);
    }
}
