#ifndef OCT_QUANT_SOLVE_H
#define OCT_QUANT_SOLVE_H

#include "ops/op.h"

/* Masked least squares: of each output o the weights that are not 0 are solved for,
 *
 *   w[o,:] = argmin  w G w^T - 2 c[o,:] w^T + damping |w - w0[o,:]|^2      w[o,j] = 0 where w0 is
 *
 *   G  [k, k] gram, c [out, k] cross of quant/normal.h; w0 what w holds
 *   damping = 1e-3 of the mean of G's diagonal: what the samples say nothing of stays as it was;
 *             of fewer than 2 k rows, 0.1 (k / rows - 1/2) more: so few say little that holds for
 *             others
 *
 * by conjugate gradients, G's diagonal for preconditioner, all outputs at once: an iteration is one
 * product [out, k] [k, k], whatever the masks are.  OCT_SOLVE_STEPS iterations at most; an output
 * is done when its residual has shrunk to 1e-4 of the first one.  A system that is not solved by
 * then has moved along what the samples say most of, which is what is wanted.
 * FP32 products in quant/product.h's order, the vectors' in double in rising order: the bits are
 * the same on every machine.
 * Source: Hestenes and Stiefel, Methods of Conjugate Gradients for Solving Linear Systems, 1952;
 * the problem is that of Frantar and Alistarh, SparseGPT, 2023, for a mask that is given. */
enum { OCT_SOLVE_STEPS = 50 };

typedef struct oct_solve {
    int k, out;
    int64_t rows;              /* that G and c are sums over */
    float *gram;               /* [k, k]; the damping is added to its diagonal */
    const float *cross;        /* [out, k] */
    const double *square;      /* [out]: sum of (y - mean y)^2 */
    double *power;             /* out [out]: w G w^T, sum of (W x - mean)^2 */
    double error_before, error_after; /* out: sum over o of |W x - y|^2, of w0 and of w */
    int steps;                 /* out: iterations that were done */
} oct_solve;

/* w [out, k] with an arena's tail: w0, then the solution. */
OCT_MUST_CHECK oct_status oct_solve_run(oct_solve *s, unsigned cpu, oct_pool *pool, float *w);

#endif
