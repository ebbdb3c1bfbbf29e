#ifndef OCT_OPS_LINEAR_SPARSE_F32_H
#define OCT_OPS_LINEAR_SPARSE_F32_H

#include "ops/op.h"

/* Linear layers in FP32 of which most weights are zero: a convolution of 1 x 1 whose pixels are
 * rows, by the kernels of ops/kernels/sparse_f32.h.  The bits of the dense way, whatever x is.
 *
 * Rows lie along the lanes, so a few rows are faster dense: ops/linear.c keeps both. */

/* Is it chosen: attr->sparse has the flag of how->cpu, weights stay in FP32. */
int oct_linear_sparse_f32_pick(const oct_args *args, const oct_prepare *how);

/* Packs a piece of its own; adds to how's sizes. */
typedef struct oct_linear_sparse_f32 oct_linear_sparse_f32;
OCT_MUST_CHECK oct_status oct_linear_sparse_f32_make(const oct_args *args, oct_prepare *how,
                                                     oct_linear_sparse_f32 **out);
/* Are so many rows faster this way. */
int oct_linear_sparse_f32_takes(const oct_linear_sparse_f32 *s, int rows);
/* An act that sparse_f32.h does not have is left to the caller. */
void oct_linear_sparse_f32_run(const oct_args *args, const oct_linear_sparse_f32 *s,
                               const oct_run *r);

#endif
