#ifndef OCT_OPS_KERNELS_REQUANT_H
#define OCT_OPS_KERNELS_REQUANT_H

#include <math.h>
#include <stdint.h>

#include "ops/attr.h"
#include "tensor/inline.h"

/* int32 sum -> uint8, FP32 or int32: the one definition every integer kernel must match bit for
 * bit.
 *
 *   real = scale (q - zero), q uint8.     scale[n] below is s_in * s_weight[n] / s_out for U8 and
 *                                         s_in * s_weight[n] for F32 (1 / s_out left out)
 *   U8    y = ((float)acc + fbias[n]) * scale[n]
 *         y = fma((float)(r - residual_zero), residual_scale, y)   if there is a residual, uint8;
 *                                                                  residual_scale = s_r / s_out
 *         q = clamp(round_half_even(y), lo - zero, hi - zero) + zero
 *         fbias in units of s_in * s_weight[n]: a bias that is no integer (FBGEMM's); else 0
 *   F32   y = (float)acc * scale[n];  y = y * row_scale[m] if given;  y = y + fbias[n];
 *         y = y + r if there is a residual, FP32;  y = act(y), NONE, RELU or RELU6
 *   S32   acc as it is: for tests, and for whoever has an epilogue of his own
 *
 * RELU is lo = zero, RELU6 hi = zero + round(6 / s_out) besides.
 * The clamp is done in float, before the conversion, so that cannot overflow; its bounds are
 * integers, so a kernel may also clamp after the rounding wherever its conversion saturates, or q
 * says that it cannot overflow.  The
 * zero point is added as an integer: no fused multiply-add can change the rounding.
 * Limits: 0 < scales < 2^64, so y is finite;  0 <= lo <= hi <= 255, 0 <= zeros <= 255. */
typedef enum oct_requant_kind { OCT_REQUANT_U8, OCT_REQUANT_F32, OCT_REQUANT_S32 } oct_requant_kind;

typedef struct oct_requant {
    oct_requant_kind kind;
    int zero, lo, hi;          /* U8 */
    float residual_scale;      /* U8, of the residual if there is one */
    int residual_zero;
    oct_act act;               /* F32 */
    int bounded;               /* U8: |y| < 2^31 always, so a kernel need not clamp first; 0: it
                                  is not known */
    int plain;                 /* U8: bounded, and zero, lo and all fbias are 0, as after a RELU */
    struct {                   /* U8: what oct_requant_spread makes of the others for vectors, */
        uint32_t zero, lo, hi; /* zero in two words, lo and hi in four bytes */
        float top;             /* hi - zero */
        float residual_zero;   /* 2^23 + residual_zero, see gemm_s8_zmm.h */
    } spread;
} oct_requant;

OCT_INLINE void oct_requant_spread(oct_requant *q)
{
    q->spread.zero = (uint32_t)q->zero * 0x10001u;
    q->spread.lo = (uint32_t)q->lo * 0x1010101u;
    q->spread.hi = (uint32_t)q->hi * 0x1010101u;
    q->spread.top = (float)(q->hi - q->zero);
    q->spread.residual_zero = (float)(0x800000 + q->residual_zero);
}

/* Is it so, of this scale and fbias?  (2^31 + 2^29) 2^-1 + 2^29 < 2^31. */
OCT_INLINE int oct_requant_is_bounded(const oct_requant *q, float scale, float fbias)
{
    return scale <= .5f && fabsf(fbias) <= 0x1p29f && 255 * q->residual_scale <= 0x1p29f;
}

OCT_INLINE uint8_t oct_requant_u8(float y, const oct_requant *q)
{
    const float lo = (float)(q->lo - q->zero), hi = (float)(q->hi - q->zero);
    y = y < lo ? lo : y;
    y = y > hi ? hi : y;
    return (uint8_t)((int)lrintf(y) + q->zero);
}

OCT_INLINE float oct_requant_add(float y, uint8_t r, const oct_requant *q)
{
    return fmaf((float)(r - q->residual_zero), q->residual_scale, y);
}

OCT_INLINE float oct_requant_act(float y, oct_act act)
{
    if (act != OCT_ACT_NONE) y = y < 0 ? 0 : y;
    if (act == OCT_ACT_RELU6) y = y > 6 ? 6 : y;
    return y;
}

#endif
