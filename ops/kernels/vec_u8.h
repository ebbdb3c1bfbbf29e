#ifndef OCT_OPS_KERNELS_VEC_U8_H
#define OCT_OPS_KERNELS_VEC_U8_H

#include <stddef.h>
#include <stdint.h>

#include "ops/kernels/requant.h"
#include "ops/kernels/vec.h"
#include "ops/qparams.h"

/* Row kernels on quantized values, uint8, real = scale (q - zero):
 *
 *   dequantize  y[i] = (float)(x[i] - zero) * scale
 *   range       the least and the largest of 0 and the x[i] that are finite; zeros are +0
 *   steps       y[i] = clamp(round_half_even(x[i] * inverse), -zero, max - zero) + zero;  NaN -> 0:
 *               quantize, by the reciprocal of a scale, as PyTorch does
 *   steps_by    the same with inverse[i], any floats: a reciprocal for each channel
 *   add         y[i] = requant((a[i] - zero_a) * scale_a + (b[i] - zero_b) * scale_b): the product
 *               rounded, b by fma as the residual of requant.h;  scale_a = s_a / s_y
 *   window_max  y[o][l] = the largest of window o's taps
 *   window_sum  s = bias + sum of window o's taps, in int32; y[o][l] = s * scale, requantized to U8
 *               or FP32 as out says
 *
 * windows: as in vec.h, strides in bytes; at most 2^22 taps, |bias| <= 2^30.  0 < scale < 2^64.
 * 0 < inverse, finite.
 * Nothing outside the operands is read or written.  y may be x, a or b in add; no other overlap.
 * Exact: every variant gives ref's bytes. */
typedef struct oct_vec_u8 {
    const char *isa;
    const char *name;    /* "vec_u8/avx2", for plan dumps */
    unsigned needs;
    void (*dequantize)(size_t n, const uint8_t *x, const oct_quant *q, float *y);
    oct_range (*range)(size_t n, const float *x);
    void (*steps)(size_t n, const float *x, float inverse, int zero, int max, uint8_t *y);
    void (*steps_by)(size_t n, const float *x, const float *inverse, int zero, int max, uint8_t *y);
    void (*add)(size_t n, const uint8_t *a, int zero_a, float scale_a, const uint8_t *b,
                const oct_requant *out, uint8_t *y);
    void (*window_max)(const oct_vec_windows *w, const uint8_t *x, uint8_t *y);
    void (*window_sum)(const oct_vec_windows *w, const uint8_t *x, int32_t bias, float scale,
                       const oct_requant *out, void *y);
} oct_vec_u8;

extern const oct_vec_u8 oct_vec_u8_ref, oct_vec_u8_avx2, oct_vec_u8_avx512, oct_vec_u8_neon;

/* Everything this build contains, best first, ref last, then NULL. */
extern const oct_vec_u8 *const oct_vec_u8_all[];
const oct_vec_u8 *oct_vec_u8_pick(unsigned cpu_flags);

#endif
