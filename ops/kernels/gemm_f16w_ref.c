/* gemm_f16w, plain C: the specification.  Contract in gemm_f16w.h. */
#include <math.h>

#include "ops/kernels/gemm_f16w.h"
#include "tensor/f16.h"

enum { ROWS = 2, NR = 8 };

typedef uint16_t elem;
static float mac(const float *a, const elem *b, float sum)
{
    return fmaf(*a, oct_f32_of_f16(*b), sum);
}

#include "ops/kernels/gemm_ref_tmpl.h"

const oct_gemm_f32 oct_gemm_f16w_ref = {
    "gemm_f16w", "ref", 0, OCT_F16, ROWS, NR, tile, gemv, NULL,
};
