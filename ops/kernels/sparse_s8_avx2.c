/* sparse_s8, AVX2 for any byte: up to 10 vectors of 8 pixels, a column at a time.  Contract in
 * sparse_s8.h.
 *
 * Where the packer has proved that sums of two products fit int16, vpmaddubsw, vpmaddwd by ones,
 * vpaddd.  The other blocks are widened to int16, bytes 0 and 2 first, then 1 and 3, and multiplied
 * by vpmaddwd: exact, 2 * 255 * 128 < 2^31.
 *
 *   registers: 10 sums + 2 w + ones or mask + 2 products = 15 of 16.   a fast block: 20 multiplies,
 *   10 adds, 10 + 2 loads; a slow one as many multiplies and 20 adds, 10 masks, 10 shifts. */
#include <immintrin.h>
#include <string.h>

#include "ops/kernels/gemm_s8.h"
#include "ops/kernels/sparse_s8.h"
#include "tensor/cpu.h"

enum { LANES = 8, PACK = LANES, FLIP = 0, AT_ONCE = 2 };
#define SHAPES(X) X(1) X(2) X(3) X(4) X(5) X(6) X(7) X(8) X(9) X(10)

typedef __m256i vec;
static inline vec vec_load(const void *p) { return _mm256_loadu_si256(p); }
#include "ops/kernels/gemm_s8_ymm.h"
#include "ops/kernels/sparse_s8_ymm.h"
#include "ops/kernels/sparse_s8_4x1.h"

INLINE vec madd(vec s, vec x, vec w) { return _mm256_add_epi32(s, _mm256_madd_epi16(x, w)); }

/* s[i] += a block whose sums of two products fit int16. */
INLINE void fast_block(const int n, vec *s, const char *x, vec w)
{
    UNROLL for (int i = 0; i < n; i++)
        s[i] = madd(s[i], _mm256_maddubs_epi16(vec_load(x + 4 * LANES * i), w),
                    _mm256_set1_epi16(1));
}

INLINE vec odd_weights(vec w) { return _mm256_srai_epi16(w, 8); }
INLINE vec even_weights(vec w) { return odd_weights(_mm256_slli_epi16(w, 8)); }
INLINE vec odd_bytes(vec x) { return _mm256_srli_epi16(x, 8); }
INLINE vec even_bytes(vec x) { return _mm256_and_si256(x, _mm256_set1_epi16(255)); }

INLINE void slow_block(const int n, vec *s, const char *x, vec w)
{
    const vec odd = odd_weights(w), even = even_weights(w);
    UNROLL for (int i = 0; i < n; i++) {
        const vec v = vec_load(x + 4 * LANES * i);
        s[i] = madd(s[i], even_bytes(v), even);
        s[i] = madd(s[i], odd_bytes(v), odd);
    }
}

INLINE void columns(const int n, const oct_sparse_s8_args *t, int32_t (*sum)[NR][LANES])
{
    const int32_t *bias = t->panel, *fast = bias + 4 * NR, *slow = fast + NR;
    const oct_sparse_s8_block *b = (const void *)(slow + NR);
    for (int j = 0; j < NR; j++) {
        vec s[OCT_SPARSE_S8_VECS];
        UNROLL for (int i = 0; i < n; i++)
            s[i] = _mm256_set1_epi32(bias[oct_pack_order(PACK, j)]);
        for (const oct_sparse_s8_block *end = b + fast[j]; b != end; b++)
            fast_block(n, s, (const char *)t->x + b->offset, vec_dup(oct_sparse_s8_four(b->w)));
        for (const oct_sparse_s8_block *end = b + slow[j]; b != end; b++)
            slow_block(n, s, (const char *)t->x + b->offset, vec_dup(oct_sparse_s8_four(b->w)));
        UNROLL for (int i = 0; i < n; i++) _mm256_store_si256((vec *)(void *)sum[i][j], s[i]);
    }
}

/* Widened once for four outputs, they take no more than those of two products would. */
INLINE const oct_sparse_s8_entry *entries(const int high, vec (*s)[SHARE], const char *x,
                                          const oct_sparse_s8_entry *e, int32_t fast, int32_t slow)
{
    (void)slow;
    for (const oct_sparse_s8_entry *const end = e + fast; e != end; e++) {
        vec q[AT_ONCE], odd[AT_ONCE];
        quads_at_once(high, x, e->offset, q);
        UNROLL for (int i = 0; i < AT_ONCE; i++) odd[i] = odd_bytes(q[i]), q[i] = even_bytes(q[i]);
        UNROLL for (int j = 0; j < SHARE; j++) {
            const vec w = vec_dup(oct_sparse_s8_four(e->w[j]));
            const vec w0 = even_weights(w), w1 = odd_weights(w);
            UNROLL for (int i = 0; i < AT_ONCE; i++)
                s[i][j] = madd(madd(s[i][j], q[i], w0), odd[i], w1);
        }
    }
    return e;
}

#include "ops/kernels/sparse_s8_tmpl.h"

const oct_sparse_s8 oct_sparse_s8_avx2 = {
    .isa = "avx2", .needs = OCT_CPU_AVX2, .x_max = 255, .share = 1, .lanes = LANES, .vecs = VECS,
    .nr = NR, .pack = PACK, .order = OCT_SPARSE_S8_SAFE, .input = input, .tile = tile };

const oct_sparse_s8 oct_sparse_s8_4x1_avx2 = {
    .isa = "avx2", .needs = OCT_CPU_AVX2, .x_max = 255, .share = SHARE, .lanes = PIECE,
    .vecs = PIECES, .nr = NR, .pack = PACK, .input = input_4x1, .tile = tile_4x1 };
