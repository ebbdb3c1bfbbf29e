/* sparse_s8, AVX2 for 7-bit activations: up to 10 vectors of 8 pixels, a column at a time.
 * Contract in sparse_s8.h.
 *
 * vpmaddubsw adds two products in int16 and saturates; with x <= 127 it cannot: 2 * 127 * 128 =
 * 32,512.  Two blocks of a column are added in int16 where the packer has proved that this cannot
 * overflow, then vpmaddwd by ones and vpaddd: 3 multiplies for 64 products.  Any two blocks of one
 * column may be paired, so nearly all are.
 *
 *                      w0, w1: 4 bytes each, broadcast
 *                     +-----------+
 *   x, 8 pixels       | s[0]      |     10 ymm
 *                     | ...       |
 *                     +-----------+
 *   registers: 10 sums + 2 w + ones + 2 products = 15 of 16.   a pair: 30 multiplies (15 cycles on
 *   two ports), 20 adds, 20 + 4 loads. */
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

INLINE vec add_wide(vec s, vec p)
{
    return _mm256_add_epi32(s, _mm256_madd_epi16(p, _mm256_set1_epi16(1)));
}

/* s[i] += two blocks, or one (`both` 0). */
INLINE void blocks(const int n, const int both, vec *s, const char *strip,
                   const oct_sparse_s8_block *b)
{
    const vec w0 = vec_dup(oct_sparse_s8_four(b->w));
    const vec w1 = both ? vec_dup(oct_sparse_s8_four(b[1].w)) : w0;
    const char *x0 = strip + b->offset, *x1 = both ? strip + b[1].offset : x0;
    UNROLL for (int i = 0; i < n; i++) {
        vec p = _mm256_maddubs_epi16(vec_load(x0 + 4 * LANES * i), w0);
        if (both) p = _mm256_add_epi16(p, _mm256_maddubs_epi16(vec_load(x1 + 4 * LANES * i), w1));
        s[i] = add_wide(s[i], p);
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
        for (const oct_sparse_s8_block *end = b + 2 * fast[j]; b != end; b += 2)
            blocks(n, 1, s, t->x, b);
        for (const oct_sparse_s8_block *end = b + slow[j]; b != end; b++)
            blocks(n, 0, s, t->x, b);
        UNROLL for (int i = 0; i < n; i++) _mm256_store_si256((vec *)(void *)sum[i][j], s[i]);
    }
}

/* s += two entries, or one (`both` 0). */
INLINE void some_entries(const int both, const int high, vec (*s)[SHARE], const char *x,
                         const oct_sparse_s8_entry *e)
{
    vec q[2][AT_ONCE];
    quads_at_once(high, x, e->offset, q[0]);
    if (both) quads_at_once(high, x, e[1].offset, q[1]);
    UNROLL for (int j = 0; j < SHARE; j++) {
        const vec w0 = vec_dup(oct_sparse_s8_four(e->w[j]));
        const vec w1 = both ? vec_dup(oct_sparse_s8_four(e[1].w[j])) : w0;
        UNROLL for (int i = 0; i < AT_ONCE; i++) {
            vec p = _mm256_maddubs_epi16(q[0][i], w0);
            if (both) p = _mm256_add_epi16(p, _mm256_maddubs_epi16(q[1][i], w1));
            s[i][j] = add_wide(s[i][j], p);
        }
    }
}

INLINE const oct_sparse_s8_entry *entries(const int high, vec (*s)[SHARE], const char *x,
                                          const oct_sparse_s8_entry *e, int32_t fast, int32_t slow)
{
    for (const oct_sparse_s8_entry *const end = e + 2 * fast; e != end; e += 2)
        some_entries(1, high, s, x, e);
    for (const oct_sparse_s8_entry *const end = e + slow; e != end; e++)
        some_entries(0, high, s, x, e);
    return e;
}

#include "ops/kernels/sparse_s8_tmpl.h"

const oct_sparse_s8 oct_sparse_s8_avx2_a7 = {
    .isa = "avx2", .needs = OCT_CPU_AVX2, .x_max = 127, .share = 1, .lanes = LANES, .vecs = VECS,
    .nr = NR, .pack = PACK, .order = OCT_SPARSE_S8_PAIRS, .input = input, .tile = tile };

const oct_sparse_s8 oct_sparse_s8_4x1_avx2_a7 = {
    .isa = "avx2", .needs = OCT_CPU_AVX2, .x_max = 127, .share = SHARE, .lanes = PIECE,
    .vecs = PIECES, .nr = NR, .pack = PACK, .order = OCT_SPARSE_S8_PAIRS, .input = input_4x1,
    .tile = tile_4x1 };
