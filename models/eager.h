#ifndef OCT_MODELS_EAGER_H
#define OCT_MODELS_EAGER_H

#include "models/model.h"
#include "ops/attr.h"

/* State dicts of torch.ao.quantization's eager mode, as weights/ hands them out:
 *
 *   MODULE.weight I8 [out, ...], MODULE.weight.scale F32 [out], MODULE.bias F32 or none
 *   MODULE.scale F32, MODULE.zero_point I64     the module's output: quint8, 0 .. 255
 *
 * A quantizer (QuantStub) has the last two and no weight, and so has an addition (FloatFunctional);
 * of a linear layer that is quantized at run time they are 1 and 0.  Batch norms are folded. */

/* 1: MODULE has a scale and a zero point. */
int oct_eager_has(const oct_model *m, const char *module);

/* How MODULE's output is quantized: ERR_FORMAT if the file does not say or it cannot be. */
OCT_MUST_CHECK oct_status oct_eager_output(oct_model *m, const char *module, oct_quant *out);

/* 1: MODULE has I8 weights and is not quantized at run time, so it reads U8. */
OCT_MUST_CHECK oct_status oct_eager_is_static(oct_model *m, const char *module, int *out);

/* The bias (or NULL) of a layer of x and w as PyTorch's engines add it.  FBGEMM, scales a channel:
 * as the float it is.  QNNPACK, one scale for all: S32, rounded to s_x s_w.  A model is told to be
 * the one's or the other's by its scales, as their default configurations make them. */
OCT_MUST_CHECK oct_status oct_eager_bias(oct_model *m, const oct_tensor *x, const oct_tensor *w,
                                             oct_tensor **bias);

/* Nodes: x, FP32, as MODULE quantizes it; x, U8, as FP32. */
OCT_MUST_CHECK oct_status oct_eager_enter(oct_model *m, const char *module, oct_tensor **x);
OCT_MUST_CHECK oct_status oct_eager_leave(oct_model *m, const char *name, oct_tensor **x);

/* The quantization of a U8 value. */
oct_quant oct_eager_of(const oct_tensor *x);

/* 1: some constant of the graph is I8. */
int oct_eager_graph(const oct_graph *g);

#endif
