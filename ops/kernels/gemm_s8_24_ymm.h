/* The vocabulary of gemm_s8_24_tmpl.h on ymm, but for vec_dot. */
typedef __m256i vec;
static inline vec vec_load(const void *p) { return _mm256_load_si256(p); }
static inline void vec_store(void *p, vec v) { _mm256_store_si256(p, v); }
static inline vec vec_eight(const uint8_t *p)
{
    int64_t eight;
    memcpy(&eight, p, sizeof eight);
    return _mm256_set1_epi64x(eight);
}
static inline vec vec_pick(vec x, vec at) { return _mm256_shuffle_epi8(x, at); }
#include "ops/kernels/gemm_s8_ymm.h"
