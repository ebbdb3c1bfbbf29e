/* gemm_f32, plain C: the specification.  Contract in gemm_f32.h. */
#include <math.h>

#include "ops/kernels/gemm_f32.h"

enum { ROWS = 2, NR = 8 };

typedef float elem;
static float mac(const float *a, const elem *b, float sum) { return fmaf(*a, *b, sum); }

#include "ops/kernels/gemm_ref_tmpl.h"

const oct_gemm_f32 oct_gemm_f32_ref = {
    "gemm_f32", "ref", 0, OCT_F32, ROWS, NR, tile, gemv, NULL,
};
