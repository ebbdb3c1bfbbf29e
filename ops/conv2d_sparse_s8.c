/* conv2d on integers, weights in sparse blocks of 4, on strips (ops/conv2d_strips.h).
 * Contract: ops/kernels/sparse_s8.h.
 *
 *   x  [n,h,w,c] U8       w  [out, c, kh, kw] S8, scale per row     b, y, residual: conv2d_s8.c */
#include "ops/conv2d_sparse_s8.h"

#include "ops/conv2d_strips.h"
#include "ops/kernels/gemm_s8.h"
#include "ops/kernels/sparse_s8.h"
#include "ops/quantized.h"

typedef struct state {
    oct_conv2d_strips strips;
    const oct_sparse_s8 *g;
    oct_requant out;
    int n_panels;
    int32_t chunk;             /* bytes of a strip gone over at a time; 0: all */
    const void *packed;
} state;

int oct_conv2d_sparse_s8_pick(const oct_args *args, const oct_prepare *how)
{
    const oct_conv2d_shape c = oct_conv2d_shape_of(args);
    const oct_conv2d_attr *attr = args->attr;
    const int isa = oct_sparse_isa(how->cpu);
    if (!(attr->sparse & isa) || !oct_conv2d_sparse_s8_can(&c)) return 0;
    return oct_sparse_form(how, args->in[OCT_CONV2D_W], oct_conv2d_sparse_s8_limit(
                               &c, isa, args->in[OCT_CONV2D_X]->max), 1);
}

/* ---- prepare ---- */

static oct_status offsets(const state *s, oct_arena *tmp, int32_t **out)
{
    const oct_conv2d_shape *c = &s->strips.c;
    const int taps = c->kernel[0] * c->kernel[1], planes = c->c / s->strips.per;
    int32_t *to = *out = oct_arena_alloc(tmp, (size_t)taps * (size_t)planes * sizeof *to);
    if (!to) return oct_fail(OCT_ERR_MEMORY, "conv2d: out of memory");
    for (int p = 0; p < planes; p++)
        for (int t = 0; t < taps; t++) *to++ = oct_conv2d_strips_offset(&s->strips, p, t);
    return OCT_OK;
}

static oct_status describe(const oct_args *args, const state *s, oct_arena *tmp,
                           oct_sparse_s8_weights *out)
{
    const oct_tensor *x = args->in[OCT_CONV2D_X], *w = args->in[OCT_CONV2D_W];
    oct_gemm_s8_weights rows = { .bias = NULL }; /* its biases are ours */
    float *scale = oct_arena_alloc(tmp, (size_t)w->dim[0] * sizeof *scale);
    int32_t *offset;
    if (!scale) return oct_fail(OCT_ERR_MEMORY, "conv2d: out of memory");
    OCT_TRY(oct_quant_scales("conv2d", x, w, args->out, scale));
    OCT_TRY(oct_quant_bias("conv2d", args, tmp, &rows));
    OCT_TRY(offsets(s, tmp, &offset));
    *out = (oct_sparse_s8_weights){ .b = w->data, .n = w->dim[0], .c = w->dim[1],
                                    .taps = w->dim[2] * w->dim[3], .offset = offset,
                                    .zero = x->zero, .bias = rows.bias, .scale = scale,
                                    .fbias = rows.fbias };
    return OCT_OK;
}

/* The packed weights, ours or the file's. */
static oct_status make_packed(const oct_args *args, oct_prepare *how, state *s, oct_arena *tmp)
{
    const oct_packed *given = how->n_given ? how->given : NULL;
    oct_sparse_s8_weights w = { .n = 0 };
    size_t size = 0;
    void *packed;
    int ready;
    if (given) size = oct_sparse_s8_given(s->g, s->strips.c.out, given->data, given->size);
    if (!how->given) {
        OCT_TRY(describe(args, s, tmp, &w));
        size = oct_sparse_s8_size(s->g, &w);
    }
    how->type = OCT_S8;
    OCT_TRY(oct_prepare_packed("conv2d", how, size, &packed, &ready));
    s->packed = packed;
    how->weight_size = size;
    if (ready) return oct_sparse_s8_check(s->g, s->strips.c.out,
                                          oct_conv2d_strips_most(&s->strips), packed, size);
    oct_sparse_s8_pack(s->g, &w, packed);
    return OCT_OK;
}

oct_status oct_conv2d_sparse_s8_prepare(const oct_args *args, oct_prepare *how, void **out)
{
    const oct_conv2d_attr *attr = args->attr;
    state *s = oct_arena_zalloc(how->arena, sizeof *s);
    if (!s) return oct_fail(OCT_ERR_MEMORY, "conv2d: out of memory");
    *out = s;
    const oct_conv2d_shape c = oct_conv2d_shape_of(args);
    const int share = oct_conv2d_sparse_s8_pick(args, how);
    s->g = oct_sparse_s8_pick(how->cpu, args->in[OCT_CONV2D_X]->max, share);
    s->out = oct_quant_requant(args->out, attr->act, args->in[OCT_CONV2D_RESIDUAL]);
    OCT_TRY(oct_conv2d_strips_make(&c, args->out->dim[0], s->g->lanes, s->g->vecs, 4 / share,
                                   4 / share, how->arena, &s->strips));
    s->n_panels = (c.out + s->g->nr - 1) / s->g->nr;
    oct_arena tmp = { 0 };
    const oct_status status = make_packed(args, how, s, &tmp);
    oct_arena_free(&tmp);
    if (status) return status;
    how->thread_size = oct_conv2d_strips_size(&s->strips);
    const int quads = c.c / 4;
    const size_t quad = oct_conv2d_strips_size(&s->strips) / (size_t)quads;
    const size_t blocks = how->weight_size / sizeof(oct_sparse_s8_block);
    if (share == 1)
        s->chunk = oct_sparse_s8_chunk(quads, quad, quad, (int)(blocks / (size_t)c.out));
    oct_sparse_s8_classify(s->g, s->packed, s->n_panels, &s->out);
    return oct_kernel_name(how, share > 1 ? "sparse_s8_4x1" : "sparse_s8", s->g->isa);
}

/* ---- run ---- */

typedef struct work {
    const state *s;
    const uint8_t *x;          /* of the first image */
    int zero;
    const char *residual;
    char *y;
    size_t y_size;             /* bytes of an element of y and residual */
    const oct_run *r;
} work;

static void strip(void *arg, const oct_sparse_part *part, int thread)
{
    const work *w = arg;
    const state *s = w->s;
    const oct_conv2d_shape *c = &s->strips.c;
    const int image = part->strip / s->strips.strips, at = part->strip % s->strips.strips;
    const uint8_t *x = w->x + (size_t)image * (size_t)c->h * (size_t)c->w * (size_t)c->c;
    unsigned char *planes = oct_run_scratch(w->r, thread);
    oct_sparse_run run[OCT_STRIPS_RUNS];
    oct_conv2d_strips_input(&s->strips, s->g->input, x, at, w->zero ^ s->g->flip, planes, NULL);
    oct_sparse_s8_args t = { .x = planes, .size = (int32_t)oct_conv2d_strips_size(&s->strips),
                             .chunk = s->chunk, .vecs = s->strips.vecs, .run = run,
                             .out = &s->out };
    for (int p = part->p0, before = -1; p < part->p1; p++) {
        const oct_conv2d_strips_place to =
            oct_conv2d_strips_place_of(&s->strips, image, p * s->g->nr, s->g->nr);
        if (to.width != before) t.n_runs = oct_conv2d_strips_runs(&s->strips, at, to.width, run);
        before = to.width;
        t.panel = oct_sparse_s8_panel(s->packed, p);
        t.cols = to.cols;
        t.ldc = (size_t)to.width;
        t.c = w->y + to.at * w->y_size;
        t.residual = w->residual ? w->residual + to.at * w->y_size : NULL;
        s->g->tile(&t);
    }
}

void oct_conv2d_sparse_s8_run(const oct_args *args, const void *opaque, const oct_run *r)
{
    const state *s = opaque;
    const oct_tensor *x = args->in[OCT_CONV2D_X], *residual = args->in[OCT_CONV2D_RESIDUAL];
    work w = { .s = s, .x = x->data, .zero = x->zero, .y = args->out->data, .r = r,
               .residual = residual ? residual->data : NULL,
               .y_size = oct_dtype_size(args->out->dtype) };
    oct_conv2d_strips_each(&s->strips, r->n, s->n_panels, r->pool, strip, &w);
}
