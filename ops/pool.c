/* pool:  maximum or average over windows     torch.nn.MaxPool2d, AvgPool2d, AdaptiveAvgPool2d
 *
 *   x [n,h,w,c] -> y [n,oh,ow,c], both BLOCKED;  ceil_mode=False:
 *       oh = (h + 2 pad - dilation (kernel - 1) - 1) / stride + 1,   pad <= kernel / 2
 *   maximum   padding counts as -infinity; NaN if a tap is NaN; of equals (+0, -0) the first
 *   average   (0 + tap + tap ...) * (1 / count rounded), rows, then columns, padding adds nothing;
 *             count is kernel[0] kernel[1], or without count_include_pad the taps inside the image
 *   adaptive  window o of `out` covers floor(o h / out) .. ceil((o + 1) h / out) - 1
 *   U8        a maximum keeps x's quantization, -infinity is 0; an average is an exact sum of
 *             q - zero, then times (scale_x / scale_y) * (1 / count); to FP32 scale_x * (1 / count)
 *
 * prepare cuts each axis into spans of windows with the same number of taps, so that one kernel
 * call does all windows of a row that padding does not touch. */
#include <limits.h>
#include <math.h>
#include <string.h>

#include "ops/attr.h"
#include "ops/common.h"
#include "ops/kernels/vec_u8.h"
#include "ops/quantized.h"
#include "ops/spread.h"

enum { MAX_U8 = 1 << 22 };  /* pixels: 255 times that many fit int32 twice (vec_u8.h) */

/* Windows out .. out + count - 1 of one axis: n taps each (0: padding only), the first window's
 * first tap at `first`, each further window `step` on. */
typedef struct span {
    int out, count, first, n, step;
} span;

typedef struct state {
    const oct_vec *vec;
    const oct_vec_u8 *vec_u8;
    oct_requant out;        /* of a U8 x */
    span *row;              /* one a row: count is 1 */
    span *col;
    int n_cols;
} state;

typedef struct job {
    const state *s;
    const oct_pool_attr *attr;
    const oct_tensor *from, *to;
} job;

static oct_status check_axis(const oct_pool_attr *a, int axis, int in, int *out)
{
    const int k = a->kernel[axis], s = a->stride[axis], p = a->pad[axis], d = a->dilation[axis];
    if (k < 1 || s < 1 || p < 0)
        return oct_fail(OCT_ERR_UNSUPPORTED, "pool: kernel %d, stride %d, padding %d", k, s, p);
    if (p > k / 2)
        return oct_fail(OCT_ERR_UNSUPPORTED, "pool: padding %d is more than half of kernel %d", p,
                        k);
    if (a->kind == OCT_POOL_MAX ? d < 1 : d > 1)
        return oct_fail(OCT_ERR_UNSUPPORTED, "pool: dilation %d of %s", d,
                        a->kind == OCT_POOL_MAX ? "a maximum" : "an average");
    const long long reach = (long long)(a->kind == OCT_POOL_MAX ? d : 1) * (k - 1) + 1;
    const long long room = (long long)in + 2LL * p - reach;
    if (room < 0)
        return oct_fail(OCT_ERR_SHAPE, "pool: window of %lld in an image of %d, padding %d", reach,
                        in, p);
    if (room / s + 1 > INT_MAX) /* stride 1 and a padding near INT_MAX */
        return oct_fail(OCT_ERR_SHAPE, "pool: %lld windows", room / s + 1);
    *out = (int)(room / s + 1);
    return OCT_OK;
}

static oct_status infer(oct_args *args)
{
    const oct_tensor *x = args->in[OCT_POOL_X];
    const oct_pool_attr *attr = args->attr;
    int out[2];
    OCT_TRY(oct_infer_value("pool", x));
    if (x->layout != OCT_BLOCKED) return oct_infer_image("pool", x);
    if ((unsigned)attr->kind > OCT_POOL_ADAPTIVE_AVG)
        return oct_fail(OCT_ERR_UNSUPPORTED, "pool: kind %d is unknown", (int)attr->kind);
    for (int axis = 0; axis < 2; axis++) {
        if (attr->kind != OCT_POOL_ADAPTIVE_AVG) {
            OCT_TRY(check_axis(attr, axis, x->dim[1 + axis], &out[axis]));
            continue;
        }
        out[axis] = attr->out[axis];
        if (out[axis] < 1)
            return oct_fail(OCT_ERR_UNSUPPORTED, "pool: output size %d", out[axis]);
    }
    oct_infer_like(args->out, x);
    args->out->dim[1] = out[0];
    args->out->dim[2] = out[1];
    if (x->dtype != OCT_U8 || attr->kind != OCT_POOL_MAX)
        OCT_TRY(oct_quant_out("pool", &attr->quant, args->out));
    if (x->dtype != OCT_U8 && args->out->dtype == OCT_U8)
        return oct_fail(OCT_ERR_UNSUPPORTED, "pool: x is F32 and y U8");
    if (x->dtype == OCT_U8 && (long long)x->dim[1] * x->dim[2] > MAX_U8)
        return oct_fail(OCT_ERR_UNSUPPORTED, "pool: a U8 image of %d x %d, at most %d pixels",
                        x->dim[1], x->dim[2], MAX_U8);
    return oct_infer_value("pool", args->out);
}

/* Window o of an axis of `in` pixels. */
static span window(const oct_pool_attr *a, int axis, int in, int out, int o)
{
    if (a->kind == OCT_POOL_ADAPTIVE_AVG) {
        const long long first = (long long)o * in / out;
        const long long end = ((long long)(o + 1) * in + out - 1) / out;
        return (span){ o, 1, (int)first, (int)(end - first), 0 };
    }
    const long long d = a->kind == OCT_POOL_MAX ? a->dilation[axis] : 1;
    const long long at = (long long)o * a->stride[axis] - a->pad[axis];
    long long lo = at < 0 ? (-at + d - 1) / d : 0, hi = at < in ? (in - at + d - 1) / d : 0;
    if (hi > a->kernel[axis]) hi = a->kernel[axis];
    if (lo >= hi) return (span){ o, 1, 0, 0, 0 };
    return (span){ o, 1, (int)(at + lo * d), (int)(hi - lo), 0 };
}

/* Windows 0 .. out - 1 as spans, joined where taps are as many and advance evenly.  Returns how
 * many. */
static int spans(const oct_pool_attr *a, int axis, int in, int out, int join, span *s)
{
    int n = 0;
    for (int o = 0; o < out; o++) {
        const span next = window(a, axis, in, out, o);
        span *last = n ? &s[n - 1] : NULL;
        const int step = last ? next.first - last->first - (last->count - 1) * last->step : 0;
        if (join && last && last->n == next.n && (last->count == 1 || last->step == step) &&
            step >= 0) {
            last->step = step;
            last->count++;
        } else {
            s[n++] = next;
        }
    }
    return n;
}

static oct_status prepare(const oct_args *args, oct_prepare *how, void **out)
{
    const oct_tensor *x = args->in[OCT_POOL_X], *y = args->out;
    const size_t oh = (size_t)y->dim[1], ow = (size_t)y->dim[2];
    void *s_mem, *table;
    OCT_TRY(oct_prepare_alloc("pool", how, sizeof(state), &s_mem));
    OCT_TRY(oct_prepare_alloc("pool", how, (oh + ow) * sizeof(span), &table));
    state *s = s_mem;
    *s = (state){ .vec = oct_vec_pick(how->cpu), .vec_u8 = oct_vec_u8_pick(how->cpu),
                  .out = oct_quant_requant(y, OCT_ACT_NONE, NULL),
                  .row = table, .col = (span *)table + oh };
    spans(args->attr, 0, x->dim[1], y->dim[1], 0, s->row);
    s->n_cols = spans(args->attr, 1, x->dim[2], y->dim[2], 1, s->col);
    how->kernel = x->dtype == OCT_U8 ? s->vec_u8->name : s->vec->name;
    *out = s;
    return OCT_OK;
}

/* 1 / count of a window with rows x cols taps inside the image */
static float reciprocal(const oct_pool_attr *a, int rows, int cols)
{
    if (a->kind == OCT_POOL_AVG && a->count_include_pad)
        return 1.0f / ((float)a->kernel[0] * (float)a->kernel[1]);
    return 1.0f / ((float)rows * (float)cols);
}

/* Windows of U8, taps there are. */
static void pool_u8(const job *j, const oct_vec_windows *w, const uint8_t *x, void *y)
{
    const oct_vec_u8 *vec = j->s->vec_u8;
    if (j->attr->kind == OCT_POOL_MAX) {
        vec->window_max(w, x, y);
        return;
    }
    float scale = *j->from->scale;
    if (j->to->dtype == OCT_U8) scale = scale / *j->to->scale; /* 1 if that is the same */
    scale = scale * reciprocal(j->attr, w->rows, w->cols);
    vec->window_sum(w, x, -w->rows * w->cols * j->from->zero, scale, &j->s->out, y);
}

static void pool_f32(const job *j, const oct_vec_windows *w, const float *x, float *y)
{
    if (j->attr->kind == OCT_POOL_MAX) j->s->vec->window_max(w, x, y);
    else j->s->vec->window_sum(w, x, reciprocal(j->attr, w->rows, w->cols), y);
}

/* Windows without a tap: dilation can step over the whole image. */
static void pool_nothing(const oct_tensor *y, size_t at, size_t n)
{
    if (y->dtype == OCT_U8) memset((uint8_t *)y->data + at, 0, n);
    else for (size_t i = 0; i < n; i++) ((float *)y->data)[at + i] = -INFINITY;
}

/* One row of y, from element `to` on; x is its block's image, from element `from` on. */
static void pool_row(const job *j, const span *r, size_t from, int width, size_t to)
{
    const state *s = j->s;
    const oct_pool_attr *a = j->attr;
    const size_t pixel = (size_t)width, row = (size_t)j->from->dim[2] * pixel;
    const size_t dy = a->kind == OCT_POOL_MAX ? (size_t)a->dilation[0] : 1;
    const size_t dx = a->kind == OCT_POOL_MAX ? (size_t)a->dilation[1] : 1;
    for (const span *c = s->col; c < s->col + s->n_cols; c++) {
        const oct_vec_windows w = { r->n, c->n, dy * row, dx * pixel, c->count, width,
                                    (size_t)c->step * pixel };
        const size_t x = from + (size_t)r->first * row + (size_t)c->first * pixel;
        const size_t y = to + (size_t)c->out * pixel;
        if (!r->n || !c->n)
            pool_nothing(j->to, y, (size_t)c->count * pixel);
        else if (j->from->dtype == OCT_U8)
            pool_u8(j, &w, (const uint8_t *)j->from->data + x,
                    (char *)j->to->data + y * oct_dtype_size(j->to->dtype));
        else
            pool_f32(j, &w, (const float *)j->from->data + x, (float *)j->to->data + y);
    }
}

static void rows(void *arg, size_t first, size_t end)
{
    const job *j = arg;
    const size_t c = (size_t)j->to->dim[3], out_row = (size_t)j->to->dim[2];
    const size_t hw = (size_t)j->from->dim[1] * (size_t)j->from->dim[2];
    while (first < end) {
        const oct_rows r = oct_rows_next(j->to, first, end);
        const size_t x = (r.sample * c + (size_t)r.block * OCT_BLOCK) * hw;
        for (int i = 0; i < r.count; i++)
            pool_row(j, &j->s->row[r.row + i], x, r.width,
                     r.at + (size_t)i * out_row * (size_t)r.width);
        first += (size_t)r.count;
    }
}

static void run(const oct_args *args, const void *opaque, const oct_run *r)
{
    const oct_tensor *x = args->in[OCT_POOL_X], *y = args->out;
    job j = { opaque, args->attr, x, y };
    const size_t taps = oct_rows_size(x) * (size_t)j.s->row[y->dim[1] / 2].n;
    oct_spread(r->pool, oct_rows_units(y, r->n), taps + oct_rows_size(y), rows, &j);
}

const oct_op oct_op_pool = { "pool", infer, prepare, run };
