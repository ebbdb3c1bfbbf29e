#ifndef OCT_OPS_SGEMM_H
#define OCT_OPS_SGEMM_H

#include "ops/attr.h"
#include "ops/op.h"

/* The other provider of FP32 matrix products (how->sgemm, OpenBLAS): Y = act(X W^T + bias + R),
 * for comparison and for machines we have no kernels for.  It sums in its own order: the promise
 * of equal bits does not hold, and the kernel's name says so. */
typedef struct oct_sgemm_step {
    oct_sgemm *sgemm;
    const float *w, *bias;     /* [n, k], [n] or NULL */
    int n, k;
} oct_sgemm_step;

/* Takes a copy of w, [n, ...] with k elements a row, permuted as oct_gemm_f32_pack does. */
OCT_MUST_CHECK oct_status oct_sgemm_prepare(const oct_tensor *w, int k, const int32_t *perm,
                                            const float *bias, oct_prepare *how,
                                            oct_sgemm_step **out);
/* x [m, k], y and residual (or NULL) [m, n], dense. */
void oct_sgemm_run(const oct_sgemm_step *s, int m, const float *x, const float *residual,
                   oct_act act, float *y);

#endif
