#ifndef OCT_OPS_KERNELS_SPARSE_F32_H
#define OCT_OPS_KERNELS_SPARSE_F32_H

#include <stddef.h>
#include <stdint.h>

#include "ops/attr.h"
#include "ops/kernels/sparse_pixels.h"
#include "tensor/status.h"
#include "tensor/tensor.h"

/* C[i,n] = act(sum over the weights of column n that are not 0 of X[i,k] * w + bias[n]
 *              + residual[i,n])                                                            FP32
 *
 * gemm_f32.h with zeros left out.  Columns have weights of their own, so lanes hold pixels: one
 * weight goes to all of them.  Where 4 columns, 4j .. 4j + 3, have most of their weights at the
 * same k they share a list of quads, and an x that has been loaded serves all four.
 *
 *   x         the strip, planar: float i of channel c is at x + c's plane + 4 i, bytes; 64-byte
 *             aligned.  A weight's offset is that of its plane and tap, a multiple of 4, in bytes:
 *             the tile reads x + offset + 4 i for all i < vecs * lanes.  Padding holds +0
 *   panel     what belongs to nr columns, 64-byte aligned, below
 *   run       pixels first .. first + count of the strip go to c + at, floats, one every ldc:
 *             rising, apart; other pixels are computed and forgotten
 *   c         FP32; `cols` floats of a pixel are written
 *   residual  like c, or NULL; may be c's memory
 *
 * Panel, words of 4 bytes:
 *     float bias[nr]
 *     int32 quads[chunks][nr / 4], singles[chunks][nr]      how many of each
 *     chunk by chunk, in each for 4 columns after the other:  { int32 offset, float w[4] } quads,
 *     then for each of the 4 columns  { int32 offset, float w } singles
 *
 * Chunks are parts of k, one after the other: all columns of the panel go over a chunk before the
 * next, so that the part of the strip they read stays in L1.
 *
 * Limits: gemm_f32.h's.  w[] of a quad may be 0 where a column has no weight.
 * Exact: acc = +0; k = 0 .. K-1 in gemm_f32.h's order: acc = fma(x, w, acc), zeros of w left out or
 * not; then + bias, + residual, act, each one operation.  Every variant gives ref's bits, and
 * gemm_f32's where x is finite: fma(x, 0, acc) is acc, but that -0 may become +0, and the bias,
 * which is never -0 in a panel, hides that.  input() finds out whether x is finite; if not, _every
 * does what the dense way does.
 * Source: E. Elsen et al., Fast Sparse ConvNets, 2020; XNNPACK's f32-spmm. */
typedef struct oct_sparse_f32_single {
    int32_t offset;            /* in the strip, bytes */
    float w;
} oct_sparse_f32_single;

typedef struct oct_sparse_f32_quad {
    int32_t offset;
    float w[4];                /* of 4 columns */
} oct_sparse_f32_quad;

typedef struct oct_sparse_f32_args {
    const void *x;
    int vecs;                  /* vectors of pixels: 1 .. g->vecs */
    const void *panel;
    int chunks;
    int cols;                  /* 1 .. g->nr */
    const oct_sparse_run *run;
    int n_runs;
    float *c;
    const float *residual;     /* or NULL */
    size_t ldc;                /* floats */
    oct_act act;               /* NONE, RELU or RELU6 */
} oct_sparse_f32_args;

enum { OCT_SPARSE_F32_NR = 32, OCT_SPARSE_F32_MAX_CHUNKS = 1 << 16 };

typedef struct oct_sparse_f32 {
    const char *isa;
    unsigned needs;            /* OCT_CPU_* */
    int lanes, vecs;           /* pixels of a vector; vectors of a tile at most */
    void (*input)(const oct_sparse_in *args);  /* sparse_pixels.h; 64 bytes past x are readable */
    void (*tile)(const oct_sparse_f32_args *args);
} oct_sparse_f32;

extern const oct_sparse_f32 oct_sparse_f32_ref, oct_sparse_f32_avx2, oct_sparse_f32_avx512,
                            oct_sparse_f32_neon;

/* Everything this build contains, best first, ref last, then NULL. */
extern const oct_sparse_f32 *const oct_sparse_f32_all[];
const oct_sparse_f32 *oct_sparse_f32_pick(unsigned cpu_flags);

/* The same for any x, in plain C: weights left out are multiplied by 0, too.  offset[k] are those
 * of all k < K, in order; row, room for K floats. */
void oct_sparse_f32_every(const oct_sparse_f32_args *args, const int32_t *offset, int k,
                          float *row);

typedef struct oct_sparse_f32_weights {
    const oct_tensor *w;       /* [n, ...], K elements a row */
    int n, k;
    const int32_t *perm;       /* [k]: which of its row comes k-th; NULL: that one */
    const int32_t *offset;     /* [k]: rising within a chunk is best, all are different */
    const float *bias;         /* [n] or NULL */
    float *rows;               /* room for (NR + 1) * k floats */
} oct_sparse_f32_weights;

/* How many there will be: what a rule decides by.  offset and bias are not read. */
typedef struct oct_sparse_f32_count {
    double singles, quads;
} oct_sparse_f32_count;
oct_sparse_f32_count oct_sparse_f32_count_of(const oct_sparse_f32_weights *w);

/* So many that what columns read of one chunk of a strip of `pixels` stays in L1, but not with too
 * few weights in each: sums are loaded and stored once more for every one. */
int oct_sparse_f32_chunks_for(const oct_sparse_f32_weights *w, size_t pixels);

/* Packed: uint32 chunks, begin[panels + 1], in bytes from the start, multiples of 64, the last one
 * the size, then the panels.  Every byte of it is written.  Layout: the same for all variants. */
size_t oct_sparse_f32_size(const oct_sparse_f32_weights *w, int chunks);
void oct_sparse_f32_pack(const oct_sparse_f32_weights *w, int chunks, void *packed);

/* Bytes of packed weights that would describe themselves as so many, in `size` readable ones; 0:
 * none would. */
size_t oct_sparse_f32_given(int n, const void *packed, size_t size);
/* Packed weights of n columns from a file, `size` bytes as _given said: counts agree, every offset
 * is 0 .. most, so no kernel reads outside the strip; all else is numbers.  ERR_FORMAT. */
OCT_MUST_CHECK oct_status oct_sparse_f32_check(int n, int32_t most, const void *packed,
                                               size_t size);

/* How many of each there are, of packed weights of n columns. */
oct_sparse_f32_count oct_sparse_f32_count_packed(int n, const void *packed);

static inline int oct_sparse_f32_chunks(const void *packed)
{
    return (int)*(const uint32_t *)packed;
}
static inline const void *oct_sparse_f32_panel(const void *packed, int p)
{
    return (const char *)packed + ((const uint32_t *)packed)[1 + p];
}

#endif
