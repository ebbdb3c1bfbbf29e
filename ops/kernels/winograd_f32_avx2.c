/* winograd_f32, AVX2 + FMA: 8 channels a vector.  Contract in winograd_f32.h, code in
 * winograd_f32_tmpl.h over simd_avx2.h.
 *
 * Registers of a pass of F(4): 6 values + 4 halves + 6 results, as they die one after the other 12
 * of 16; constants are memory operands. */
#include <immintrin.h>

#include "ops/kernels/simd_avx2.h"

#include "ops/kernels/winograd_f32_tmpl.h"
#include "tensor/cpu.h"

const oct_winograd_f32 oct_winograd_f32_avx2 = { "avx2", OCT_CPU_AVX2, input, output };
