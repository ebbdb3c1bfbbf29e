/* layernorm:  y[i] = (x[i] - mean_i) / sqrt(var_i + eps) gamma + beta          torch.nn.LayerNorm
 *
 *   x  DENSE [m, d]     gamma, beta  FP32 [d]
 * Mean, variance and their order of sums: norm of ops/kernels/vec.h. */
#include <math.h>
#include <string.h>

#include "ops/attr.h"
#include "ops/common.h"
#include "ops/spread.h"

typedef struct state {
    const oct_vec *vec;
    const float *gamma, *beta;
} state;

typedef struct job {
    const state *s;
    size_t d;
    float eps;
    const float *x;
    float *y;
} job;

static oct_status infer(oct_args *args)
{
    const oct_tensor *x = args->in[OCT_LAYERNORM_X];
    const oct_layernorm_attr *attr = args->attr;
    OCT_TRY(oct_infer_rows("layernorm", x));
    OCT_TRY(oct_infer_param("layernorm", args->in[OCT_LAYERNORM_GAMMA], x->dim[1]));
    OCT_TRY(oct_infer_param("layernorm", args->in[OCT_LAYERNORM_BETA], x->dim[1]));
    if (!(attr->eps >= 0 && attr->eps < INFINITY))
        return oct_fail(OCT_ERR_SHAPE, "layernorm: eps %g, expected 0 or more", (double)attr->eps);
    oct_infer_like(args->out, x);
    return OCT_OK;
}

static oct_status prepare(const oct_args *args, oct_prepare *how, void **out)
{
    const size_t d = (size_t)args->in[OCT_LAYERNORM_X]->dim[1];
    void *room, *packed;
    int ready;
    OCT_TRY(oct_prepare_alloc("layernorm", how, sizeof(state), &room));
    OCT_TRY(oct_prepare_packed("layernorm", how, 2 * d * sizeof(float), &packed, &ready));
    float *gamma = packed;
    if (!ready) {
        memcpy(gamma, args->in[OCT_LAYERNORM_GAMMA]->data, d * sizeof *gamma);
        memcpy(gamma + d, args->in[OCT_LAYERNORM_BETA]->data, d * sizeof *gamma);
    }
    state *s = *out = room;
    *s = (state){ oct_vec_pick(how->cpu), gamma, gamma + d };
    how->kernel = s->vec->name;
    how->weight_size = 2 * d * sizeof(float);
    return OCT_OK;
}

static void rows(void *arg, size_t first, size_t end)
{
    const job *j = arg;
    for (; first < end; first++)
        j->s->vec->norm(j->d, j->x + first * j->d, j->s->gamma, j->s->beta, j->eps,
                        j->y + first * j->d);
}

static void run(const oct_args *args, const void *opaque, const oct_run *r)
{
    const oct_layernorm_attr *attr = args->attr;
    const oct_tensor *x = args->in[OCT_LAYERNORM_X];
    job j = { opaque, (size_t)x->dim[1], attr->eps, x->data, args->out->data };
    oct_spread(r->pool, (size_t)r->n, 12 * j.d, rows, &j);
}

const oct_op oct_op_layernorm = { "layernorm", infer, prepare, run };
