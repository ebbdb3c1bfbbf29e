/* Row kernels, eight lanes; masks are vectors: vec_tmpl.h over simd_avx2.h. */
#include <immintrin.h>

#include "ops/kernels/simd_avx2.h"

#include "ops/kernels/simd_math.h"
#include "ops/kernels/vec_tmpl.h"
#include "tensor/cpu.h"

const oct_vec oct_vec_avx2 = {
    "avx2", "vec/avx2", OCT_CPU_AVX2,
    act_rows, add, scale_bias, window_max, window_sum, max, exp_sum, divide, norm, transpose,
};
