/* activation:  y = f(x), elementwise, any shape and layout; f as ops/kernels/math_f32.h defines it
 *
 * x U8: RELU and RELU6 clamp its bytes, y is quantized as x is. */
#include "ops/attr.h"
#include "ops/common.h"
#include "ops/quantized.h"
#include "ops/spread.h"

enum { UNIT = 1024 }; /* floats */

typedef struct job {
    const oct_vec *vec;
    oct_act act;
    size_t count;
    const float *x;
    float *y;
} job;

typedef struct job_u8 {
    oct_requant clamp;
    size_t count;
    const uint8_t *x;
    uint8_t *y;
} job_u8;

static oct_status infer(oct_args *args)
{
    const oct_activation_attr *attr = args->attr;
    const oct_tensor *x = args->in[OCT_ACTIVATION_X];
    OCT_TRY(oct_infer_value("activation", x));
    if ((unsigned)attr->act >= OCT_ACT_COUNT)
        return oct_fail(OCT_ERR_UNSUPPORTED, "activation: function %d is none of the %d known",
                        (int)attr->act, OCT_ACT_COUNT);
    if (x->dtype == OCT_U8 && attr->act > OCT_ACT_RELU6)
        return oct_fail(OCT_ERR_UNSUPPORTED, "activation: %s of a quantized value",
                        oct_act_name(attr->act));
    oct_infer_like(args->out, x);
    return OCT_OK;
}

static oct_status prepare(const oct_args *args, oct_prepare *how, void **state)
{
    (void)args;
    return oct_prepare_vec("activation", how, state);
}

static void units(void *arg, size_t first, size_t end)
{
    const job *j = arg;
    const size_t from = first * UNIT, to = end * UNIT < j->count ? end * UNIT : j->count;
    j->vec->act(j->act, to - from, j->x + from, j->y + from);
}

static void units_u8(void *arg, size_t first, size_t end)
{
    const job_u8 *j = arg;
    const uint8_t lo = (uint8_t)j->clamp.lo, hi = (uint8_t)j->clamp.hi;
    const size_t to = end * UNIT < j->count ? end * UNIT : j->count;
    for (size_t i = first * UNIT; i < to; i++) {
        const uint8_t q = j->x[i] < lo ? lo : j->x[i];
        j->y[i] = q > hi ? hi : q;
    }
}

static void run_u8(const oct_args *args, size_t count, const oct_run *r)
{
    const oct_activation_attr *attr = args->attr;
    const oct_tensor *x = args->in[OCT_ACTIVATION_X];
    job_u8 j = { oct_quant_requant(args->out, attr->act, NULL), count, x->data, args->out->data };
    oct_spread(r->pool, (count + UNIT - 1) / UNIT, 2 * UNIT, units_u8, &j);
}

static void run(const oct_args *args, const void *state, const oct_run *r)
{
    /* bytes moved in the time of one float: curves cost what several copies cost */
    static const unsigned char cost[OCT_ACT_COUNT] = {
        [OCT_ACT_NONE] = 8,     [OCT_ACT_RELU] = 8,  [OCT_ACT_RELU6] = 8,
        [OCT_ACT_SIGMOID] = 32, [OCT_ACT_TANH] = 32, [OCT_ACT_GELU] = 64,
    };
    const oct_activation_attr *attr = args->attr;
    const oct_tensor *x = args->in[OCT_ACTIVATION_X];
    const size_t count = (size_t)r->n * oct_tensor_sample_count(x);
    if (x->dtype == OCT_U8) {
        run_u8(args, count, r);
        return;
    }
    job j = { *(const oct_vec *const *)state, attr->act, count, x->data, args->out->data };
    oct_spread(r->pool, (j.count + UNIT - 1) / UNIT, UNIT * (size_t)cost[attr->act], units, &j);
}

const oct_op oct_op_activation = { "activation", infer, prepare, run };
