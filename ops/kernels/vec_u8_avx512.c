/* Row kernels on quantized values, sixteen lanes: vec_u8_tmpl.h over simd_avx512.h. */
#include "ops/kernels/simd_avx512.h"

#include <stdint.h>

typedef __m128i bytes;

static inline bytes b_load(const uint8_t *p) { return _mm_loadu_si128((const void *)p); }
static inline void b_store(uint8_t *p, bytes v) { _mm_storeu_si128((void *)p, v); }
static inline bytes b_max(bytes a, bytes b) { return _mm_max_epu8(a, b); }

static inline vf v_load_u8(const uint8_t *p)
{
    return _mm512_cvtepi32_ps(_mm512_cvtepu8_epi32(_mm_loadu_si128((const void *)p)));
}

static inline void v_store_u8(uint8_t *p, vf v)
{
    _mm_storeu_si128((void *)p, _mm512_cvtepi32_epi8(_mm512_cvtps_epi32(v)));
}

#include "ops/kernels/vec_u8_tmpl.h"
#include "tensor/cpu.h"

const oct_vec_u8 oct_vec_u8_avx512 = {
    "avx512", "vec_u8/avx512", OCT_CPU_AVX512, dequantize, range, steps, add,
    window_max, window_sum,
};
