/* linear:  y = act(x W^T + b + residual)                                  torch.nn.Linear
 *
 *   x  [M, K] FP32, or a BLOCKED image [M,h,w,c] with h*w*c = K (a fused flatten)
 *   w  [N, K] F32, F16, BF16 (scale per row)     b  [N] FP32 or absent
 *   residual, y  [M, N] FP32
 *
 * w S8: x U8, b S32 or F32, y U8 or FP32; or x quantized at run time: ops/linear_s8.c.
 *
 * One row: gemv, panels shared out between the threads.  More: tiles of rows x panels.  With w in
 * half it is widened on the way; in bfloat16 x is rounded into the workspace first. */
#include "ops/linear.h"

#include <string.h>

#include "ops/common.h"
#include "ops/kernels/gemm_f32.h"
#include "ops/precision.h"
#include "ops/quantized.h"
#include "ops/sgemm.h"
#include "ops/spread.h"

typedef struct state {
    void *s8;              /* ops/linear_s8.c's state; then nothing else is set */
    const oct_gemm_f32 *gemm;
    const float *packed;
    oct_gemm_f32_seg seg;
    oct_sgemm_step *blas;  /* NULL: our own kernels */
    int n, k;              /* k even in bfloat16: the last one may be a zero */
} state;

static oct_status infer(oct_args *args)
{
    const oct_tensor *x = args->in[OCT_LINEAR_X], *w = args->in[OCT_LINEAR_W];
    const oct_tensor *b = args->in[OCT_LINEAR_BIAS], *r = args->in[OCT_LINEAR_RESIDUAL];
    const oct_linear_attr *attr = args->attr;
    OCT_TRY(oct_infer_value("linear", x));
    if (w->rank != 2)
        return oct_fail(OCT_ERR_SHAPE, "linear: weight has rank %d, not 2", w->rank);
    if (x->rank != 2 && x->layout != OCT_BLOCKED)
        return oct_fail(OCT_ERR_SHAPE, "linear: x has rank %d, not 2 (flatten it)", x->rank);
    if (oct_tensor_sample_count(x) != (size_t)w->dim[1])
        return oct_fail(OCT_ERR_SHAPE, "linear: x has %zu features, weight takes %d",
                        oct_tensor_sample_count(x), w->dim[1]);
    if (w->dim[0] < 1 || w->dim[1] < 1)
        return oct_fail(OCT_ERR_SHAPE, "linear: weight is [%d, %d]", w->dim[0], w->dim[1]);
    if (!oct_quant_layer(x, w)) OCT_TRY(oct_infer_float_weight("linear", w));
    if (b && ((b->dtype != OCT_F32 && !oct_quant_layer(x, w)) || b->rank != 1 ||
              b->dim[0] != w->dim[0]))
        return oct_fail(OCT_ERR_SHAPE, "linear: bias has %d entries, weight has %d rows",
                        b->rank == 1 ? b->dim[0] : -1, w->dim[0]);
    if (attr->act > OCT_ACT_RELU6)
        return oct_fail(OCT_ERR_UNSUPPORTED, "linear: %s cannot be fused", oct_act_name(attr->act));
    void *data = args->out->data;
    oct_tensor y = { .rank = 2, .dim = { x->dim[0], w->dim[0] }, .data = data };
    OCT_TRY(oct_quant_out("linear", &attr->quant, &y));
    if (oct_quant_layer(x, w)) OCT_TRY(oct_quant_weights("linear", x, w, b, &y, w->dim[1]));
    else if (y.dtype != OCT_F32)
        return oct_fail(OCT_ERR_UNSUPPORTED, "linear: x is F32 and y U8");
    *args->out = y;
    if (r) OCT_TRY(oct_infer_value("linear", r));
    if (r && (r->dtype != y.dtype || r->rank != 2 || r->dim[0] != x->dim[0] ||
              r->dim[1] != w->dim[0]))
        return oct_fail(OCT_ERR_SHAPE, "linear: the residual is not shaped like the output");
    return OCT_OK;
}

oct_status oct_linear_order(const oct_tensor *x, oct_arena *arena, int32_t **perm)
{
    *perm = NULL;
    if (x->layout != OCT_BLOCKED) return OCT_OK;
    const int pixels = x->dim[1] * x->dim[2], c = x->dim[3];
    int32_t *p = oct_arena_alloc(arena, (oct_tensor_sample_count(x) + 1) * sizeof *p);
    if (!p) return oct_fail(OCT_ERR_MEMORY, "linear: out of memory");
    *perm = p;
    for (int b = 0; b < oct_block_count(c); b++)
        for (int i = 0; i < pixels; i++)
            for (int l = 0; l < oct_block_width(c, b); l++)
                *p++ = (b * OCT_BLOCK + l) * pixels + i;
    *p = -1;
    return OCT_OK;
}

static oct_status prepare_s8(const oct_args *args, oct_prepare *how, void **out)
{
    state *s = oct_arena_zalloc(how->arena, sizeof *s);
    if (!s) return oct_fail(OCT_ERR_MEMORY, "linear: out of memory");
    *out = s;
    return oct_linear_s8_prepare(args, how, &s->s8);
}

static oct_status prepare(const oct_args *args, oct_prepare *how, void **out)
{
    const oct_tensor *x = args->in[OCT_LINEAR_X], *w = args->in[OCT_LINEAR_W];
    const oct_tensor *b = args->in[OCT_LINEAR_BIAS];
    if (oct_quant_layer(x, w)) return prepare_s8(args, how, out);
    const oct_dtype type = oct_precision_choose(how, w, 1);
    const int per = type == OCT_BF16 ? 2 : 1, n = w->dim[0], units = (w->dim[1] + per - 1) / per;
    const int k = units * per;
    const oct_gemm_f32 *g = oct_precision_gemm(type, how->cpu);
    how->type = how->sgemm ? OCT_F32 : type;
    const size_t size = oct_gemm_f32_packed_size(g, n, k) * sizeof(float);
    const float *bias = b ? b->data : NULL;
    state *s = oct_arena_zalloc(how->arena, sizeof *s);
    if (!s) return oct_fail(OCT_ERR_MEMORY, "linear: out of memory");
    *s = (state){ .gemm = g, .seg = { 0, units, units }, .n = n, .k = k };
    *out = s;
    how->macs = (double)n * w->dim[1];

    int ready = 0;
    void *packed = NULL;
    if (!how->sgemm) {
        OCT_TRY(oct_prepare_packed("linear", how, size, &packed, &ready));
        s->packed = packed;
        how->weight_size = size;
        if (per == 2) how->shared_size = (size_t)x->dim[0] * (size_t)units * sizeof(float);
        OCT_TRY(oct_kernel_name(how, g->family, g->isa));
    }
    if (ready) return OCT_OK;
    oct_arena tmp = { 0 }; /* a row of weights and the permutation: gone after packing */
    int32_t *perm;
    oct_status status = oct_linear_order(x, &tmp, &perm);
    if (status == OCT_OK && how->sgemm) {
        status = oct_sgemm_prepare(w, w->dim[1], perm, bias, how, &s->blas);
    } else if (status == OCT_OK) {
        float *row = oct_arena_alloc(&tmp, (size_t)k * sizeof *row);
        if (row) oct_gemm_f32_pack(g, w, 0, n, k, perm, bias, row, packed);
        else status = oct_fail(OCT_ERR_MEMORY, "linear: out of memory");
    }
    oct_arena_free(&tmp);
    return status;
}

typedef struct work {
    const state *s;
    const float *x, *residual;
    float *y;
    int rows, panels, items;
    oct_act act;
} work;

oct_linear_rows oct_linear_next(int i, int rows, int most)
{
    const int tiles_left = (rows - i + 2 * most - 1) / (2 * most);
    const int here = (rows - i + tiles_left - 1) / tiles_left;
    return here > 1 ? (oct_linear_rows){ here / 2, 2 } : (oct_linear_rows){ 1, 1 };
}

/* Panels p0 .. p1 for all rows. */
static void tiles(const work *w, int p0, int p1)
{
    const state *s = w->s;
    const size_t stride = oct_gemm_f32_panel_size(s->gemm, s->k);
    for (int p = p0; p < p1; p++) {
        const size_t n0 = (size_t)p * (size_t)s->gemm->nr;
        const int left = s->n - (int)n0;
        for (int i = 0; i < w->rows; ) {
            const oct_linear_rows t = oct_linear_next(i, w->rows, s->gemm->rows);
            const int rows = t.rows, groups = t.groups;
            const float *r = w->residual ? w->residual + (size_t)i * (size_t)s->n + n0 : NULL;
            float *y = w->y + (size_t)i * (size_t)s->n + n0;
            const size_t second = (size_t)rows * (size_t)s->n;
            s->gemm->tile(&(oct_gemm_f32_args){
                .n_segs = 1, .seg = &s->seg, .a = { w->x, w->x }, .pos = { i, i + rows }, .step = 1,
                .rows = rows, .groups = groups,
                .cols = left < s->gemm->nr ? left : s->gemm->nr,
                .panel = s->packed + (size_t)p * stride,
                .c = { y, y + (groups == 2 ? second : 0) },
                .residual = { r, r ? r + (groups == 2 ? second : 0) : NULL },
                .ldc = (size_t)s->n, .act = w->act });
            i += rows * groups;
        }
    }
}

static void body(void *arg, int item, int thread)
{
    const work *w = arg;
    const state *s = w->s;
    (void)thread;
    const int p0 = (int)((long long)w->panels * item / w->items);
    const int p1 = (int)((long long)w->panels * (item + 1) / w->items);
    if (w->rows > 1) {
        tiles(w, p0, p1);
        return;
    }
    const int n0 = p0 * s->gemm->nr, last = s->n - (p1 - 1) * s->gemm->nr;
    const size_t stride = oct_gemm_f32_panel_size(s->gemm, s->k);
    s->gemm->gemv(s->seg.len, w->x, p1 - p0, s->packed + (size_t)p0 * stride, stride,
                  w->residual ? w->residual + n0 : NULL, w->act,
                  last < s->gemm->nr ? last : s->gemm->nr, w->y + n0);
}

typedef struct rounding { const state *s; const float *x; uint16_t *y; int k; } rounding;

static void round_rows(void *arg, size_t first, size_t end)
{
    const rounding *t = arg;
    t->s->gemm->pairs(end - first, t->k, t->x + first * (size_t)t->k,
                      t->y + first * (size_t)t->s->k);
}

static void run(const oct_args *args, const void *opaque, const oct_run *r)
{
    enum { ALONE = 100000, GEMV = 4 }; /* multiply-adds not worth a parallel region; panels */
    const state *s = opaque;
    const oct_linear_attr *attr = args->attr;
    const oct_tensor *residual = args->in[OCT_LINEAR_RESIDUAL];
    if (s->s8) {
        oct_linear_s8_run(args, s->s8, r);
        return;
    }
    work w = { .s = s, .x = args->in[OCT_LINEAR_X]->data, .y = args->out->data,
               .residual = residual ? residual->data : NULL, .rows = r->n, .act = attr->act };
    if (s->blas) {
        oct_sgemm_run(s->blas, r->n, w.x, w.residual, w.act, w.y);
        return;
    }
    if (s->gemm->pairs) {
        rounding t = { s, w.x, r->shared, (int)oct_tensor_sample_count(args->in[OCT_LINEAR_X]) };
        oct_spread(r->pool, (size_t)r->n, (size_t)s->k * 6, round_rows, &t);
        w.x = r->shared;
    }
    w.panels = (s->n + s->gemm->nr - 1) / s->gemm->nr;
    w.items = r->n > 1 ? w.panels : (w.panels + GEMV - 1) / GEMV;
    if ((double)r->n * s->n * s->k < ALONE) w.items = 1;
    if (w.items > 1) oct_parallel_for(r->pool, w.items, body, &w);
    else body(&w, 0, 0);
}

const oct_op oct_op_linear = { "linear", infer, prepare, run };
