/* gemm_bf16, plain C: the specification.  Contract in gemm_bf16.h. */
#include <math.h>

#include "ops/kernels/gemm_bf16.h"

enum { ROWS = 2, NR = 8 };

typedef struct elem { uint16_t of[2]; } elem; /* a pair */

static float mac(const float *a, const elem *b, float sum)
{
    const uint16_t *x = (const uint16_t *)(const void *)a;
    sum = fmaf(oct_f32_of_bf16(x[1]), oct_f32_of_bf16(b->of[1]), sum);
    return fmaf(oct_f32_of_bf16(x[0]), oct_f32_of_bf16(b->of[0]), sum);
}

static void pairs(size_t count, int width, const float *x, uint16_t *y)
{
    for (size_t p = 0; p < count; p++) {
        for (int i = 0; i < width; i++) *y++ = oct_gemm_bf16_of_f32(*x++);
        if (width % 2) *y++ = 0;
    }
}

#include "ops/kernels/gemm_ref_tmpl.h"

const oct_gemm_f32 oct_gemm_bf16_ref = {
    "gemm_bf16", "ref", 0, OCT_BF16, ROWS, NR, tile, gemv, pairs,
};
