/* linear on integers, with gemm_s8's tiles of rows x panels.
 *
 *   x  [M, K] U8, or a BLOCKED image [M,h,w,c]     w  [N, K] S8, scale per row
 *   b  [N] S32, F32 or absent                      residual, y  [M, N] U8 or FP32 */
#include "ops/kernels/gemm_s8.h"
#include "ops/linear.h"
#include "ops/quantized.h"

typedef struct state {
    const oct_gemm_s8 *gemm;
    oct_requant out;
    oct_gemm_s8_seg seg;
    const char *packed;
    size_t panel_size;
    int n;
} state;

static oct_status pack(const oct_args *args, const state *s, void *packed, oct_arena *tmp)
{
    const oct_tensor *x = args->in[OCT_LINEAR_X], *w = args->in[OCT_LINEAR_W];
    const oct_tensor *b = args->in[OCT_LINEAR_BIAS];
    float *scale = oct_arena_alloc(tmp, (size_t)s->n * sizeof *scale);
    int32_t *perm;
    if (!scale) return oct_fail(OCT_ERR_MEMORY, "linear: out of memory");
    OCT_TRY(oct_linear_order(x, tmp, &perm));
    OCT_TRY(oct_quant_scales("linear", x, w, args->out, scale));
    OCT_TRY(oct_quant_bias("linear", b));
    oct_gemm_s8_pack(s->gemm, &(oct_gemm_s8_weights){
        .b = w->data, .k = s->seg.len, .perm = perm, .n_segs = 1, .seg = &s->seg, .zero = x->zero,
        .bias = b && b->dtype == OCT_S32 ? b->data : NULL,
        .fbias = b && b->dtype == OCT_F32 ? b->data : NULL, .scale = scale }, 0, s->n, packed);
    return OCT_OK;
}

oct_status oct_linear_s8_prepare(const oct_args *args, oct_prepare *how, void **out)
{
    const oct_tensor *x = args->in[OCT_LINEAR_X], *w = args->in[OCT_LINEAR_W];
    const oct_linear_attr *attr = args->attr;
    const int n = w->dim[0], k = w->dim[1];
    const oct_act act = attr->act > OCT_ACT_RELU6 ? OCT_ACT_NONE : attr->act; /* linear.c */
    state *s = oct_arena_zalloc(how->arena, sizeof *s);
    if (!s) return oct_fail(OCT_ERR_MEMORY, "linear: out of memory");
    *s = (state){ .gemm = oct_gemm_s8_pick(how->cpu, x->max), .seg = { 0, k, k }, .n = n,
                  .out = oct_quant_requant(args->out, act, args->in[OCT_LINEAR_RESIDUAL]) };
    *out = s;
    s->panel_size = oct_gemm_s8_panel_size(s->gemm, 1, &s->seg);
    const size_t size = (size_t)((n + s->gemm->nr - 1) / s->gemm->nr) * s->panel_size;
    void *packed;
    int ready;
    how->type = OCT_S8;
    OCT_TRY(oct_prepare_packed("linear", how, size, &packed, &ready));
    s->packed = packed;
    how->macs = (double)n * k;
    how->weight_size = size;
    OCT_TRY(oct_kernel_name(how, "gemm_s8", s->gemm->isa));
    if (ready) return OCT_OK;
    oct_arena tmp = { 0 };
    const oct_status status = pack(args, s, packed, &tmp);
    oct_arena_free(&tmp);
    return status;
}

typedef struct work {
    const state *s;
    const uint8_t *x;
    const char *residual;
    char *y;
    size_t y_size;             /* bytes of an element of y and residual */
    int rows, panels, items;
} work;

/* One panel for all rows. */
static void panel(const work *w, int p)
{
    const state *s = w->s;
    const int n0 = p * s->gemm->nr, left = s->n - n0;
    for (int i = 0; i < w->rows; ) {
        const oct_linear_rows t = oct_linear_next(i, w->rows, s->gemm->rows);
        const size_t at = ((size_t)i * (size_t)s->n + (size_t)n0) * w->y_size;
        const size_t at2 = at + (size_t)(t.groups - 1) * (size_t)t.rows * (size_t)s->n * w->y_size;
        const char *r = w->residual;
        s->gemm->tile(&(oct_gemm_s8_args){
            .n_segs = 1, .seg = &s->seg, .a = { w->x, w->x }, .pos = { i, i + t.rows }, .step = 1,
            .rows = t.rows, .groups = t.groups, .cols = left < s->gemm->nr ? left : s->gemm->nr,
            .panel = s->packed + (size_t)p * s->panel_size, .c = { w->y + at, w->y + at2 },
            .residual = { r ? r + at : NULL, r ? r + at2 : NULL },
            .ldc = (size_t)s->n, .out = &s->out });
        i += t.rows * t.groups;
    }
}

static void body(void *arg, int item, int thread)
{
    const work *w = arg;
    (void)thread;
    const int p0 = (int)((long long)w->panels * item / w->items);
    const int p1 = (int)((long long)w->panels * (item + 1) / w->items);
    for (int p = p0; p < p1; p++) panel(w, p);
}

void oct_linear_s8_run(const oct_args *args, const void *opaque, const oct_run *r)
{
    enum { ALONE = 400000 }; /* multiply-adds not worth a parallel region */
    const state *s = opaque;
    const oct_tensor *residual = args->in[OCT_LINEAR_RESIDUAL];
    work w = { .s = s, .x = args->in[OCT_LINEAR_X]->data, .y = args->out->data,
               .residual = residual ? residual->data : NULL, .rows = r->n,
               .y_size = oct_dtype_size(args->out->dtype),
               .panels = (s->n + s->gemm->nr - 1) / s->gemm->nr };
    w.items = (double)r->n * s->n * s->seg.len < ALONE ? 1 : w.panels;
    if (w.items > 1) oct_parallel_for(r->pool, w.items, body, &w);
    else body(&w, 0, 0);
}
