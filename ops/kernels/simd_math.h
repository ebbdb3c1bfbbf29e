#ifndef OCT_OPS_KERNELS_SIMD_MATH_H
#define OCT_OPS_KERNELS_SIMD_MATH_H

/* math_f32.h on vectors: the same operations in the same order, so the same bits in every lane.
 * Include simd_avx2.h, simd_avx512.h or simd_neon.h before it; each of them defines
 *
 *   vf, vm, VW               vector of floats, mask, lanes
 *   v_load_part(p, n)        n < VW lanes, the others +0; nothing past them is read
 *   v_store_part(p, v, n)    n < VW lanes, nothing past them is written
 *   v_max, v_min             a > b ? a : b and a < b ? a : b, so b if either is NaN
 *   v_fma(a, b, c)           a b + c, rounded once
 *   v_copysign(a, s)         a >= 0 with the sign of s
 *   v_less, v_unordered      masks: a < b; a or b is NaN;  v_or, v_none: of masks
 *   v_select(m, a, b)        m ? a : b
 *   v_keep(v, n)             lanes from n < VW on become +0
 *   v_pow2(t)                2^n of t = 1.5 2^23 + n
 *   v_quads(row, j)          lane 4 q + i is row[4 q][j + i]
 *   v_transpose4(v)          in each group of four lanes: the transpose of v[0..3]
 *   v_store3(p, a, b, c)     p[3 i], p[3 i + 1], p[3 i + 2] = a[i], b[i], c[i]
 * and the plain v_set1, v_load, v_store, v_add, v_sub, v_mul, v_div, v_abs; all correctly rounded.
 */
#include "ops/kernels/math_f32.h"

static inline vf v_relu(vf x) { return v_max(v_set1(0), x); } /* x < 0 ? 0 : x */
static inline vf v_relu6(vf x) { return v_min(v_set1(6), v_relu(x)); }

static inline vf v_reduce(vf x, vf *r)
{
    const vf t = v_fma(x, v_set1(oct_log2e), v_set1(oct_magic)), n = v_sub(t, v_set1(oct_magic));
    *r = v_fma(n, v_set1(-oct_ln2_lo), v_fma(n, v_set1(-oct_ln2_hi), x));
    return t;
}

static inline vf v_horner(vf x, const float *c, int degree)
{
    vf p = v_set1(c[degree]);
    for (int i = degree - 1; i >= 0; i--) p = v_fma(p, x, v_set1(c[i]));
    return p;
}

static inline vf v_expm1(vf r) { return v_fma(v_mul(r, r), v_horner(r, oct_expm1_c, 4), r); }

/* p 2^n in two factors */
static inline vf v_scale(vf p, vf t)
{
    const vf magic = v_set1(oct_magic), n = v_sub(t, magic), half = v_fma(n, v_set1(0.5f), magic);
    const vf rest = v_add(v_sub(n, v_sub(half, magic)), magic);
    return v_mul(v_mul(p, v_pow2(half)), v_pow2(rest));
}

static inline vf v_exp_more(vf x, vf d)
{
    vf r;
    const vf t = v_reduce(v_max(v_set1(-104), v_min(v_set1(89), x)), &r), e = v_expm1(r);
    return v_scale(v_add(v_fma(d, e, v_add(e, d)), v_set1(1)), t);
}

/* d = 0 changes no bit: fma(0, e, e + 0) is e, but for the sign of a zero, which + 1 hides. */
static inline vf v_exp(vf x)
{
    vf r;
    const vf t = v_reduce(v_max(v_set1(-104), v_min(v_set1(89), x)), &r);
    return v_scale(v_add(v_expm1(r), v_set1(1)), t);
}

static inline vf v_sigmoid(vf x)
{
    const vf zero = v_set1(0), one = v_set1(1), e = v_exp(v_sub(v_set1(-0.f), v_abs(x)));
    return v_div(v_select(v_less(x, zero), e, one), v_add(one, e));
}

static inline vf v_tanh(vf x)
{
    vf r;
    const vf a = v_min(v_set1(10), v_abs(x)), t = v_reduce(v_add(a, a), &r), s = v_pow2(t);
    const vf m = v_fma(v_expm1(r), s, v_sub(s, v_set1(1)));
    return v_copysign(v_div(m, v_add(m, v_set1(2))), x);
}

static inline vf v_gelu(vf x)
{
    const vf one = v_set1(1), a = v_min(v_set1(15), v_abs(x)), h = v_mul(a, a);
    const vf l = v_fma(a, a, v_sub(v_set1(-0.f), h)), t_inv = v_fma(a, v_set1(oct_tail_k), one);
    const vf e = v_exp_more(v_mul(h, v_set1(-0.5f)), v_mul(l, v_set1(-0.5f)));
    const vf t = v_div(one, t_inv), p = v_horner(v_sub(t, v_set1(0.5f)), oct_tail_c, 9);
    return v_sub(v_relu(x), v_mul(v_mul(a, v_mul(p, t)), e));
}

#endif
