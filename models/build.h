#ifndef OCT_MODELS_BUILD_H
#define OCT_MODELS_BUILD_H

#include "models/model.h"
#include "ops/attr.h"

/* Building a network layer by layer: x is the value so far, each call adds a node that reads it
 * and makes its output the new x.  Modules are named as in PyTorch; their tensors are checked. */
typedef struct oct_build {
    oct_model *m;
    oct_tensor *x;
} oct_build;

OCT_MUST_CHECK oct_status oct_build_add(oct_build *b, oct_op_kind kind, const char *name,
                                        const void *attr, size_t attr_size,
                                        oct_tensor *const in[OCT_MAX_IN]);

/* MODULE.TENSOR as oct_model_constant. */
OCT_MUST_CHECK oct_status oct_build_constant(oct_build *b, const char *module, const char *tensor,
                                             int rank, const int *dim, oct_tensor **out);

/* Input [batch, c, h, w] (options' sizes, else h and w), its layout node, and the quantizer `quant`
 * if the file has one. */
OCT_MUST_CHECK oct_status oct_build_input(oct_build *b, const oct_options *o, int c, int h, int w,
                                          int least);

/* conv2d CONV without bias, then batchnorm BN; a file may have CONV.bias, and then BN may be folded
 * into it: it is left out if the file has none.  attr->groups 0: from the weight's shape.
 * Where x is quantized, here and below: the module's own scale and zero point are the output's, and
 * BN has been folded into CONV. */
OCT_MUST_CHECK oct_status oct_build_conv_bn(oct_build *b, const char *conv, const char *bn,
                                            const oct_conv2d_attr *attr, int out, int kernel);
OCT_MUST_CHECK oct_status oct_build_relu(oct_build *b, const char *name);
/* x + other: PREFIXadd; quantized as the addition that the file has behind PREFIX. */
OCT_MUST_CHECK oct_status oct_build_sum(oct_build *b, const char *prefix, oct_tensor *other);
/* Mean over the map, flatten, linear MODULE [classes, c], dequantized; the graph's output and
 * m->classes. */
OCT_MUST_CHECK oct_status oct_build_head(oct_build *b, const char *module);

/* What the file does not say was taken from the convention of its kind; sentence: a literal. */
void oct_build_doubt(oct_model *m, const char *sentence);

/* What octet.arch says of depth and classes must be what the tensors say; NULL says nothing.
 * m->arch becomes {"classes":..,"depth":..,"kind":kind}. */
OCT_MUST_CHECK oct_status oct_build_arch(oct_build *b, const char *arch, const char *kind,
                                         int depth);

#endif
