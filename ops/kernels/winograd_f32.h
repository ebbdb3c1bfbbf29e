#ifndef OCT_OPS_KERNELS_WINOGRAD_F32_H
#define OCT_OPS_KERNELS_WINOGRAD_F32_H

#include <stddef.h>

#include "ops/attr.h"

/* Transforms of Winograd's F(m x m, 3 x 3), m = 4 or 2, p = m + 2, FP32:
 *
 *     V[xi] = (B^T d B)[xi]              input:  one tile of p x p pixels,  xi = 0 .. p*p - 1
 *     U[xi] = (G w G^T)[xi]              weights: in double, rounded once, at plan time
 *     M[xi][t][k] = sum over c of V[xi][t][c] * U[xi][c][k]     gemm_f32, one chain over c
 *     Y = act(A^T M A + bias + residual) output: m x m pixels
 *
 * Points of F(4): 0, a, -a, b, -b, infinity with a = sqrt(1/2), b = sqrt(2); of F(2): 0, 1, -1,
 * infinity.  With P(x) = x (x^2 - a^2) (x^2 - b^2) the row of a point q is  P(x) / (x - q)  in B^T,
 * its powers in A^T, its powers / P'(q) in G (the signs of F(2) are Lavin's):
 *
 *     B^T  1   0 -5/2   0    1  0     G    1      0     0     A^T  1  1   1   1   1   0
 *          0 -2a  -2    a    1  0        -2/3  -2a/3  -1/3         0  a  -a   b  -b   0
 *          0  2a  -2   -a    1  0        -2/3   2a/3  -1/3         0 1/2 1/2  2   2   0
 *          0 -b/2 -1/2  b    1  0         1/6   b/6    1/3         0 a/2 -a/2 2b -2b  1
 *          0  b/2 -1/2 -b    1  0         1/6  -b/6    1/3
 *          0   1   0  -5/2   0  1          0     0      1
 *
 *     B^T  1  0 -1  0     G   1    0   0      A^T  1  1  1  0
 *          0  1  1  0        1/2  1/2 1/2          0  1 -1  1
 *          0 -1  1  0        1/2 -1/2 1/2
 *          0 -1  0  1         0    0   1
 *
 * Operands
 * input:  pixel (i, j) of the tile, channel l is x[i * row + j * pixel + l], 0 <= l < lanes; pixels
 *         outside y0 <= i < y1, x0 <= j < x1 are not read and count as +0 (padding, the map's
 *         edge).  V[xi][l] goes to v[xi * step + l]; v is written up to the next multiple of 16
 *         lanes, and what it holds from `lanes` on is rubbish.
 * output: M[xi][l] is mm[xi * step + l]; pixel (i, j), i < rows, j < cols, is written to
 *         y[i * row + j * pixel + l] for l < lanes only.  bias: `lanes` floats; residual: like y,
 *         same strides, or NULL.
 * 64 bytes past the last float of x and mm are readable.  Nothing need be aligned, but rows of v
 * and mm that start on 64-byte lines, an odd number of lines apart, are fast.
 *
 * Limits: 1 <= lanes <= 64; 0 <= y0 <= y1 <= p, 0 <= x0 <= x1 <= p; 1 <= rows, cols <= m; act is
 * NONE, RELU or RELU6.
 *
 * Exact: each value is a fixed sequence of FMAs, additions and multiplications, written in
 * winograd_f32_pass.h: B^T and A^T are applied to columns first, then to rows; then + bias,
 * + residual, act, each one operation.  Lanes hold channels, so every variant gives the same bits
 * as ref, NaN payloads excepted.
 *
 * Error of the whole convolution of C channels against real numbers, eps = 2^-24, to first order:
 *     |got - want| <= (C + 17) eps (S + |bias| + |residual|),
 *     S = |A^T| ( sum over c of (|G| |w| |G^T|) .* (|B^T| |d| |B|) ) |A|       one tile, p x p
 * V: a pass of B^T rounds each term at most 3 times (the constant, two FMAs), two passes: 6.  U: 1.
 * The chain: C.  A pass of A^T rounds at most 4 times (a difference, the constant, two FMAs), two
 * passes: 8.  bias, residual: 2.  No term is used twice in a pass, so absolute values bound each of
 * these errors by that share of S, and they add up.  F(2): 2 + 1 + C + 4 + 2 = C + 9.
 * S runs over the whole tile: an output whose own taps are all zero may receive rounding noise from
 * its neighbours, and an infinity or a NaN spreads over its tile (m x m outputs).
 *
 * y may be residual; nothing else may overlap.
 *
 * Source: Lavin and Gray, Fast Algorithms for Convolutional Neural Networks, 2015; the points from
 * Barabasz et al., Error analysis and improving the accuracy of Winograd convolution, 2018. */
typedef struct oct_winograd_f32_in {
    int m;                  /* 4 or 2 */
    int y0, y1, x0, x1;     /* the pixels of the tile that exist */
    const float *x;         /* where pixel (0, 0) is or would be */
    size_t row, pixel;      /* floats */
    int lanes;
    float *v;
    size_t step;
} oct_winograd_f32_in;

typedef struct oct_winograd_f32_out {
    int m;
    int rows, cols;         /* 1 .. m: outputs inside the map */
    const float *mm;
    size_t step;
    const float *bias, *residual;
    oct_act act;            /* NONE, RELU, RELU6 */
    int lanes;
    float *y;
    size_t row, pixel;
} oct_winograd_f32_out;

typedef struct oct_winograd_f32 {
    const char *isa;
    unsigned needs;
    void (*input)(const oct_winograd_f32_in *args);
    void (*output)(const oct_winograd_f32_out *args);
} oct_winograd_f32;

extern const oct_winograd_f32 oct_winograd_f32_ref, oct_winograd_f32_avx2,
                              oct_winograd_f32_avx512, oct_winograd_f32_neon;

/* Everything this build contains, best first, ref last, then NULL. */
extern const oct_winograd_f32 *const oct_winograd_f32_all[];
const oct_winograd_f32 *oct_winograd_f32_pick(unsigned cpu_flags);

/* U = G w G^T of `lanes` filters, 1 .. 16, w and u not overlapping: tap t (row-major) of filter l
 * is w[t * 16 + l], U[xi] of filter l goes to u[xi * step + l].  In double, rounded once to FP32;
 * plain C, so the same on every machine. */
enum { OCT_WINOGRAD_F32_FILTERS = 16 };
void oct_winograd_f32_weights(int m, int lanes, const float *w, float *u, size_t step);

#endif
