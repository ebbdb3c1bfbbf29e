#ifndef OCT_QUANT_QPARAMS_H
#define OCT_QUANT_QPARAMS_H

#include <stddef.h>
#include <stdint.h>

#include "ops/qparams.h"

/* From ranges to integers:  real = scale * (q - zero).  Everything here is a fixed sequence of IEEE
 * operations, so scales have the same bits on every machine.  All arguments are finite.
 *
 *   activations   uint8 0..qmax, qmax 127 or 255        affine, one scale a tensor: oct_qparams_u8
 *   weights       int8 -127..127, zero 0                one scale an output channel
 *   bias          int32 in units of s_in * s_weight[o]
 *
 * qmax 127: a pair of products, 2 * 127 * 127 = 32,258, fits int16, so vpmaddubsw cannot saturate.
 * -128 is not used: a weight row is as wide to both sides, and |w| <= 127 is what the line above
 * counts on. */
enum { OCT_WEIGHT_MAX = 127, OCT_BIAS_BITS = 29 };

/* clamp(round_to_even(x / scale) + zero, 0, qmax); a NaN gives 0 */
uint8_t oct_quantize_u8(float x, oct_qparams p, int qmax);

/* scale of a row of weights: max|w| / 127;  1 for a row of zeros;  and at least
 * |bias| / (s_in * 2^29), so that the bias takes half of what int32 leaves it, and 2^-60. */
float oct_weight_scale(const float *w, size_t n, float bias, float s_in);

/* q[i] = clamp(round_to_even(w[i] / scale), -127, 127) */
void oct_weight_quantize(const float *w, size_t n, float scale, int8_t *q);

/* round_to_even(b / (s_in * s_weight)); at most 2^29 in magnitude if s_weight came from
 * oct_weight_scale with this bias, else clamped to that. */
int32_t oct_bias_quantize(float b, float s_in, float s_weight);

#endif
