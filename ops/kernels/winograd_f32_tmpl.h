/* The transforms of winograd_f32, once for all vector widths.  Contract in winograd_f32.h, each
 * sequence of operations in winograd_f32_pass.h.
 *
 * Included by winograd_f32_{avx2,avx512,neon}.c only, after simd_<isa>.h; the words on vectors are
 * explained in simd_math.h.
 *
 * Idea: one pass per direction, VW channels at a time.  F(4) has 36 values, more than there are
 * registers: the half-transformed tile lies in t, which stays in L1, and each column or row is in
 * registers.  F(2)'s 16 values stay in registers where there are 32.
 * Danger: unrolled completely, gcc keeps t in "registers" and spills every operand, 40 % slower: so
 * t is memory on purpose and the loops over columns and rows stay loops. */
#include <stddef.h>

#include "ops/kernels/winograd_f32.h"

#define INLINE static inline __attribute__((always_inline))

typedef struct vec2 { vf a, b; } vec2;
typedef struct vec4 { vf a, b, c, d; } vec4;
typedef struct vec6 { vf a, b, c, d, e, f; } vec6;

static const float A = 0x1.6a09e6p-1f, B = 0x1.6a09e6p+0f; /* sqrt(1/2), sqrt(2) */

/* ---- one-dimensional transforms ---- */

INLINE vec4 bt2(vec4 x)
{
    return (vec4){ v_sub(x.a, x.c), v_add(x.b, x.c), v_sub(x.c, x.b), v_sub(x.d, x.b) };
}

INLINE vec6 bt4(vec6 x)
{
    const vf n2 = v_set1(-2.0f), nh = v_set1(-0.5f), n52 = v_set1(-2.5f);
    const vf even_a = v_fma(n2, x.c, x.e), odd_a = v_fma(n2, x.b, x.d);
    const vf even_b = v_fma(nh, x.c, x.e), odd_b = v_fma(nh, x.b, x.d);
    return (vec6){ v_add(x.a, v_fma(n52, x.c, x.e)),
                   v_fma(v_set1(A), odd_a, even_a), v_fma(v_set1(-A), odd_a, even_a),
                   v_fma(v_set1(B), odd_b, even_b), v_fma(v_set1(-B), odd_b, even_b),
                   v_add(x.b, v_fma(n52, x.d, x.f)) };
}

INLINE vec2 at2(vec4 x)
{
    return (vec2){ v_add(x.a, v_add(x.b, x.c)), v_add(v_sub(x.b, x.c), x.d) };
}

INLINE vec4 at4(vec6 x)
{
    const vf sum_a = v_add(x.b, x.c), dif_a = v_sub(x.b, x.c);
    const vf sum_b = v_add(x.d, x.e), dif_b = v_sub(x.d, x.e);
    return (vec4){ v_add(v_add(x.a, sum_a), sum_b),
                   v_fma(v_set1(B), dif_b, v_mul(v_set1(A), dif_a)),
                   v_fma(v_set1(2.0f), sum_b, v_mul(v_set1(0.5f), sum_a)),
                   v_fma(v_set1(2 * B), dif_b, v_fma(v_set1(0.5f * A), dif_a, x.f)) };
}

/* ---- vectors that lie `step` floats apart ---- */

INLINE vec4 load4(const float *p, size_t step)
{
    return (vec4){ v_load(p), v_load(p + step), v_load(p + 2 * step), v_load(p + 3 * step) };
}

INLINE vec6 load6(const float *p, size_t step)
{
    return (vec6){ v_load(p), v_load(p + step), v_load(p + 2 * step), v_load(p + 3 * step),
                   v_load(p + 4 * step), v_load(p + 5 * step) };
}

INLINE void store4(float *p, size_t step, vec4 x)
{
    v_store(p, x.a), v_store(p + step, x.b), v_store(p + 2 * step, x.c), v_store(p + 3 * step, x.d);
}

INLINE void store6(float *p, size_t step, vec6 x)
{
    v_store(p, x.a), v_store(p + step, x.b), v_store(p + 2 * step, x.c), v_store(p + 3 * step, x.d);
    v_store(p + 4 * step, x.e), v_store(p + 5 * step, x.f);
}

/* ---- input ---- */

/* Rows of a tile at the edge: those that do not exist are one row of zeros, all columns of which
 * are the same pixel. */
typedef struct rows { const float *at[6]; size_t pixel[6]; } rows;

INLINE vf row_load(const rows *r, int i, size_t j, size_t l)
{
    return v_load(r->at[i] + j * r->pixel[i] + l);
}

static rows edge_rows(const oct_winograd_f32_in *args)
{
    static const float zeros[64]; /* lanes <= 64, a multiple of VW */
    rows r;
    for (int i = 0; i < 6; i++) {
        const int in = i >= args->y0 && i < args->y1;
        r.at[i] = in ? args->x + (size_t)i * args->row : zeros;
        r.pixel[i] = in ? args->pixel : 0;
    }
    return r;
}

/* B^T of nothing but +0 is +0, in both transforms: columns outside are not computed. */
static void edge_columns(const oct_winograd_f32_in *args, const rows *r, size_t l, float *t)
{
    const vf zero = v_set1(0.0f);
    for (int j = 0; j < args->m + 2; j++) {
        const size_t col = (size_t)j;
        float *to = t + j * VW;
        if (args->m == 4) {
            vec6 x = { zero, zero, zero, zero, zero, zero };
            if (j >= args->x0 && j < args->x1)
                x = bt4((vec6){ row_load(r, 0, col, l), row_load(r, 1, col, l),
                                row_load(r, 2, col, l), row_load(r, 3, col, l),
                                row_load(r, 4, col, l), row_load(r, 5, col, l) });
            store6(to, 6 * VW, x);
        } else {
            vec4 x = { zero, zero, zero, zero };
            if (j >= args->x0 && j < args->x1)
                x = bt2((vec4){ row_load(r, 0, col, l), row_load(r, 1, col, l),
                                row_load(r, 2, col, l), row_load(r, 3, col, l) });
            store4(to, 4 * VW, x);
        }
    }
}

static void input_rows(int m, const float *t, float *v, size_t step)
{
    if (m == 4)
        for (size_t i = 0; i < 6; i++)
            store6(v + 6 * i * step, step, bt4(load6(t + 6 * i * VW, VW)));
    else
        for (size_t i = 0; i < 4; i++)
            store4(v + 4 * i * step, step, bt2(load4(t + 4 * i * VW, VW)));
}

INLINE void inner4(const oct_winograd_f32_in *args, size_t l, float *t)
{
    for (size_t j = 0; j < 6; j++)
        store6(t + j * VW, 6 * VW, bt4(load6(args->x + j * args->pixel + l, args->row)));
    input_rows(4, t, args->v + l, args->step);
}

INLINE void inner2(const oct_winograd_f32_in *args, size_t l)
{
    const size_t row = args->row, pixel = args->pixel, step = args->step;
    const float *x = args->x + l;
    float *v = args->v + l;
    const vec4 p = bt2(load4(x, row)), q = bt2(load4(x + pixel, row));
    const vec4 r = bt2(load4(x + 2 * pixel, row)), s = bt2(load4(x + 3 * pixel, row));
    store4(v, step, bt2((vec4){ p.a, q.a, r.a, s.a }));
    store4(v + 4 * step, step, bt2((vec4){ p.b, q.b, r.b, s.b }));
    store4(v + 8 * step, step, bt2((vec4){ p.c, q.c, r.c, s.c }));
    store4(v + 12 * step, step, bt2((vec4){ p.d, q.d, r.d, s.d }));
}

static void input(const oct_winograd_f32_in *args)
{
    _Alignas(64) float t[6 * 6 * VW];
    const int p = args->m + 2;
    const size_t lanes = (size_t)args->lanes;
    if (args->y0 > 0 || args->x0 > 0 || args->y1 < p || args->x1 < p) {
        const rows r = edge_rows(args);
        for (size_t l = 0; l < lanes; l += VW) {
            edge_columns(args, &r, l, t);
            input_rows(args->m, t, args->v + l, args->step);
        }
    } else if (args->m == 4)
        for (size_t l = 0; l < lanes; l += VW) inner4(args, l, t);
    else
        for (size_t l = 0; l < lanes; l += VW) inner2(args, l);
}

/* ---- output ---- */

/* One pixel, n lanes of it: + bias, + residual, act. */
INLINE void put(const oct_winograd_f32_out *args, size_t at, vf x, vf bias, int n)
{
    x = v_add(x, bias);
    if (args->residual)
        x = v_add(x, n < VW ? v_load_part(args->residual + at, n) : v_load(args->residual + at));
    if (args->act != OCT_ACT_NONE) x = v_max(v_set1(0), x);
    if (args->act == OCT_ACT_RELU6) x = v_min(v_set1(6), x);
    if (n < VW) v_store_part(args->y + at, x, n);
    else v_store(args->y + at, x);
}

/* VW channels from l on; n of them exist.  `n` and `cols` are literals in the common case. */
INLINE void output4(const oct_winograd_f32_out *args, size_t l, int n, int cols, float *t)
{
    const size_t step = args->step, pixel = args->pixel;
    const vf bias = n < VW ? v_load_part(args->bias + l, n) : v_load(args->bias + l);
    for (size_t j = 0; j < 6; j++)
        store4(t + j * VW, 6 * VW, at4(load6(args->mm + l + j * step, 6 * step)));
    for (int i = 0; i < args->rows; i++) {
        const vec4 r = at4(load6(t + i * 6 * VW, VW));
        const size_t at = (size_t)i * args->row + l;
        put(args, at, r.a, bias, n);
        if (cols > 1) put(args, at + pixel, r.b, bias, n);
        if (cols > 2) put(args, at + 2 * pixel, r.c, bias, n);
        if (cols > 3) put(args, at + 3 * pixel, r.d, bias, n);
    }
}

INLINE void output2(const oct_winograd_f32_out *args, size_t l, int n, int cols)
{
    const size_t step = args->step, pixel = args->pixel;
    const float *mm = args->mm + l;
    const vf bias = n < VW ? v_load_part(args->bias + l, n) : v_load(args->bias + l);
    const vec2 p = at2(load4(mm, 4 * step)), q = at2(load4(mm + step, 4 * step));
    const vec2 r = at2(load4(mm + 2 * step, 4 * step)), s = at2(load4(mm + 3 * step, 4 * step));
    const vec2 top = at2((vec4){ p.a, q.a, r.a, s.a }), low = at2((vec4){ p.b, q.b, r.b, s.b });
    put(args, l, top.a, bias, n);
    if (cols > 1) put(args, l + pixel, top.b, bias, n);
    if (args->rows < 2) return;
    put(args, l + args->row, low.a, bias, n);
    if (cols > 1) put(args, l + args->row + pixel, low.b, bias, n);
}

static void output(const oct_winograd_f32_out *args)
{
    _Alignas(64) float t[4 * 6 * VW];
    for (int l = 0; l < args->lanes; l += VW) {
        const int n = args->lanes - l < VW ? args->lanes - l : VW;
        if (args->m == 4 && n == VW && args->cols == 4)
            output4(args, (size_t)l, VW, 4, t);
        else if (args->m == 4)
            output4(args, (size_t)l, n, args->cols, t);
        else if (n == VW)
            output2(args, (size_t)l, VW, args->cols);
        else
            output2(args, (size_t)l, n, args->cols);
    }
}
