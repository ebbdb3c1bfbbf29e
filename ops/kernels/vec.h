#ifndef OCT_OPS_KERNELS_VEC_H
#define OCT_OPS_KERNELS_VEC_H

#include <stddef.h>

#include "ops/attr.h"
#include "tensor/tensor.h"

/* Row kernels, FP32: what the operators other than matrix products do to runs of floats.
 *
 *   act         y[i] = f(x[i])                                 f as in math_f32.h; NONE copies
 *   add         y[i] = f(a[i] + b[i])                          NONE, RELU, RELU6
 *   scale_bias  y[p][l] = fma(x[p][l] - mean[l], scale[l], bias[l])    p < count, l < width
 *   window_max  y[o][l] = the first of the largest of window o's taps, NaN if one of them is NaN
 *   window_sum  y[o][l] = (0 + tap + tap ...) * scale          rows, then columns, rising
 *   max         the largest x[i] that is no NaN, plus +0; -infinity if there is none
 *   exp_sum     y[i] = exp(x[i] - max); returns their sum: element i goes to lane i % 16 of sixteen
 *               that start at +0, then l + (l + 8), + 4, + 2, + 1
 *   divide      y[i] = x[i] / d
 *   norm        y[i] = fma(v[i] * (1 / sqrt(q + eps)), gamma[i], beta[i]) where m = sum x / n,
 *               v[i] = x[i] - m, q = (sum of v[i] v[i]) / n; both sums on lanes as in exp_sum, the
 *               second with lane = fma(v, v, lane)                         n >= 1, n < 2^24
 *   transpose   y[j * ldy + i] = x[i * ldx + j]                i < rows, j < cols
 *
 * Any n >= 0, count, width, rows, cols >= 1; floats need no alignment.  Nothing outside the
 * operands is read or written: a row's end may be the next row's begin in another thread.
 * Exact: every step is one IEEE operation, so each variant gives ref's bits, NaN payloads excepted.
 * Errors against real numbers: act as stated in math_f32.h; window_sum of t taps (t + 1) eps
 * sum |tap| scale; exp_sum 17 + n/16 times eps of the sum, on top of exp's; norm as derived in
 * tests/check_vec.c.
 * y may be x, or a or b, in act, add, scale_bias, exp_sum, divide and norm; no other overlap. */

/* `count` windows of rows x cols taps each; tap (i, j) of window o, channel l is
 *     x[o * step + i * row + j * col + l],   l < width; y is [count][width] without gaps */
typedef struct oct_vec_windows {
    int rows, cols;      /* >= 1 */
    size_t row, col;     /* floats from a tap to the next */
    int count, width;
    size_t step;         /* floats from a window to the next */
} oct_vec_windows;

typedef struct oct_vec {
    const char *isa;     /* shown by benchmarks */
    const char *name;    /* "vec/avx2", for plan dumps */
    unsigned needs;      /* OCT_CPU_* flags that must all be set; 0 = always */
    void (*act)(oct_act act, size_t n, const float *x, float *y);
    void (*add)(oct_act act, size_t n, const float *a, const float *b, float *y);
    void (*scale_bias)(size_t count, int width, const float *x, const float *mean,
                       const float *scale, const float *bias, float *y);
    void (*window_max)(const oct_vec_windows *w, const float *x, float *y);
    void (*window_sum)(const oct_vec_windows *w, const float *x, float scale, float *y);
    float (*max)(size_t n, const float *x);
    float (*exp_sum)(size_t n, const float *x, float max, float *y);
    void (*divide)(size_t n, const float *x, float d, float *y);
    void (*norm)(size_t n, const float *x, const float *gamma, const float *beta, float eps,
                 float *y);
    void (*transpose)(size_t rows, size_t cols, const float *x, size_t ldx, float *y, size_t ldy);
} oct_vec;

extern const oct_vec oct_vec_ref, oct_vec_avx2, oct_vec_avx512, oct_vec_neon;

/* Everything this build contains, best first, ref last, then NULL. */
extern const oct_vec *const oct_vec_all[];
const oct_vec *oct_vec_pick(unsigned cpu_flags);

#endif
