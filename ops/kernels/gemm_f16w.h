#ifndef OCT_OPS_KERNELS_GEMM_F16W_H
#define OCT_OPS_KERNELS_GEMM_F16W_H

#include "ops/kernels/gemm_f32.h"

/* C[m,n] = act(sum over k of A[m,k] * f16(B[n,k]) + bias[n] + residual[m,n])      weights in half
 *
 * gemm_f32 with panels of half the size: everything but the weights is FP32, and all that
 * gemm_f32.h says holds, with B rounded to half (nearest even) when it is packed.
 *
 * Packed B, one panel per nr columns; K odd: one more row of nr halves of nothing:
 *     float bias[nr]; half b[K][nr];
 *
 * Exact: a half is widened exactly, then the chain of FMAs is gemm_f32's, so every variant gives
 * the same bits as ref, and gemm_f32 the same bits on weights that are halves.
 * Error against the weights before rounding: |f16(w) - w| <= 2^-11 |w|, for |w| < 2^-14 2^-25, so
 * 2^-11 sum |a b| + 2^-25 sum |a| beside gemm_f32's.  |w| >= 65520 becomes infinite: the operators
 * keep such a layer in FP32 (ops/precision.h). */
extern const oct_gemm_f32 oct_gemm_f16w_ref, oct_gemm_f16w_avx2, oct_gemm_f16w_avx512,
                          oct_gemm_f16w_neon;

/* Everything this build contains, best first, ref last, then NULL. */
extern const oct_gemm_f32 *const oct_gemm_f16w_all[];
const oct_gemm_f32 *oct_gemm_f16w_pick(unsigned cpu_flags);

#endif
