#ifndef OCT_OPS_SPARSE_H
#define OCT_OPS_SPARSE_H

#include "tensor/tensor.h"

/* What conv2d and linear share where zeros of the weights are left out: in INT8 blocks of 4
 * consecutive inputs of one output, at one tap, that are all zero; in FP32 any (sparse_f32.h). */

/* The flag of attr->sparse that stands for a plan with these OCT_CPU_* flags: the newest ISA that
 * has kernels; 0: ref, always dense. */
int oct_sparse_isa(unsigned cpu);

/* Of weights [out, in, ...], S8 or floats, 4 divides in: how many blocks are not all zero.  -0 is
 * a zero. */
size_t oct_sparse_blocks(const oct_tensor *w);

#endif
