#ifndef OCT_OPS_CONV2D_WINOGRAD_H
#define OCT_OPS_CONV2D_WINOGRAD_H

#include "ops/conv2d.h"

/* 3x3 convolutions without stride by Winograd's F(4x4) and F(2x2), ops/kernels/winograd_f32.h. */

/* 4: F(4x4), 2: F(2x2), 0: another way.  By a rule on the shape only, never the CPU, the threads
 * or the batch, because it decides the bits. */
int oct_conv2d_winograd_pick(const oct_conv2d_shape *c);

/* As in oct_op; m is 4 or 2, and the shape one that pick would take: 3x3, stride 1, dilation 1,
 * groups 1, padding up to 2. */
OCT_MUST_CHECK oct_status oct_conv2d_winograd_prepare(const oct_args *args, oct_prepare *how,
                                                      int m, void **state);
void oct_conv2d_winograd_run(const oct_args *args, const void *state, const oct_run *r);

#endif
