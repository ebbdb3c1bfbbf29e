#ifndef OCT_OPS_CONV2D_H
#define OCT_OPS_CONV2D_H

#include "ops/attr.h"
#include "ops/op.h"

/* The ways to compute a convolution; ops/conv2d.c chooses by shape.  Each has a prepare and a run
 * with the meaning they have in oct_op. */

/* Sizes of a convolution, from its operands and attr. */
typedef struct oct_conv2d_shape {
    int c, h, w;               /* of an input image */
    int out, oh, ow;           /* of an output image */
    int kernel[2], stride[2], pad[2], dilation[2];
    int groups;
} oct_conv2d_shape;

oct_conv2d_shape oct_conv2d_shape_of(const oct_args *args);

/* ops/conv2d_s8.c: x U8, w S8; implicit GEMM on gemm_s8, any shape. */
OCT_MUST_CHECK oct_status oct_conv2d_s8_prepare(const oct_args *args, oct_prepare *how,
                                                void **state);
/* The same of weights that are 2:4: ops/kernels/gemm_s8_24.h. */
OCT_MUST_CHECK oct_status oct_conv2d_s8_24_prepare(const oct_args *args, oct_prepare *how,
                                                   void **state);
void oct_conv2d_s8_run(const oct_args *args, const void *state, const oct_run *r);

/* ops/conv2d_dynamic.c: x F32, quantized at run time; w S8. */
OCT_MUST_CHECK oct_status oct_conv2d_dynamic_prepare(const oct_args *args, oct_prepare *how,
                                                     void **state);
void oct_conv2d_dynamic_run(const oct_args *args, const void *state, const oct_run *r);

/* ops/conv2d_direct.c: implicit GEMM on gemm_f32, any shape, the order of k of gemm_f32.h. */
OCT_MUST_CHECK oct_status oct_conv2d_direct_prepare(const oct_args *args, oct_prepare *how,
                                                    void **state);
void oct_conv2d_direct_run(const oct_args *args, const void *state, const oct_run *r);

/* ops/conv2d_im2col.c: im2col and how->sgemm, for --gemm openblas. */
OCT_MUST_CHECK oct_status oct_conv2d_im2col_prepare(const oct_args *args, oct_prepare *how,
                                                    void **state);
void oct_conv2d_im2col_run(const oct_args *args, const void *state, const oct_run *r);

#endif
