/* attention:  y[i] = softmax(q[i] k^T / sqrt(w)) v, for each head, over the tokens of i's own text
 *
 *   x  DENSE [tokens, 3 d]: q, k, v     or  q [texts, d] and x [tokens, 2 d]: k, v
 *   starts  S32 [texts + 1]             y   [tokens, d] or [texts, d]          w = d / heads
 *
 * Two matrix products with gemm_f32's tiles around row kernels; a tile of queries keeps all its
 * scores, so there is no [heads, T, T] and the order of sums is fixed:
 *     k' = k / sqrt(w), rounded once      s[i,t] = chain of FMAs over the w columns, from +0
 *     e[i,t] = exp(s[i,t] - max_t s[i,t]), z = their sum on sixteen lanes (ops/kernels/vec.h)
 *     y[i,c] = (chain of FMAs over t of e[i,t] v[t,c]) / z
 * Nothing of another text, and no padding, enters a sum: a text alone gives the bits it gives in a
 * batch.
 *
 * A unit of work is one head of one text, or a part of its queries where there are few heads for
 * the threads.  k and v of the head are packed as panels first: a few operations an element, where
 * the products have a FMA for each query. */
#include <math.h>
#include <string.h>

#include "ops/attr.h"
#include "ops/common.h"
#include "ops/kernels/gemm_f32.h"
#include "ops/linear.h"

typedef struct state {
    const oct_gemm_f32 *gemm;
    const oct_vec *vec;
    int d, heads, width;      /* width: of a head, d / heads */
    int length;               /* tokens of the longest text */
    const float *scale, *zero; /* [nr], 1 / sqrt(width) and 0 */
    size_t values, scores;    /* in a thread's workspace, floats: the panels of k come first */
    size_t ld;                /* of scores */
} state;

/* Columns of x where k and v begin, floats from one token to the next; q may be another tensor. */
typedef struct work {
    const state *s;
    const oct_run *r;
    const float *q, *k, *v;
    size_t ldq, ldx;
    float *y;
    const int32_t *starts;
    int one;                  /* a query for each text */
    int parts;                /* of a text's queries */
} work;

static oct_status infer(oct_args *args)
{
    const oct_tensor *x = args->in[OCT_ATTENTION_X], *q = args->in[OCT_ATTENTION_Q];
    const oct_tensor *starts = args->in[OCT_ATTENTION_STARTS];
    const oct_attention_attr *attr = args->attr;
    OCT_TRY(oct_infer_rows("attention", x));
    OCT_TRY(oct_infer_starts("attention", starts));
    if (q) OCT_TRY(oct_infer_rows("attention", q));
    const int thirds = q ? 2 : 3, d = x->dim[1] / thirds;
    if (x->dim[1] % thirds || attr->heads < 1 || d % attr->heads)
        return oct_fail(OCT_ERR_SHAPE, "attention: %d columns are not %d times %d heads",
                        x->dim[1], thirds, attr->heads);
    if (q && (q->dim[0] != starts->dim[0] - 1 || q->dim[1] != d))
        return oct_fail(OCT_ERR_SHAPE, "attention: queries [%d, %d], expected [%d, %d]", q->dim[0],
                        q->dim[1], starts->dim[0] - 1, d);
    if (attr->length < 1 || attr->length > x->dim[0])
        return oct_fail(OCT_ERR_SHAPE, "attention: texts of up to %d tokens, of %d in all",
                        attr->length, x->dim[0]);
    oct_infer_like(args->out, x);
    args->out->dim[0] = q ? q->dim[0] : x->dim[0];
    args->out->dim[1] = d;
    return OCT_OK;
}

static size_t panels(const oct_gemm_f32 *g, int n) { return (size_t)((n + g->nr - 1) / g->nr); }

static oct_status prepare(const oct_args *args, oct_prepare *how, void **out)
{
    const oct_attention_attr *attr = args->attr;
    const oct_gemm_f32 *g = oct_gemm_f32_pick(how->cpu);
    state *s = oct_arena_zalloc(how->arena, sizeof *s);
    float *factor = oct_arena_zalloc(how->arena, 2 * (size_t)g->nr * sizeof *factor);
    if (!s || !factor) return oct_fail(OCT_ERR_MEMORY, "attention: out of memory");
    *out = s;
    *s = (state){ .gemm = g, .vec = oct_vec_pick(how->cpu), .d = args->out->dim[1],
                  .heads = attr->heads, .length = attr->length };
    s->width = s->d / s->heads;
    for (int i = 0; i < g->nr; i++) factor[i] = (float)(1 / sqrt((double)s->width));
    s->scale = factor;
    s->zero = factor + g->nr;
    s->ld = panels(g, s->length) * (size_t)g->nr + OCT_TAIL / sizeof(float);
    s->values = panels(g, s->length) * oct_gemm_f32_panel_size(g, s->width);
    s->scores = s->values + panels(g, s->width) * oct_gemm_f32_panel_size(g, s->length);
    how->thread_size = (s->scores + 2 * (size_t)g->rows * (s->ld + 1)) * sizeof(float);
    how->macs = 2.0 * s->length * s->d;
    return oct_kernel_name(how, "attention/gemm_f32", g->isa);
}

/* Keys of a text, transposed and scaled, a panel for every nr of them; columns past the last one
 * are zeros. */
static void pack_keys(const work *w, const float *k, int n, float *to)
{
    const oct_gemm_f32 *g = w->s->gemm;
    const size_t nr = (size_t)g->nr, width = (size_t)w->s->width;
    for (size_t t = 0; t < (size_t)n; t += nr, to += oct_gemm_f32_panel_size(g, w->s->width)) {
        const size_t here = (size_t)n - t < nr ? (size_t)n - t : nr;
        if (here < nr) memset(to + nr, 0, nr * width * sizeof *to);
        memset(to, 0, nr * sizeof *to); /* the bias */
        w->s->vec->transpose(here, width, k + t * w->ldx, w->ldx, to + nr, nr);
        w->s->vec->scale_bias(width, g->nr, to + nr, w->s->zero, w->s->scale, w->s->zero, to + nr);
    }
}

/* Values of a text, a panel for every nr columns of the head. */
static void pack_values(const work *w, const float *v, int n, float *to)
{
    const oct_gemm_f32 *g = w->s->gemm;
    const size_t nr = (size_t)g->nr, width = (size_t)w->s->width;
    for (size_t c = 0; c < width; c += nr) {
        const size_t here = width - c < nr ? width - c : nr;
        memset(to, 0, nr * sizeof *to); /* the bias */
        to += nr;
        for (size_t t = 0; t < (size_t)n; t++, to += nr) {
            memcpy(to, v + t * w->ldx + c, here * sizeof *to);
            if (here < nr) memset(to + here, 0, (nr - here) * sizeof *to);
        }
    }
}

/* c [rows, n] = a [rows, k] times all panels; rows as the tile has them. */
static void product(const oct_gemm_f32 *g, oct_linear_rows rows, int n, int k, const float *a,
                    size_t lda, const float *panel, float *c, size_t ldc)
{
    const oct_gemm_f32_seg seg = { 0, k, (int)lda };
    const size_t second = rows.groups == 2 ? (size_t)rows.rows * ldc : 0;
    for (int j = 0; j < n; j += g->nr, panel += oct_gemm_f32_panel_size(g, k))
        g->tile(&(oct_gemm_f32_args){
            .n_segs = 1, .seg = &seg, .a = { a, a }, .pos = { 0, rows.rows }, .step = 1,
            .rows = rows.rows, .groups = rows.groups, .cols = n - j < g->nr ? n - j : g->nr,
            .panel = panel, .c = { c + j, c + second + j }, .ldc = ldc });
}

/* Queries first .. end of a text of n tokens; q and y are those of its first query, this head's. */
static void queries(const work *w, int first, int end, int n, const float *q, float *scratch,
                    float *y)
{
    const state *s = w->s;
    const float *keys = scratch, *values = scratch + s->values;
    float *scores = scratch + s->scores, *sum = scores + 2 * (size_t)s->gemm->rows * s->ld;
    const size_t d = (size_t)s->d, width = (size_t)s->width;
    while (first < end) {
        const oct_linear_rows t = oct_linear_next(first, end, s->gemm->rows);
        const int rows = t.rows * t.groups;
        product(s->gemm, t, n, s->width, q + (size_t)first * w->ldq, w->ldq, keys, scores, s->ld);
        for (int i = 0; i < rows; i++) {
            float *row = scores + (size_t)i * s->ld;
            sum[i] = s->vec->exp_sum((size_t)n, row, s->vec->max((size_t)n, row), row);
        }
        float *to = y + (size_t)first * d;
        product(s->gemm, t, s->width, n, scores, s->ld, values, to, d);
        for (int i = 0; i < rows; i++, to += d) s->vec->divide(width, to, sum[i], to);
        first += rows;
    }
}

/* Item: a text, a head of it, a part of its queries. */
static void body(void *arg, int item, int thread)
{
    const work *w = arg;
    const state *s = w->s;
    const int part = item % w->parts, head = item / w->parts % s->heads;
    const int text = item / w->parts / s->heads;
    const size_t begin = (size_t)w->starts[text], at = (size_t)(head * s->width);
    const int n = w->starts[text + 1] - w->starts[text], all = w->one ? 1 : n;
    const int first = (int)((long long)all * part / w->parts);
    const int end = (int)((long long)all * (part + 1) / w->parts);
    const size_t row = w->one ? (size_t)text : begin;
    float *scratch = oct_run_scratch(w->r, thread);
    if (first == end) return;
    pack_keys(w, w->k + begin * w->ldx + at, n, scratch);
    pack_values(w, w->v + begin * w->ldx + at, n, scratch + s->values);
    queries(w, first, end, n, w->q + row * w->ldq + at, scratch, w->y + row * (size_t)s->d + at);
}

static void run(const oct_args *args, const void *opaque, const oct_run *r)
{
    enum { ITEMS = 4 }; /* for each thread, so that one that starts late costs little */
    const state *s = opaque;
    const oct_tensor *q = args->in[OCT_ATTENTION_Q], *x = args->in[OCT_ATTENTION_X];
    const size_t d = (size_t)s->d;
    const float *columns = x->data;
    work w = { .s = s, .r = r, .q = q ? q->data : columns, .k = q ? columns : columns + d,
               .ldq = q ? d : 3 * d, .ldx = q ? 2 * d : 3 * d, .y = args->out->data,
               .starts = args->in[OCT_ATTENTION_STARTS]->data, .one = q != NULL, .parts = 1 };
    w.v = w.k + d;
    const int units = r->texts * s->heads, wanted = ITEMS * r->pool->threads;
    if (units < wanted && !w.one) w.parts = (wanted + units - 1) / units;
    oct_parallel_for(r->pool, units * w.parts, body, &w);
}

const oct_op oct_op_attention = { "attention", infer, prepare, run };
