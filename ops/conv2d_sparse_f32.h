#ifndef OCT_OPS_CONV2D_SPARSE_F32_H
#define OCT_OPS_CONV2D_SPARSE_F32_H

#include "ops/conv2d.h"

/* Convolutions in FP32 of which most weights are zero, ops/kernels/sparse_f32.h: the bits of
 * ops/conv2d_direct.c, whatever x is. */

/* Whether there is such a way for the shape: one group, and Winograd does not compute it, whose
 * sums are other ones. */
int oct_conv2d_sparse_f32_can(const oct_conv2d_shape *c);

/* Is it chosen: attr->sparse has the flag of how->cpu, weights stay in FP32. */
int oct_conv2d_sparse_f32_pick(const oct_args *args, const oct_prepare *how);

/* As in oct_op. */
OCT_MUST_CHECK oct_status oct_conv2d_sparse_f32_prepare(const oct_args *args, oct_prepare *how,
                                                        void **state);
void oct_conv2d_sparse_f32_run(const oct_args *args, const void *state, const oct_run *r);

#endif
