#ifndef OCT_OPS_KERNELS_WINOGRAD_F32_PASS_H
#define OCT_OPS_KERNELS_WINOGRAD_F32_PASS_H

#include <math.h>

#include "tensor/inline.h"

/* One axis of a tile of Winograd's F(m x m, 3 x 3), m = 4 or 2, in FP32: what each value is, the
 * order of its sums included.  Matrices: winograd_f32.h.  In place, of d[0], d[step], ... */
#define OCT_WINOGRAD_A 0x1.6a09e6p-1f /* sqrt(1/2) */
#define OCT_WINOGRAD_B 0x1.6a09e6p+0f /* sqrt(2) */

/* d = B^T d: m + 2 of them. */
OCT_INLINE void oct_winograd_f32_input_pass(int m, float *d, int step)
{
    const float d0 = d[0], d1 = d[step], d2 = d[2 * step], d3 = d[3 * step];
    if (m == 2) {
        d[0] = d0 - d2;
        d[step] = d1 + d2;
        d[2 * step] = d2 - d1;
        d[3 * step] = d3 - d1;
        return;
    }
    const float d4 = d[4 * step], d5 = d[5 * step];
    const float even_a = fmaf(-2.0f, d2, d4), odd_a = fmaf(-2.0f, d1, d3);
    const float even_b = fmaf(-0.5f, d2, d4), odd_b = fmaf(-0.5f, d1, d3);
    d[0] = d0 + fmaf(-2.5f, d2, d4);
    d[step] = fmaf(OCT_WINOGRAD_A, odd_a, even_a);
    d[2 * step] = fmaf(-OCT_WINOGRAD_A, odd_a, even_a);
    d[3 * step] = fmaf(OCT_WINOGRAD_B, odd_b, even_b);
    d[4 * step] = fmaf(-OCT_WINOGRAD_B, odd_b, even_b);
    d[5 * step] = d1 + fmaf(-2.5f, d3, d5);
}

/* A^T d: the first m become the outputs. */
OCT_INLINE void oct_winograd_f32_output_pass(int m, float *d, int step)
{
    const float d0 = d[0], d1 = d[step], d2 = d[2 * step], d3 = d[3 * step];
    if (m == 2) {
        d[0] = d0 + (d1 + d2);
        d[step] = (d1 - d2) + d3;
        return;
    }
    const float d4 = d[4 * step], d5 = d[5 * step];
    const float sum_a = d1 + d2, dif_a = d1 - d2, sum_b = d3 + d4, dif_b = d3 - d4;
    d[0] = (d0 + sum_a) + sum_b;
    d[step] = fmaf(OCT_WINOGRAD_B, dif_b, OCT_WINOGRAD_A * dif_a);
    d[2 * step] = fmaf(2.0f, sum_b, 0.5f * sum_a);
    d[3 * step] = fmaf(2 * OCT_WINOGRAD_B, dif_b, fmaf(0.5f * OCT_WINOGRAD_A, dif_a, d5));
}

#endif
