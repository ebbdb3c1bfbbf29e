/* vec_u8 on vectors of VW floats and of B bytes, for vec_u8_avx2.c, _avx512.c and _neon.c, which
 * include their simd_<isa>.h and define
 *     B, bytes           how many bytes window_max takes at a time, and their vector
 *     b_load(p)  b_store(p, v)  b_max(a, b)
 *     b_load_part(p, n)  b_store_part(p, v, n)    the first n < B of them
 *     v_load_u8(p)       VW bytes, as floats
 *     v_store_u8(p, v)   VW floats in 0 .. 255, rounded to nearest even, as bytes
 * Ends of rows are done like the rest, on a copy: a last vector that ends where the row ends would
 * do where y is not x, but rows of one pixel of three channels are shorter than any vector. */
#include "ops/kernels/vec_u8.h"

#include <string.h>

#define INLINE static inline __attribute__((always_inline))
#ifdef __clang__
#define UNROLL /* it does so where the count is known, and warns where it is not */
#else
#define UNROLL _Pragma("GCC unroll 3")
#endif

/* v in steps, not yet rounded -> bytes.  The clamp's bounds are integers, so is zero, and it is
 * added after the rounding. */
static inline vf to_steps(vf v, vf lo, vf hi, vf zero)
{
    const vf magic = v_set1(0x1.8p23f); /* |v| <= 255: the sum has no bits below 1 */
    v = v_min(v_max(v, lo), hi);
    return v_add(v_sub(v_add(v, magic), magic), zero);
}

static inline vf load_u8_part(const uint8_t *p, size_t n)
{
    uint8_t copy[16] = { 0 };
    memcpy(copy, p, n);
    return v_load_u8(copy);
}

static inline void store_u8_part(uint8_t *p, vf v, size_t n)
{
    uint8_t copy[16];
    v_store_u8(copy, v);
    memcpy(p, copy, n);
}

static void dequantize(size_t n, const uint8_t *x, const oct_quant *q, float *y)
{
    const vf scale = v_set1(q->scale), zero = v_set1((float)q->zero);
    size_t i = 0;
    for (; i + VW <= n; i += VW) v_store(y + i, v_mul(v_sub(v_load_u8(x + i), zero), scale));
    if (i == n) return;
    const vf v = v_mul(v_sub(load_u8_part(x + i, n - i), zero), scale);
    v_store_part(y + i, v, (int)(n - i));
}

typedef struct ends { vf lo, hi; } ends;

/* v_min(x, lo) keeps lo where they are equal: a zero never takes the place of +0. */
static inline ends widen(ends e, vf x)
{
    const vf v = v_select(v_less(v_abs(x), v_set1(INFINITY)), x, v_set1(0));
    return (ends){ v_min(v, e.lo), v_max(v, e.hi) };
}

/* PARTS chains side by side: one alone would wait for each of its comparisons. */
static oct_range range(size_t n, const float *x)
{
    enum { PARTS = 4 };
    float lo[VW], hi[VW];
    ends e[PARTS];
    size_t i = 0;
    for (int k = 0; k < PARTS; k++) e[k] = (ends){ v_set1(0), v_set1(0) };
    for (; i + PARTS * VW <= n; i += PARTS * VW)
        for (int k = 0; k < PARTS; k++) e[k] = widen(e[k], v_load(x + i + k * VW));
    for (; i + VW <= n; i += VW) e[0] = widen(e[0], v_load(x + i));
    if (i < n) e[0] = widen(e[0], v_load_part(x + i, (int)(n - i)));
    for (int k = 1; k < PARTS; k++)
        e[0] = (ends){ v_min(e[k].lo, e[0].lo), v_max(e[k].hi, e[0].hi) };
    v_store(lo, e[0].lo);
    v_store(hi, e[0].hi);
    oct_range r = { 0, 0 };
    for (int l = 0; l < VW; l++) {
        r.lo = lo[l] < r.lo ? lo[l] : r.lo;
        r.hi = hi[l] > r.hi ? hi[l] : r.hi;
    }
    return r;
}

static void steps(size_t n, const float *x, float inverse, int zero, int max, uint8_t *y)
{
    const vf by = v_set1(inverse), z = v_set1((float)zero);
    const vf lo = v_set1((float)-zero), hi = v_set1((float)(max - zero));
    size_t i = 0;
    for (; i + VW <= n; i += VW)
        v_store_u8(y + i, to_steps(v_mul(v_load(x + i), by), lo, hi, z));
    if (i == n) return;
    const vf v = v_mul(v_load_part(x + i, (int)(n - i)), by);
    store_u8_part(y + i, to_steps(v, lo, hi, z), n - i);
}

static void steps_by(size_t n, const float *x, const float *inverse, int zero, int max, uint8_t *y)
{
    const vf z = v_set1((float)zero), lo = v_set1((float)-zero), hi = v_set1((float)(max - zero));
    size_t i = 0;
    for (; i + VW <= n; i += VW)
        v_store_u8(y + i, to_steps(v_mul(v_load(x + i), v_load(inverse + i)), lo, hi, z));
    if (i == n) return;
    const int left = (int)(n - i);
    const vf v = v_mul(v_load_part(x + i, left), v_load_part(inverse + i, left));
    store_u8_part(y + i, to_steps(v, lo, hi, z), n - i);
}

typedef struct adding {
    vf zero_a, scale_a, zero_b, scale_b, lo, hi, zero;
} adding;

static inline vf sum(const adding *p, vf a, vf b)
{
    const vf y = v_mul(v_sub(a, p->zero_a), p->scale_a);
    return to_steps(v_fma(v_sub(b, p->zero_b), p->scale_b, y), p->lo, p->hi, p->zero);
}

static void add(size_t n, const uint8_t *a, int zero_a, float scale_a, const uint8_t *b,
                const oct_requant *out, uint8_t *y)
{
    const adding p = { v_set1((float)zero_a), v_set1(scale_a), v_set1((float)out->residual_zero),
                       v_set1(out->residual_scale), v_set1((float)(out->lo - out->zero)),
                       v_set1((float)(out->hi - out->zero)), v_set1((float)out->zero) };
    size_t i = 0;
    for (; i + VW <= n; i += VW) v_store_u8(y + i, sum(&p, v_load_u8(a + i), v_load_u8(b + i)));
    if (i == n) return;
    store_u8_part(y + i, sum(&p, load_u8_part(a + i, n - i), load_u8_part(b + i, n - i)), n - i);
}

/* Lanes of all windows: B, or where n < B the first n. */
INLINE void max_lanes(const int rows, const int cols, const int n, const oct_vec_windows *w,
                      const uint8_t *x, uint8_t *y)
{
    for (int o = 0; o < w->count; o++, x += w->step, y += w->width) {
        bytes m = n < B ? b_load_part(x, n) : b_load(x);
        UNROLL for (int i = 0; i < rows; i++)
            UNROLL for (int j = 0; j < cols; j++) {
                const uint8_t *t = x + (size_t)i * w->row + (size_t)j * w->col;
                m = b_max(m, n < B ? b_load_part(t, n) : b_load(t));
            }
        if (n < B) b_store_part(y, m, n);
        else b_store(y, m);
    }
}

/* The last vector ends where the row does; y is not x. */
INLINE void max_all(const int rows, const int cols, const oct_vec_windows *w, const uint8_t *x,
                    uint8_t *y)
{
    if (w->width < B) max_lanes(rows, cols, w->width, w, x, y);
    else
        for (int l = 0; l < w->width; l += B) {
            const int at = l + B <= w->width ? l : w->width - B;
            max_lanes(rows, cols, B, w, x + at, y + at);
        }
}

static void window_max(const oct_vec_windows *w, const uint8_t *x, uint8_t *y)
{
    if (w->rows == 3 && w->cols == 3) max_all(3, 3, w, x, y);
    else if (w->rows == 2 && w->cols == 2) max_all(2, 2, w, x, y);
    else max_all(w->rows, w->cols, w, x, y);
}

/* Sums of n lanes of one window; plain C, which the compiler makes vectors of where n is known. */
INLINE void sum_lanes(const int n, const oct_vec_windows *w, const uint8_t *x, int32_t *s)
{
    for (int i = 0; i < w->rows; i++)
        for (int j = 0; j < w->cols; j++) {
            const uint8_t *t = x + (size_t)i * w->row + (size_t)j * w->col;
            for (int k = 0; k < n; k++) s[k] += t[k];
        }
}

static void window_sum(const oct_vec_windows *w, const uint8_t *x, int32_t bias, float scale,
                       const oct_requant *out, void *y)
{
    enum { PART = 64 };
    int32_t s[PART];
    for (int o = 0; o < w->count; o++, x += w->step)
        for (int l = 0; l < w->width; l += PART) {
            const int n = w->width - l < PART ? w->width - l : PART;
            for (int k = 0; k < PART; k++) s[k] = bias;
            if (n == PART) sum_lanes(PART, w, x + l, s);
            else sum_lanes(n, w, x + l, s);
            const size_t at = (size_t)o * (size_t)w->width + (size_t)l;
            for (int k = 0; k < n; k++) {
                const float v = (float)s[k] * scale;
                if (out->kind == OCT_REQUANT_U8)
                    ((uint8_t *)y)[at + (size_t)k] = oct_requant_u8(v, out);
                else ((float *)y)[at + (size_t)k] = v;
            }
        }
}
