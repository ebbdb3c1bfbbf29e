#ifndef OCT_OPS_KERNELS_MATH_F32_H
#define OCT_OPS_KERNELS_MATH_F32_H

#include <math.h>

#include "tensor/f16.h"

/* exp, sigmoid, tanh and GELU of one float: the definition of every bit.  Each is a fixed sequence
 * of IEEE operations, fmaf included; simd_math.h is the same sequence on vectors, step by step.
 *
 *   function   largest error found, against the double function, in units of the last place
 *   exp        1.05    all x; overflow to infinity, results down to the last denormal
 *   sigmoid    2.3     e/(1 + e) for x < 0, so that small results keep their digits
 *   tanh       2.4     -0 and denormals are kept
 *   gelu       6.2     x Phi(x) in both tails too, where 1 + erf would cancel to nothing
 * (over all bit patterns in steps of 97; tests/check_vec.c measures again and holds 1.25, 2.5, 2.75
 * and 7).  NaN gives NaN. */

/* A float 1.5 2^23 + n has the integer n in its last bits, for |n| < 2^22. */
OCT_TABLE float oct_magic = 0x1.8p23f;

OCT_TABLE float oct_log2e = 0x1.715476p0f;
OCT_TABLE float oct_ln2_hi = 0x1.62ep-1f, oct_ln2_lo = 0x1.0bfbe8p-15f; /* n hi is exact */

/* (exp(r) - 1 - r) / r^2 for |r| <= 0.347: minimax, r^2 times its error is below 2^-26.9 */
OCT_TABLE float oct_expm1_c[5] = {
    0x1p-1f, 0x1.5554dcp-3f, 0x1.5554b8p-5f, 0x1.120be6p-7f, 0x1.6d75eep-10f,
};
/* Phi(-a) exp(a^2/2) / t as a polynomial in t - 1/2, where t = 1 / (1 + 0.3 a), 0 <= a <= 15:
 * minimax, relative 2^-28.  Around 1/2 Horner's roundings fade at both ends. */
OCT_TABLE float oct_tail_k = 0x1.333334p-2f;
OCT_TABLE float oct_tail_c[10] = {
    0x1.c69888p-3f,  0x1.510f0cp-2f,  0x1.6281f2p-2f, 0x1.c6d344p-3f, 0x1.dc0fc0p-6f,
    -0x1.3da6bep-4f, -0x1.2ab00ep-5f, 0x1.263a72p-5f, 0x1.41b7d0p-6f, -0x1.51fd04p-6f,
};

OCT_INLINE float oct_max_f32(float a, float b) { return a > b ? a : b; }
OCT_INLINE float oct_min_f32(float a, float b) { return a < b ? a : b; }
OCT_INLINE float oct_relu_f32(float x) { return x < 0 ? 0 : x; }
OCT_INLINE float oct_relu6_f32(float x) { return oct_min_f32(6, oct_relu_f32(x)); }

/* 2^n of t = magic + n, -126 <= n <= 127: the low nine bits of magic are zero, so they are n. */
OCT_INLINE float oct_pow2_f32(float t)
{
    return oct_f32_of_bits((oct_bits_of_f32(t) << 23) + 0x3f800000u);
}

/* x = n ln 2 + r, |r| <= ln(2)/2 and a little; returns magic + n. */
OCT_INLINE float oct_reduce_f32(float x, float *r)
{
    const float t = fmaf(x, oct_log2e, oct_magic), n = t - oct_magic;
    *r = fmaf(n, -oct_ln2_lo, fmaf(n, -oct_ln2_hi, x));
    return t;
}

/* exp(r) - 1 of a reduced r, to the last digits of r itself */
OCT_INLINE float oct_expm1_f32(float r)
{
    float q = oct_expm1_c[4];
    for (int i = 3; i >= 0; i--) q = fmaf(q, r, oct_expm1_c[i]);
    return fmaf(r * r, q, r);
}

/* exp(x) (1 + d), |d| small: 2^n in two factors, so that only the last product can round to a
 * denormal or overflow.  exp(89) overflows and exp(-104) is zero, so the clamp changes nothing. */
OCT_INLINE float oct_exp_more_f32(float x, float d)
{
    float r;
    const float t = oct_reduce_f32(oct_max_f32(-104, oct_min_f32(89, x)), &r), n = t - oct_magic;
    const float e = oct_expm1_f32(r), p = fmaf(d, e, e + d) + 1;
    const float half = fmaf(n, 0.5f, oct_magic), rest = n - (half - oct_magic) + oct_magic;
    return p * oct_pow2_f32(half) * oct_pow2_f32(rest);
}

OCT_INLINE float oct_exp_f32(float x) { return oct_exp_more_f32(x, 0); }

OCT_INLINE float oct_sigmoid_f32(float x)
{
    const float e = oct_exp_f32(-fabsf(x));
    return (x < 0 ? e : 1) / (1 + e);
}

/* tanh(a) = m / (m + 2) with m = exp(2a) - 1 = 2^n (exp(r) - 1) + (2^n - 1); 1 from 9.02 on */
OCT_INLINE float oct_tanh_f32(float x)
{
    float r;
    const float a = oct_min_f32(10, fabsf(x)), t = oct_reduce_f32(a + a, &r);
    const float s = oct_pow2_f32(t), m = fmaf(oct_expm1_f32(r), s, s - 1);
    return copysignf(m / (m + 2), x);
}

/* 1 / x of 1 <= x < 2^100, rounded to nearest: on a GPU the steps of its division for such x,
 * without the branch for others. */
OCT_INLINE float oct_reciprocal_f32(float x)
{
#ifdef __CUDA_ARCH__
    float r;
    asm("rcp.approx.ftz.f32 %0, %1;" : "=f"(r) : "f"(x));
    return fmaf(r, fmaf(-x, r, 1), r);
#else
    return 1 / x;
#endif
}

/* x Phi(x) = max(x, 0) - a Phi(-a), a = |x|: nothing cancels.  Phi(-a) = exp(-a^2/2) t P(t - 1/2);
 * the square is a pair, its low half applied as exp's d.  From 15 on Phi is 0, and so is the result
 * of -infinity, where the formula with 1 + erf, PyTorch's, makes a NaN of -infinity times 0. */
OCT_INLINE float oct_gelu_f32(float x)
{
    const float a = oct_min_f32(15, fabsf(x)), h = a * a, l = fmaf(a, a, -h);
    const float e = oct_exp_more_f32(h * -0.5f, l * -0.5f);
    const float t = oct_reciprocal_f32(fmaf(a, oct_tail_k, 1));
    float p = oct_tail_c[9];
    for (int i = 8; i >= 0; i--) p = fmaf(p, t - 0.5f, oct_tail_c[i]);
    return oct_relu_f32(x) - a * (p * t) * e;
}

/* The sum of 16 virtual lanes: l + (l + 8), then + 4, + 2, + 1.  Overwrites them. */
OCT_INLINE float oct_lanes_f32(float lane[16])
{
    for (int step = 8; step; step /= 2)
        for (int l = 0; l < step; l++) lane[l] += lane[l + step];
    return lane[0];
}

#endif
