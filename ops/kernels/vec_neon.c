/* Row kernels, four lanes: vec_tmpl.h over simd_neon.h. */
#include <arm_neon.h>

#include "ops/kernels/simd_neon.h"

#include "ops/kernels/simd_math.h"
#include "ops/kernels/vec_tmpl.h"
#include "tensor/cpu.h"

const oct_vec oct_vec_neon = {
    "neon", "vec/neon", OCT_CPU_NEON,
    act_rows, add, scale_bias, window_max, window_sum, max, exp_sum, divide, norm, transpose,
};
