/* conv2d on integers:  the walk of conv2d_geometry.h with gemm_s8's tiles.
 *
 *   x  [n,h,w,c] U8       w  [out, c/groups, kh, kw] S8, scale per row     b  S32, F32 or absent
 *   y  U8 in a scale of its own, residual U8 in another;  or y and residual FP32
 *
 * Padding is made of x's zero point.  Exact, so nothing depends on how the work is cut. */
#include "ops/conv2d_s8.h"

#include <string.h>

#include "ops/kernels/gemm_s8_24.h"
#include "ops/quantized.h"
#include "ops/sparse.h"

/* Multiply-adds that take about 3 us, not worth a parallel region, times nr * nr: kernels of twice
 * the columns have twice the lanes and twice as many products in each. */
enum { ALONE = 1600 };

enum { HEAD = 64 };            /* before the panels of 2:4: a word that says so (oct_sparse_form) */

static oct_status pack(const oct_args *args, const oct_conv2d_s8 *s, oct_arena *tmp)
{
    const oct_tensor *x = args->in[OCT_CONV2D_X], *w = args->in[OCT_CONV2D_W];
    int32_t *perm = oct_arena_alloc(tmp, (size_t)s->g.k * sizeof *perm);
    float *scale = oct_arena_alloc(tmp, (size_t)w->dim[0] * sizeof *scale);
    if (!perm || !scale) return oct_fail(OCT_ERR_MEMORY, "conv2d: out of memory");
    OCT_TRY(oct_quant_scales("conv2d", x, w, args->out, scale));
    oct_gemm_s8_weights rows = { .b = w->data, .k = s->g.k, .perm = perm, .zero = x->zero,
                                 .scale = scale };
    OCT_TRY(oct_quant_bias("conv2d", args, tmp, &rows));
    for (int p = 0, group = -1; p < s->g.n_panels; p++) {
        const oct_conv2d_panel *panel = &s->g.panel[p];
        if (panel->group != group) {
            group = panel->group;
            oct_conv2d_geometry_perm(&s->g, group, perm);
            rows.n_segs = s->g.segs[group].n;
            rows.seg = s->g.segs[group].seg;
        }
        char *packed = s->packed + (size_t)p * s->panel_size;
        oct_gemm_s8_pack(s->gemm, &rows, panel->first, panel->cols, packed);
        if (oct_gemm_s8_is_24(s->gemm))
            OCT_TRY(oct_gemm_s8_24_halve(s->gemm, rows.n_segs, rows.seg, packed, 0, 1));
    }
    return OCT_OK;
}

/* Panels of a compiled file. */
static oct_status check_packed(const oct_conv2d_s8 *s)
{
    for (int p = 0; p < s->g.n_panels; p++) {
        const oct_conv2d_segs *segs = &s->g.segs[s->g.panel[p].group];
        OCT_TRY(oct_gemm_s8_check(s->gemm, segs->n, segs->seg,
                                  s->packed + (size_t)p * s->panel_size, s->panel_size, 1));
    }
    return OCT_OK;
}

oct_status oct_conv2d_s8_make(const oct_args *args, oct_prepare *how, const char *family,
                              const oct_gemm_s8 *gemm, oct_conv2d_s8 *s)
{
    const oct_conv2d_attr *attr = args->attr;
    const size_t head = oct_gemm_s8_is_24(gemm) ? HEAD : 0;
    s->gemm = gemm;
    s->out = oct_quant_requant(args->out, attr->act, args->in[OCT_CONV2D_RESIDUAL]);
    OCT_TRY(oct_conv2d_geometry_make(args, how, s->gemm->rows, s->gemm->nr, 1, &s->g));
    for (int i = 0; i < s->g.c.groups; i++) { /* segments are cut by blocks, so sizes differ */
        const size_t size = oct_gemm_s8_panel_size(s->gemm, s->g.segs[i].n, s->g.segs[i].seg);
        if (size > s->panel_size) s->panel_size = size;
    }
    const size_t size = head + (size_t)s->g.n_panels * s->panel_size;
    void *packed;
    int ready;
    how->type = OCT_S8;
    OCT_TRY(oct_prepare_packed("conv2d", how, size, &packed, &ready));
    s->packed = (char *)packed + head;
    how->weight_size = size;
    OCT_TRY(oct_kernel_name(how, family, s->gemm->isa));
    oct_status status;
    oct_arena tmp = { 0 };
    if (!ready) memset(packed, 0, size); /* what lies between panels of unequal size */
    if (!ready && head) *(int *)packed = OCT_SPARSE_24;
    status = ready ? check_packed(s) : pack(args, s, &tmp);
    oct_arena_free(&tmp);
    oct_gemm_s8_classify(&s->out, s->gemm->nr, s->packed, s->panel_size, s->g.n_panels);
    return status;
}

oct_status oct_conv2d_s8_prepare(const oct_args *args, oct_prepare *how, void **out)
{
    oct_conv2d_s8 *s = oct_arena_zalloc(how->arena, sizeof *s);
    if (!s) return oct_fail(OCT_ERR_MEMORY, "conv2d: out of memory");
    *out = s;
    return oct_conv2d_s8_make(args, how, "conv2d_s8",
                              oct_gemm_s8_pick(how->cpu, args->in[OCT_CONV2D_X]->max), s);
}

oct_status oct_conv2d_s8_24_prepare(const oct_args *args, oct_prepare *how, void **out)
{
    oct_conv2d_s8 *s = oct_arena_zalloc(how->arena, sizeof *s);
    if (!s) return oct_fail(OCT_ERR_MEMORY, "conv2d: out of memory");
    *out = s;
    return oct_conv2d_s8_make(args, how, "sparse_s8_24",
                              oct_gemm_s8_24_pick(how->cpu, args->in[OCT_CONV2D_X]->max), s);
}

/* Element `at` of an array of U8 or FP32. */
static void *element(const oct_conv2d_job *job, const void *array, size_t at)
{
    return array ? (char *)(uintptr_t)array + at * job->y_size : NULL;
}

oct_gemm_s8_args oct_conv2d_s8_args(const oct_conv2d_s8 *s, const oct_conv2d_stretch *at)
{
    return (oct_gemm_s8_args){
        .n_segs = at->segs->n, .seg = at->segs->seg, .a = { at->x, at->x },
        .step = s->g.c.stride[1], .cols = at->panel->cols, .panel = at->packed,
        .ahead_parts = at->ahead_parts, .out = &s->out, .ldc = at->width };
}

void oct_conv2d_s8_tiles(const oct_conv2d_s8 *s, const oct_conv2d_job *job,
                         const oct_conv2d_stretch *at, oct_gemm_s8_args *t)
{
    const oct_gemm_seg first = at->segs->seg[0];
    const uint8_t *x = (const uint8_t *)at->x + first.offset;
    char *y = element(job, job->y, at->at);
    const char *residual = element(job, job->residual, at->at);
    const size_t width = at->width * job->y_size;
    const size_t part = job->panel_size / (size_t)at->ahead_parts;
    for (int k = 0; k < at->n; k++) {
        const oct_conv2d_tile *tile = &at->tile[k];
        const int more = k + 1 < at->n || !at->last;
        t->rows = tile->rows;
        t->groups = tile->groups;
        t->ahead = k < at->n_ahead ? at->ahead + part * (size_t)k : NULL;
        for (int i = 0; i < 2; i++) {
            const size_t out = (size_t)tile->out[i] * width;
            t->pos[i] = tile->in[i];
            t->next[i] = more ? x + (ptrdiff_t)tile[1].in[i] * first.width : NULL;
            t->c[i] = y + out;
            t->residual[i] = residual ? residual + out : NULL;
        }
        s->gemm->tile(t);
    }
}

oct_conv2d_job oct_conv2d_s8_job(const oct_args *args, const oct_conv2d_s8 *s,
                                 oct_conv2d_do *tiles, const void *own, int fill)
{
    const oct_tensor *x = args->in[OCT_CONV2D_X], *residual = args->in[OCT_CONV2D_RESIDUAL];
    return (oct_conv2d_job){ .g = &s->g, .tiles = tiles, .own = own, .packed = s->packed,
                             .panel_size = s->panel_size, .fill = fill,
                             .alone = (double)ALONE * s->gemm->nr * s->gemm->nr,
                             .x = x->data, .y = args->out->data,
                             .residual = residual ? residual->data : NULL,
                             .y_size = oct_dtype_size(args->out->dtype) };
}

static void tiles(const oct_conv2d_job *job, const oct_conv2d_stretch *at)
{
    const oct_conv2d_s8 *s = job->own;
    oct_gemm_s8_args t = oct_conv2d_s8_args(s, at);
    oct_conv2d_s8_tiles(s, job, at, &t);
}

void oct_conv2d_s8_run(const oct_args *args, const void *opaque, const oct_run *r)
{
    oct_conv2d_job job = oct_conv2d_s8_job(args, opaque, tiles, opaque,
                                           args->in[OCT_CONV2D_X]->zero);
    oct_conv2d_walk(&job, r);
}
