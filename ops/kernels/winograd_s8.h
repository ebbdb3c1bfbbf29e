#ifndef OCT_OPS_KERNELS_WINOGRAD_S8_H
#define OCT_OPS_KERNELS_WINOGRAD_S8_H

#include <stddef.h>
#include <stdint.h>

#include "ops/kernels/requant.h"
#include "tensor/tensor.h"

/* 3x3 convolutions of stride 1 by Winograd's F(m x m, 3 x 3), m = 4 or 2, p = m + 2, in integers:
 * the same sums as gemm_s8, exactly, with a quarter (4 / 9) of the multiplications.
 *
 *     V[xi][t][c] = (B^T d B)[xi]        int16   input:   a tile of p x p pixels, xi = 0 .. p*p - 1
 *     U[xi][c][k] = (G w G^T)[xi]        int16   pack:    weights, at plan time
 *     M[xi][t][k] = sum over c of V U    int32   product: mod 2^32
 *     D y = A^T M A,  D = 2^b odd                output:  y = (D y * odd^-1 mod 2^32) >> b
 *     C = requant(bias + y)                               m x m pixels, requant.h
 *
 * G is scaled by rows until it has no fractions; the odd part of D is undone by its inverse in the
 * ring of integers mod 2^32, the power of two by a shift, which is exact if 2^b y fits int32.
 *
 *   m = 4   B^T  4  0 -5  0  1  0   G   6  0  0    A^T  1  1  1  1  1  0     D = 24 * 24 = 64 * 9
 *                0 -4 -4  1  1  0      -4 -4 -4         0  1 -1  2 -2  0     1 / 9 = 954437177:
 *                0  4 -4 -1  1  0      -4  4 -4         0  1  1  4  4  0     9 * it = 2 * 2^32 + 1
 *                0 -2 -1  2  1  0       1  2  4         0  1 -1  8 -8  8
 *                0  2 -1 -2  1  0       1 -2  4
 *                0  4  0 -5  0  1       0  0  3
 *   m = 2   B^T  1  0 -1  0         G   2  0  0    A^T  1  1  1  0           D = 2 * 2 = 4
 *                0  1  1  0             1  1  1         0  1 -1 -1
 *                0 -1  1  0             1 -1  1
 *                0  1  0 -1             0  0  2
 *
 * Short axes, m = 4.  Where a tile has only r = 3 or 2 outputs down or across, r + 2 points are
 * enough: the first r + 1 of the six and the last, with U and D as they are.  V and M have nothing
 * at the others, and of that axis
 *
 *   r = 3   B^T  2 -1 -2  1  0   A^T  2  3  1  4  0    r = 2   B^T  1  0 -1  0   A^T  4 -3 -3  0
 *                0 -2 -1  1  0        0  3 -1  8  0                 0  1  1  0        0 -3  3  8
 *                0  2 -3  1  0        0  3  1 16  8                 0 -1  1  0
 *                0 -1  0  1  0                                      0 -1  0  1
 *                0  2 -1 -2  1
 *
 * Limits.  m = 4: |U| <= 12 * 12 * 128 = 18,432.  V sums bytes 0 .. 255 with weights B_i x B_j: the
 * largest one-sided sum is that of row 1 by row 1, 2 * 2 + 8 * 8 = 68, so |V| <= 17,340, on short
 * axes less.  m = 2: 9 * 128 = 1,152 and 4 * 255.  So both fit int16 and a pair of products int32:
 * 2 * 18,432 * 17,340 < 2^31; sums over c wrap, that is what the ring is for.
 * Exact if oct_winograd_s8_fits: -2^31 <= 2^b y < 2^31 for all bytes up to x_max.  With sums P and
 * N of a filter's positive and negative weights, max(P, N) x_max < 2^(31 - b): b = 6, x_max = 127:
 * 264,208.  Always so up to 114 input channels for 127 (57 for 255), and for real weights beyond.
 *
 * Operands
 * input:   pixel (i, j) of the tile, channel l is x[i * row + j * pixel + l], 0 <= l < lanes <= 64;
 *          pixels outside y0 <= i < y1, x0 <= j < x1 are not read and count as `zero`.  V[xi][l]
 *          goes to v[xi * step + l]; v is written up to the next multiple of 32 lanes, with rubbish
 *          from `lanes` on.  The tile to come will go OCT_BLOCK elements further: prefetched.
 *          64 bytes past the last byte of x are readable.
 * product: M[t][j] = sum over c < 2 * pairs of V[t][c] * U[c][j], t < n, to mm[t * nr + j];
 *          pairs = ceil(C / 2).  V[t][c] is v[c / 64 * block + t * 64 + c % 64]: rows of OCT_BLOCK
 *          channels, so that kernels need no registers for where they are.  U of one panel and xi,
 *          oct_winograd_s8_u.  mm and U are 64-byte aligned.  The same amount of memory after U is
 *          prefetched.
 * output:  M[xi] of one tile is mm[xi * step], nr columns, step a multiple of 16; pixel (i, j),
 *          i < rows, j < cols, goes to y[i * row + j * pixel], the first `lanes` elements of it.
 *          residual: like y, or NULL, 64 readable bytes past its end; may be y.
 *
 * Panel, nr output channels, 64-byte aligned: bias, scale, fbias, colsum as in gemm_s8.h (flip 0),
 * then int16 u[p*p][pairs][2 * nr].
 *
 * Every variant gives the bytes of ref, which are those of gemm_s8.
 * Source: Lavin and Gray, Fast Algorithms for Convolutional Neural Networks, 2015; the ring is
 * ours. */
typedef struct oct_winograd_s8_in {
    int m;
    int points[2];             /* down and across, oct_winograd_s8_points */
    int y0, y1, x0, x1;        /* the pixels of the tile that exist */
    int zero;                  /* of x */
    const uint8_t *x;          /* where pixel (0, 0) is or would be */
    size_t row, pixel;         /* bytes */
    int lanes;
    int16_t *v;
    size_t step;
} oct_winograd_s8_in;

typedef struct oct_winograd_s8_out {
    int m;
    int points[2];
    int rows, cols;            /* outputs inside the map: 1 .. the points less 2 */
    const int32_t *mm;
    size_t step;
    const void *panel;
    const oct_requant *out;
    int lanes;                 /* 1 .. nr */
    void *y;
    const void *residual;
    size_t row, pixel;         /* elements */
} oct_winograd_s8_out;

/* Points of an axis of so many outputs; whether point i is one of so many. */
static inline int oct_winograd_s8_points(int m, int outputs)
{
    return m == 2 || outputs <= 2 ? 4 : outputs == 3 ? 5 : 6;
}
static inline int oct_winograd_s8_has(int m, int points, int i)
{
    return i < points - 1 || i == m + 1;
}

typedef struct oct_winograd_s8 {
    const char *isa;
    unsigned needs;
    int nr;                    /* columns of a panel; divides OCT_BLOCK */
    int lanes;                 /* as in oct_gemm_s8 */
    int (*place)(int j, int p);/* of column j, c = 0 or 1 of a pair: its element of 2 * nr */
    void (*input)(const oct_winograd_s8_in *args);
    void (*product)(int n, int pairs, const int16_t *v, size_t block, const int16_t *u,
                    int32_t *mm);
    void (*output)(const oct_winograd_s8_out *args);
} oct_winograd_s8;

extern const oct_winograd_s8 oct_winograd_s8_ref, oct_winograd_s8_avx2, oct_winograd_s8_avxvnni,
                             oct_winograd_s8_avx512, oct_winograd_s8_neon;

/* Everything this build contains, best first, ref last, then NULL. */
extern const oct_winograd_s8 *const oct_winograd_s8_all[];
const oct_winograd_s8 *oct_winograd_s8_pick(unsigned cpu_flags);

typedef struct oct_winograd_s8_weights {
    int m, c;
    const int8_t *b;           /* [n][c][3][3] */
    int zero;                  /* of A, 0 .. x_max */
    const int32_t *bias;       /* [n] or NULL */
    const float *scale;        /* [n] */
    const float *fbias;        /* [n] or NULL */
} oct_winograd_s8_weights;

/* Is the transform exact for filters first .. first + count and bytes 0 .. x_max?  It is not where
 * it says no: a sum might wrap. */
int oct_winograd_s8_fits(const oct_winograd_s8_weights *w, int first, int count, int x_max);

/* Bytes of a panel; where in it U[xi] starts; packs columns first .. first + count. */
size_t oct_winograd_s8_panel_size(const oct_winograd_s8 *g, int m, int c);
const int16_t *oct_winograd_s8_u(const oct_winograd_s8 *g, const void *panel, int xi, int c);
void oct_winograd_s8_pack(const oct_winograd_s8 *g, const oct_winograd_s8_weights *w, int first,
                          int count, void *packed);

#endif
