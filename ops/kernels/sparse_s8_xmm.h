/* `part` of sparse_s8_tmpl.h on x86: 4 int32 in an xmm. */
typedef __m128i part;
INLINE part part_input(const void *p, size_t step)
{
    (void)step;
    return _mm_loadu_si128((const void *)p);
}
INLINE void part_put(void *p, part v) { _mm_storeu_si128(p, v); }
INLINE part part_low32(part a, part b) { return _mm_unpacklo_epi32(a, b); }
INLINE part part_high32(part a, part b) { return _mm_unpackhi_epi32(a, b); }
INLINE part part_low64(part a, part b) { return _mm_unpacklo_epi64(a, b); }
INLINE part part_high64(part a, part b) { return _mm_unpackhi_epi64(a, b); }
INLINE part part_low8(part a, part b) { return _mm_unpacklo_epi8(a, b); }
INLINE part part_high8(part a, part b) { return _mm_unpackhi_epi8(a, b); }
