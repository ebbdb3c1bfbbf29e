/* batchnorm:  y = gamma (x - mean) / sqrt(var + eps) + beta       torch.nn.BatchNorm2d, 1d; eval()
 *
 *   x  BLOCKED [n, h, w, c] or DENSE [m, c]
 *   gamma, beta, mean, var  [c]; gamma, beta absent: 1, 0
 *   y = fma(x - mean, scale, beta) with scale = gamma / sqrt(var + eps) in double, rounded once.
 * The difference is taken first, so a large mean costs no digits. */
#include <math.h>

#include "ops/attr.h"
#include "ops/common.h"
#include "ops/spread.h"

typedef struct state {
    const oct_vec *vec;
    float *mean, *scale, *bias; /* [c] each */
} state;

typedef struct job {
    const state *s;
    const oct_tensor *shape;
    const float *x;
    float *y;
} job;

static oct_status check_param(const char *name, const oct_tensor *t, int c, int required)
{
    if (!t && !required) return OCT_OK;
    if (!t) return oct_fail(OCT_ERR_SHAPE, "batchnorm: %s is missing", name);
    if (t->dtype != OCT_F32 && t->dtype != OCT_F16 && t->dtype != OCT_BF16 && t->dtype != OCT_F64)
        return oct_fail(OCT_ERR_UNSUPPORTED, "batchnorm: %s is %s, expected a float", name,
                        oct_dtype_name(t->dtype));
    if (t->layout != OCT_DENSE || t->rank != 1 || t->dim[0] != c)
        return oct_fail(OCT_ERR_SHAPE, "batchnorm: %s has rank %d and %d entries, x has %d "
                        "channels", name, t->rank, t->rank > 0 ? t->dim[0] : 1, c);
    return OCT_OK;
}

static oct_status infer(oct_args *args)
{
    const oct_tensor *x = args->in[OCT_BATCHNORM_X];
    const oct_batchnorm_attr *attr = args->attr;
    OCT_TRY(oct_infer_f32("batchnorm", x));
    if (x->layout == OCT_DENSE && x->rank != 2)
        return oct_fail(OCT_ERR_SHAPE, "batchnorm: dense x has rank %d, expected 2", x->rank);
    const int c = x->dim[x->rank - 1];
    OCT_TRY(check_param("gamma", args->in[OCT_BATCHNORM_GAMMA], c, 0));
    OCT_TRY(check_param("beta", args->in[OCT_BATCHNORM_BETA], c, 0));
    OCT_TRY(check_param("mean", args->in[OCT_BATCHNORM_MEAN], c, 1));
    OCT_TRY(check_param("var", args->in[OCT_BATCHNORM_VAR], c, 1));
    if (!(attr->eps >= 0) || isinf(attr->eps))
        return oct_fail(OCT_ERR_UNSUPPORTED, "batchnorm: eps is %g, expected 0 or more",
                        (double)attr->eps);
    oct_infer_like(args->out, x);
    return OCT_OK;
}

/* The constant as floats, or `absent` everywhere. */
static void read_param(const oct_tensor *t, int c, float absent, float *out)
{
    if (t) oct_tensor_read_f32(t, 0, (size_t)c, out);
    else for (int i = 0; i < c; i++) out[i] = absent;
}

/* The table [mean | scale | beta], c floats each. */
static oct_status pack(const oct_args *args, int c, const state *s)
{
    const oct_batchnorm_attr *attr = args->attr;
    read_param(args->in[OCT_BATCHNORM_GAMMA], c, 1, s->scale);
    read_param(args->in[OCT_BATCHNORM_BETA], c, 0, s->bias);
    read_param(args->in[OCT_BATCHNORM_MEAN], c, 0, s->mean);
    for (int i = 0; i < c; i++) {
        float var;
        oct_tensor_read_f32(args->in[OCT_BATCHNORM_VAR], (size_t)i, 1, &var);
        const double under = (double)var + (double)attr->eps;
        if (!(under > 0))
            return oct_fail(OCT_ERR_FORMAT, "batchnorm: variance %d is %g, eps %g", i, (double)var,
                            (double)attr->eps);
        s->scale[i] = (float)((double)s->scale[i] / sqrt(under));
    }
    return OCT_OK;
}

static oct_status prepare(const oct_args *args, oct_prepare *how, void **out)
{
    const oct_tensor *x = args->in[OCT_BATCHNORM_X];
    const int c = x->dim[x->rank - 1];
    const size_t size = 3 * (size_t)c * sizeof(float);
    void *s_mem, *table;
    int ready;
    OCT_TRY(oct_prepare_alloc("batchnorm", how, sizeof(state), &s_mem));
    OCT_TRY(oct_prepare_packed("batchnorm", how, size, &table, &ready));
    state *s = s_mem;
    *s = (state){ oct_vec_pick(how->cpu), table, (float *)table + c, (float *)table + 2 * c };
    if (!ready) OCT_TRY(pack(args, c, s));
    how->kernel = s->vec->name;
    how->weight_size = size;
    *out = s;
    return OCT_OK;
}

static void image_rows(void *arg, size_t first, size_t end)
{
    const job *j = arg;
    while (first < end) {
        const oct_rows r = oct_rows_next(j->shape, first, end);
        const int c0 = r.block * OCT_BLOCK;
        j->s->vec->scale_bias((size_t)r.count * (size_t)j->shape->dim[2], r.width, j->x + r.at,
                              j->s->mean + c0, j->s->scale + c0, j->s->bias + c0, j->y + r.at);
        first += (size_t)r.count;
    }
}

static void samples(void *arg, size_t first, size_t end)
{
    const job *j = arg;
    const int c = j->shape->dim[1];
    const size_t at = first * (size_t)c;
    j->s->vec->scale_bias(end - first, c, j->x + at, j->s->mean, j->s->scale, j->s->bias,
                          j->y + at);
}

static void run(const oct_args *args, const void *opaque, const oct_run *r)
{
    const oct_tensor *x = args->in[OCT_BATCHNORM_X];
    job j = { opaque, x, x->data, args->out->data };
    if (x->layout == OCT_BLOCKED)
        oct_spread(r->pool, oct_rows_units(x, r->n), 2 * oct_rows_size(x), image_rows, &j);
    else
        oct_spread(r->pool, (size_t)r->n, 2 * sizeof(float) * (size_t)x->dim[1], samples, &j);
}

const oct_op oct_op_batchnorm = { "batchnorm", infer, prepare, run };
