/* Row kernels on quantized values, sixteen lanes: vec_u8_tmpl.h over simd_avx512.h. */
#include <immintrin.h>

#include "ops/kernels/simd_avx512.h"

#include <stdint.h>

enum { B = 64 };
typedef __m512i bytes;

static inline __mmask64 first_bytes(int n) { return ((__mmask64)1 << n) - 1; }

static inline bytes b_load(const uint8_t *p) { return _mm512_loadu_si512(p); }
static inline void b_store(uint8_t *p, bytes v) { _mm512_storeu_si512(p, v); }
static inline bytes b_max(bytes a, bytes b) { return _mm512_max_epu8(a, b); }
static inline bytes b_load_part(const uint8_t *p, int n)
{
    return _mm512_maskz_loadu_epi8(first_bytes(n), p);
}
static inline void b_store_part(uint8_t *p, bytes v, int n)
{
    _mm512_mask_storeu_epi8(p, first_bytes(n), v);
}

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
    "avx512", "vec_u8/avx512", OCT_CPU_AVX512, dequantize, range, steps, steps_by,
    add, window_max, window_sum,
};
