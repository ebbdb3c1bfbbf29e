/* Row kernels, sixteen lanes, masked ends: vec_tmpl.h over simd_avx512.h. */
#include <immintrin.h>

#include "ops/kernels/simd_avx512.h"

#include "ops/kernels/simd_math.h"
#include "ops/kernels/vec_tmpl.h"
#include "tensor/cpu.h"

const oct_vec oct_vec_avx512 = {
    "avx512", "vec/avx512", OCT_CPU_AVX512,
    act_rows, add, scale_bias, window_max, window_sum, max, exp_sum, divide, norm, transpose,
};
