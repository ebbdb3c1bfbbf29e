#ifndef OCT_QUANT_PASS_DYNAMIC_H
#define OCT_QUANT_PASS_DYNAMIC_H

#include "quant/layer.h"

/* int8 weights and nothing known about activations, on a graph after fold_bn, fuse and dce: each
 * conv2d and linear that is not in keep gets S8 weights, scale[o] = max|w[o]| / 127, and quantizes
 * its FP32 x when it runs.  Bias, residual and output stay FP32.  The tables of an embedding become
 * S8 by rows (quant/table.h); no other node changes.  No data is needed.  changes: nodes
 * quantized. */
OCT_MUST_CHECK oct_status oct_pass_dynamic(oct_graph *g, oct_keep keep, int *changes);

#endif
