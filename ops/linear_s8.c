/* linear on integers, with gemm_s8's tiles of rows x panels.
 *
 *   x  [M, K] U8, or a BLOCKED image [M,h,w,c]     w  [N, K] S8, scale per row
 *   b  [N] S32, F32 or absent                      residual, y  [M, N] U8 or FP32
 *
 * x FP32: b, residual, y FP32.  First each row is quantized, with a scale and zero of its own, into
 * the workspace: [M, K] U8, scale[M], zero[M].
 *
 * Where most weights are zero there are sparse blocks, too (linear_sparse_s8.h), for many rows. */
#include "ops/kernels/gemm_s8.h"
#include "ops/kernels/vec_u8.h"
#include "ops/linear.h"
#include "ops/linear_sparse_s8.h"
#include "ops/quantized.h"
#include "ops/spread.h"

typedef struct state {
    const oct_gemm_s8 *gemm;
    const oct_vec_u8 *vec;     /* quantizes x; NULL: it is U8 */
    oct_requant out;
    oct_gemm_s8_seg seg;
    const char *packed;
    size_t panel_size;
    int n;
    oct_linear_sparse_s8 *sparse; /* or NULL */
} state;

typedef oct_linear_rows_s8 rows;

static size_t round_up(size_t size) { return (size + OCT_ALIGN - 1) / OCT_ALIGN * OCT_ALIGN; }

static size_t rows_size(int m, int k)
{
    return round_up((size_t)m * (size_t)k) + (size_t)m * (sizeof(float) + sizeof(int32_t));
}

static rows place_rows(int m, int k, void *shared)
{
    float *scale = (void *)((char *)shared + round_up((size_t)m * (size_t)k));
    return (rows){ shared, scale, (int32_t *)(void *)(scale + m) };
}

static oct_status pack(const oct_args *args, const state *s, void *packed, oct_arena *tmp)
{
    const oct_tensor *x = args->in[OCT_LINEAR_X], *w = args->in[OCT_LINEAR_W];
    float *scale = oct_arena_alloc(tmp, (size_t)s->n * sizeof *scale);
    int32_t *perm;
    if (!scale) return oct_fail(OCT_ERR_MEMORY, "linear: out of memory");
    OCT_TRY(oct_linear_order(x, tmp, &perm));
    OCT_TRY(oct_quant_scales("linear", x, w, args->out, scale));
    oct_gemm_s8_weights packing = { .b = w->data, .k = s->seg.len, .perm = perm, .n_segs = 1,
                                    .seg = &s->seg, .zero = x->zero, .scale = scale };
    OCT_TRY(oct_quant_bias("linear", args, tmp, &packing));
    oct_gemm_s8_pack(s->gemm, &packing, 0, s->n, packed);
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
    const int dynamic = x->dtype == OCT_F32, x_max = dynamic ? OCT_DYNAMIC_MAX : x->max;
    *s = (state){ .gemm = oct_gemm_s8_pick(how->cpu, x_max), .seg = { 0, k, k }, .n = n,
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
    if (dynamic) {
        s->vec = oct_vec_u8_pick(how->cpu);
        how->shared_size = rows_size(x->dim[0], k);
    }
    OCT_TRY(oct_kernel_name(how, dynamic ? "gemm_s8_dynamic" : "gemm_s8", s->gemm->isa));
    oct_status status = OCT_OK;
    oct_arena tmp = { 0 };
    const int n_panels = (int)(size / s->panel_size);
    if (!ready) status = pack(args, s, packed, &tmp);
    else status = oct_gemm_s8_check(s->gemm, 1, &s->seg, packed, s->panel_size, n_panels);
    oct_arena_free(&tmp);
    oct_gemm_s8_classify(&s->out, s->gemm->nr, packed, s->panel_size, n_panels);
    if (status || !oct_linear_sparse_s8_pick(args, how)) return status;
    return oct_linear_sparse_s8_make(args, how, x_max, &s->sparse);
}

typedef struct work {
    const state *s;
    rows x;
    const char *residual;
    char *y;
    size_t y_size;             /* bytes of an element of y and residual */
    int rows, panels, items;
} work;

/* Rows first .. end of FP32 x. */
typedef struct quantizing {
    const state *s;
    const float *x;
    rows to;
} quantizing;

static void quantize(void *arg, size_t first, size_t end)
{
    const quantizing *t = arg;
    const size_t k = (size_t)t->s->seg.len;
    for (size_t i = first; i < end; i++) {
        const oct_qparams p = oct_dynamic_qparams(t->s->vec->range(k, t->x + i * k));
        t->to.scale[i] = p.scale;
        t->to.zero[i] = p.zero;
        t->s->vec->steps(k, t->x + i * k, 1 / p.scale, p.zero, OCT_DYNAMIC_MAX, t->to.q + i * k);
    }
}

/* One panel for all rows. */
static void panel(const work *w, int p)
{
    const state *s = w->s;
    const int n0 = p * s->gemm->nr, left = s->n - n0;
    for (int i = 0; i < w->rows; ) {
        const oct_linear_rows t = oct_linear_next(i, w->rows, s->gemm->rows);
        const int second = (t.groups - 1) * t.rows;
        const size_t at = ((size_t)i * (size_t)s->n + (size_t)n0) * w->y_size;
        const size_t at2 = at + (size_t)second * (size_t)s->n * w->y_size;
        const char *r = w->residual;
        oct_gemm_s8_args tile = {
            .n_segs = 1, .seg = &s->seg, .a = { w->x.q, w->x.q }, .pos = { i, i + t.rows },
            .step = 1, .rows = t.rows, .groups = t.groups,
            .cols = left < s->gemm->nr ? left : s->gemm->nr,
            .panel = s->packed + (size_t)p * s->panel_size, .c = { w->y + at, w->y + at2 },
            .residual = { r ? r + at : NULL, r ? r + at2 : NULL },
            .ldc = (size_t)s->n, .out = &s->out };
        for (int g = 0; w->x.scale && g < t.groups; g++) {
            tile.row_scale[g] = w->x.scale + i + g * second;
            tile.row_zero[g] = w->x.zero + i + g * second;
        }
        s->gemm->tile(&tile);
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
    work w = { .s = s, .x = { .q = args->in[OCT_LINEAR_X]->data }, .y = args->out->data,
               .residual = residual ? residual->data : NULL, .rows = r->n,
               .y_size = oct_dtype_size(args->out->dtype),
               .panels = (s->n + s->gemm->nr - 1) / s->gemm->nr };
    if (s->vec) {
        const int m = args->in[OCT_LINEAR_X]->dim[0];
        quantizing t = { s, args->in[OCT_LINEAR_X]->data, place_rows(m, s->seg.len, r->shared) };
        oct_spread(r->pool, (size_t)r->n, (size_t)s->seg.len * 5, quantize, &t);
        w.x = t.to;
    }
    if (s->sparse && oct_linear_sparse_s8_takes(s->sparse, r->n)) {
        oct_linear_sparse_s8_run(args, s->sparse, &w.x, r);
        return;
    }
    w.items = (double)r->n * s->n * s->seg.len < ALONE ? 1 : w.panels;
    if (w.items > 1) oct_parallel_for(r->pool, w.items, body, &w);
    else body(&w, 0, 0);
}
