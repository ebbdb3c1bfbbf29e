#ifndef OCT_OPS_CONV2D_WINOGRAD_S8_H
#define OCT_OPS_CONV2D_WINOGRAD_S8_H

#include "ops/conv2d.h"

/* 3x3 convolutions of U8 by S8 without stride, by F(4x4) and F(2x2) in integers,
 * ops/kernels/winograd_s8.h: the bytes of the direct way. */

/* 4: F(4x4), 2: F(2x2), 0: the direct way.  Depends on the shape, on how->cpu and on the weights,
 * whose sums must fit; where they come packed, on the size of the piece that is next. */
int oct_conv2d_winograd_s8_pick(const oct_args *args, const oct_prepare *how);

/* As in oct_op; m is what pick says. */
OCT_MUST_CHECK oct_status oct_conv2d_winograd_s8_prepare(const oct_args *args, oct_prepare *how,
                                                         int m, void **state);
void oct_conv2d_winograd_s8_run(const oct_args *args, const void *state, const oct_run *r);

#endif
