/* quantize:    FP32 -> U8 as attr says, any shape and layout; or DENSE [m, d] times by[d] first
 * dequantize:  U8 -> FP32 */
#include "ops/common.h"
#include "ops/kernels/vec_u8.h"
#include "ops/quantized.h"
#include "ops/spread.h"

enum { UNIT = 1024 }; /* elements */

typedef struct state {
    const oct_vec_u8 *vec;
    const float *inverse;  /* [d], by over the scale; NULL: all have the scale's */
} state;

typedef struct job {
    const state *s;
    oct_quant quant;
    size_t count;          /* elements, or a row's */
    const void *x;
    void *y;
} job;

static oct_status infer_quantize(oct_args *args)
{
    const oct_tensor *x = args->in[OCT_QUANTIZE_X];
    const oct_quantize_attr *attr = args->attr;
    OCT_TRY(oct_infer_f32("quantize", x));
    if (args->in[OCT_QUANTIZE_BY]) {
        OCT_TRY(oct_infer_rows("quantize", x));
        OCT_TRY(oct_infer_param("quantize", args->in[OCT_QUANTIZE_BY], x->dim[1]));
    }
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

static oct_status prepare(const oct_args *args, oct_prepare *how, void **out)
{
    (void)args;
    void *room;
    OCT_TRY(oct_prepare_alloc("quantize", how, sizeof(state), &room));
    state *s = *out = room;
    *s = (state){ .vec = oct_vec_u8_pick(how->cpu) };
    how->kernel = s->vec->name;
    return OCT_OK;
}

static oct_status prepare_quantize(const oct_args *args, oct_prepare *how, void **out)
{
    const oct_tensor *by = args->in[OCT_QUANTIZE_BY];
    void *packed;
    int ready;
    OCT_TRY(prepare(args, how, out));
    if (!by) return OCT_OK;
    const size_t d = (size_t)by->dim[0];
    const float scale = ((const oct_quantize_attr *)args->attr)->quant.scale;
    OCT_TRY(oct_prepare_packed("quantize", how, d * sizeof(float), &packed, &ready));
    for (size_t c = 0; c < d && !ready; c++)
        ((float *)packed)[c] = ((const float *)by->data)[c] / scale;
    ((state *)*out)->inverse = packed;
    how->weight_size = d * sizeof(float);
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
    j->s->vec->steps(length(j, first, end), (const float *)j->x + first * UNIT, 1 / q->scale,
                     q->zero, q->max, (uint8_t *)j->y + first * UNIT);
}

static void quantize_rows(void *arg, size_t first, size_t end)
{
    const job *j = arg;
    for (size_t i = first; i < end; i++)
        j->s->vec->steps_by(j->count, (const float *)j->x + i * j->count, j->s->inverse,
                            j->quant.zero, j->quant.max, (uint8_t *)j->y + i * j->count);
}

static void dequantize(void *arg, size_t first, size_t end)
{
    const job *j = arg;
    j->s->vec->dequantize(length(j, first, end), (const uint8_t *)j->x + first * UNIT, &j->quant,
                          (float *)j->y + first * UNIT);
}

static void run_with(oct_spread_body *body, const oct_args *args, const oct_tensor *quantized,
                     const void *s, const oct_run *r)
{
    const oct_tensor *x = args->in[0];
    const size_t row = oct_tensor_sample_count(x), count = (size_t)r->n * row;
    job j = { s, { *quantized->scale, quantized->zero, quantized->max }, count, x->data,
              args->out->data };
    if (!j.s->inverse) {
        oct_spread(r->pool, (count + UNIT - 1) / UNIT, 5 * UNIT, body, &j);
        return;
    }
    j.count = row;
    oct_spread(r->pool, (size_t)r->n, 9 * row, quantize_rows, &j);
}

static void run_quantize(const oct_args *args, const void *s, const oct_run *r)
{
    run_with(quantize, args, args->out, s, r);
}

static void run_dequantize(const oct_args *args, const void *s, const oct_run *r)
{
    run_with(dequantize, args, args->in[OCT_DEQUANTIZE_X], s, r);
}

const oct_op oct_op_quantize = { "quantize", infer_quantize, prepare_quantize, run_quantize };
const oct_op oct_op_dequantize = { "dequantize", infer_dequantize, prepare, run_dequantize };
