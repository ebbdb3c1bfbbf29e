/* Row kernels on quantized values, eight lanes: vec_u8_tmpl.h over simd_avx2.h. */
#include <immintrin.h>

#include "ops/kernels/simd_avx2.h"

#include <stdint.h>
#include <string.h>

enum { B = 16 };
typedef __m128i bytes;

static inline bytes b_load(const uint8_t *p) { return _mm_loadu_si128((const void *)p); }
static inline void b_store(uint8_t *p, bytes v) { _mm_storeu_si128((void *)p, v); }
static inline bytes b_max(bytes a, bytes b) { return _mm_max_epu8(a, b); }

#include "ops/kernels/vec_u8_part.h"

static inline vf v_load_u8(const uint8_t *p)
{
    return _mm256_cvtepi32_ps(_mm256_cvtepu8_epi32(_mm_loadl_epi64((const void *)p)));
}

static inline void v_store_u8(uint8_t *p, vf v)
{
    const __m256i q = _mm256_cvtps_epi32(v);
    const __m128i w = _mm_packs_epi32(_mm256_castsi256_si128(q), _mm256_extracti128_si256(q, 1));
    _mm_storel_epi64((void *)p, _mm_packus_epi16(w, w));
}

#include "ops/kernels/vec_u8_tmpl.h"
#include "tensor/cpu.h"

const oct_vec_u8 oct_vec_u8_avx2 = {
    "avx2", "vec_u8/avx2", OCT_CPU_AVX2, dequantize, range, steps, steps_by,
    add, window_max, window_sum,
};
