#ifndef OCT_TENSOR_F16_H
#define OCT_TENSOR_F16_H

#include <stdint.h>
#include <string.h>

#include "tensor/inline.h"

/* Half and bfloat16 <-> float, scalar, exact; to half and bfloat16 round to nearest even.
 * NaN stays NaN, infinity infinity, denormals denormal. */
OCT_INLINE float oct_f32_of_bits(uint32_t u)
{
    float f;
    memcpy(&f, &u, sizeof f);
    return f;
}
OCT_INLINE uint32_t oct_bits_of_f32(float f)
{
    uint32_t u;
    memcpy(&u, &f, sizeof u);
    return u;
}

OCT_INLINE float oct_f32_of_bf16(uint16_t h) { return oct_f32_of_bits((uint32_t)h << 16); }

OCT_INLINE uint16_t oct_bf16_of_f32(float f)
{
    const uint32_t u = oct_bits_of_f32(f);
    if ((u & 0x7fffffff) > 0x7f800000) return (uint16_t)(u >> 16 | 0x40); /* quiet NaN */
    return (uint16_t)((u + 0x7fff + (u >> 16 & 1)) >> 16);
}

/* Without branches, so that loops over it become vectors: exponent and mantissa moved to their
 * places make a float 2^112 times too small, denormals included, and the product is exact. */
OCT_INLINE float oct_f32_of_f16(uint16_t h)
{
    const uint32_t sign = (uint32_t)(h & 0x8000) << 16, m = (uint32_t)(h & 0x7fff) << 13;
    const uint32_t special = m >= 0x0f800000 ? 0x7f800000 : 0; /* infinity, NaN */
    return oct_f32_of_bits(oct_bits_of_f32(oct_f32_of_bits(m) * 0x1p112f) | special | sign);
}

OCT_INLINE uint16_t oct_f16_of_f32(float f)
{
    const uint32_t u = oct_bits_of_f32(f), a = u & 0x7fffffff;
    const uint16_t sign = (uint16_t)(u >> 16 & 0x8000);
    if (a > 0x7f800000) return (uint16_t)(sign | 0x7e00);
    if (a >= 0x477ff000) return (uint16_t)(sign | 0x7c00); /* 65520 and more round to infinity */
    if (a < 0x38800000) {                                  /* below 2^-14: a denormal of half */
        /* adding 0.5 puts the half's last bit, 2^-24, into the float's last bit: FP rounds */
        const uint32_t r = oct_bits_of_f32(oct_f32_of_bits(a) + 0.5f) - 0x3f000000;
        return (uint16_t)(sign | r);
    }
    return (uint16_t)(sign | (a - 0x38000000 + 0xfff + (a >> 13 & 1)) >> 13);
}

#endif
