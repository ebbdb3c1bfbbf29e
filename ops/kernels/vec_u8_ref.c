/* Row kernels on quantized values in plain C: what every variant must equal. */
#include "ops/kernels/vec_u8.h"

static void dequantize(size_t n, const uint8_t *x, const oct_quant *q, float *y)
{
    for (size_t i = 0; i < n; i++) y[i] = (float)(x[i] - q->zero) * q->scale;
}

static oct_range range(size_t n, const float *x)
{
    float lo = 0, hi = 0;
    for (size_t i = 0; i < n; i++) {
        const float v = fabsf(x[i]) < INFINITY ? x[i] : 0;
        lo = v < lo ? v : lo;
        hi = v > hi ? v : hi;
    }
    return (oct_range){ lo, hi };
}

static uint8_t to_byte(float v, int zero, int max)
{
    const float lo = (float)-zero, hi = (float)(max - zero);
    v = v > lo ? v : lo; /* NaN too */
    v = v < hi ? v : hi;
    return (uint8_t)((int)lrintf(v) + zero);
}

static void steps(size_t n, const float *x, float inverse, int zero, int max, uint8_t *y)
{
    for (size_t i = 0; i < n; i++) y[i] = to_byte(x[i] * inverse, zero, max);
}

static void steps_by(size_t n, const float *x, const float *inverse, int zero, int max, uint8_t *y)
{
    for (size_t i = 0; i < n; i++) y[i] = to_byte(x[i] * inverse[i], zero, max);
}

static void add(size_t n, const uint8_t *a, int zero_a, float scale_a, const uint8_t *b,
                const oct_requant *out, uint8_t *y)
{
    for (size_t i = 0; i < n; i++)
        y[i] = oct_requant_u8(oct_requant_add((float)(a[i] - zero_a) * scale_a, b[i], out), out);
}

static void window_max(const oct_vec_windows *w, const uint8_t *x, uint8_t *y)
{
    for (int o = 0; o < w->count; o++, x += w->step, y += w->width)
        for (int l = 0; l < w->width; l++) {
            uint8_t m = 0;
            for (int i = 0; i < w->rows; i++)
                for (int j = 0; j < w->cols; j++) {
                    const uint8_t tap = x[(size_t)i * w->row + (size_t)j * w->col + (size_t)l];
                    m = tap > m ? tap : m;
                }
            y[l] = m;
        }
}

static void window_sum(const oct_vec_windows *w, const uint8_t *x, int32_t bias, float scale,
                       const oct_requant *out, void *y)
{
    for (int o = 0; o < w->count; o++, x += w->step)
        for (int l = 0; l < w->width; l++) {
            int32_t s = bias;
            for (int i = 0; i < w->rows; i++)
                for (int j = 0; j < w->cols; j++)
                    s += x[(size_t)i * w->row + (size_t)j * w->col + (size_t)l];
            const size_t at = (size_t)o * (size_t)w->width + (size_t)l;
            const float v = (float)s * scale;
            if (out->kind == OCT_REQUANT_U8) ((uint8_t *)y)[at] = oct_requant_u8(v, out);
            else ((float *)y)[at] = v;
        }
}

const oct_vec_u8 oct_vec_u8_ref = {
    "ref", "vec_u8/ref", 0, dequantize, range, steps, steps_by, add,
    window_max, window_sum,
};
