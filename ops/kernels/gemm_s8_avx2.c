/* gemm_s8, AVX2 for any byte, tiles of two groups of up to 3 rows x 16 columns.  Contract in
 * gemm_s8.h.
 *
 * vpmaddubsw adds two products in int16 and saturates.  Where the packer has proved that the sums
 * of a group of 4 k fit (gemm_s8_sort.h), vpmaddwd by ones and vpaddd follow.  The others are
 * widened to int16, k 0 and 2 first, then 1 and 3, and multiplied by vpmaddwd: exact, 2 * 255 * 128
 * < 2^31.
 *
 *                          b: 16 columns x 4 k
 *                     +-----------+-----------+
 *                     | b0        | b1        |      2 ymm
 *                     +-----------+-----------+
 *   a, group 0 row i  | s[2i]     | s[2i + 1] |     12 ymm
 *   4 k, bcast  1 row | ...       | ...       |
 *                     +-----------+-----------+
 *   registers: 12 sums + 2 b + 1 a + 1 product = 16 of 16, the ones in memory.   4 k: 24 multiplies
 *   (12 cycles on two ports), 12 adds, 2 + 6 + 12 loads, 1 prefetch; where they are widened, 12
 *   more adds, 6 masks and 6 shifts. */
#include <immintrin.h>
#include <string.h>

#include "ops/kernels/gemm_s8.h"
#include "ops/kernels/gemm_s8_sort.h"
#include "tensor/cpu.h"

enum { ROWS = 3, LANES = 8, KR = 4 };
#define SHAPES(X) X(1, 1) X(2, 1) X(3, 1) X(1, 2) X(2, 2) X(3, 2)

typedef __m256i vec;
static inline vec vec_load(const void *p) { return _mm256_load_si256(p); }

#include "ops/kernels/gemm_s8_ymm.h"

enum { GROUP = NR * KR, AHEAD = 4096 }; /* bytes of a group of 4 k; to prefetch by in one panel */

typedef enum kind { SAFE, EVEN, ODD } kind; /* all 4 k at once; k 0 and 2; k 1 and 3 */

INLINE vec four_bytes(const kind k, const uint8_t *p)
{
    int32_t four;
    memcpy(&four, p, sizeof four);
    const vec a = _mm256_set1_epi32(four);
    return k == SAFE ? a : k == ODD ? _mm256_srli_epi16(a, 8)
                                    : _mm256_and_si256(a, _mm256_set1_epi16(255));
}

INLINE vec dot(const kind k, vec s, vec a, vec b)
{
    if (k == SAFE) a = _mm256_maddubs_epi16(a, b), b = _mm256_set1_epi16(1);
    return _mm256_add_epi32(s, _mm256_madd_epi16(a, b));
}

/* All rows, one group of k; row i of a group at a0 or a1 + i * px. */
INLINE void step(const kind k, const int rows, const int groups, vec *s, const uint8_t *a0,
                 const uint8_t *a1, ptrdiff_t px, vec b0, vec b1)
{
    UNROLL for (int i = 0; i < rows * groups; i++) {
        const vec a = four_bytes(k, i < rows ? a0 + i * px : a1 + (i - rows) * px);
        s[2 * i] = dot(k, s[2 * i], a, b0);
        s[2 * i + 1] = dot(k, s[2 * i + 1], a, b1);
    }
}

INLINE vec odd(vec b) { return _mm256_srai_epi16(b, 8); }
INLINE vec even(vec b) { return odd(_mm256_slli_epi16(b, 8)); }

INLINE void body(const int rows, const int groups, const oct_gemm_s8_args *t)
{
    _Alignas(64) int32_t acc[2 * ROWS][NR];
    vec s[2 * 2 * ROWS]; /* [group][row][2] */
    const int32_t *bias = t->panel, *table = bias + 4 * NR, *part = table + 2;
    const int32_t *off = part + OCT_GEMM_S8_PART * table[0];
    const unsigned char *b = (const unsigned char *)t->panel + table[1];
    const unsigned char *ahead = t->ahead ? t->ahead : b + AHEAD;
    const int ahead_step = ahead_by(t, GROUP);
    UNROLL for (int i = 0; i < 2 * rows * groups; i++) s[i] = vec_load(bias + i % 2 * LANES);
    for (int p = 0; p < table[0]; p++, part += OCT_GEMM_S8_PART) {
        const ptrdiff_t px = (ptrdiff_t)t->step * part[0];
        const uint8_t *const a0 = t->a[0] + t->pos[0] * part[0];
        const uint8_t *const a1 = groups == 2 ? t->a[1] + t->pos[1] * part[0] : a0;
        const int32_t *const mid = off + part[1], *const end = mid + part[2];
        for (; off != mid; off++, b += GROUP, ahead += ahead_step) {
            __builtin_prefetch(ahead);
            step(SAFE, rows, groups, s, a0 + *off, a1 + *off, px, vec_load(b), vec_load(b + 32));
        }
        for (; off != end; off++, b += GROUP, ahead += ahead_step) {
            const vec b0 = vec_load(b), b1 = vec_load(b + 32);
            __builtin_prefetch(ahead);
            step(EVEN, rows, groups, s, a0 + *off, a1 + *off, px, even(b0), even(b1));
            step(ODD, rows, groups, s, a0 + *off, a1 + *off, px, odd(b0), odd(b1));
        }
    }
    UNROLL for (int i = 0; i < 2 * rows * groups; i++)
        _mm256_store_si256((vec *)(void *)(acc[i / 2] + i % 2 * LANES), s[i]);
    finish(t, (const int32_t (*)[NR])acc);
}

#define DEFINE(rows, groups) \
    static void tile_##rows##x##groups(const oct_gemm_s8_args *t) { body(rows, groups, t); }
SHAPES(DEFINE)
#define ENTRY(rows, groups) tile_##rows##x##groups,
static oct_gemm_s8_tile *const instance[] = { SHAPES(ENTRY) };

static void tile(const oct_gemm_s8_args *t) { instance[(t->groups - 1) * ROWS + t->rows - 1](t); }

static int place(int j, int p) { return oct_pack_order(LANES, j) * KR + p; }

const oct_gemm_s8 oct_gemm_s8_avx2 = {
    .isa = "avx2", .needs = OCT_CPU_AVX2, .x_max = 255, .rows = ROWS, .nr = NR, .kr = KR,
    .lanes = LANES, .order = OCT_GEMM_S8_SAFE, .place = place, .tile = tile };
