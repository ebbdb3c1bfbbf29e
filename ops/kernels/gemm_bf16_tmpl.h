/* The body of gemm_bf16's vector variants: gemm_f32_tmpl.h's, whose a and elem are pairs, and the
 * rounding of images.  The includer defines, beside that template's words,
 *     round_lanes(x, y)     bf16 of LANES floats */
#include "ops/kernels/gemm_bf16.h"
#include "ops/kernels/gemm_f32_tmpl.h"

enum { MANY = 7 }; /* channels from which on a pixel is rounded alone */

static void round_run(size_t n, const float *x, uint16_t *y)
{
    size_t i = 0;
    for (; i + LANES <= n; i += LANES) round_lanes(x + i, y + i);
    for (; i < n; i++) y[i] = oct_gemm_bf16_of_f32(x[i]);
}

/* Pixels of few channels, an odd number: spread out first, so that whole vectors are rounded. */
INLINE void round_few(size_t count, const size_t w, const float *x, uint16_t *y)
{
    enum { PIXELS = 64 };
    float wide[PIXELS * (MANY + 1)];
    for (size_t p = 0; p < count; p += PIXELS) {
        const size_t n = count - p < PIXELS ? count - p : PIXELS;
        for (size_t i = 0; i < n; i++, x += w) {
            for (size_t c = 0; c < w; c++) wide[i * (w + 1) + c] = x[c];
            wide[i * (w + 1) + w] = 0;
        }
        round_run(n * (w + 1), wide, y + p * (w + 1));
    }
}

static void pairs(size_t count, int width, const float *x, uint16_t *y)
{
    const size_t w = (size_t)width;
    if (w % 2 == 0) {
        round_run(count * w, x, y);
        return;
    }
    switch (w) {
    case 1: round_few(count, 1, x, y); return;
    case 3: round_few(count, 3, x, y); return;
    default: if (w <= MANY) { round_few(count, w, x, y); return; }
    }
    for (size_t p = 0; p < count; p++, x += w, y += w + 1) {
        round_run(w, x, y);
        y[w] = 0;
    }
}
