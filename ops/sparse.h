#ifndef OCT_OPS_SPARSE_H
#define OCT_OPS_SPARSE_H

#include "ops/op.h"
#include "tensor/tensor.h"
#include "tensor/threads.h"

/* What conv2d and linear share where zeros of the weights are left out: in INT8 blocks of 4 weights
 * at one tap that are all zero, of consecutive inputs of one output (1x4) or of one input of
 * outputs 4j .. 4j + 3 (4x1), each a form of its own (ops/kernels/sparse_s8.h), or of convolutions
 * two of each 4 inputs (2:4, ops/kernels/gemm_s8_24.h); in FP32 any (sparse_f32.h). */

/* The flag of attr->sparse that stands for a plan with these OCT_CPU_* flags: the newest ISA that
 * has kernels; 0: ref, always dense. */
int oct_sparse_isa(unsigned cpu);

/* Something of 1x4, of 4x1 and of 2:4. */
typedef struct oct_sparse_forms {
    double across, down;
    int halved;
} oct_sparse_forms;

/* Of S8 weights [out, in, ...], 4 divides in: how many blocks are not all zero; has each 4
 * consecutive inputs no more than two. */
oct_sparse_forms oct_sparse_blocks(const oct_tensor *w);
/* Is one of them below its limit, a share of all blocks (0: never), of so many weights; or halved
 * where that pays? */
int oct_sparse_pays(oct_sparse_forms blocks, oct_sparse_forms limit, double weights);
/* oct_sparse_s8.share of the form of blocks to take: the only one that pays, of both the one that
 * is further below, of none that with fewer blocks. */
int oct_sparse_share(oct_sparse_forms blocks, oct_sparse_forms limit, double weights);

/* What a plan's weights run as, of packed ones what they are: oct_sparse_share of blocks, or, if
 * can_24, 2:4 where no form of blocks pays, nor has less than half of them. */
enum { OCT_SPARSE_24 = 2 };
int oct_sparse_form(const oct_prepare *how, const oct_tensor *w, oct_sparse_forms limit,
                    int can_24);

/* Bytes of a plane of so many pixels, `size` bytes each: an odd number of lines, so that planes do
 * not fall on the same lines of a cache. */
static inline size_t oct_sparse_plane(int pixels, int size)
{
    return (((size_t)pixels * (size_t)size + 63) / 64 | 1) * 64;
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
