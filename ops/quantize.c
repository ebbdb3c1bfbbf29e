/* quantize:    FP32 -> U8 as attr says, any shape and layout
 * dequantize:  U8 -> FP32 */
#include "ops/common.h"
#include "ops/kernels/vec_u8.h"
#include "ops/quantized.h"
#include "ops/spread.h"

enum { UNIT = 1024 }; /* elements */

typedef struct job {
    const oct_vec_u8 *vec;
    oct_quant quant;
    size_t count;
    const void *x;
    void *y;
} job;

static oct_status infer_quantize(oct_args *args)
{
    const oct_tensor *x = args->in[OCT_QUANTIZE_X];
    const oct_quantize_attr *attr = args->attr;
    OCT_TRY(oct_infer_f32("quantize", x));
    oct_infer_like(args->out, x);
    OCT_TRY(oct_quant_out("quantize", &attr->quant, args->out));
    return oct_infer_value("quantize", args->out);
}

static oct_status infer_dequantize(oct_args *args)
{
    const oct_tensor *x = args->in[OCT_DEQUANTIZE_X];
    OCT_TRY(oct_infer_value("dequantize", x));
    if (x->dtype != OCT_U8)
        return oct_fail(OCT_ERR_UNSUPPORTED, "dequantize: x is %s, expected U8",
                        oct_dtype_name(x->dtype));
    oct_infer_like(args->out, x);
    OCT_TRY(oct_quant_out("dequantize", &(oct_quant){ 0 }, args->out));
    return oct_infer_f32("dequantize", args->out);
}

static oct_status prepare(const oct_args *args, oct_prepare *how, void **state)
{
    (void)args;
    const oct_vec_u8 **vec;
    OCT_TRY(oct_prepare_alloc("quantize", how, sizeof *vec, state));
    vec = *state;
    *vec = oct_vec_u8_pick(how->cpu);
    how->kernel = (*vec)->name;
    return OCT_OK;
}

static size_t length(const job *j, size_t first, size_t end)
{
    return (end * UNIT < j->count ? end * UNIT : j->count) - first * UNIT;
}

static void quantize(void *arg, size_t first, size_t end)
{
    const job *j = arg;
    const oct_quant *q = &j->quant;
    j->vec->steps(length(j, first, end), (const float *)j->x + first * UNIT, 1 / q->scale, q->zero,
                  q->max, (uint8_t *)j->y + first * UNIT);
}

static void dequantize(void *arg, size_t first, size_t end)
{
    const job *j = arg;
    j->vec->dequantize(length(j, first, end), (const uint8_t *)j->x + first * UNIT, &j->quant,
                       (float *)j->y + first * UNIT);
}

static void run_with(oct_spread_body *body, const oct_args *args, const oct_tensor *quantized,
                     const void *state, const oct_run *r)
{
    const oct_tensor *x = args->in[0];
    job j = { *(const oct_vec_u8 *const *)state,
              { *quantized->scale, quantized->zero, quantized->max },
              (size_t)r->n * oct_tensor_sample_count(x), x->data, args->out->data };
    oct_spread(r->pool, (j.count + UNIT - 1) / UNIT, 5 * UNIT, body, &j);
}

static void run_quantize(const oct_args *args, const void *state, const oct_run *r)
{
    run_with(quantize, args, args->out, state, r);
}

static void run_dequantize(const oct_args *args, const void *state, const oct_run *r)
{
    run_with(dequantize, args, args->in[OCT_DEQUANTIZE_X], state, r);
}

const oct_op oct_op_quantize = { "quantize", infer_quantize, prepare, run_quantize };
const oct_op oct_op_dequantize = { "dequantize", infer_dequantize, prepare, run_dequantize };
