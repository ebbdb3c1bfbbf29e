#ifndef OCT_OPS_CONV2D_SPARSE_S8_H
#define OCT_OPS_CONV2D_SPARSE_S8_H

#include "ops/conv2d.h"
#include "ops/sparse.h"

/* Convolutions of U8 by S8 of which most blocks of 4 weights are zero, ops/kernels/sparse_s8.h: the
 * bytes of the dense way. */

/* Whether there is such a way for the shape: one group, 4 divides the input channels. */
int oct_conv2d_sparse_s8_can(const oct_conv2d_shape *c);

/* The share of blocks that are not zero below which it is faster than the dense way on the ISA of
 * this flag, 0: never.  By a table of measured densities; x_max: 127 or 255.  Whether it is used,
 * who writes a file asks, never a plan, which takes the form that it favours. */
oct_sparse_forms oct_conv2d_sparse_s8_limit(const oct_conv2d_shape *c, int isa, int x_max);

/* Is it chosen: attr->sparse has the flag of how->cpu.  The form, oct_sparse_form; 2:4 is for
 * oct_conv2d_s8_24_prepare. */
int oct_conv2d_sparse_s8_pick(const oct_args *args, const oct_prepare *how);

/* As in oct_op. */
OCT_MUST_CHECK oct_status oct_conv2d_sparse_s8_prepare(const oct_args *args, oct_prepare *how,
                                                       void **state);
void oct_conv2d_sparse_s8_run(const oct_args *args, const void *state, const oct_run *r);

#endif
