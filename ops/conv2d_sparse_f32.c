/* conv2d in FP32, zeros of the weights left out, on strips (ops/conv2d_strips.h).  Contract:
 * ops/kernels/sparse_f32.h.
 *
 *   x  [n,h,w,c] FP32       w  [out, c, kh, kw] F32, F16, BF16      b, y, residual: conv2d.c
 *
 * k runs as in conv2d_direct.c: blocks of 64 channels, in each kh, kw, c.  A strip that holds an
 * infinity or a NaN is computed with all products, since 0 times these is a NaN. */
#include "ops/conv2d_sparse_f32.h"

#include "ops/conv2d_strips.h"
#include "ops/conv2d_winograd.h"
#include "ops/kernels/sparse_f32.h"
#include "ops/sparse.h"

enum { NR = OCT_SPARSE_F32_NR };

typedef struct state {
    oct_conv2d_strips strips;
    const oct_sparse_f32 *g;
    int n_panels, k;
    int32_t *offset;           /* [k] */
    const void *packed;
} state;

int oct_conv2d_sparse_f32_can(const oct_conv2d_shape *c)
{
    return c->groups == 1 && !oct_conv2d_winograd_pick(c);
}

int oct_conv2d_sparse_f32_pick(const oct_args *args, const oct_prepare *how)
{
    const oct_conv2d_shape c = oct_conv2d_shape_of(args);
    const oct_conv2d_attr *attr = args->attr;
    return (attr->sparse & oct_sparse_isa(how->cpu)) && oct_conv2d_sparse_f32_can(&c) &&
           how->precision != OCT_F16 && how->precision != OCT_BF16;
}

/* ---- prepare ---- */

/* For each k its place in a row of w, and in the strip. */
static void order(const state *s, int32_t *perm)
{
    const oct_conv2d_shape *c = &s->strips.c;
    const int taps = c->kernel[0] * c->kernel[1];
    int k = 0;
    for (int b = 0; b < oct_block_count(c->c); b++)
        for (int t = 0; t < taps; t++)
            for (int l = 0; l < oct_block_width(c->c, b); l++, k++) {
                const int channel = b * OCT_BLOCK + l;
                perm[k] = channel * taps + t;
                s->offset[k] = oct_conv2d_strips_offset(&s->strips, channel, t);
            }
}

static oct_status pack(const oct_args *args, oct_prepare *how, state *s, oct_arena *tmp)
{
    const oct_tensor *b = args->in[OCT_CONV2D_BIAS];
    const size_t k = (size_t)s->k;
    const oct_packed *given = how->n_given ? how->given : NULL;
    oct_sparse_f32_weights w = { .w = args->in[OCT_CONV2D_W], .n = s->strips.c.out, .k = s->k,
                                 .offset = s->offset, .bias = b ? b->data : NULL };
    int32_t *perm = oct_arena_alloc(tmp, k * sizeof *perm);
    void *packed;
    size_t size = 0;
    int ready, chunks = 0;
    if (!perm) return oct_fail(OCT_ERR_MEMORY, "conv2d: out of memory");
    w.perm = perm;
    order(s, perm);
    if (given) size = oct_sparse_f32_given(w.n, given->data, given->size);
    if (!how->given) {
        w.rows = oct_arena_alloc(tmp, (NR + 1) * k * sizeof(float));
        if (!w.rows) return oct_fail(OCT_ERR_MEMORY, "conv2d: out of memory");
        chunks = oct_sparse_f32_chunks_for(&w, (size_t)(s->strips.vecs * s->strips.lanes));
        size = oct_sparse_f32_size(&w, chunks);
    }
    how->type = OCT_F32;
    OCT_TRY(oct_prepare_packed("conv2d", how, size, &packed, &ready));
    s->packed = packed;
    how->weight_size = size;
    if (ready) return oct_sparse_f32_check(w.n, oct_conv2d_strips_most(&s->strips), packed, size);
    oct_sparse_f32_pack(&w, chunks, packed);
    return OCT_OK;
}

oct_status oct_conv2d_sparse_f32_prepare(const oct_args *args, oct_prepare *how, void **out)
{
    state *s = oct_arena_zalloc(how->arena, sizeof *s);
    if (!s) return oct_fail(OCT_ERR_MEMORY, "conv2d: out of memory");
    *out = s;
    const oct_conv2d_shape c = oct_conv2d_shape_of(args);
    s->g = oct_sparse_f32_pick(how->cpu);
    OCT_TRY(oct_conv2d_strips_make(&c, args->out->dim[0], s->g->lanes, s->g->vecs, 1, 4,
                                   how->arena, &s->strips));
    s->n_panels = (c.out + NR - 1) / NR;
    s->k = c.c * c.kernel[0] * c.kernel[1];
    s->offset = oct_arena_alloc(how->arena, (size_t)s->k * sizeof *s->offset);
    if (!s->offset) return oct_fail(OCT_ERR_MEMORY, "conv2d: out of memory");
    oct_arena tmp = { 0 };
    const oct_status status = pack(args, how, s, &tmp);
    oct_arena_free(&tmp);
    if (status) return status;
    how->thread_size = oct_conv2d_strips_size(&s->strips) + (size_t)s->k * sizeof(float);
    return oct_kernel_name(how, "sparse_f32", s->g->isa);
}

/* ---- run ---- */

typedef struct work {
    const state *s;
    const float *x;            /* of the first image */
    const float *residual;
    float *y;
    oct_act act;
    const oct_run *r;
} work;

static void strip(void *arg, const oct_sparse_part *part, int thread)
{
    const work *w = arg;
    const state *s = w->s;
    const oct_conv2d_shape *c = &s->strips.c;
    const int image = part->strip / s->strips.strips, at = part->strip % s->strips.strips;
    const float *x = w->x + (size_t)image * (size_t)c->h * (size_t)c->w * (size_t)c->c;
    unsigned char *planes = oct_run_scratch(w->r, thread);
    float *row = (void *)(planes + oct_conv2d_strips_size(&s->strips));
    oct_sparse_run run[OCT_STRIPS_RUNS];
    int odd = 0;
    oct_conv2d_strips_input(&s->strips, s->g->input, (const void *)x, at, 0, planes, &odd);
    oct_sparse_f32_args t = { .x = planes, .vecs = s->strips.vecs, .run = run, .act = w->act,
                              .chunks = oct_sparse_f32_chunks(s->packed) };
    for (int p = part->p0, before = -1; p < part->p1; p++) {
        const oct_conv2d_strips_place to = oct_conv2d_strips_place_of(&s->strips, image, p * NR,
                                                                      NR);
        if (to.width != before) t.n_runs = oct_conv2d_strips_runs(&s->strips, at, to.width, run);
        before = to.width;
        t.panel = oct_sparse_f32_panel(s->packed, p);
        t.cols = to.cols;
        t.ldc = (size_t)to.width;
        t.c = w->y + to.at;
        t.residual = w->residual ? w->residual + to.at : NULL;
        if (odd) oct_sparse_f32_every(&t, s->offset, s->k, row);
        else s->g->tile(&t);
    }
}

void oct_conv2d_sparse_f32_run(const oct_args *args, const void *opaque, const oct_run *r)
{
    const state *s = opaque;
    const oct_tensor *residual = args->in[OCT_CONV2D_RESIDUAL];
    work w = { .s = s, .x = args->in[OCT_CONV2D_X]->data, .y = args->out->data, .r = r,
               .residual = residual ? residual->data : NULL,
               .act = ((const oct_conv2d_attr *)args->attr)->act };
    oct_conv2d_strips_each(&s->strips, r->n, s->n_panels, r->pool, strip, &w);
}
