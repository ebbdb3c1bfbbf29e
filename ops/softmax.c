/* softmax:  y[i][j] = exp(x[i][j] - max_i) / sum_i over the last dim        torch.nn.Softmax(-1)
 *
 *   x  DENSE [m, ..., k]
 * The maximum skips NaN; a row with NaN or +infinity in it, or of -infinities alone, is NaN: exp of
 * NaN, or infinity minus itself, reaches the sum. */
#include "ops/attr.h"
#include "ops/common.h"
#include "ops/spread.h"

typedef struct job {
    const oct_vec *vec;
    size_t k;
    const float *x;
    float *y;
} job;

static oct_status infer(oct_args *args)
{
    const oct_tensor *x = args->in[OCT_SOFTMAX_X];
    OCT_TRY(oct_infer_f32("softmax", x));
    if (x->layout != OCT_DENSE || x->rank < 2)
        return oct_fail(OCT_ERR_SHAPE, "softmax: %s of rank %d, expected dense [m, k]",
                        x->layout == OCT_DENSE ? "dense" : "blocked", x->rank);
    oct_infer_like(args->out, x);
    return OCT_OK;
}

static oct_status prepare(const oct_args *args, oct_prepare *how, void **state)
{
    (void)args;
    return oct_prepare_vec("softmax", how, state);
}

static void rows(void *arg, size_t first, size_t end)
{
    const job *j = arg;
    for (; first < end; first++) {
        const float *x = j->x + first * j->k;
        float *y = j->y + first * j->k;
        const float sum = j->vec->exp_sum(j->k, x, j->vec->max(j->k, x), y);
        j->vec->divide(j->k, y, sum, y);
    }
}

static void run(const oct_args *args, const void *state, const oct_run *r)
{
    const oct_tensor *x = args->in[OCT_SOFTMAX_X];
    job j = { *(const oct_vec *const *)state, (size_t)x->dim[x->rank - 1], x->data,
              args->out->data };
    oct_spread(r->pool, (size_t)r->n * (oct_tensor_sample_count(x) / j.k), 40 * j.k, rows, &j);
}

const oct_op oct_op_softmax = { "softmax", infer, prepare, run };
