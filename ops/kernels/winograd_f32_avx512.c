/* winograd_f32, AVX-512: 16 channels a vector.  Contract in winograd_f32.h, code in
 * winograd_f32_tmpl.h over simd_avx512.h.
 *
 * Registers of a pass of F(4): 6 values + 6 results or halves + 5 constants = 17 of 32;
 * F(2)'s tile: 16 values + 4 = 20. */
#include <immintrin.h>

#include "ops/kernels/simd_avx512.h"

#include "ops/kernels/winograd_f32_tmpl.h"
#include "tensor/cpu.h"

const oct_winograd_f32 oct_winograd_f32_avx512 = { "avx512", OCT_CPU_AVX512, input, output };
