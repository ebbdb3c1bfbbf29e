/* linear in FP32, zeros of the weights left out.  Contract: ops/kernels/sparse_f32.h.
 *
 *   x  [M, K] FP32, or a BLOCKED image    w  [N, K] F32, F16, BF16    b, residual, y: linear.c
 *
 *   strip    some vectors of rows, planar, in the thread's scratch: [K][rows] floats, of no more
 *            than MOST_STRIP if that is possible.  As long in every plan, since offsets are packed;
 *            how much of it is used is a matter of the run
 *   items    a strip x some panels, one thread */
#include "ops/linear_sparse_f32.h"

#include "ops/kernels/sparse_f32.h"
#include "ops/linear.h"
#include "ops/sparse.h"

enum {
    NR = OCT_SPARSE_F32_NR, MOST_STRIP = 768 << 10,
    FEW_QUADS = 4, FEW_SINGLES = 8, /* vectors of rows from which most are worth it, measured */
};

struct oct_linear_sparse_f32 {
    const oct_sparse_f32 *g;
    int n, k, n_panels;
    int vecs;                  /* of a strip, at most */
    int few;                   /* rows that are not worth it */
    size_t plane;              /* bytes */
    int32_t *offset;           /* [k] */
    const void *packed;
};

static int ceil_div(int a, int b) { return a / b + (a % b != 0); }
static int min_int(int a, int b) { return a < b ? a : b; }

int oct_linear_sparse_f32_pick(const oct_args *args, const oct_prepare *how)
{
    const oct_linear_attr *attr = args->attr;
    return (attr->sparse & oct_sparse_isa(how->cpu)) && !how->sgemm &&
           how->precision != OCT_F16 && how->precision != OCT_BF16 &&
           args->in[OCT_LINEAR_W]->dim[1] <= INT32_MAX / 4096; /* offsets */
}

static size_t strip_size(const oct_linear_sparse_f32 *s) { return (size_t)s->k * s->plane; }

static void make_strip(oct_linear_sparse_f32 *s)
{
    for (s->vecs = s->g->vecs; ; s->vecs--) {
        s->plane = oct_sparse_plane(s->vecs * s->g->lanes, 4);
        if (s->vecs == 1 || strip_size(s) <= MOST_STRIP) return;
    }
}

/* The packed weights, ours or the file's. */
static oct_status make_packed(const oct_args *args, oct_prepare *how, oct_linear_sparse_f32 *s,
                              oct_arena *tmp)
{
    const oct_tensor *b = args->in[OCT_LINEAR_BIAS];
    const oct_packed *given = how->n_packed < how->n_given ? &how->given[how->n_packed] : NULL;
    oct_sparse_f32_weights w = { .w = args->in[OCT_LINEAR_W], .n = s->n, .k = s->k,
                                 .offset = s->offset, .bias = b ? b->data : NULL };
    int32_t *perm;
    void *packed;
    size_t size = 0;
    int ready, chunks = 0;
    if (given) size = oct_sparse_f32_given(s->n, given->data, given->size);
    if (!how->given) {
        OCT_TRY(oct_linear_order(args->in[OCT_LINEAR_X], tmp, &perm));
        w.perm = perm;
        w.rows = oct_arena_alloc(tmp, (NR + 1) * (size_t)s->k * sizeof(float));
        if (!w.rows) return oct_fail(OCT_ERR_MEMORY, "linear: out of memory");
        chunks = oct_sparse_f32_chunks_for(&w, (size_t)(s->vecs * s->g->lanes));
        size = oct_sparse_f32_size(&w, chunks);
    }
    OCT_TRY(oct_prepare_packed("linear", how, size, &packed, &ready));
    s->packed = packed;
    how->weight_size = size;   /* what is read where it matters; the dense ones lie beside */
    if (ready)
        return oct_sparse_f32_check(s->n, (int32_t)(strip_size(s) - s->plane), packed, size);
    oct_sparse_f32_pack(&w, chunks, packed);
    return OCT_OK;
}

oct_status oct_linear_sparse_f32_make(const oct_args *args, oct_prepare *how,
                                      oct_linear_sparse_f32 **out)
{
    const oct_tensor *w = args->in[OCT_LINEAR_W];
    oct_linear_sparse_f32 *s = *out = oct_arena_zalloc(how->arena, sizeof *s);
    if (!s) return oct_fail(OCT_ERR_MEMORY, "linear: out of memory");
    s->g = oct_sparse_f32_pick(how->cpu);
    s->n = w->dim[0], s->k = w->dim[1];
    s->n_panels = ceil_div(s->n, NR);
    make_strip(s);
    s->offset = oct_arena_alloc(how->arena, (size_t)s->k * sizeof *s->offset);
    if (!s->offset) return oct_fail(OCT_ERR_MEMORY, "linear: out of memory");
    for (int k = 0; k < s->k; k++) s->offset[k] = (int32_t)((size_t)k * s->plane);
    oct_arena tmp = { 0 };
    const oct_status status = make_packed(args, how, s, &tmp);
    oct_arena_free(&tmp);
    if (status) return status;
    const oct_sparse_f32_count n = oct_sparse_f32_count_packed(s->n, s->packed);
    s->few = (4 * n.quads > n.singles ? FEW_QUADS : FEW_SINGLES) * s->g->lanes - 1;
    const size_t scratch = strip_size(s) + (size_t)s->k * sizeof(float);
    if (scratch > how->thread_size) how->thread_size = scratch;
    if (!oct_linear_sparse_f32_takes(s, args->in[OCT_LINEAR_X]->dim[0])) return OCT_OK;
    return oct_kernel_name(how, "sparse_f32", s->g->isa);
}

int oct_linear_sparse_f32_takes(const oct_linear_sparse_f32 *s, int rows)
{
    return rows > s->few;
}

/* ---- run ---- */

typedef struct work {
    const oct_linear_sparse_f32 *s;
    const float *x, *residual;
    float *y;
    oct_act act;
    int rows, vecs;            /* all; vectors of a strip */
    const oct_run *r;
} work;

static void strip(void *arg, const oct_sparse_part *part, int thread)
{
    const work *w = arg;
    const oct_linear_sparse_f32 *s = w->s;
    const int first = part->strip * w->vecs * s->g->lanes;
    const int rows = min_int(w->rows - first, w->vecs * s->g->lanes);
    const size_t k = (size_t)s->k;
    unsigned char *planes = oct_run_scratch(w->r, thread);
    float *row = (void *)(planes + strip_size(s));
    const oct_sparse_run run = { 0, rows, 0 };
    int odd = 0;
    s->g->input(&(oct_sparse_in){ .x = (const void *)(w->x + (size_t)first * k),
                                  .pixel = k * sizeof(float), .n = rows, .planes = s->k,
                                  .to = planes, .step = s->plane, .odd = &odd });
    oct_sparse_f32_args t = { .x = planes, .vecs = ceil_div(rows, s->g->lanes), .run = &run,
                              .n_runs = 1, .ldc = (size_t)s->n, .act = w->act,
                              .chunks = oct_sparse_f32_chunks(s->packed) };
    for (int p = part->p0; p < part->p1; p++) {
        const size_t at = (size_t)first * (size_t)s->n + (size_t)p * NR;
        t.panel = oct_sparse_f32_panel(s->packed, p);
        t.cols = min_int(NR, s->n - p * NR);
        t.c = w->y + at;
        t.residual = w->residual ? w->residual + at : NULL;
        if (odd) oct_sparse_f32_every(&t, s->offset, s->k, row);
        else s->g->tile(&t);
    }
}

void oct_linear_sparse_f32_run(const oct_args *args, const oct_linear_sparse_f32 *s,
                               const oct_run *r)
{
    const oct_tensor *residual = args->in[OCT_LINEAR_RESIDUAL];
    const oct_act act = ((const oct_linear_attr *)args->attr)->act;
    const int vecs = ceil_div(r->n, s->g->lanes);
    work w = { .s = s, .x = args->in[OCT_LINEAR_X]->data, .y = args->out->data,
               .residual = residual ? residual->data : NULL, .rows = r->n,
               .act = act > OCT_ACT_RELU6 ? OCT_ACT_NONE : act,
               .vecs = ceil_div(vecs, ceil_div(vecs, s->vecs)), .r = r };
    oct_sparse_each(ceil_div(vecs, w.vecs), s->n_panels, (double)r->n * s->n * s->k, r->pool, strip,
                    &w);
}
