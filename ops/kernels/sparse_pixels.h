#ifndef OCT_OPS_KERNELS_SPARSE_PIXELS_H
#define OCT_OPS_KERNELS_SPARSE_PIXELS_H

#include <stddef.h>

/* What the sparse kernels share, sparse_s8.h and sparse_f32.h: pixels along the lanes, x planar, S
 * bytes of a pixel in each plane: 4, a float or 4 channels of bytes, or 1. */

/* Pixels first .. first + count of a strip, and where they go: elements from the output's begin,
 * one pixel every ldc. */
typedef struct oct_sparse_run {
    int first, count;
    size_t at;
} oct_sparse_run;

/* Planar: plane p of pixel i, the S bytes at x + i * pixel + S p, goes to to + p * step + S i,
 * i < n; 16 bytes past the last are readable. */
typedef struct oct_sparse_in {
    const unsigned char *x;
    size_t pixel;              /* bytes */
    int n, planes;
    unsigned char *to;
    size_t step;
    int *odd;                  /* floats only: becomes 1 if one of them is infinite or a NaN */
} oct_sparse_in;

#endif
