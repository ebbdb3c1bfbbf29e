/* concat:  in[0], in[1], ... one after the other along the channels, the last dimension; a copy
 *
 *   BLOCKED [n,h,w,c_i] -> [n,h,w, sum c_i];   DENSE [..., c_i] -> [..., sum c_i]
 * A dense row is an image of one pixel: its channels are one run, whatever the blocks.
 */
#include <limits.h>
#include <string.h>

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
    const oct_args *args;
    size_t h, w;
} job;

static oct_status check_operand(const oct_tensor *a, const oct_tensor *b, int i)
{
    char sa[64], sb[64];
    OCT_TRY(oct_infer_f32("concat", b));
    if (a->layout != b->layout)
        return oct_fail(OCT_ERR_SHAPE, "concat: operand 0 is %s, operand %d is not",
                        a->layout == OCT_DENSE ? "dense" : "blocked", i);
    if (a->rank != b->rank || memcmp(a->dim, b->dim, (size_t)(a->rank - 1) * sizeof *a->dim) != 0)
        return oct_fail(OCT_ERR_SHAPE, "concat: %s, and operand %d is %s",
                        oct_tensor_shape(a, sa, sizeof sa), i, oct_tensor_shape(b, sb, sizeof sb));
    return OCT_OK;
}

static oct_status infer(oct_args *args)
{
    const oct_tensor *x = args->in[0];
    OCT_TRY(oct_infer_f32("concat", x));
    if (x->rank < 2) return oct_fail(OCT_ERR_SHAPE, "concat: rank %d, expected 2 or more", x->rank);
    long long c = 0;
    for (int i = 0; i < OCT_MAX_IN && args->in[i]; i++) {
        OCT_TRY(check_operand(x, args->in[i], i));
        c += args->in[i]->dim[x->rank - 1];
    }
    if (c > INT_MAX)
        return oct_fail(OCT_ERR_SHAPE, "concat: %lld channels, at most %d", c, INT_MAX);
    oct_infer_like(args->out, x);
    args->out->dim[x->rank - 1] = (int)c;
    return oct_infer_f32("concat", args->out);
}

static oct_status prepare(const oct_args *args, oct_prepare *how, void **out)
{
    size_t most = 0;
    void *s_mem, *table;
    for (int i = 0; i < OCT_MAX_IN && args->in[i]; i++)
        most += oct_channels_most(args->in[i]->dim[args->in[i]->rank - 1]);
    OCT_TRY(oct_prepare_alloc("concat", how, sizeof(state), &s_mem));
    OCT_TRY(oct_prepare_alloc("concat", how, most * sizeof(oct_channel_run), &table));
    state *s = s_mem;
    *s = (state){ table, 0 };
    for (int i = 0, to = 0; i < OCT_MAX_IN && args->in[i]; i++) {
        const int c = args->in[i]->dim[args->in[i]->rank - 1];
        s->n_runs += oct_channels_cut(i, 0, to, c, s->run + s->n_runs);
        to += c;
    }
    how->kernel = "copy";
    *out = s;
    return OCT_OK;
}

/* A unit is one row of all channels of one sample. */
static void rows(void *arg, size_t first, size_t end)
{
    const job *j = arg;
    const oct_tensor *to = j->args->out;
    oct_channel_row row = { .x_hw = j->h * j->w, .y_hw = j->h * j->w, .step = 1, .w = j->w,
                            .size = sizeof(float),
                            .y_c = to->dim[to->rank - 1] };
    for (; first < end; first++) {
        float *y = (float *)to->data + first / j->h * row.y_hw * (size_t)row.y_c;
        row.x_at = row.y_at = first % j->h * j->w;
        for (int i = 0; i < j->s->n_runs; i++) {
            const oct_tensor *x = j->args->in[j->s->run[i].operand];
            row.x_c = x->dim[x->rank - 1];
            const float *from = x->data;
            oct_channels_copy(&j->s->run[i], &row,
                              from + first / j->h * row.x_hw * (size_t)row.x_c, y);
        }
    }
}

static void run(const oct_args *args, const void *opaque, const oct_run *r)
{
    const oct_tensor *y = args->out;
    const int image = y->layout == OCT_BLOCKED;
    const size_t c = (size_t)y->dim[y->rank - 1];
    job j = { opaque, args, image ? (size_t)y->dim[1] : 1, image ? (size_t)y->dim[2] : 1 };
    const size_t row = j.w * c;
    oct_spread(r->pool, (size_t)r->n * (oct_tensor_sample_count(y) / row),
               2 * sizeof(float) * row, rows, &j);
}

const oct_op oct_op_concat = { "concat", infer, prepare, run };
