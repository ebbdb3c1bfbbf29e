/* pad:  He's option-A shortcut, F.pad(x[:, :, ::s, ::s], (0, 0, 0, 0, before, after))
 *
 *   x [n,h,w,c] -> y [n, (h-1)/s0 + 1, (w-1)/s1 + 1, before + c + after], both BLOCKED,
 *   FP32 or U8 (zeros are its zero point); a copy
 */
#include <limits.h>

#include "ops/attr.h"
#include "ops/channels.h"
#include "ops/common.h"
#include "ops/spread.h"

typedef struct state {
    oct_channel_run *run;
    int n_runs;
} state;

typedef struct job {
    const state *s;
    const oct_pad_attr *attr;
    const oct_tensor *from, *to;
    size_t size;            /* bytes of an element */
    const char *x;
    char *y;
} job;

static oct_status infer(oct_args *args)
{
    const oct_tensor *x = args->in[OCT_PAD_X];
    const oct_pad_attr *a = args->attr;
    OCT_TRY(oct_infer_value("pad", x));
    if (x->layout != OCT_BLOCKED) return oct_infer_image("pad", x);
    if (a->stride[0] < 1 || a->stride[1] < 1)
        return oct_fail(OCT_ERR_UNSUPPORTED, "pad: stride %d, %d", a->stride[0], a->stride[1]);
    const long long c = (long long)x->dim[3] + a->before + a->after;
    if (a->before < 0 || a->after < 0 || c > INT_MAX)
        return oct_fail(OCT_ERR_UNSUPPORTED, "pad: %d channels before and %d after %d", a->before,
                        a->after, x->dim[3]);
    oct_infer_like(args->out, x);
    args->out->dim[1] = (x->dim[1] - 1) / a->stride[0] + 1;
    args->out->dim[2] = (x->dim[2] - 1) / a->stride[1] + 1;
    args->out->dim[3] = (int)c;
    return oct_infer_value("pad", args->out);
}

static oct_status prepare(const oct_args *args, oct_prepare *how, void **out)
{
    const oct_pad_attr *a = args->attr;
    const int c = args->in[OCT_PAD_X]->dim[3];
    const size_t most = oct_channels_most(a->before) + oct_channels_most(c) +
                        oct_channels_most(a->after);
    void *s_mem, *table;
    OCT_TRY(oct_prepare_alloc("pad", how, sizeof(state), &s_mem));
    OCT_TRY(oct_prepare_alloc("pad", how, most * sizeof(oct_channel_run), &table));
    state *s = s_mem;
    *s = (state){ table, 0 };
    s->n_runs += oct_channels_cut(0, -1, 0, a->before, s->run);
    s->n_runs += oct_channels_cut(0, 0, a->before, c, s->run + s->n_runs);
    s->n_runs += oct_channels_cut(0, -1, a->before + c, a->after, s->run + s->n_runs);
    how->kernel = "copy";
    *out = s;
    return OCT_OK;
}

/* A unit is one row of all channels of one sample. */
static void rows(void *arg, size_t first, size_t end)
{
    const job *j = arg;
    const size_t h = (size_t)j->to->dim[1], w = (size_t)j->to->dim[2];
    const size_t x_h = (size_t)j->from->dim[1], x_w = (size_t)j->from->dim[2];
    oct_channel_row row = { .x_hw = x_h * x_w, .y_hw = h * w, .w = w, .x_c = j->from->dim[3],
                            .y_c = j->to->dim[3], .step = (size_t)j->attr->stride[1],
                            .size = j->size, .fill = j->from->zero };
    for (; first < end; first++) {
        const char *x = j->x + first / h * row.x_hw * (size_t)row.x_c * j->size;
        char *y = j->y + first / h * row.y_hw * (size_t)row.y_c * j->size;
        row.x_at = first % h * (size_t)j->attr->stride[0] * x_w;
        row.y_at = first % h * w;
        for (int i = 0; i < j->s->n_runs; i++) oct_channels_copy(&j->s->run[i], &row, x, y);
    }
}

static void run(const oct_args *args, const void *opaque, const oct_run *r)
{
    const oct_tensor *x = args->in[OCT_PAD_X], *y = args->out;
    job j = { opaque, args->attr, x, y, oct_dtype_size(x->dtype), x->data, y->data };
    oct_spread(r->pool, (size_t)r->n * (size_t)y->dim[1],
               2 * j.size * (size_t)y->dim[2] * (size_t)y->dim[3], rows, &j);
}

const oct_op oct_op_pad = { "pad", infer, prepare, run };
