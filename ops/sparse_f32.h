#ifndef OCT_OPS_SPARSE_F32_H
#define OCT_OPS_SPARSE_F32_H

#include "ops/conv2d.h"
#include "ops/kernels/sparse_f32.h"

/* Is FP32 with zeros left out faster than dense?  By a committed table of measured densities; who
 * writes a file asks, never a plan. */

/* Densities below which it is, if all weights run as singles, or all as quads; 0: never. */
typedef struct oct_sparse_f32_limit {
    double singles, quads;
} oct_sparse_f32_limit;

/* Of a convolution, or a linear layer, on the ISA of this flag of oct_sparse_isa. */
oct_sparse_f32_limit oct_conv2d_sparse_f32_limit(const oct_conv2d_shape *c, int isa);
oct_sparse_f32_limit oct_linear_sparse_f32_limit(int isa);

/* Adds what w [out, in, ...] would run as. */
OCT_MUST_CHECK oct_status oct_sparse_f32_add(const oct_tensor *w, oct_sparse_f32_count *n);

/* ... and is it faster, of so many weights in all. */
int oct_sparse_f32_pays(oct_sparse_f32_limit limit, const oct_sparse_f32_count *n, double weights);

#endif
