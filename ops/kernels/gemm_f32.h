#ifndef OCT_OPS_KERNELS_GEMM_F32_H
#define OCT_OPS_KERNELS_GEMM_F32_H

#include <stddef.h>
#include <stdint.h>

#include "ops/attr.h"
#include "ops/kernels/gemm_seg.h"
#include "tensor/tensor.h"

/* C[m,n] = act(sum over k of A[m,k] * B[n,k]  + bias[n] + residual[m,n])      FP32
 *
 * A is implicit: its rows are pixels of an image (or samples), and the k of a row are segments,
 * runs of consecutive floats.  k runs over the segments in order; of row i of group g
 *
 *     A[i, k_s + c] = a[g][seg[s].offset + (pos[g] + i * step) * seg[s].width + c],  0 <= c < len
 *
 * A convolution has one segment for each block of 64 channels and each (kh, kw), in this order; a
 * matrix has one segment, its row (width: its stride).  So nothing like im2col is ever written.
 *
 *   a         FP32, one or two groups of 1 .. rows rows; 64 bytes past the last one are readable
 *   panel     packed B and bias, 64-byte aligned, below
 *   c         FP32, row i of group g at c[g] + i * ldc, `cols` floats of it are written
 *   residual  like c, same strides, or NULL; may be the same memory as c
 *
 * Packed B, one panel per nr columns (nr divides OCT_BLOCK, so a panel never leaves a block of
 * output channels):
 *     float bias[nr]; float b[K][nr];       columns past N are zeros; an absent bias or -0 is +0
 *
 * Limits: K >= 1, K and all offsets below 2^31; act is NONE, RELU or RELU6.
 * Exact: acc = +0; for k = 0 .. K-1: acc = fma(A[m,k], B[n,k], acc); then acc + bias, + residual,
 * act, each one operation.  RELU is x < 0 ? 0 : x, RELU6 then x > 6 ? 6 : x.  Lanes hold different
 * n, rows different m, so every variant gives the same bits as ref, NaN payloads excepted.
 * Error against real numbers: |got - want| <= (K + 3) eps sum |a b| + ..., eps = 2^-24: a chain of
 * K roundings (Higham, Accuracy and Stability, 3.1).
 * c may not overlap a.
 * In gemm_bf16 a float of a is a pair of bfloat16 and so are offset, len, width and pos' pixels.
 * Source: BLIS' packed panels; the segments are XNNPACK's indirection buffer, with strides. */
typedef oct_gemm_seg oct_gemm_f32_seg; /* in floats */

typedef struct oct_gemm_f32_args {
    int n_segs;
    const oct_gemm_f32_seg *seg;
    const float *a[2];         /* image of each group; [1] is not read if groups is 1 */
    ptrdiff_t pos[2];          /* pixel of the group's first row */
    int step;                  /* pixels from a row to the next: the stride */
    int rows, groups, cols;    /* 1 .. g->rows, 1 .. 2, 1 .. g->nr */
    const float *panel;
    const float *ahead;        /* prefetched meanwhile; or NULL */
    int ahead_parts;           /* 1, 2 or 4: a panel's bytes from ahead on, divided by this */
    float *c[2];
    const float *residual[2];  /* [0] NULL: none */
    size_t ldc;
    oct_act act;
} oct_gemm_f32_args;

typedef void oct_gemm_f32_tile(const oct_gemm_f32_args *args);

/* y[j] = act(sum over k of x[k] * B[j,k] + bias[j] + residual[j]) for `panels` panels one after the
 * other (panel_stride floats apart), the last of which has cols columns: one row, many columns, for
 * batch 1, where a tile of one row would wait for its own sums. */
typedef void oct_gemm_f32_gemv(int k, const float *x, int panels, const float *panel,
                               size_t panel_stride, const float *residual, oct_act act, int cols,
                               float *y);

/* `count` pixels of width floats, without gaps, to bfloat16 in pairs: see gemm_bf16.h. */
typedef void oct_gemm_bf16_pairs(size_t count, int width, const float *x, uint16_t *y);

/* One record for all products with sums in FP32: gemm_f32, and gemm_f16w and gemm_bf16 with smaller
 * operands, each with a list of its own. */
typedef struct oct_gemm_f32 {
    const char *family;        /* "gemm_f32" */
    const char *isa;           /* shown by benchmarks and plan dumps */
    unsigned needs;            /* OCT_CPU_* flags that must all be set; 0 = always */
    oct_dtype type;            /* of the weights in a panel: F32, F16; BF16: of a, too, in pairs */
    int rows, nr;              /* of one group (a tile has up to two); columns of a panel */
    oct_gemm_f32_tile *tile;
    oct_gemm_f32_gemv *gemv;
    oct_gemm_bf16_pairs *pairs; /* gemm_bf16 only */
} oct_gemm_f32;

extern const oct_gemm_f32 oct_gemm_f32_ref, oct_gemm_f32_avx2, oct_gemm_f32_avx512,
                          oct_gemm_f32_neon;

/* Everything this build contains, best first, ref last, then NULL.
 * The dispatcher takes the first it may use; the tests walk them all. */
extern const oct_gemm_f32 *const oct_gemm_f32_all[];
const oct_gemm_f32 *oct_gemm_f32_pick(unsigned cpu_flags);

/* Floats of one panel, of all panels of n columns; k is always in elements, not in pairs. */
size_t oct_gemm_f32_panel_size(const oct_gemm_f32 *g, int k);
size_t oct_gemm_f32_packed_size(const oct_gemm_f32 *g, int n, int k);

/* Packs columns first .. first + count of b, a constant [n, ...] with up to k elements a row and
 * perhaps a scale per row: packed k is element perm[k] of the row (NULL: k), 0 where that is
 * negative or past the row's end.  Rounded once to g's type.  bias: FP32 [n] or NULL.
 * row: room for k floats.  The panels are numbered from 0 in packed. */
void oct_gemm_f32_pack(const oct_gemm_f32 *g, const oct_tensor *b, int first, int count, int k,
                       const int32_t *perm, const float *bias, float *row, float *packed);
/* One panel of FP32, as the packer of a gemm_f32 of the same nr makes it, to g's type. */
void oct_gemm_f32_narrow(const oct_gemm_f32 *g, int k, const float *panel, float *to);

#endif
