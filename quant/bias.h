#ifndef OCT_QUANT_BIAS_H
#define OCT_QUANT_BIAS_H

#include <stdint.h>

#include "quant/means.h"

/* Bias correction.  Rounded weights shift an output by (W_q - W) x, on average by (W_q - W) E[x],
 * which the bias can take back:
 *
 *   bias[o] += sum over c, t of (w[o,c,t] - scale[o] q[o,c,t]) E[x[c]] by[c] inside[t]
 *
 * c runs over the input channels of o's group, t over the kernel's taps.  inside[t] is the share of
 * output positions at which tap t meets the image and not the padding, which is 0; by[c] is what x
 * is multiplied by (quant/smooth.h), else 1.  Sums are in double, in this order.
 * (Nagel et al., Data-Free Quantization Through Weight Equalization and Bias Correction, ICCV 2019,
 * section 4.2, with E[x] measured.) */
typedef struct oct_bias_layer {
    int out, in, groups;     /* channels; in is of all groups together */
    int taps;                /* kh * kw;  of a linear layer that reads an image: h * w; else 1 */
    const float *w;          /* [out, in / groups, taps] */
    const int8_t *q;         /* the same */
    const float *scale;      /* [out] */
    const double *inside;    /* [taps], or NULL: 1 */
    const float *by;         /* [in], or NULL: 1 */
} oct_bias_layer;

/* means->channels is l->in. */
void oct_bias_correct(const oct_bias_layer *l, const oct_means *means, float *bias);

/* inside[kh * kw] of a convolution: sizes {vertical, horizontal}. */
typedef struct oct_bias_window {
    int in[2], out[2], kernel[2], stride[2], pad[2], dilation[2];
} oct_bias_window;
void oct_bias_inside(const oct_bias_window *w, double *inside);

#endif
