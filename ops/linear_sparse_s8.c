/* linear on integers, weights in sparse blocks of 4.  Contract: ops/kernels/sparse_s8.h.
 *
 *   x  [M, K] U8, one quantization or one for each row     w  [N, K] S8, scale per row
 *   b, residual, y: ops/linear_s8.c
 *
 *   strip    up to vecs vectors of rows, planar, in the thread's scratch: [planes][rows].  As
 *            long in every plan, since offsets are packed; how much of it is used, and how much of
 *            it at a time, is a matter of the run
 *   items    a strip x some panels, one thread */
#include "ops/linear_sparse_s8.h"

#include "ops/attr.h"
#include "ops/kernels/sparse_s8.h"
#include "ops/quantized.h"

struct oct_linear_sparse_s8 {
    const oct_sparse_s8 *g;
    oct_requant out;
    int n, k, n_panels;
    int per, planes;           /* inputs of a plane, bytes side by side; how many planes */
    size_t plane;              /* bytes */
    double density, limit;     /* of its blocks; that below which it pays */
    const void *packed;
};

static int ceil_div(int a, int b) { return a / b + (a % b != 0); }
static int min_int(int a, int b) { return a < b ? a : b; }

int oct_linear_sparse_s8_can(const oct_tensor *x, const oct_tensor *w)
{
    const int in_order = x->layout != OCT_BLOCKED || (x->dim[1] == 1 && x->dim[2] == 1);
    return w->dim[1] % 4 == 0 && in_order;
}

int oct_linear_sparse_s8_pick(const oct_args *args, const oct_prepare *how)
{
    const oct_linear_attr *attr = args->attr;
    return (attr->sparse & oct_sparse_isa(how->cpu)) &&
           oct_linear_sparse_s8_can(args->in[OCT_LINEAR_X], args->in[OCT_LINEAR_W]);
}

static oct_status describe(const oct_args *args, const oct_linear_sparse_s8 *s, oct_arena *tmp,
                           oct_sparse_s8_weights *out)
{
    const oct_tensor *x = args->in[OCT_LINEAR_X], *w = args->in[OCT_LINEAR_W];
    oct_gemm_s8_weights rows = { .bias = NULL }; /* its biases are ours */
    float *scale = oct_arena_alloc(tmp, (size_t)s->n * sizeof *scale);
    int32_t *offset = oct_arena_alloc(tmp, (size_t)s->planes * sizeof *offset);
    if (!scale || !offset) return oct_fail(OCT_ERR_MEMORY, "linear: out of memory");
    OCT_TRY(oct_quant_scales("linear", x, w, args->out, scale));
    OCT_TRY(oct_quant_bias("linear", args, tmp, &rows));
    for (int p = 0; p < s->planes; p++) offset[p] = (int32_t)((size_t)p * s->plane);
    *out = (oct_sparse_s8_weights){ .b = w->data, .n = s->n, .c = s->k, .taps = 1,
                                    .offset = offset, .zero = x->zero, .bias = rows.bias,
                                    .scale = scale, .fbias = rows.fbias };
    return OCT_OK;
}

/* The packed weights, ours or the file's. */
static oct_status make_packed(const oct_args *args, oct_prepare *how, oct_linear_sparse_s8 *s,
                              oct_arena *tmp)
{
    const oct_packed *given = how->n_packed < how->n_given ? &how->given[how->n_packed] : NULL;
    oct_sparse_s8_weights w = { .n = 0 };
    size_t size = 0;
    void *packed;
    int ready;
    if (given) size = oct_sparse_s8_given(s->g, s->n, given->data, given->size);
    if (!how->given) {
        OCT_TRY(describe(args, s, tmp, &w));
        size = oct_sparse_s8_size(s->g, &w);
    }
    OCT_TRY(oct_prepare_packed("linear", how, size, &packed, &ready));
    s->packed = packed;
    how->weight_size = size;   /* what is read where it matters; the dense ones lie beside */
    const int32_t most = (int32_t)((size_t)(s->planes - 1) * s->plane);
    if (ready) return oct_sparse_s8_check(s->g, s->n, most, packed, size);
    oct_sparse_s8_pack(s->g, &w, packed);
    return OCT_OK;
}

static size_t strip_size(const oct_linear_sparse_s8 *s) 
{
    return (size_t)s->planes * s->plane;
}

oct_status oct_linear_sparse_s8_make(const oct_args *args, oct_prepare *how, int x_max,
                                     oct_linear_sparse_s8 **out)
{
    const oct_tensor *w = args->in[OCT_LINEAR_W];
    const oct_linear_attr *attr = args->attr;
    const oct_act act = attr->act > OCT_ACT_RELU6 ? OCT_ACT_NONE : attr->act; /* linear.c */
    oct_linear_sparse_s8 *s = *out = oct_arena_zalloc(how->arena, sizeof *s);
    if (!s) return oct_fail(OCT_ERR_MEMORY, "linear: out of memory");
    const oct_sparse_forms limit = oct_linear_sparse_s8_limit(oct_sparse_isa(how->cpu));
    s->g = oct_sparse_s8_pick(how->cpu, x_max, oct_sparse_form(how, w, limit, 0));
    s->out = oct_quant_requant(args->out, act, args->in[OCT_LINEAR_RESIDUAL]);
    s->n = w->dim[0], s->k = w->dim[1];
    s->per = 4 / s->g->share, s->planes = s->k / s->per;
    s->plane = oct_sparse_plane(s->g->vecs * s->g->lanes, s->per);
    s->n_panels = ceil_div(s->n, s->g->nr);
    oct_arena tmp = { 0 };
    const oct_status status = make_packed(args, how, s, &tmp);
    oct_arena_free(&tmp);
    if (status) return status;
    how->thread_size = strip_size(s);
    const double blocks = (double)oct_sparse_s8_blocks(s->g, s->packed, s->n_panels);
    s->density = 4 * blocks / s->k / s->n;
    s->limit = s->g->share > 1 ? limit.down : limit.across;
    oct_sparse_s8_classify(s->g, s->packed, s->n_panels, &s->out);
    const oct_tensor *x = args->in[OCT_LINEAR_X];
    if (!oct_linear_sparse_s8_takes(s, x->dim[0])) return OCT_OK;
    static const char *const names[2][2] = { { "sparse_s8", "sparse_s8_dynamic" },
                                             { "sparse_s8_4x1", "sparse_s8_4x1_dynamic" } };
    return oct_kernel_name(how, names[s->g->share > 1][x->dtype == OCT_F32], s->g->isa);
}

int oct_linear_sparse_s8_takes(const oct_linear_sparse_s8 *s, int rows)
{
    enum { LEAST = 24 };
    const int padded = ceil_div(rows, s->g->lanes) * s->g->lanes;
    return rows >= LEAST && rows >= 2 * s->g->lanes / s->g->share &&
           s->density * padded <= s->limit * rows;
}

/* ---- run ---- */

typedef struct work {
    const oct_linear_sparse_s8 *s;
    const oct_linear_rows_s8 *x;
    const char *residual;
    char *y;
    size_t y_size;             /* bytes of an element of y and residual */
    int rows, vecs;            /* all; vectors of a strip */
    const oct_run *r;
} work;

static void strip(void *arg, const oct_sparse_part *part, int thread)
{
    const work *w = arg;
    const oct_linear_sparse_s8 *s = w->s;
    const int first = part->strip * w->vecs * s->g->lanes;
    const int rows = min_int(w->rows - first, w->vecs * s->g->lanes);
    const int vecs = ceil_div(rows, s->g->lanes);
    unsigned char *planes = oct_run_scratch(w->r, thread);
    const oct_sparse_run run = { 0, rows, 0 };
    s->g->input(&(oct_sparse_in){ .x = w->x->q + (size_t)first * (size_t)s->k,
                                  .pixel = (size_t)s->k, .n = rows, .planes = s->planes,
                                  .to = planes, .step = s->plane });
    oct_sparse_s8_args t = { .x = planes, .size = (int32_t)strip_size(s), .vecs = vecs,
                             .run = &run, .n_runs = 1, .ldc = (size_t)s->n, .out = &s->out,
                             .row_scale = w->x->scale ? w->x->scale + first : NULL,
                             .row_zero = w->x->scale ? w->x->zero + first : NULL };
    if (s->g->share == 1)
        t.chunk = oct_sparse_s8_chunk(s->k / 4, (size_t)(vecs * s->g->lanes) * 4, s->plane,
                                      (int)(s->density * s->k / 4));
    for (int p = part->p0; p < part->p1; p++) {
        const int n = p * s->g->nr;
        const size_t at = ((size_t)first * (size_t)s->n + (size_t)n) * w->y_size;
        t.panel = oct_sparse_s8_panel(s->packed, p);
        t.cols = min_int(s->g->nr, s->n - n);
        t.c = w->y + at;
        t.residual = w->residual ? w->residual + at : NULL;
        s->g->tile(&t);
    }
}

void oct_linear_sparse_s8_run(const oct_args *args, const oct_linear_sparse_s8 *s,
                              const oct_linear_rows_s8 *x, const oct_run *r)
{
    const oct_tensor *residual = args->in[OCT_LINEAR_RESIDUAL];
    const int vecs = ceil_div(r->n, s->g->lanes);
    work w = { .s = s, .x = x, .y = args->out->data, .residual = residual ? residual->data : NULL,
               .y_size = oct_dtype_size(args->out->dtype), .rows = r->n,
               .vecs = ceil_div(vecs, ceil_div(vecs, s->g->vecs)), .r = r };
    oct_sparse_each(ceil_div(vecs, w.vecs), s->n_panels, (double)r->n * s->n * s->k, r->pool, strip,
                    &w);
}
