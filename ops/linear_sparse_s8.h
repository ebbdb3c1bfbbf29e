#ifndef OCT_OPS_LINEAR_SPARSE_S8_H
#define OCT_OPS_LINEAR_SPARSE_S8_H

#include "ops/op.h"
#include "ops/sparse.h"

/* Linear layers on integers of which most blocks of 4 weights are zero: a convolution of 1 x 1
 * whose pixels are rows, by the kernels of ops/kernels/sparse_s8.h.  The bytes of the dense way.
 *
 * Rows lie along the lanes, so a few rows are faster dense: ops/linear_s8.c keeps both. */

/* Whether there is such a way: 4 divides the inputs, which lie in memory in the weight's order. */
int oct_linear_sparse_s8_can(const oct_tensor *x, const oct_tensor *w);

/* As oct_conv2d_sparse_s8_limit, whatever the size and x_max. */
oct_sparse_forms oct_linear_sparse_s8_limit(int isa);

/* Is it chosen: attr->sparse has the flag of how->cpu. */
int oct_linear_sparse_s8_pick(const oct_args *args, const oct_prepare *how);

/* Rows as the kernels read them: [rows, k] bytes, and where x was quantized at run time the scale
 * and zero of each, else NULL. */
typedef struct oct_linear_rows_s8 {
    uint8_t *q;
    float *scale;
    int32_t *zero;
} oct_linear_rows_s8;

/* x_max: as in oct_sparse_s8_pick.  Packs a piece of its own; adds to how's sizes. */
typedef struct oct_linear_sparse_s8 oct_linear_sparse_s8;
OCT_MUST_CHECK oct_status oct_linear_sparse_s8_make(const oct_args *args, oct_prepare *how,
                                                    int x_max, oct_linear_sparse_s8 **out);
/* Are so many rows faster this way: those that fill up the last vector cost as much. */
int oct_linear_sparse_s8_takes(const oct_linear_sparse_s8 *s, int rows);
void oct_linear_sparse_s8_run(const oct_args *args, const oct_linear_sparse_s8 *s,
                              const oct_linear_rows_s8 *x, const oct_run *r);

#endif
