#include "quant/qparams.h"

#include "tensor/f16.h"

/* To the nearest integer, ties to even, for |x| < 2^51: the sum has no bits below 1. */
static double round_even(double x) { return (x + 0x1.8p52) - 0x1.8p52; }

static double clamp(double x, double lo, double hi) { return x < lo ? lo : x > hi ? hi : x; }

static double magnitude(double x) { return x < 0 ? -x : x; }

uint8_t oct_quantize_u8(float x, oct_qparams p, int qmax)
{
    const float steps = x / p.scale;
    if (!(steps > -1024)) return 0; /* NaN too */
    const double q = round_even(steps < 1024 ? (double)steps : 1024) + p.zero;
    return (uint8_t)clamp(q, 0, qmax);
}

float oct_weight_scale(const float *w, size_t n, float bias, float s_in)
{
    double most = 0;
    for (size_t i = 0; i < n; i++)
        if (magnitude((double)w[i]) > most) most = magnitude((double)w[i]);
    float scale = most > 0 ? (float)(most / OCT_WEIGHT_MAX) : 1;
    if (scale < 0x1p-60f) scale = 0x1p-60f;

    const double least = magnitude((double)bias) / ((double)s_in * (1 << OCT_BIAS_BITS));
    if ((double)scale >= least) return scale;
    scale = (float)least;
    if ((double)scale < least) scale = oct_f32_of_bits(oct_bits_of_f32(scale) + 1);
    return scale;
}

void oct_weight_quantize(const float *w, size_t n, float scale, int8_t *q)
{
    for (size_t i = 0; i < n; i++) {
        const double steps = (double)(w[i] / scale);
        q[i] = (int8_t)round_even(clamp(steps, -OCT_WEIGHT_MAX, OCT_WEIGHT_MAX));
    }
}

int32_t oct_bias_quantize(float b, float s_in, float s_weight)
{
    const double most = 1 << OCT_BIAS_BITS, steps = (double)b / ((double)s_in * (double)s_weight);
    return (int32_t)round_even(clamp(steps, -most, most));
}
