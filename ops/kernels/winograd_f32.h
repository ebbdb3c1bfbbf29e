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
 * Points of F(4): 0, +-sqrt(1/2), +-sqrt(2), infinity; of F(2): 0, 1, -1, infinity.  Each value is a
 * fixed sequence of FMAs, additions and multiplications, columns first, then rows, given by ref;
 * lanes hold channels, so every variant gives the same bits.
 *
 * input: pixel (i, j) of the tile, channel l is x[i * row + j * pixel + l], 0 <= l < lanes <= 64;
 * pixels outside y0 <= i < y1, x0 <= j < x1 are not read and count as +0 (padding, the map's edge).
 * V[xi][l] goes to v[xi * step + l].  v is written up to the next multiple of 16 lanes.
 * output: M[xi][l] is m[xi * step + l]; pixel (i, j), i < rows, j < cols, is written to
 * y[i * row + j * pixel + l] for l < lanes only.  bias: `lanes` floats; residual: like y, or NULL.
 * 64 bytes past x, m and bias are readable. v and m rows start on a 64-byte line when step, lanes'
 * offsets are multiples of 16.
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
extern const oct_winograd_f32 *const oct_winograd_f32_all[];
const oct_winograd_f32 *oct_winograd_f32_pick(unsigned cpu_flags);

/* u[p*p] = G w G^T of one 3x3 filter w[9] (row-major), in double, each rounded once to FP32. */
void oct_winograd_f32_weights(int m, const float *w, float *u);

#endif
