/* The body of gemm_bf16's vector variants: gemm_f32_tmpl.h's, whose a and elem are pairs, and the
 * rounding of images.  The includer defines, beside that template's words,
 *     round_lanes(x, y)     bf16 of LANES floats */
#include "ops/kernels/gemm_bf16.h"
#include "ops/kernels/gemm_f32_tmpl.h"

static void round_run(size_t n, const float *x, uint16_t *y)
{
    size_t i = 0;
    for (; i + LANES <= n; i += LANES) round_lanes(x + i, y + i);
    for (; i < n; i++) y[i] = oct_gemm_bf16_of_f32(x[i]);
}

static void pairs(size_t count, int width, const float *x, uint16_t *y)
{
    const size_t w = (size_t)width;
    if (w % 2 == 0) {
        round_run(count * w, x, y);
        return;
    }
    for (size_t p = 0; p < count; p++, x += w, y += w + 1) {
        round_run(w, x, y);
        y[w] = 0;
    }
}
