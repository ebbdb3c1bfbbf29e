#ifndef OCT_QUANT_SMOOTH_H
#define OCT_QUANT_SMOOTH_H

#include "quant/extremes.h"
#include "tensor/arena.h"

/* SmoothQuant: channels of a linear layer's x with outliers are divided by s, its weights' columns
 * multiplied, which changes nothing before both are rounded:
 *
 *   s[c] = max|x[c]|^A / max over o |w[o,c]|^(1 - A)      0 < A <= 1, the migration strength
 *
 * rounded to a power of two, 2^-24 .. 2^24, so that scaling either side rounds nothing; 1 for a
 * channel of zeros on either side.  x is multiplied by by[c] = 1 / s[c] when it is quantized
 * (OCT_QUANTIZE_BY).
 * (G. Xiao et al., SmoothQuant: Accurate and Efficient Post-Training Quantization for Large
 * Language Models, ICML 2023, equation 4.) */
enum { OCT_SMOOTH_MOST = 24 };

/* w: [out, in], any floats, in = x's channels; *by: F32 [in], in arena. */
OCT_MUST_CHECK oct_status oct_smooth_factors(const oct_extremes *x, const oct_tensor *w,
                                             double strength, oct_arena *arena, oct_tensor **by);

/* Of x times by. */
oct_range oct_smooth_range(const oct_extremes *x, const float *by);

#endif
