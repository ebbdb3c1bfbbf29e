#ifndef OCT_OPS_QUANTIZED_H
#define OCT_OPS_QUANTIZED_H

#include "ops/attr.h"
#include "ops/kernels/gemm_s8.h"
#include "ops/op.h"
#include "ops/qparams.h"

/* What operators on U8 activations share.  A quantized value is U8 with one scale, a zero and a
 * max: real = scale (q - zero), 0 <= q <= max. */

/* x, U8, is quantized: a scale of 2^-64 or more, below 2^64, max 127 or 255, zero in 0 .. max. */
OCT_MUST_CHECK oct_status oct_quant_check(const char *op, const oct_tensor *x);

/* dtype and quantization of an operator's output as its attr has them: FP32 if q->scale is 0, else
 * U8, checked.  out->scale points into q, which is as old as the graph. */
OCT_MUST_CHECK oct_status oct_quant_out(const char *op, const oct_quant *q, oct_tensor *out);

/* How sums become out: kind, zero and the clamp with its activation (NONE, RELU, RELU6), and the
 * residual's scale over out's; residual may be NULL. */
oct_requant oct_quant_requant(const oct_tensor *out, oct_act act, const oct_tensor *residual);

/* Does a layer compute in integers: x is U8, or is quantized at run time because w is S8. */
int oct_quant_layer(const oct_tensor *x, const oct_tensor *w);

/* The numbers of such a layer.  w: S8 with a scale for each row, or without data (it is packed);
 * bias NULL, S32 or F32, one for each row; k products in a sum.  x FP32: out too.  S32 then passes
 * here, as a statically quantized graph looks before its values are U8, but not oct_quant_bias. */
OCT_MUST_CHECK oct_status oct_quant_weights(const char *op, const oct_tensor *x,
                                            const oct_tensor *w, const oct_tensor *bias,
                                            const oct_tensor *out, long long k);

/* Activations quantized at run time are uint8 0 .. 255, each sample (a row of a linear layer's x,
 * an image) as if it were alone.  Its range is that of its finite values; an infinity then becomes
 * an end of the range, a NaN its lower end. */
enum { OCT_DYNAMIC_MAX = 255 };
OCT_INLINE oct_qparams oct_dynamic_qparams(oct_range r)
{
    return oct_qparams_u8(r, OCT_DYNAMIC_MAX);
}

/* scale[n] = s_x s_w[n] / s_out, or s_x s_w[n] if out is FP32, s_w[n] if x is, for prepare: every
 * one a positive float below 2^64.  ERR_UNSUPPORTED names the row. */
OCT_MUST_CHECK oct_status oct_quant_scales(const char *op, const oct_tensor *x, const oct_tensor *w,
                                           const oct_tensor *out, float *scale);
/* bias or fbias of rows from the bias of a conv2d or linear, for prepare.  S32, for U8 x: |bias|
 * fits what the kernels leave it (gemm_s8.h).  F32: as it is for an FP32 output; for U8 divided by
 * s_x s_w[n], in tmp, every one finite. */
OCT_MUST_CHECK oct_status oct_quant_bias(const char *op, const oct_args *args, oct_arena *tmp,
                                         oct_gemm_s8_weights *rows);

#endif
