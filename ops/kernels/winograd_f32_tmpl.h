/* The transforms of winograd_f32, once for all vector widths.  Contract in winograd_f32.h, each
 * sequence of operations in winograd_f32_ref.c.
 *
 * Included by winograd_f32_{avx2,avx512,neon}.c only, after they have defined their words:
 *     vec, LANES             a vector of LANES floats
 *     load store set1        unaligned
 *     load_n store_n         the first n lanes, 1 <= n < LANES; the others are not touched in memory
 *     add sub mul            a + b, a - b, a * b
 *     madd nmadd             a * b + c, c - a * b, one rounding
 *     relu min6              x < 0 ? 0 : x, x > 6 ? 6 : x
 *
 * Idea: one pass per direction, LANES channels at a time.  F(4) has 36 values, more than there are
 * registers: the half-transformed tile lies in t, which stays in L1, and each column or row is in
 * registers.  F(2)'s 16 values stay in registers where there are 32.
 * Danger: unrolled completely, gcc keeps t in "registers" and spills every operand, 40 % slower: so
 * t is memory on purpose and the loops over columns and rows stay loops. */
#include <stddef.h>

#include "ops/kernels/winograd_f32.h"

#define INLINE static inline __attribute__((always_inline))

typedef struct vec2 { vec a, b; } vec2;
typedef struct vec4 { vec a, b, c, d; } vec4;
typedef struct vec6 { vec a, b, c, d, e, f; } vec6;

static const float A = 0x1.6a09e6p-1f, B = 0x1.6a09e6p+0f; /* sqrt(1/2), sqrt(2) */

/* ---- one-dimensional transforms ---- */

INLINE vec4 bt2(vec4 x)
{
    return (vec4){ sub(x.a, x.c), add(x.b, x.c), sub(x.c, x.b), sub(x.d, x.b) };
}

INLINE vec6 bt4(vec6 x)
{
    const vec n2 = set1(-2.0f), nh = set1(-0.5f), n52 = set1(-2.5f), a = set1(A), b = set1(B);
    const vec even_a = madd(n2, x.c, x.e), odd_a = madd(n2, x.b, x.d);
    const vec even_b = madd(nh, x.c, x.e), odd_b = madd(nh, x.b, x.d);
    return (vec6){ add(x.a, madd(n52, x.c, x.e)),
                   madd(a, odd_a, even_a), nmadd(a, odd_a, even_a),
                   madd(b, odd_b, even_b), nmadd(b, odd_b, even_b),
                   add(x.b, madd(n52, x.d, x.f)) };
}

INLINE vec2 at2(vec4 x)
{
    return (vec2){ add(x.a, add(x.b, x.c)), add(sub(x.b, x.c), x.d) };
}

INLINE vec4 at4(vec6 x)
{
    const vec sum_a = add(x.b, x.c), dif_a = sub(x.b, x.c);
    const vec sum_b = add(x.d, x.e), dif_b = sub(x.d, x.e);
    return (vec4){ add(add(x.a, sum_a), sum_b),
                   madd(set1(B), dif_b, mul(set1(A), dif_a)),
                   madd(set1(2.0f), sum_b, mul(set1(0.5f), sum_a)),
                   madd(set1(2 * B), dif_b, madd(set1(0.5f * A), dif_a, x.f)) };
}

/* ---- vectors that lie `step` floats apart ---- */

INLINE vec4 load4(const float *p, size_t step)
{
    return (vec4){ load(p), load(p + step), load(p + 2 * step), load(p + 3 * step) };
}

INLINE vec6 load6(const float *p, size_t step)
{
    return (vec6){ load(p), load(p + step), load(p + 2 * step), load(p + 3 * step),
                   load(p + 4 * step), load(p + 5 * step) };
}

INLINE void store4(float *p, size_t step, vec4 x)
{
    store(p, x.a), store(p + step, x.b), store(p + 2 * step, x.c), store(p + 3 * step, x.d);
}

INLINE void store6(float *p, size_t step, vec6 x)
{
    store(p, x.a), store(p + step, x.b), store(p + 2 * step, x.c), store(p + 3 * step, x.d);
    store(p + 4 * step, x.e), store(p + 5 * step, x.f);
}

/* ---- input ---- */

/* Rows of a tile at the edge: those that do not exist are one row of zeros, all columns of which
 * are the same pixel. */
typedef struct rows { const float *at[6]; size_t pixel[6]; } rows;

INLINE vec row_load(const rows *r, int i, size_t j, size_t l)
{
    return load(r->at[i] + j * r->pixel[i] + l);
}

static rows edge_rows(const oct_winograd_f32_in *args)
{
    static const float zeros[64]; /* lanes <= 64, a multiple of LANES */
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
    const vec zero = set1(0.0f);
    for (int j = 0; j < args->m + 2; j++) {
        const size_t col = (size_t)j;
        float *to = t + j * LANES;
        if (args->m == 4) {
            vec6 x = { zero, zero, zero, zero, zero, zero };
            if (j >= args->x0 && j < args->x1)
                x = bt4((vec6){ row_load(r, 0, col, l), row_load(r, 1, col, l),
                                row_load(r, 2, col, l), row_load(r, 3, col, l),
                                row_load(r, 4, col, l), row_load(r, 5, col, l) });
            store6(to, 6 * LANES, x);
        } else {
            vec4 x = { zero, zero, zero, zero };
            if (j >= args->x0 && j < args->x1)
                x = bt2((vec4){ row_load(r, 0, col, l), row_load(r, 1, col, l),
                                row_load(r, 2, col, l), row_load(r, 3, col, l) });
            store4(to, 4 * LANES, x);
        }
    }
}

static void input_rows(int m, const float *t, float *v, size_t step)
{
    if (m == 4)
        for (size_t i = 0; i < 6; i++)
            store6(v + 6 * i * step, step, bt4(load6(t + 6 * i * LANES, LANES)));
    else
        for (size_t i = 0; i < 4; i++)
            store4(v + 4 * i * step, step, bt2(load4(t + 4 * i * LANES, LANES)));
}

INLINE void inner4(const oct_winograd_f32_in *args, size_t l, float *t)
{
    for (size_t j = 0; j < 6; j++)
        store6(t + j * LANES, 6 * LANES, bt4(load6(args->x + j * args->pixel + l, args->row)));
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
    _Alignas(64) float t[6 * 6 * LANES];
    const int p = args->m + 2;
    const size_t lanes = (size_t)args->lanes;
    if (args->y0 > 0 || args->x0 > 0 || args->y1 < p || args->x1 < p) {
        const rows r = edge_rows(args);
        for (size_t l = 0; l < lanes; l += LANES) {
            edge_columns(args, &r, l, t);
            input_rows(args->m, t, args->v + l, args->step);
        }
    } else if (args->m == 4)
        for (size_t l = 0; l < lanes; l += LANES) inner4(args, l, t);
    else
        for (size_t l = 0; l < lanes; l += LANES) inner2(args, l);
}

/* ---- output ---- */

/* One pixel, n lanes of it: + bias, + residual, act. */
INLINE void put(const oct_winograd_f32_out *args, size_t at, vec x, vec bias, int n)
{
    x = add(x, bias);
    if (args->residual)
        x = add(x, n < LANES ? load_n(args->residual + at, n) : load(args->residual + at));
    if (args->act != OCT_ACT_NONE) x = relu(x);
    if (args->act == OCT_ACT_RELU6) x = min6(x);
    if (n < LANES) store_n(args->y + at, x, n);
    else store(args->y + at, x);
}

/* LANES channels from l on; n of them exist.  `n` and `cols` are literals in the common case. */
INLINE void output4(const oct_winograd_f32_out *args, size_t l, int n, int cols, float *t)
{
    const size_t step = args->step, pixel = args->pixel;
    const vec bias = n < LANES ? load_n(args->bias + l, n) : load(args->bias + l);
    for (size_t j = 0; j < 6; j++)
        store4(t + j * LANES, 6 * LANES, at4(load6(args->mm + l + j * step, 6 * step)));
    for (int i = 0; i < args->rows; i++) {
        const vec4 r = at4(load6(t + i * 6 * LANES, LANES));
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
    const vec bias = n < LANES ? load_n(args->bias + l, n) : load(args->bias + l);
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
    _Alignas(64) float t[4 * 6 * LANES];
    for (int l = 0; l < args->lanes; l += LANES) {
        const int n = args->lanes - l < LANES ? args->lanes - l : LANES;
        if (args->m == 4 && n == LANES && args->cols == 4)
            output4(args, (size_t)l, LANES, 4, t);
        else if (args->m == 4)
            output4(args, (size_t)l, n, args->cols, t);
        else if (n == LANES)
            output2(args, (size_t)l, LANES, args->cols);
        else
            output2(args, (size_t)l, n, args->cols);
    }
}
