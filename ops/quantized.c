#include "ops/quantized.h"

_Static_assert((int)OCT_CONV2D_X == (int)OCT_LINEAR_X && (int)OCT_CONV2D_W == (int)OCT_LINEAR_W &&
               (int)OCT_CONV2D_BIAS == (int)OCT_LINEAR_BIAS, "one place for both");

static const float least = 0x1p-64f, most = 0x1p64f;

static oct_status check(const char *op, float scale, int zero, int max)
{
    if (!(scale >= least && scale < most))
        return oct_fail(OCT_ERR_UNSUPPORTED, "%s: a scale of %g, expected 2^-64 to 2^64", op,
                        (double)scale);
    if ((max != 127 && max != 255) || zero < 0 || zero > max)
        return oct_fail(OCT_ERR_UNSUPPORTED, "%s: zero point %d of 0 to %d, expected 0 to 127 or "
                        "255", op, zero, max);
    return OCT_OK;
}

oct_status oct_quant_check(const char *op, const oct_tensor *x)
{
    if (!x->scale) return oct_fail(OCT_ERR_UNSUPPORTED, "%s: an operand is U8 without a scale", op);
    return check(op, *x->scale, x->zero, x->max);
}

oct_status oct_quant_out(const char *op, const oct_quant *q, oct_tensor *out)
{
    const int quantized = q->scale != 0; /* NaN too, which check refuses */
    out->dtype = quantized ? OCT_U8 : OCT_F32;
    out->scale = quantized ? &q->scale : NULL;
    out->zero = quantized ? q->zero : 0;
    out->max = quantized ? q->max : 0;
    return quantized ? check(op, q->scale, q->zero, q->max) : OCT_OK;
}

/* round_half_even(6 / scale), at most 255 */
static int six(float scale)
{
    const float q = 6 / scale;
    return q < 255 ? (int)lrintf(q) : 255;
}

oct_requant oct_quant_requant(const oct_tensor *out, oct_act act, const oct_tensor *residual)
{
    if (out->dtype != OCT_U8) return (oct_requant){ .kind = OCT_REQUANT_F32, .act = act };
    oct_requant q = { .kind = OCT_REQUANT_U8, .zero = out->zero, .lo = 0, .hi = out->max };
    if (act != OCT_ACT_NONE) q.lo = out->zero;
    if (act == OCT_ACT_RELU6 && out->zero + six(*out->scale) < q.hi)
        q.hi = out->zero + six(*out->scale);
    if (residual) {
        q.residual_scale = *residual->scale / *out->scale;
        q.residual_zero = residual->zero;
    }
    oct_requant_spread(&q);
    return q;
}

int oct_quant_layer(const oct_tensor *x, const oct_tensor *w)
{
    return x->dtype == OCT_U8 || w->dtype == OCT_S8;
}

oct_status oct_quant_weights(const char *op, const oct_tensor *x, const oct_tensor *w,
                             const oct_tensor *bias, const oct_tensor *out, long long k)
{
    if (w->dtype != OCT_S8)
        return oct_fail(OCT_ERR_UNSUPPORTED, "%s: x is U8 and the weight %s, expected I8", op,
                        oct_dtype_name(w->dtype));
    if (!w->scale && w->data != oct_no_data)
        return oct_fail(OCT_ERR_UNSUPPORTED, "%s: the weight is I8 without scales", op);
    if (k > OCT_GEMM_S8_MAX_K)
        return oct_fail(OCT_ERR_UNSUPPORTED, "%s: sums of %lld products, at most %d", op, k,
                        OCT_GEMM_S8_MAX_K);
    if (bias && bias->dtype != OCT_S32 && bias->dtype != OCT_F32)
        return oct_fail(OCT_ERR_UNSUPPORTED, "%s: the bias is %s, expected I32 or F32", op,
                        oct_dtype_name(bias->dtype));
    if (x->dtype != OCT_U8 && out->dtype == OCT_U8)
        return oct_fail(OCT_ERR_UNSUPPORTED, "%s: x is F32 and y U8", op);
    return OCT_OK;
}

oct_status oct_quant_scales(const char *op, const oct_tensor *x, const oct_tensor *w,
                            const oct_tensor *out, float *scale)
{
    for (int n = 0; n < w->dim[0]; n++) {
        float s = x->dtype == OCT_U8 ? *x->scale * w->scale[n] : w->scale[n];
        if (out->dtype == OCT_U8) s = s / *out->scale;
        if (!(s > 0 && s < most))
            return oct_fail(OCT_ERR_UNSUPPORTED, "%s: row %d has the scale %g, expected more than "
                            "0, below 2^64", op, n, (double)s);
        scale[n] = s;
    }
    return OCT_OK;
}

static oct_status check_bias(const char *op, int n, const int32_t *b)
{
    for (int i = 0; i < n; i++)
        if (b[i] > OCT_GEMM_S8_MAX_BIAS || b[i] < -OCT_GEMM_S8_MAX_BIAS)
            return oct_fail(OCT_ERR_UNSUPPORTED, "%s: bias %d is %d, at most %d", op, i, (int)b[i],
                            OCT_GEMM_S8_MAX_BIAS);
    return OCT_OK;
}

oct_status oct_quant_bias(const char *op, const oct_args *args, oct_arena *tmp,
                          oct_gemm_s8_weights *rows)
{
    const oct_tensor *x = args->in[OCT_CONV2D_X], *w = args->in[OCT_CONV2D_W];
    const oct_tensor *bias = args->in[OCT_CONV2D_BIAS];
    if (!bias) return OCT_OK;
    const int n = bias->dim[0];
    if (bias->dtype != OCT_F32 && x->dtype == OCT_F32)
        return oct_fail(OCT_ERR_UNSUPPORTED, "%s: bias is %s and x F32", op,
                        oct_dtype_name(bias->dtype));
    if (bias->dtype == OCT_S32) {
        rows->bias = bias->data;
        return check_bias(op, n, bias->data);
    }
    const float *b = bias->data;
    rows->fbias = b;
    if (args->out->dtype == OCT_F32) return OCT_OK;
    float *steps = oct_arena_alloc(tmp, (size_t)n * sizeof *steps);
    if (!steps) return oct_fail(OCT_ERR_MEMORY, "%s: out of memory", op);
    for (int i = 0; i < n; i++) {
        steps[i] = b[i] / (*x->scale * w->scale[i]);
        if (!isfinite(steps[i]))
            return oct_fail(OCT_ERR_UNSUPPORTED, "%s: bias %d is %g, in units of %g", op, i,
                            (double)b[i], (double)(*x->scale * w->scale[i]));
    }
    rows->fbias = steps;
    return OCT_OK;
}
