/* The row kernels on vectors of VW floats, for vec_avx2.c, vec_avx512.c and vec_neon.c, which
 * include their simd_<isa>.h, simd_math.h and this.  Lanes hold different outputs (window_*,
 * scale_bias, elementwise) or different virtual lanes (exp_sum), so no bit depends on VW.
 *
 * Ends of rows: where y may be x, one partial vector; where it may not, the last whole vector ends
 * at the row's end and computes a few outputs a second time. */
#include "ops/kernels/vec.h"

#include <string.h>

static inline vf v_apply(oct_act act, vf x)
{
    switch (act) {
    case OCT_ACT_RELU:    return v_relu(x);
    case OCT_ACT_RELU6:   return v_relu6(x);
    case OCT_ACT_SIGMOID: return v_sigmoid(x);
    case OCT_ACT_TANH:    return v_tanh(x);
    case OCT_ACT_GELU:    return v_gelu(x);
    default:              return x;
    }
}

/* act is a constant where this is called, so each loop has one function in it. */
static inline void act_loop(oct_act act, size_t n, const float *x, float *y)
{
    size_t i = 0;
    for (; i + VW <= n; i += VW) v_store(y + i, v_apply(act, v_load(x + i)));
    const int left = (int)(n - i);
    if (left) v_store_part(y + i, v_apply(act, v_load_part(x + i, left)), left);
}

static void act_rows(oct_act act, size_t n, const float *x, float *y)
{
    switch (act) {
    case OCT_ACT_RELU:    act_loop(OCT_ACT_RELU, n, x, y); break;
    case OCT_ACT_RELU6:   act_loop(OCT_ACT_RELU6, n, x, y); break;
    case OCT_ACT_SIGMOID: act_loop(OCT_ACT_SIGMOID, n, x, y); break;
    case OCT_ACT_TANH:    act_loop(OCT_ACT_TANH, n, x, y); break;
    case OCT_ACT_GELU:    act_loop(OCT_ACT_GELU, n, x, y); break;
    default:              if (n) memmove(y, x, n * sizeof *y); break;
    }
}

static inline void add_loop(oct_act act, size_t n, const float *a, const float *b, float *y)
{
    size_t i = 0;
    for (; i + VW <= n; i += VW) v_store(y + i, v_apply(act, v_add(v_load(a + i), v_load(b + i))));
    const int left = (int)(n - i);
    if (!left) return;
    const vf sum = v_add(v_load_part(a + i, left), v_load_part(b + i, left));
    v_store_part(y + i, v_apply(act, sum), left);
}

static void add(oct_act act, size_t n, const float *a, const float *b, float *y)
{
    switch (act) {
    case OCT_ACT_RELU:  add_loop(OCT_ACT_RELU, n, a, b, y); break;
    case OCT_ACT_RELU6: add_loop(OCT_ACT_RELU6, n, a, b, y); break;
    default:            add_loop(OCT_ACT_NONE, n, a, b, y); break;
    }
}

static void scale_bias(size_t count, int width, const float *x, const float *mean,
                       const float *scale, const float *bias, float *y)
{
    for (size_t p = 0; p < count; p++, x += width, y += width) {
        int l = 0;
        for (; l + VW <= width; l += VW)
            v_store(y + l, v_fma(v_sub(v_load(x + l), v_load(mean + l)), v_load(scale + l),
                                 v_load(bias + l)));
        const int left = width - l;
        if (!left) continue;
        const vf d = v_sub(v_load_part(x + l, left), v_load_part(mean + l, left));
        const vf s = v_load_part(scale + l, left), b = v_load_part(bias + l, left);
        v_store_part(y + l, v_fma(d, s, b), left);
    }
}

/* Channels from x on of one window: n of them, or a whole vector if n is VW. */
static inline vf tap(const float *x, int n) { return n == VW ? v_load(x) : v_load_part(x, n); }

static inline void put(float *y, vf v, int n)
{
    if (n == VW) v_store(y, v);
    else v_store_part(y, v, n);
}

/* v_max(tap, m) keeps m on equals and on NaN: the first of the largest, and `bad` knows of NaN. */
static inline vf max_2x2(const oct_vec_windows *w, const float *x, int n)
{
    const vf a = tap(x, n), b = tap(x + w->col, n);
    const vf c = tap(x + w->row, n), d = tap(x + w->row + w->col, n);
    const vm bad = v_or(v_unordered(a, b), v_unordered(c, d));
    return v_select(bad, v_set1(NAN), v_max(v_max(d, c), v_max(b, a)));
}

static inline vf max_any(const oct_vec_windows *w, const float *x, int n)
{
    vf m = tap(x, n);
    vm bad = v_unordered(m, m);
    for (int i = 0; i < w->rows; i++, x += w->row)
        for (int j = 0; j < w->cols; j++) {
            const vf t = tap(x + (size_t)j * w->col, n);
            bad = v_or(bad, v_unordered(t, t));
            m = v_max(t, m);
        }
    return v_select(bad, v_set1(NAN), m);
}

typedef vf window_fn(const oct_vec_windows *w, const float *x, int n);

/* One vector of channels after the other; fn is a constant and inlined. */
static inline void each_window(window_fn *fn, const oct_vec_windows *w, const float *x, float *y)
{
    const int width = w->width;
    for (int o = 0; o < w->count; o++, x += w->step, y += width) {
        int l = 0;
        for (; l + VW <= width; l += VW) v_store(y + l, fn(w, x + l, VW));
        if (l == width) continue;
        if (l) v_store(y + width - VW, fn(w, x + width - VW, VW));
        else put(y, fn(w, x, width), width);
    }
}

static void window_max(const oct_vec_windows *w, const float *x, float *y)
{
    if (w->rows == 2 && w->cols == 2) each_window(max_2x2, w, x, y);
    else each_window(max_any, w, x, y);
}

/* Four vectors side by side: one chain of additions alone would wait for each of its sums. */
static inline void sum_4(const oct_vec_windows *w, const float *x, vf scale, float *y)
{
    vf s0 = v_set1(0), s1 = s0, s2 = s0, s3 = s0;
    for (int i = 0; i < w->rows; i++, x += w->row) {
        const float *t = x;
        for (int j = 0; j < w->cols; j++, t += w->col) {
            s0 = v_add(s0, v_load(t));
            s1 = v_add(s1, v_load(t + VW));
            s2 = v_add(s2, v_load(t + 2 * VW));
            s3 = v_add(s3, v_load(t + 3 * VW));
        }
    }
    v_store(y, v_mul(s0, scale));
    v_store(y + VW, v_mul(s1, scale));
    v_store(y + 2 * VW, v_mul(s2, scale));
    v_store(y + 3 * VW, v_mul(s3, scale));
}

static inline void sum_1(const oct_vec_windows *w, const float *x, vf scale, float *y, int n)
{
    vf s = v_set1(0);
    for (int i = 0; i < w->rows; i++, x += w->row)
        for (int j = 0; j < w->cols; j++) s = v_add(s, tap(x + (size_t)j * w->col, n));
    put(y, v_mul(s, scale), n);
}

static void window_sum(const oct_vec_windows *w, const float *x, float scale, float *y)
{
    const vf s = v_set1(scale);
    const int width = w->width;
    for (int o = 0; o < w->count; o++, x += w->step, y += width) {
        int l = 0;
        for (; l + 4 * VW <= width; l += 4 * VW) sum_4(w, x + l, s, y + l);
        for (; l + VW <= width; l += VW) sum_1(w, x + l, s, y + l, VW);
        if (l == width) continue;
        if (l) sum_1(w, x + width - VW, s, y + width - VW, VW);
        else sum_1(w, x, s, y, width);
    }
}

static float max(size_t n, const float *x)
{
    float m = -INFINITY, lane[VW];
    size_t i = 0;
    if (n >= VW) {
        vf top = v_set1(m);
        for (; i + VW <= n; i += VW) top = v_max(v_load(x + i), top);
        v_store(lane, v_max(v_load(x + n - VW), top)); /* some twice: no order, no sum */
        for (int l = 0; l < VW; l++) m = oct_max_f32(lane[l], m);
        i = n;
    }
    for (; i < n; i++) m = oct_max_f32(x[i], m);
    return m + 0.0f;
}

enum { PARTS = 16 / VW }; /* vectors that hold the sixteen lanes of a sum */

static inline float sum_lanes(const vf part[PARTS])
{
    float lane[16];
    for (int v = 0; v < PARTS; v++) v_store(lane + v * VW, part[v]);
    return oct_lanes_f32(lane);
}

static float exp_sum(size_t n, const float *x, float top, float *y)
{
    const vf m = v_set1(top);
    vf sum[PARTS];
    for (int v = 0; v < PARTS; v++) sum[v] = v_set1(0);
    size_t i = 0;
    for (; i + 16 <= n; i += 16)
        for (int v = 0; v < PARTS; v++) {
            const vf e = v_exp(v_sub(v_load(x + i + v * VW), m));
            v_store(y + i + v * VW, e);
            sum[v] = v_add(sum[v], e);
        }
    for (int v = 0; v < PARTS && i < n; v++, i += VW) {
        const int left = n - i < VW ? (int)(n - i) : VW;
        const vf e = v_exp(v_sub(tap(x + i, left), m));
        put(y + i, e, left);
        sum[v] = v_add(sum[v], left < VW ? v_keep(e, left) : e); /* + 0 changes nothing */
    }
    return sum_lanes(sum);
}

static void divide(size_t n, const float *x, float d, float *y)
{
    const vf by = v_set1(d);
    size_t i = 0;
    for (; i + VW <= n; i += VW) v_store(y + i, v_div(v_load(x + i), by));
    const int left = (int)(n - i);
    if (left) v_store_part(y + i, v_div(v_load_part(x + i, left), by), left);
}

/* One vector of the sum of x, or of the squares of v = x - mean, which goes to y. */
static inline vf norm_step(int squares, const float *x, vf mean, float *y, int n, vf sum)
{
    if (!squares) return v_add(sum, tap(x, n));
    vf d = v_sub(tap(x, n), mean);
    put(y, d, n);
    if (n < VW) d = v_keep(d, n);
    return v_fma(d, d, sum);
}

static inline float norm_sum(int squares, size_t n, const float *x, vf mean, float *y)
{
    vf sum[PARTS];
    for (int v = 0; v < PARTS; v++) sum[v] = v_set1(0);
    size_t i = 0;
    for (; i + 16 <= n; i += 16)
        for (int v = 0; v < PARTS; v++)
            sum[v] = norm_step(squares, x + i + v * VW, mean, y + i + v * VW, VW, sum[v]);
    for (int v = 0; v < PARTS && i < n; v++, i += VW)
        sum[v] = norm_step(squares, x + i, mean, y + i, n - i < VW ? (int)(n - i) : VW, sum[v]);
    return sum_lanes(sum);
}

static void norm(size_t n, const float *x, const float *gamma, const float *beta, float eps,
                 float *y)
{
    const vf mean = v_set1(norm_sum(0, n, x, v_set1(0), y) / (float)n);
    const vf r = v_set1(1 / sqrtf(norm_sum(1, n, x, mean, y) / (float)n + eps));
    size_t i = 0;
    for (; i + VW <= n; i += VW)
        v_store(y + i, v_fma(v_mul(v_load(y + i), r), v_load(gamma + i), v_load(beta + i)));
    const int left = (int)(n - i);
    if (!left) return;
    const vf g = v_load_part(gamma + i, left), b = v_load_part(beta + i, left);
    v_store_part(y + i, v_fma(v_mul(v_load_part(y + i, left), r), g, b), left);
}

/* Up to VW rows, four columns at a time: each group of four lanes holds 4 x 4 of them.  Rows past
 * the last are read from the last and not written. */
static inline void transpose_rows(int rows, size_t cols, const float *x, size_t ldx, float *y,
                                  size_t ldy)
{
    const float *row[VW];
    for (int i = 0; i < VW; i++) row[i] = x + (size_t)(i < rows ? i : rows - 1) * ldx;
    size_t j = 0;
    for (; j + 4 <= cols; j += 4, y += 4 * ldy) {
        vf v[4] = { v_quads(row, j), v_quads(row + 1, j),
                    v_quads(row + 2, j), v_quads(row + 3, j) };
        v_transpose4(v);
        put(y, v[0], rows);
        put(y + ldy, v[1], rows);
        put(y + 2 * ldy, v[2], rows);
        put(y + 3 * ldy, v[3], rows);
    }
    for (; j < cols; j++, y += ldy)
        for (int i = 0; i < rows; i++) y[i] = row[i][j];
}

/* Three planes to pixels of three: the image a network begins with. */
static void interleave3(size_t cols, const float *a, const float *b, const float *c, float *y)
{
    size_t j = 0;
    for (; j + VW <= cols; j += VW)
        v_store3(y + 3 * j, v_load(a + j), v_load(b + j), v_load(c + j));
    for (; j < cols; j++) {
        y[3 * j] = a[j];
        y[3 * j + 1] = b[j];
        y[3 * j + 2] = c[j];
    }
}

static void transpose(size_t rows, size_t cols, const float *x, size_t ldx, float *y, size_t ldy)
{
    if (rows == 3 && ldy == 3) {
        interleave3(cols, x, x + ldx, x + 2 * ldx, y);
        return;
    }
    if ((rows == 1 && ldy == 1) || (cols == 1 && ldx == 1)) {
        memcpy(y, x, rows * cols * sizeof *y);
        return;
    }
    size_t i = 0;
    for (; i + VW <= rows; i += VW) transpose_rows(VW, cols, x + i * ldx, ldx, y + i, ldy);
    if (i == rows) return;
    if (i) i = rows - VW;
    const int left = (int)(rows - i);
    transpose_rows(left, cols, x + i * ldx, ldx, y + i, ldy);
}
