/* gemm_s8, AVX2 for 7-bit activations, tiles of two groups of up to 8 rows x 16 columns, four rows
 * in registers at a time.  Contract in gemm_s8.h.
 *
 * vpmaddubsw adds two products in int16 and saturates; with a <= 127 it cannot: 2 * 127 * 128 =
 * 32,512 < 32,767.  Two of its results are added in int16 where the packer has proved that this
 * cannot overflow (gemm_s8_sort.h), then vpmaddwd by ones and vpaddd: 3 multiplies for 64 products
 * where one result alone would take 4.
 *
 *                          b: 16 columns x 4 k, twice
 *                     +-----------+-----------+
 *                     | b         | then b    |      1 ymm, for two rows
 *                     +-----------+-----------+
 *   a, two rows,      | t0, t1    | then t0,  |      2 ymm of int16
 *   8 k, broadcast    |           | t1        |
 *   all rows          | s[2r]     | s[2r + 1] |      8 ymm
 *                     +-----------+-----------+
 *   registers: 8 sums + 2 int16 + 4 a + 1 b + ones = 16 of 16.   8 k of 4 rows: 24 multiplies (12
 *   cycles on two ports), 8 + 8 adds, 8 + 8 loads, 2 prefetches.  The barrier keeps two rows apart:
 *   there is no register to hold b for the other two.   A tile has more rows than that because
 * reaching it and leaving it takes as long as 64 k of four rows. */
#include <immintrin.h>
#include <string.h>

#include "ops/kernels/gemm_s8.h"
#include "ops/kernels/gemm_s8_sort.h"
#include "tensor/cpu.h"

enum { ROWS = 8, LANES = 8, KR = 4, AT_ONCE = 4 };

typedef __m256i vec;
static inline vec vec_load(const void *p) { return _mm256_load_si256(p); }

#include "ops/kernels/gemm_s8_ymm.h"

enum { GROUP = NR * KR, AHEAD = 4096 }; /* bytes of a group of 4 k; to prefetch by in one panel */

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

/* In a register: as an operand of two vpmaddubsw gcc would load it twice, and loads would bind. */
INLINE vec held(const unsigned char *p)
{
    vec v = vec_load(p);
    __asm__("" : "+x"(v));
    return v;
}

/* One vector of columns: s0 += row x, s1 += row z (if `rows` > 1), one group of k or two, `both`.
 * */
INLINE void two_rows_half(const int rows, const int both, vec *s0, vec *s1, vec x0, vec z0,
                          vec x1, vec z1, const unsigned char *b)
{
    const vec b0 = held(b);
    vec t0 = _mm256_maddubs_epi16(x0, b0), t1 = _mm256_maddubs_epi16(z0, b0);
    if (both) {
        const vec b1 = held(b + GROUP);
        t0 = _mm256_add_epi16(t0, _mm256_maddubs_epi16(x1, b1));
        t1 = _mm256_add_epi16(t1, _mm256_maddubs_epi16(z1, b1));
    }
    *s0 = add_wide(*s0, t0);
    if (rows > 1) *s1 = add_wide(*s1, t1);
}

/* s[0 .. 3] += rows x and z. */
INLINE void two_rows(const int rows, const int both, vec *s, const uint8_t *x, const uint8_t *z,
                     const int32_t *off, const unsigned char *b)
{
    const vec x0 = four_bytes(x + off[0]), z0 = four_bytes(z + off[0]);
    vec x1 = x0, z1 = z0;
    if (both) x1 = four_bytes(x + off[1]), z1 = four_bytes(z + off[1]);
    two_rows_half(rows, both, &s[0], &s[2], x0, z0, x1, z1, b);
    two_rows_half(rows, both, &s[1], &s[3], x0, z0, x1, z1, b + 32);
    __asm__ volatile("" ::: "memory");
}

/* The first byte of row r of the tile in a part of this width; past the last row: the last. */
static inline const uint8_t *row_at(const oct_gemm_s8_args *t, int r, int width)
{
    const int n = t->rows * t->groups, row = r < n ? r : n - 1;
    const int g = row >= t->rows, i = row - g * t->rows;
    return t->a[g] + (t->pos[g] + (ptrdiff_t)i * t->step) * width;
}

/* Sums of 1, 2 or 4 rows of the tile from row r on to acc. */
INLINE void sums(const int rows, const oct_gemm_s8_args *t, int r, const unsigned char *ahead,
                 int ahead_step, int32_t (*acc)[NR])
{
    vec s[2 * AT_ONCE];
    const int second = ahead_step < 2 * GROUP ? 0 : 64;
    const int32_t *bias = t->panel, *table = bias + 4 * NR, *part = table + 2;
    const int32_t *off = part + OCT_GEMM_S8_PART * table[0];
    const unsigned char *b = (const unsigned char *)t->panel + table[1];
    UNROLL for (int i = 0; i < 2 * rows; i++) s[i] = vec_load(bias + i % 2 * LANES);
    for (int p = 0; p < table[0]; p++, part += OCT_GEMM_S8_PART) {
        const uint8_t *const x0 = row_at(t, r, part[0]), *const x1 = row_at(t, r + 1, part[0]);
        const uint8_t *const x2 = row_at(t, r + 2, part[0]), *const x3 = row_at(t, r + 3, part[0]);
        const int32_t *const mid = off + 2 * part[1], *const end = mid + part[2];
        for (; off != mid; off += 2, b += 2 * GROUP, ahead += ahead_step) {
            __builtin_prefetch(ahead);
            __builtin_prefetch(ahead + second);
            two_rows(rows, 1, s, x0, x1, off, b);
            if (rows == 4) two_rows(2, 1, s + 4, x2, x3, off, b);
        }
        for (; off != end; off++, b += GROUP) {
            two_rows(rows, 0, s, x0, x1, off, b);
            if (rows == 4) two_rows(2, 0, s + 4, x2, x3, off, b);
        }
    }
    UNROLL for (int i = 0; i < 2 * rows; i++)
        _mm256_store_si256((vec *)(void *)(acc[i / 2] + i % 2 * LANES), s[i]);
}

#define DEFINE(rows)                                                                              \
    static __attribute__((noinline)) void sums##rows(const oct_gemm_s8_args *t, int r,            \
                                                     const unsigned char *ahead, int ahead_step,  \
                                                     int32_t (*acc)[NR])                          \
    {                                                                                             \
        sums(rows, t, r, ahead, ahead_step, acc);                                                 \
    }
DEFINE(1) DEFINE(2) DEFINE(4)

static void tile(const oct_gemm_s8_args *t)
{
    _Alignas(64) int32_t acc[2 * ROWS][NR];
    const int n = t->rows * t->groups;
    const unsigned char *own = (const unsigned char *)t->panel + AHEAD;
    for (int r = 0; r < n; r += AT_ONCE) { /* the first prefetch for the tile */
        const unsigned char *ahead = r == 0 && t->ahead ? t->ahead : own;
        const int step = r == 0 ? ahead_by(t, 2 * GROUP) : 2 * GROUP, left = n - r;
        (left > 2 ? sums4 : left > 1 ? sums2 : sums1)(t, r, ahead, step, acc + r);
    }
    finish(t, (const int32_t (*)[NR])acc);
}

static int place(int j, int p) { return oct_pack_order(LANES, j) * KR + p; }

const oct_gemm_s8 oct_gemm_s8_avx2_a7 = {
    .isa = "avx2", .needs = OCT_CPU_AVX2, .x_max = 127, .rows = ROWS, .nr = NR, .kr = KR,
    .lanes = LANES, .order = OCT_GEMM_S8_PAIRS, .place = place, .tile = tile };
