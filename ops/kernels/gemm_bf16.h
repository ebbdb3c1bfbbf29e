#ifndef OCT_OPS_KERNELS_GEMM_BF16_H
#define OCT_OPS_KERNELS_GEMM_BF16_H

#include "ops/kernels/gemm_f32.h"
#include "tensor/f16.h"

/* C[m,n] = act(sum over k of bf16(A[m,k]) * bf16(B[n,k]) + bias[n] + residual[m,n])   sums in FP32
 *
 * Tiles, segments and strides are gemm_f32.h's, but what A and B hold at each step is a pair of
 * bfloat16: k = 2p in the low half of its four bytes, 2p + 1 in the high one.  An image is written
 * by g->pairs, pixel by pixel: `width` channels, rounded up to an even number with a zero.  So k
 * runs over the segments' pairs, and odd ends are padded with zeros in A and B alike.
 *
 *   a         uint16_t, aligned to 4; offsets, lengths and widths of segments count pairs
 *   panel     float bias[nr]; bf16 b[K/2][nr][2], K even
 *   all else  FP32, as in gemm_f32.h; pairs: x and y need no more alignment than their types
 *
 * bf16(x) rounds to nearest even; a denormal becomes a zero of its sign, NaN stays NaN, a float
 * from 2^128 (1 - 2^-9) on becomes infinite.
 *
 * Products are exact.  acc = +0; for p = 0 .. K/2 - 1: acc = fma(A[2p+1], B[2p+1], acc), then
 * acc = fma(A[2p], B[2p], acc); then bias, residual, act as in gemm_f32.h.  So vdpbf16ps is
 * specified, except that it makes a sum below 2^-126 zero: avx512bf16 gives ref's bits where no sum
 * is denormal, the other variants always.
 * Error against real numbers: |bf16(x) - x| <= 2^-9 |x| (for |x| < 2^-126: |x|), so a product of
 * rounded operands is within (2^-8 + 2^-18) |a b| of a b; with the chain's K roundings, to first
 * order, |got - want| <= (2^-8 + 2^-18 + (K + 3) 2^-24) sum |a b|.
 * Source: Intel's instruction set reference, VDPBF16PS. */
static inline uint16_t oct_gemm_bf16_of_f32(float x)
{
    const uint32_t u = oct_bits_of_f32(x);
    return (u & 0x7f800000) == 0 ? (uint16_t)(u >> 16 & 0x8000) : oct_bf16_of_f32(x);
}

extern const oct_gemm_f32 oct_gemm_bf16_ref, oct_gemm_bf16_avx2, oct_gemm_bf16_avx512,
                          oct_gemm_bf16_avx512bf16, oct_gemm_bf16_neon;

/* Everything this build contains, best first, ref last, then NULL. */
extern const oct_gemm_f32 *const oct_gemm_bf16_all[];
const oct_gemm_f32 *oct_gemm_bf16_pick(unsigned cpu_flags);

#endif
