#ifndef OCT_OPS_KERNELS_SPARSE_S8_H
#define OCT_OPS_KERNELS_SPARSE_S8_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "ops/kernels/requant.h"
#include "ops/kernels/sparse_pixels.h"
#include "tensor/status.h"

/* C[i,n] = requant(bias[n] + sum over the blocks of column n of (X[i] - zero) . w)
 *
 * uint8 x int8, exact: gemm_s8.h with blocks of 4 weights that are all zero left out.  Columns have
 * blocks of their own, so lanes hold pixels and not columns: one weight of 4 bytes goes to all
 * lanes.  There are two forms, by `share`, how many columns have a list of blocks in common:
 *
 *   1        1x4: a block is 4 consecutive inputs of one output, at one tap
 *   4        4x1: for outputs 4j .. 4j + 3, one input at one tap that not all of them have as zero.
 *            Any four of these are an entry, interleaved to quads that serve all four outputs
 *
 *   strip    X, planar: a plane has 4 / share channels, bytes of a pixel side by side: the quad q
 *            (inputs 4q .. 4q + 3) of pixel i is at x + q's plane + 4 i, input c at
 *            x + c's plane + i.  What input() writes: bytes with `flip` xored in.  64-byte aligned.
 *            An offset is that of a plane and tap in bytes, a multiple of a pixel's: the tile reads
 *            at x + offset for all pixels i < vecs * lanes.  Padding holds the zero point
 *   chunk    bytes of the strip that columns go over at a time, all columns of the panel before the
 *            next: so that what they read stays in L1.  0: the whole strip.  Blocks of a quad must
 *            not lie on both sides of a multiple of it, and offsets of a column must rise from one
 *            quad to the next, or it has to be 0; variants with an order of their own, and those
 *            of 4x1, whose columns read a quarter of that, ignore it
 *   panel    what belongs to nr columns, 64-byte aligned, below
 *   run      pixels first .. first + count of the strip go to c + at, elements, one every ldc:
 *            rising, apart; other pixels are computed and forgotten
 *   c        uint8, FP32 or int32 by out->kind; `cols` elements of a pixel are written
 *   residual like c, uint8 or FP32, 64 readable bytes past its end; or NULL.  May be c's memory
 *
 * Panel:
 *     int32 bias[nr]     bias[n] - (zero - flip) * colsum[n]        in pack order, as gemm_s8.h's,
 *     float scale[nr]    float fbias[nr]    int32 colsum[nr]        whose finish() reads them
 *     int32 fast[nr], slow[nr]      of list l < nr / share: how many of each kind, by record.order
 *     { int32 offset, int8 w[4] }              1x4: list by list, of each first the fast ones
 *     { int32 offset[4], int8 w[4][4] }        4x1: w[j], of output j, by input; what an entry
 *                                              lacks of four has weights of 0
 *
 *   AS_IS   fast: all
 *   PAIRS   x_max 127, vpmaddubsw.  fast: pairs whose sums of 4 products fit int16 in all of the
 *           outputs; slow: alone
 *   SAFE    x_max 255, vpmaddubsw.  fast: sums of 2 products fit int16; slow: widened first
 *
 * Limits, exactness: gemm_s8.h's; sums are the same integers, so every variant gives its bytes.
 * Source: E. Elsen et al., Fast Sparse ConvNets, 2020 (pixels along the lanes); blocks for a dot
 * product of 4 bytes and the layout our own. */
typedef struct oct_sparse_s8_block {
    int32_t offset;            /* in the strip, bytes */
    int8_t w[4];
} oct_sparse_s8_block;

typedef struct oct_sparse_s8_entry { /* of 4x1 */
    int32_t offset[4];
    int8_t w[4][4];
} oct_sparse_s8_entry;

static inline int32_t oct_sparse_s8_four(const int8_t *w)
{
    int32_t four;
    memcpy(&four, w, sizeof four);
    return four;
}

typedef struct oct_sparse_s8_args {
    const void *x;
    int32_t size, chunk;       /* bytes of the strip; of a chunk */
    int vecs;                  /* vectors of pixels: 1 .. g->vecs */
    const void *panel;
    int cols;                  /* 1 .. g->nr */
    const oct_sparse_run *run;
    int n_runs;
    void *c;
    const void *residual;      /* or NULL */
    size_t ldc;                /* elements */
    const float *row_scale;    /* of each pixel of the strip, or NULL; as gemm_s8.h's, F32 only */
    const int32_t *row_zero;   /* both or neither; panels are packed with zero = 0 */
    const oct_requant *out;
} oct_sparse_s8_args;

enum { OCT_SPARSE_S8_VECS = 14, OCT_SPARSE_S8_MAX_NR = 32 };

typedef enum oct_sparse_s8_order {
    OCT_SPARSE_S8_AS_IS, OCT_SPARSE_S8_PAIRS, OCT_SPARSE_S8_SAFE
} oct_sparse_s8_order;

typedef struct oct_sparse_s8 {
    const char *isa;
    unsigned needs;            /* OCT_CPU_* */
    int x_max;                 /* 127 or 255: the largest byte of x */
    int share;                 /* 1: 1x4, 4: 4x1 */
    int lanes, vecs;           /* pixels of a vector of x; vectors of a tile at most */
    int nr;                    /* columns of a panel; divides OCT_BLOCK */
    int pack;                  /* oct_gemm_s8's lanes: int32 a vector in pack order, or 0 */
    int flip;                  /* 128: bytes of the strip are x ^ 128, signed */
    oct_sparse_s8_order order;
    void (*input)(const oct_sparse_in *args);
    void (*tile)(const oct_sparse_s8_args *args);
} oct_sparse_s8;

extern const oct_sparse_s8 oct_sparse_s8_ref, oct_sparse_s8_avx2_a7, oct_sparse_s8_avx2,
                           oct_sparse_s8_avxvnni, oct_sparse_s8_avx512, oct_sparse_s8_neon,
                           oct_sparse_s8_neondot;
extern const oct_sparse_s8 oct_sparse_s8_4x1_ref, oct_sparse_s8_4x1_avx2_a7,
                           oct_sparse_s8_4x1_avx2, oct_sparse_s8_4x1_avxvnni,
                           oct_sparse_s8_4x1_avx512, oct_sparse_s8_4x1_neon,
                           oct_sparse_s8_4x1_neondot;

/* Everything this build contains, of each form best first, ref last, then NULL. */
extern const oct_sparse_s8 *const oct_sparse_s8_all[];
const oct_sparse_s8 *oct_sparse_s8_pick(unsigned cpu_flags, int x_max, int share);

typedef struct oct_sparse_s8_weights {
    const int8_t *b;           /* [n][c][taps] */
    int n, c, taps;            /* 4 divides c */
    const int32_t *offset;     /* [planes][taps]: of this plane of the strip at this tap */
    int zero;                  /* of x, 0 .. 255 */
    const int32_t *bias;       /* [n] or NULL */
    const float *scale;        /* [n] */
    const float *fbias;        /* [n] or NULL */
} oct_sparse_s8_weights;

/* Of one list, number l: blocks of column l, or inputs and taps of columns 4l .. 4l + 3, that are
 * not all zero.  Offsets are not read. */
int oct_sparse_s8_count(const oct_sparse_s8_weights *w, int share, int l);

/* Packed: uint32 share, begin[panels + 1], multiples of 64 in bytes from the start, the last one
 * the size, then the panels.  Every byte of it is written. */
size_t oct_sparse_s8_size(const oct_sparse_s8 *g, const oct_sparse_s8_weights *w);
void oct_sparse_s8_pack(const oct_sparse_s8 *g, const oct_sparse_s8_weights *w, void *packed);

/* Of packed weights of which `size` bytes are readable: share; 0: neither form's. */
int oct_sparse_s8_share(const void *packed, size_t size);
/* Bytes of packed weights that would describe themselves as so many, in `size` readable ones; 0:
 * none would. */
size_t oct_sparse_s8_given(const oct_sparse_s8 *g, int n, const void *packed, size_t size);
/* Packed weights of n columns from a file, `size` bytes as _given said: counts agree, every offset
 * is 0 .. most, so no kernel reads outside the strip; all else is numbers.  ERR_FORMAT. */
OCT_MUST_CHECK oct_status oct_sparse_s8_check(const oct_sparse_s8 *g, int n, int32_t most,
                                              const void *packed, size_t size);

/* bounded and plain of q, as oct_gemm_s8_classify finds them, of all n panels together. */
void oct_sparse_s8_classify(const oct_sparse_s8 *g, const void *packed, int n, oct_requant *q);
/* Blocks of all n panels: weights / 4, an entry is 4. */
size_t oct_sparse_s8_blocks(const oct_sparse_s8 *g, const void *packed, int n);
/* args.chunk: so many that what columns with per_column blocks read of one, `used` bytes of each
 * quad's `plane`, stays in L1, but not with too few blocks in each: sums are loaded and stored once
 * more for every one. */
int32_t oct_sparse_s8_chunk(int quads, size_t used, size_t plane, int per_column);

static inline const void *oct_sparse_s8_panel(const void *packed, int p)
{
    return (const char *)packed + ((const uint32_t *)packed)[1 + p];
}

#endif
