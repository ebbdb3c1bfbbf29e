/* The vocabulary of sparse_s8_tmpl.h on ymm, what AVX2 and AVX-VNNI share of it. */
INLINE vec vec_rows(const void *from, size_t step)
{
    const char *p = from;
    const vec v = _mm256_castsi128_si256(_mm_loadu_si128((const void *)p));
    return _mm256_inserti128_si256(v, _mm_loadu_si128((const void *)(p + step)), 1);
}
INLINE void vec_put(void *p, vec v) { _mm256_storeu_si256(p, v); }
INLINE vec vec_low32(vec a, vec b) { return _mm256_unpacklo_epi32(a, b); }
INLINE vec vec_high32(vec a, vec b) { return _mm256_unpackhi_epi32(a, b); }
INLINE vec vec_low64(vec a, vec b) { return _mm256_unpacklo_epi64(a, b); }
INLINE vec vec_high64(vec a, vec b) { return _mm256_unpackhi_epi64(a, b); }
INLINE vec vec_low16(vec a, vec b) { return _mm256_unpacklo_epi16(a, b); }
INLINE vec vec_high16(vec a, vec b) { return _mm256_unpackhi_epi16(a, b); }
INLINE vec vec_low8(vec a, vec b) { return _mm256_unpacklo_epi8(a, b); }
INLINE vec vec_high8(vec a, vec b) { return _mm256_unpackhi_epi8(a, b); }
INLINE vec vec_dup(int32_t x) { return _mm256_set1_epi32(x); }
INLINE vec vec_input(const void *p, size_t step) { return vec_rows(p, step); }
#include "ops/kernels/sparse_s8_xmm.h"
