#ifndef OCT_OPS_SPARSE_H
#define OCT_OPS_SPARSE_H

#include "tensor/tensor.h"
#include "tensor/threads.h"

/* What conv2d and linear share where zeros of the weights are left out: in INT8 blocks of 4
 * consecutive inputs of one output, at one tap, that are all zero; in FP32 any (sparse_f32.h). */

/* The flag of attr->sparse that stands for a plan with these OCT_CPU_* flags: the newest ISA that
 * has kernels; 0: ref, always dense. */
int oct_sparse_isa(unsigned cpu);

/* Of weights [out, in, ...], S8 or floats, 4 divides in: how many blocks are not all zero.  -0 is
 * a zero. */
size_t oct_sparse_blocks(const oct_tensor *w);

/* Bytes of a plane of so many pixels, four bytes each: an odd number of lines, so that planes do
 * not fall on the same lines of a cache. */
static inline size_t oct_sparse_plane(int pixels)
{
    return (((size_t)pixels * 4 + 63) / 64 | 1) * 64;
}

/* body(arg, part, thread) for all strips and panels: a part is a strip and some of the panels, so
 * many parts that the threads stay busy.  macs: multiply-adds of the layer if it were dense. */
typedef struct oct_sparse_part {
    int strip;
    int p0, p1;                /* panels */
} oct_sparse_part;
typedef void oct_sparse_body(void *arg, const oct_sparse_part *part, int thread);
void oct_sparse_each(int strips, int n_panels, double macs, oct_pool *pool, oct_sparse_body *body,
                     void *arg);

#endif
