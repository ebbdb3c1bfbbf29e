/* The row kernels in plain C: what every variant must equal to the bit. */
#include "ops/kernels/vec.h"

#include "ops/kernels/math_f32.h"

static float apply(oct_act act, float x)
{
    switch (act) {
    case OCT_ACT_RELU:    return oct_relu_f32(x);
    case OCT_ACT_RELU6:   return oct_relu6_f32(x);
    case OCT_ACT_SIGMOID: return oct_sigmoid_f32(x);
    case OCT_ACT_TANH:    return oct_tanh_f32(x);
    case OCT_ACT_GELU:    return oct_gelu_f32(x);
    default:              return x;
    }
}

static void act_rows(oct_act act, size_t n, const float *x, float *y)
{
    for (size_t i = 0; i < n; i++) y[i] = apply(act, x[i]);
}

static void add(oct_act act, size_t n, const float *a, const float *b, float *y)
{
    for (size_t i = 0; i < n; i++) y[i] = apply(act, a[i] + b[i]);
}

static void scale_bias(size_t count, int width, const float *x, const float *mean,
                       const float *scale, const float *bias, float *y)
{
    for (size_t p = 0; p < count; p++, x += width, y += width)
        for (int l = 0; l < width; l++) y[l] = fmaf(x[l] - mean[l], scale[l], bias[l]);
}

static void window_max(const oct_vec_windows *w, const float *x, float *y)
{
    for (int o = 0; o < w->count; o++, x += w->step, y += w->width)
        for (int l = 0; l < w->width; l++) {
            float m = x[l];
            for (int i = 0; i < w->rows; i++)
                for (int j = 0; j < w->cols; j++) {
                    const float tap = x[(size_t)i * w->row + (size_t)j * w->col + (size_t)l];
                    if (tap > m || isnan(tap)) m = tap;
                }
            y[l] = m;
        }
}

static void window_sum(const oct_vec_windows *w, const float *x, float scale, float *y)
{
    for (int o = 0; o < w->count; o++, x += w->step, y += w->width)
        for (int l = 0; l < w->width; l++) {
            float sum = 0;
            for (int i = 0; i < w->rows; i++)
                for (int j = 0; j < w->cols; j++)
                    sum += x[(size_t)i * w->row + (size_t)j * w->col + (size_t)l];
            y[l] = sum * scale;
        }
}

static float max(size_t n, const float *x)
{
    float m = -INFINITY;
    for (size_t i = 0; i < n; i++) m = oct_max_f32(x[i], m);
    return m + 0.0f;
}

static float exp_sum(size_t n, const float *x, float top, float *y)
{
    float lane[16] = { 0 };
    for (size_t i = 0; i < n; i++) {
        y[i] = oct_exp_f32(x[i] - top);
        lane[i % 16] += y[i];
    }
    return oct_lanes_f32(lane);
}

static void divide(size_t n, const float *x, float d, float *y)
{
    for (size_t i = 0; i < n; i++) y[i] = x[i] / d;
}

static void norm(size_t n, const float *x, const float *gamma, const float *beta, float eps,
                 float *y)
{
    float sum[16] = { 0 }, squares[16] = { 0 };
    for (size_t i = 0; i < n; i++) sum[i % 16] += x[i];
    const float mean = oct_lanes_f32(sum) / (float)n;
    for (size_t i = 0; i < n; i++) {
        y[i] = x[i] - mean;
        squares[i % 16] = fmaf(y[i], y[i], squares[i % 16]);
    }
    const float r = 1 / sqrtf(oct_lanes_f32(squares) / (float)n + eps);
    for (size_t i = 0; i < n; i++) y[i] = fmaf(y[i] * r, gamma[i], beta[i]);
}

static void transpose(size_t rows, size_t cols, const float *x, size_t ldx, float *y, size_t ldy)
{
    for (size_t j = 0; j < cols; j++)
        for (size_t i = 0; i < rows; i++) y[j * ldy + i] = x[i * ldx + j];
}

const oct_vec oct_vec_ref = {
    "ref", "vec/ref", 0,
    act_rows, add, scale_bias, window_max, window_sum, max, exp_sum, divide, norm, transpose,
};
