/* linear:  y = act(x W^T + b + residual)                                  torch.nn.Linear
 *
 *   x  [M, K] FP32, or a BLOCKED image [M,h,w,c] with h*w*c = K (a fused flatten)
 *   w  [N, K] F32, F16, BF16 (scale per row)     b  [N] FP32 or absent
 *   residual, y  [M, N] FP32
 *
 * Of many rows with few weights that are not zero: ops/linear_sparse_f32.c.
 * w S8: x U8, b S32 or F32, y U8 or FP32; or x quantized at run time: ops/linear_s8.c.
 *
 * One row: gemv, panels shared out between the threads.  More: tiles of rows x panels, in blocks of
 * rows that stay in the L2 cache while all panels pass by; a panel is prefetched while the one
 * before it is at work, since few rows use it up faster than memory gives it.  With w in half it is
 * widened on the way; in bfloat16 x is rounded into the workspace first.
 * An act that the tiles do not have is applied to a tile's rows as soon as they are written. */
#include "ops/linear.h"

#include <string.h>

#include "ops/common.h"
#include "ops/kernels/gemm_f32.h"
#include "ops/linear_sparse_f32.h"
#include "ops/precision.h"
#include "ops/quantized.h"
#include "ops/sgemm.h"
#include "ops/spread.h"

enum { BLOCK_SIZE = 768 << 10 }; /* bytes of a block of rows; an L2 has 1 MB or more */

typedef struct state {
    void *s8;              /* ops/linear_s8.c's state; then only vec and n are set besides */
    const oct_gemm_f32 *gemm;
    const oct_vec *vec;    /* for act; NULL: the tiles do it */
    const float *packed;
    oct_gemm_f32_seg seg;
    oct_sgemm_step *blas;  /* NULL: our own kernels */
    oct_linear_sparse_f32 *sparse; /* besides; or NULL */
    int n, k;              /* k even in bfloat16: the last one may be a zero */
    int block;             /* rows of a block, a multiple of a tile's */
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
    if ((unsigned)attr->act >= OCT_ACT_COUNT ||
        (attr->act > OCT_ACT_RELU6 && attr->quant.scale != 0))
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

static const oct_vec *vec_for_act(const oct_args *args, const oct_prepare *how)
{
    const oct_act act = ((const oct_linear_attr *)args->attr)->act;
    return act > OCT_ACT_RELU6 ? oct_vec_pick(how->cpu) : NULL;
}

static oct_status prepare_s8(const oct_args *args, oct_prepare *how, void **out)
{
    state *s = oct_arena_zalloc(how->arena, sizeof *s);
    if (!s) return oct_fail(OCT_ERR_MEMORY, "linear: out of memory");
    *out = s;
    s->n = args->in[OCT_LINEAR_W]->dim[0];
    s->vec = vec_for_act(args, how);
    return oct_linear_s8_prepare(args, how, &s->s8);
}

/* Floats from a row of a block to the next: whole lines and one more, so that rows some powers of
 * two long do not fall into the same few lines of the L1 cache. */
static size_t row_length(const state *s)
{
    enum { LINE = 64 / sizeof(float) };
    return ((size_t)s->seg.len + LINE - 1) / LINE * LINE + LINE;
}

/* Workspace of a thread for a batch of m rows, bytes. */
static size_t block_size(const state *s, int m)
{
    return (size_t)(m < s->block ? m : s->block) * row_length(s) * sizeof(float);
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
    const int tile = 2 * g->rows, fit = (int)(BLOCK_SIZE / (sizeof(float) * (size_t)units));
    *s = (state){ .gemm = g, .seg = { 0, units, units }, .n = n, .k = k,
                  .block = fit > tile ? fit / tile * tile : tile };
    s->vec = vec_for_act(args, how);
    *out = s;
    how->macs = (double)n * w->dim[1];

    int ready = 0;
    void *packed = NULL;
    if (!how->sgemm) {
        OCT_TRY(oct_prepare_packed("linear", how, size, &packed, &ready));
        s->packed = packed;
        how->weight_size = size;
        how->thread_size = block_size(s, x->dim[0]);
        if (per == 2) how->shared_size = (size_t)x->dim[0] * (size_t)units * sizeof(float);
        OCT_TRY(oct_kernel_name(how, g->family, g->isa));
    }
    if (oct_linear_sparse_f32_pick(args, how))
        OCT_TRY(oct_linear_sparse_f32_make(args, how, &s->sparse));
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
    const oct_run *r;
    const float *x, *residual;
    float *y;
    int rows, panels, items;
    int blocks, chunks;        /* of rows, of panels: items of more than one row */
    oct_act act;
} work;

oct_linear_rows oct_linear_next(int i, int rows, int most)
{
    const int tiles_left = (rows - i + 2 * most - 1) / (2 * most);
    const int here = (rows - i + tiles_left - 1) / tiles_left;
    return here > 1 ? (oct_linear_rows){ here / 2, 2 } : (oct_linear_rows){ 1, 1 };
}

/* act where the tiles do not have it: `cols` columns of `rows` rows of y. */
static void finish(const work *w, int rows, int cols, float *y)
{
    for (int i = 0; w->s->vec && i < rows; i++, y += w->s->n)
        w->s->vec->act(w->act, (size_t)cols, y, y);
}

static void finish_rows(void *arg, size_t first, size_t end)
{
    const work *w = arg;
    finish(w, (int)(end - first), w->s->n, w->y + first * (size_t)w->s->n);
}

/* Rows i0 .. i1 of panel p; those of x begin at x, width floats from one to the next.  Meanwhile a
 * part of the next panel is fetched for each tile. */
static void panel_rows(const work *w, int p, int i0, int i1, const float *x, int width, int last)
{
    const state *s = w->s;
    const size_t stride = oct_gemm_f32_panel_size(s->gemm, s->k), n = (size_t)s->n;
    const size_t n0 = (size_t)p * (size_t)s->gemm->nr;
    const float *panel = s->packed + (size_t)p * stride, *next = panel + stride;
    const int left = s->n - (int)n0, cols = left < s->gemm->nr ? left : s->gemm->nr;
    const int tiles = (i1 - i0 + 2 * s->gemm->rows - 1) / (2 * s->gemm->rows);
    const int parts = tiles >= 4 ? 4 : tiles >= 2 ? 2 : 1;
    const oct_gemm_f32_seg seg = { 0, s->seg.len, width };
    for (int i = i0, tile = 0; i < i1; tile++) {
        const oct_linear_rows t = oct_linear_next(i, i1, s->gemm->rows);
        const float *r = w->residual ? w->residual + (size_t)i * n + n0 : NULL;
        float *y = w->y + (size_t)i * n + n0;
        const size_t second = t.groups == 2 ? (size_t)t.rows * n : 0;
        s->gemm->tile(&(oct_gemm_f32_args){
            .n_segs = 1, .seg = &seg, .a = { x, x }, .pos = { i - i0, i - i0 + t.rows }, .step = 1,
            .rows = t.rows, .groups = t.groups, .cols = cols, .panel = panel,
            .ahead = tile < parts && !last ? next + (size_t)tile * (stride / (size_t)parts) : NULL,
            .ahead_parts = parts, .c = { y, y + second },
            .residual = { r, r ? r + second : NULL },
            .ldc = n, .act = s->vec ? OCT_ACT_NONE : w->act });
        finish(w, t.rows * t.groups, cols, y);
        i += t.rows * t.groups;
    }
}

/* A chunk of the panels for a block of the rows, which are copied once and read by every panel. */
static void block(const work *w, int item, int thread)
{
    const int b = item / w->chunks, c = item % w->chunks;
    const int i0 = (int)((long long)w->rows * b / w->blocks);
    const int i1 = (int)((long long)w->rows * (b + 1) / w->blocks);
    const int p0 = (int)((long long)w->panels * c / w->chunks);
    const int p1 = (int)((long long)w->panels * (c + 1) / w->chunks);
    const size_t len = (size_t)w->s->seg.len, to = row_length(w->s);
    float *x = oct_run_scratch(w->r, thread);
    for (int i = i0; i < i1; i++)
        memcpy(x + (size_t)(i - i0) * to, w->x + (size_t)i * len, len * sizeof *x);
    for (int p = p0; p < p1; p++) panel_rows(w, p, i0, i1, x, (int)to, p + 1 == p1);
}

static void body(void *arg, int item, int thread)
{
    const work *w = arg;
    const state *s = w->s;
    if (w->rows > 1) {
        block(w, item, thread);
        return;
    }
    const int p0 = (int)((long long)w->panels * item / w->items);
    const int p1 = (int)((long long)w->panels * (item + 1) / w->items);
    const int n0 = p0 * s->gemm->nr, n1 = p1 * s->gemm->nr < s->n ? p1 * s->gemm->nr : s->n;
    const size_t stride = oct_gemm_f32_panel_size(s->gemm, s->k);
    s->gemm->gemv(s->seg.len, w->x, p1 - p0, s->packed + (size_t)p0 * stride, stride,
                  w->residual ? w->residual + n0 : NULL, s->vec ? OCT_ACT_NONE : w->act,
                  n1 - (p1 - 1) * s->gemm->nr, w->y + n0);
    finish(w, 1, n1 - n0, w->y + n0);
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
    enum { ALONE = 100000,     /* multiply-adds not worth a parallel region */
           GEMV = 4, ITEMS = 4 }; /* panels of an item; items for each thread */
    const state *s = opaque;
    const oct_linear_attr *attr = args->attr;
    const oct_tensor *residual = args->in[OCT_LINEAR_RESIDUAL];
    work w = { .s = s, .r = r, .x = args->in[OCT_LINEAR_X]->data, .y = args->out->data,
               .residual = residual ? residual->data : NULL, .rows = r->n, .act = attr->act };
    const int sparse = s->sparse && oct_linear_sparse_f32_takes(s->sparse, r->n);
    if (s->s8 || s->blas || sparse) {
        if (s->s8) oct_linear_s8_run(args, s->s8, r);
        else if (sparse) oct_linear_sparse_f32_run(args, s->sparse, r);
        else oct_sgemm_run(s->blas, r->n, w.x, w.residual, s->vec ? OCT_ACT_NONE : w.act, w.y);
        if (s->vec) oct_spread(r->pool, (size_t)r->n, 64 * (size_t)s->n, finish_rows, &w);
        return;
    }
    if (s->gemm->pairs) {
        rounding t = { s, w.x, r->shared, (int)oct_tensor_sample_count(args->in[OCT_LINEAR_X]) };
        oct_spread(r->pool, (size_t)r->n, (size_t)s->k * 6, round_rows, &t);
        w.x = r->shared;
    }
    const int threads = (double)r->n * s->n * s->k < ALONE ? 1 : r->pool->threads;
    w.panels = (s->n + s->gemm->nr - 1) / s->gemm->nr;
    w.blocks = (r->n + s->block - 1) / s->block;
    w.chunks = threads == 1 ? 1 : w.blocks >= ITEMS ? threads : ITEMS * threads;
    if (w.chunks > w.panels) w.chunks = w.panels;
    w.items = r->n > 1 ? w.blocks * w.chunks : threads > 1 ? (w.panels + GEMV - 1) / GEMV : 1;
    if (w.items > 1) oct_parallel_for(r->pool, w.items, body, &w);
    else body(&w, 0, 0);
}

const oct_op oct_op_linear = { "linear", infer, prepare, run };
