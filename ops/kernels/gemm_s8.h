#ifndef OCT_OPS_KERNELS_GEMM_S8_H
#define OCT_OPS_KERNELS_GEMM_S8_H

#include <stddef.h>
#include <stdint.h>

#include "ops/kernels/gemm_seg.h"
#include "ops/kernels/requant.h"
#include "tensor/status.h"
#include "tensor/tensor.h"

/* C[m,n] = requant(bias[n] + sum over k of (A[m,k] - zero) * B[n,k])     uint8 x int8, exact
 *
 * A is implicit, as in gemm_f32.h: rows are pixels (or samples), the k of a row are segments, runs
 * of consecutive bytes.  k runs over the segments in order; of row i of group g
 *
 *     A[i, k_s + c] = a[g][seg[s].offset + (pos[g] + i * step) * seg[s].width + c],  0 <= c < len
 *
 * If the first and the last segment have the same width, so have all between them.
 *
 *   a         uint8, one or two groups of 1 .. rows rows; 64 bytes past the last one are readable.
 *             Bytes 0 .. x_max only: a record with x_max 127 takes tensors whose quantization ends
 *             at 127 (7 bits: a ResNet after ReLU), and larger bytes give wrong sums there.
 *             Padding taps hold the zero point: (zero - zero) * b = 0, as padding must be
 *   panel     packed B and what belongs to its columns, 64-byte aligned, below
 *   c         uint8, FP32 or int32 by out->kind, row i of group g at c[g] + i * ldc elements;
 *             `cols` elements of it are written
 *   residual  like c, same strides, uint8 or FP32, 64 readable bytes past its end; or NULL.  May be
 *             the same memory as c
 *
 * Packed B, one panel per nr columns (nr divides OCT_BLOCK):
 *     int32 bias[nr]     bias[n] - zero * colsum[n] + flip * colsum[n], see Exact
 *     float scale[nr]    float fbias[nr]    int32 colsum[nr]: sum over k of b[n,k]
 *     b[groups of k][nr * kr]               int8, kr k of one column lie together, as place() says
 * Each segment is rounded up to kr with zero weights, so a tile reads up to kr - 1 bytes past a
 * segment's end: whatever lies there, times zero.  Columns past N are zeros.  Column j stands at
 * oct_gemm_s8_column(g, j) of each array: the order in which x86's pack instructions leave bytes.
 * A tile is given the same segments as the packer was.
 *
 * Limits: 1 <= K <= OCT_GEMM_S8_MAX_K, |bias[n]| <= OCT_GEMM_S8_MAX_BIAS, offsets below 2^31.
 * Products take half of int32 and the bias the other half.  B may be any int8, -128 included.
 * Exact: integers, and no intermediate sum leaves int32 either.  A kernel sums (a - flip) b, flip 0
 * or 128, and starts from the packed bias; after some of the k its sum is
 *     bias + sum over those k of (a - zero) b  -  sum over the others of (zero - flip) b
 * of which every k takes at most 255 * 128.  So saturating vpdpbusds would be equivalent;
 * vpmaddubsw is not, where x_max is 255: 2 * 255 * 127 > 32767.
 * row_zero (F32 only, panels packed with zero = 0): zero point of each row, for ranges that are
 * known at run time; acc = sum a b - row_zero[m] * colsum[n], in the same bounds if bias is 0.
 * Every variant gives the same bytes as ref.  c may not overlap a.
 * Source: gemmlowp's zero-point algebra, XNNPACK's indirection; layout and tiles our own. */
enum {
    OCT_GEMM_S8_MAX_K    = 32896,      /* 2^30 / (255 * 128) */
    OCT_GEMM_S8_MAX_BIAS = 1073741823, /* 2^30 - 1 */
    OCT_GEMM_S8_MAX_NR   = 32,
};

typedef oct_gemm_seg oct_gemm_s8_seg; /* in bytes */

typedef struct oct_gemm_s8_args {
    int n_segs;
    const oct_gemm_s8_seg *seg;
    const uint8_t *a[2];       /* image of each group; [1] is not read if groups is 1 */
    ptrdiff_t pos[2];          /* pixel of the group's first row */
    int step;                  /* pixels from a row to the next: the stride */
    int rows, groups, cols;    /* 1 .. g->rows, 1 .. 2, 1 .. g->nr */
    const void *panel;
    const void *ahead;         /* prefetched meanwhile; or NULL */
    int ahead_parts;           /* 1, 2 or 4: a panel's bytes from ahead on, divided by this */
    const uint8_t *next[2];    /* prefetched, too: where the first rows of the groups of the tile
                                  to come begin; or NULL */
    void *c[2];
    const void *residual[2];   /* [0] NULL: none */
    size_t ldc;                /* elements */
    const oct_requant *out;
    const float *row_scale[2]; /* F32: of each row of the group; [0] NULL: 1 */
    const int32_t *row_zero[2];/* F32: the same; [0] NULL: 0 */
} oct_gemm_s8_args;

typedef void oct_gemm_s8_tile(const oct_gemm_s8_args *args);

/* Kernels on vpmaddubsw, which saturates, have weights sorted by what is proved about them, and a
 * table that says where in A each group lies: gemm_s8_sort.h. */
typedef enum oct_gemm_s8_order {
    OCT_GEMM_S8_AS_IS,         /* the order of the segments, no table */
    OCT_GEMM_S8_PAIRS,         /* x_max 127: first two by two, if sums of both fit int16 */
    OCT_GEMM_S8_SAFE,          /* x_max 255: first those whose sums of two products fit int16 */
} oct_gemm_s8_order;

typedef struct oct_gemm_s8 {
    const char *isa;           /* shown by benchmarks and plan dumps */
    unsigned needs;            /* OCT_CPU_* flags that must all be set; 0 = always */
    int x_max;                 /* 127 or 255: the largest byte of A */
    int rows, nr, kr;          /* of one group (a tile has up to two); columns; k together */
    int lanes;                 /* int32 a vector where columns are in pack order; 0: as they are */
    int flip;                  /* 128: the kernel sums (a - 128) b */
    oct_gemm_s8_order order;   /* of the groups of k */
    int (*place)(int j, int p);/* of column j, k p < kr: its element in a group of nr * kr */
    oct_gemm_s8_tile *tile;
} oct_gemm_s8;

extern const oct_gemm_s8 oct_gemm_s8_ref, oct_gemm_s8_avx2_a7, oct_gemm_s8_avx2,
                         oct_gemm_s8_avxvnni, oct_gemm_s8_avx512, oct_gemm_s8_neon_a7,
                         oct_gemm_s8_neon, oct_gemm_s8_neondot, oct_gemm_s8_neoni8mm;

/* Everything this build contains, best first, ref last, then NULL. */
extern const oct_gemm_s8 *const oct_gemm_s8_all[];

/* The first that may be used and takes bytes up to x_max (127 or 255). */
const oct_gemm_s8 *oct_gemm_s8_pick(unsigned cpu_flags, int x_max);

typedef struct oct_gemm_s8_weights {
    const int8_t *b;           /* [n][k] */
    int k;                     /* sum of the segments' lengths */
    const int32_t *perm;       /* packed k, padding not counted, is element perm[k]; or NULL */
    int n_segs;
    const oct_gemm_s8_seg *seg;
    int zero;                  /* of A, 0 .. 255 */
    const int32_t *bias;       /* [n] or NULL */
    const float *scale;        /* [n] */
    const float *fbias;        /* [n], F32 and U8 output, or NULL */
} oct_gemm_s8_weights;

/* Bytes of a panel, a multiple of 64; packs columns first .. first + count into panels numbered
 * from 0.  Every byte of packed is written. */
size_t oct_gemm_s8_panel_size(const oct_gemm_s8 *g, int n_segs, const oct_gemm_s8_seg *seg);
void oct_gemm_s8_pack(const oct_gemm_s8 *g, const oct_gemm_s8_weights *w, int first, int count,
                      void *packed);

/* Of n panels from a file, panel_size bytes apart, the tables of the sorted kinds are right for
 * these segments; all else in a panel is numbers.  ERR_FORMAT. */
OCT_MUST_CHECK oct_status oct_gemm_s8_check(const oct_gemm_s8 *g, int n_segs,
                                            const oct_gemm_s8_seg *seg, const void *packed,
                                            size_t panel_size, int n);

/* Sets q->bounded and q->plain for n panels (of winograd_s8.h, too), panel_size bytes apart. */
void oct_gemm_s8_classify(oct_requant *q, int nr, const void *packed, size_t panel_size, int n);

/* Where column j of a panel stands in the order of the sums: packssdw of two vectors of int32, then
 * packuswb, put column 8l + i into 128-bit lane l. */
static inline int oct_pack_order(int lanes, int j)
{
    return lanes ? j % 8 / 4 * lanes + j / 8 * 4 + j % 4 : j;
}

static inline int oct_gemm_s8_column(const oct_gemm_s8 *g, int j)
{
    return oct_pack_order(g->lanes, j);
}

#endif
