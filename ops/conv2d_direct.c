/* conv2d as an implicit GEMM in FP32: the walk of conv2d_geometry.h with gemm_f32's tiles. */
#include "ops/conv2d_geometry.h"
#include "ops/kernels/gemm_f32.h"

enum { ALONE = 400000 };       /* multiply-adds: about 3 us, not worth a parallel region */

typedef struct state {
    oct_conv2d_geometry g;
    const oct_gemm_f32 *gemm;
    float *packed;             /* n_panels of panel_size floats */
    size_t panel_size;
} state;

static oct_status pack(const oct_args *args, const state *s, oct_arena *tmp)
{
    const oct_tensor *b = args->in[OCT_CONV2D_BIAS];
    const size_t k = (size_t)s->g.k;
    int32_t *perm = oct_arena_alloc(tmp, k * sizeof *perm);
    float *row = oct_arena_alloc(tmp, k * sizeof *row);
    if (!perm || !row) return oct_fail(OCT_ERR_MEMORY, "conv2d: out of memory");
    for (int p = 0, group = -1; p < s->g.n_panels; p++) {
        const oct_conv2d_panel *panel = &s->g.panel[p];
        if (panel->group != group) {
            group = panel->group;
            oct_conv2d_geometry_perm(&s->g, group, perm);
        }
        oct_gemm_f32_pack(s->gemm, args->in[OCT_CONV2D_W], panel->first, panel->cols, s->g.k, perm,
                          b ? b->data : NULL, row, s->packed + (size_t)p * s->panel_size);
    }
    return OCT_OK;
}

oct_status oct_conv2d_direct_prepare(const oct_args *args, oct_prepare *how, void **out)
{
    state *s = oct_arena_zalloc(how->arena, sizeof *s);
    if (!s) return oct_fail(OCT_ERR_MEMORY, "conv2d: out of memory");
    *out = s;
    s->gemm = oct_gemm_f32_pick(how->cpu);
    OCT_TRY(oct_conv2d_geometry_make(args, how, s->gemm->rows, s->gemm->nr, sizeof(float), &s->g));
    s->panel_size = oct_gemm_f32_panel_size(s->gemm, s->g.k);
    const size_t size = (size_t)s->g.n_panels * s->panel_size * sizeof(float);
    void *packed;
    int ready;
    OCT_TRY(oct_prepare_packed("conv2d", how, size, &packed, &ready));
    s->packed = packed;
    how->weight_size = size;
    OCT_TRY(oct_kernel_name(how, "conv2d_f32", s->gemm->isa));
    if (ready) return OCT_OK;
    oct_arena tmp = { 0 };
    const oct_status status = pack(args, s, &tmp);
    oct_arena_free(&tmp);
    return status;
}

typedef struct work {
    const state *s;
    const oct_args *args;
} work;

static void tile(const oct_conv2d_job *job, const oct_conv2d_place *at)
{
    const work *w = job->own;
    const state *s = w->s;
    const oct_conv2d_attr *attr = w->args->attr;
    const float *x = at->x, *r = job->residual;
    float *y = job->y;
    s->gemm->tile(&(oct_gemm_f32_args){
        .n_segs = at->segs->n, .seg = at->segs->seg, .a = { x, x },
        .pos = { at->tile->in[0], at->tile->in[1] }, .step = s->g.c.stride[1],
        .rows = at->tile->rows, .groups = at->tile->groups, .cols = at->panel->cols,
        .panel = at->packed, .ahead = at->ahead, .c = { y + at->at[0], y + at->at[1] },
        .residual = { r ? r + at->at[0] : NULL, r ? r + at->at[1] : NULL },
        .ldc = at->width, .act = attr->act });
}

void oct_conv2d_direct_run(const oct_args *args, const void *opaque, const oct_run *r)
{
    const state *s = opaque;
    const oct_tensor *residual = args->in[OCT_CONV2D_RESIDUAL];
    const work w = { s, args };
    oct_conv2d_job job = { .g = &s->g, .tile = tile, .own = &w, .packed = s->packed,
                           .panel_size = s->panel_size * sizeof(float), .alone = ALONE,
                           .x = args->in[OCT_CONV2D_X]->data, .y = args->out->data,
                           .residual = residual ? residual->data : NULL,
                           .y_size = sizeof(float) };
    oct_conv2d_walk(&job, r);
}
