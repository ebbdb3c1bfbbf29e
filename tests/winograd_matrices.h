#ifndef OCT_TESTS_WINOGRAD_MATRICES_H
#define OCT_TESTS_WINOGRAD_MATRICES_H

#include <math.h>

/* The matrices of ops/kernels/winograd_f32.h, written out from its comment and not from the code,
 * in double: the oracle of the transforms and of the whole convolution. */
typedef enum winograd_matrix { WINOGRAD_BT, WINOGRAD_G, WINOGRAD_AT } winograd_matrix;

#define S 0.70710678118654752440 /* a = b / 2 = sqrt(1/2) */
#define R 1.41421356237309504880 /* b = 2 a = sqrt(2) */

/* Element (i, j) of a matrix of F(m x m, 3 x 3). */
static inline double winograd_at(winograd_matrix which, int m, int i, int j)
{
    static const double bt4[6][6] = {
        { 1, 0, -2.5, 0, 1, 0 },  { 0, -R, -2, S, 1, 0 },  { 0, R, -2, -S, 1, 0 },
        { 0, -S, -0.5, R, 1, 0 }, { 0, S, -0.5, -R, 1, 0 }, { 0, 1, 0, -2.5, 0, 1 },
    };
    static const double g4[6][3] = {
        { 1, 0, 0 },
        { -2.0 / 3, -R / 3, -1.0 / 3 }, { -2.0 / 3, R / 3, -1.0 / 3 },
        { 1.0 / 6, R / 6, 1.0 / 3 },    { 1.0 / 6, -R / 6, 1.0 / 3 },
        { 0, 0, 1 },
    };
    static const double at4[4][6] = {
        { 1, 1, 1, 1, 1, 0 },     { 0, S, -S, R, -R, 0 },
        { 0, 0.5, 0.5, 2, 2, 0 }, { 0, S / 2, -S / 2, 2 * R, -2 * R, 1 },
    };
    static const double bt2[4][4] = {
        { 1, 0, -1, 0 }, { 0, 1, 1, 0 }, { 0, -1, 1, 0 }, { 0, -1, 0, 1 },
    };
    static const double g2[4][3] = { { 1, 0, 0 }, { .5, .5, .5 }, { .5, -.5, .5 }, { 0, 0, 1 } };
    static const double at2[2][4] = { { 1, 1, 1, 0 }, { 0, 1, -1, 1 } };
    switch (which) {
    case WINOGRAD_BT: return m == 4 ? bt4[i][j] : bt2[i][j];
    case WINOGRAD_G: return m == 4 ? g4[i][j] : g2[i][j];
    default: return m == 4 ? at4[i][j] : at2[i][j];
    }
}
#undef S
#undef R

/* out = T d T^T;  absolute: |T| |d| |T^T|, the size of its terms.  d is square, row-major. */
static inline void winograd_both(winograd_matrix which, int m, int absolute, const double *d,
                                 double *out)
{
    const int rows = which == WINOGRAD_AT ? m : m + 2, cols = which == WINOGRAD_G ? 3 : m + 2;
    for (int i = 0; i < rows; i++)
        for (int j = 0; j < rows; j++) {
            double sum = 0;
            for (int k = 0; k < cols; k++)
                for (int l = 0; l < cols; l++) {
                    const double term = winograd_at(which, m, i, k) * d[k * cols + l] *
                                        winograd_at(which, m, j, l);
                    sum += absolute ? fabs(term) : term;
                }
            out[i * rows + j] = sum;
        }
}

#endif
