/* gemm_s8, AVX2 for 7-bit activations, tiles of two groups of up to 2 rows x 16 columns.  Contract
 * in gemm_s8.h.
 *
 * vpmaddubsw adds two products in int16 and saturates; with a <= 127 it cannot: 2 * 127 * 128 =
 * 32,512 < 32,767.  Two of its results are added in int16 where the packer has proved that this
 * cannot overflow (gemm_s8_pair.h), then vpmaddwd by ones and vpaddd: 3 multiplies for 64 products
 * where one result alone would take 4.
 *
 *                          b: 16 columns x 4 k
 *                     +-----------+-----------+
 *                     | b0        | b1        |      from memory, once for two rows
 *                     +-----------+-----------+
 *   a, two rows,      | t0, t2    | t1, t3    |      4 ymm of int16
 *   4 k, broadcast    |           |           |
 *   all rows          | s[2r]     | s[2r + 1] |      8 ymm
 *                     +-----------+-----------+
 *   registers: 8 sums + 4 int16 + 2 a + 1 b + 1 product = 16 of 16.   8 k of 4 rows: 24 multiplies
 *   (12 cycles on two ports), 8 + 8 adds, 16 loads, 2 prefetches.  The barrier keeps b in memory:
 *   there is no register to hold it for the other two rows. */
#include <immintrin.h>
#include <string.h>

#include "ops/kernels/gemm_s8.h"
#include "ops/kernels/gemm_s8_pair.h"
#include "tensor/cpu.h"

enum { ROWS = 2, LANES = 8, KR = 4 };

typedef __m256i vec;
static inline vec vec_load(const void *p) { return _mm256_load_si256(p); }

#include "ops/kernels/gemm_s8_ymm.h"

enum { GROUP = NR * KR };      /* bytes of a group of 4 k */

INLINE vec four_bytes(const uint8_t *p)
{
    int32_t four;
    memcpy(&four, p, sizeof four);
    return _mm256_set1_epi32(four);
}

INLINE vec add_wide(vec s, vec t)
{
    return _mm256_add_epi32(s, _mm256_madd_epi16(t, _mm256_set1_epi16(1)));
}

/* s[0 .. 3] += rows x and z, one group of k or two. */
INLINE void two_rows(const int both, vec *s, const uint8_t *x, const uint8_t *z, const int32_t *off,
                     const unsigned char *b)
{
    vec a = four_bytes(x + off[0]), c = four_bytes(z + off[0]);
    vec b0 = vec_load(b), b1 = vec_load(b + 32);
    vec t0 = _mm256_maddubs_epi16(a, b0), t1 = _mm256_maddubs_epi16(a, b1);
    vec t2 = _mm256_maddubs_epi16(c, b0), t3 = _mm256_maddubs_epi16(c, b1);
    if (both) {
        a = four_bytes(x + off[1]), c = four_bytes(z + off[1]);
        b0 = vec_load(b + GROUP), b1 = vec_load(b + GROUP + 32);
        t0 = _mm256_add_epi16(t0, _mm256_maddubs_epi16(a, b0));
        t1 = _mm256_add_epi16(t1, _mm256_maddubs_epi16(a, b1));
        t2 = _mm256_add_epi16(t2, _mm256_maddubs_epi16(c, b0));
        t3 = _mm256_add_epi16(t3, _mm256_maddubs_epi16(c, b1));
    }
    s[0] = add_wide(s[0], t0);
    s[1] = add_wide(s[1], t1);
    s[2] = add_wide(s[2], t2);
    s[3] = add_wide(s[3], t3);
    __asm__ volatile("" ::: "memory");
}

/* The first byte of row r of the tile in a part of this width; past the last row: the last. */
static inline const uint8_t *row_at(const oct_gemm_s8_args *t, int r, int width)
{
    const int n = t->rows * t->groups, row = r < n ? r : n - 1;
    const int g = row >= t->rows, i = row - g * t->rows;
    return t->a[g] + (t->pos[g] + (ptrdiff_t)i * t->step) * width;
}

/* rows: 2 or 4 */
INLINE void body(const int rows, const oct_gemm_s8_args *t)
{
    _Alignas(64) int32_t acc[2 * ROWS][NR];
    vec s[4 * ROWS];
    const int32_t *bias = t->panel, *table = bias + 4 * NR, *part = table + 2;
    const int32_t *off = part + OCT_GEMM_S8_PAIR_PART * table[0];
    const unsigned char *b = (const unsigned char *)t->panel + table[1];
    const unsigned char *ahead = t->ahead ? t->ahead : t->panel;
    UNROLL for (int i = 0; i < 2 * rows; i++) s[i] = vec_load(bias + i % 2 * LANES);
    for (int p = 0; p < table[0]; p++, part += OCT_GEMM_S8_PAIR_PART) {
        const uint8_t *const x0 = row_at(t, 0, part[0]), *const x1 = row_at(t, 1, part[0]);
        const uint8_t *const x2 = row_at(t, 2, part[0]), *const x3 = row_at(t, 3, part[0]);
        const int32_t *const mid = off + 2 * part[1], *const end = mid + part[2];
        for (; off != mid; off += 2, b += 2 * GROUP, ahead += 2 * GROUP) {
            __builtin_prefetch(ahead);
            __builtin_prefetch(ahead + 64);
            two_rows(1, s, x0, x1, off, b);
            if (rows == 4) two_rows(1, s + 4, x2, x3, off, b);
        }
        for (; off != end; off++, b += GROUP) {
            two_rows(0, s, x0, x1, off, b);
            if (rows == 4) two_rows(0, s + 4, x2, x3, off, b);
        }
    }
    UNROLL for (int i = 0; i < 2 * rows; i++)
        _mm256_store_si256((vec *)(void *)(acc[i / 2] + i % 2 * LANES), s[i]);
    finish(t, (const int32_t (*)[NR])acc);
}

static void tile2(const oct_gemm_s8_args *t) { body(2, t); }
static void tile4(const oct_gemm_s8_args *t) { body(4, t); }
static void tile(const oct_gemm_s8_args *t) { (t->rows * t->groups > 2 ? tile4 : tile2)(t); }

static int place(int j, int p) { return oct_pack_order(LANES, j) * KR + p; }

const oct_gemm_s8 oct_gemm_s8_avx2_a7 = {
    .isa = "avx2", .needs = OCT_CPU_AVX2, .x_max = 127, .rows = ROWS, .nr = NR, .kr = KR,
    .size = 1, .lanes = LANES, .paired = 1, .place = place, .tile = tile };
