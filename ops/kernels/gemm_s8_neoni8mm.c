/* gemm_s8, NEON with i8mm, tiles of two groups of up to 4 rows x 8 columns.  Contract in gemm_s8.h.
 *
 * usmmla multiplies 2 x 8 unsigned by 8 x 2 signed bytes into a 2 x 2 of int32 and does not
 * saturate: exact for every byte, and twice the products of a usdot.
 *
 *                          b: 8 columns x 8 k
 *                     +-----------+-----------+-----------+-----------+
 *                     | c 0, 1    | c 2, 3    | c 4, 5    | c 6, 7    |      4 q
 *                     +-----------+-----------+-----------+-----------+
 *   a, rows 2p, 2p+1  | s[4p]     | s[4p + 1] | s[4p + 2] | s[4p + 3] |     16 q
 *   8 k each          | the upper row in the lower half of each q     |
 *                     +-----------+-----------+-----------+-----------+
 *   registers: 16 sums + 4 b + 1 a = 21 of 32.   8 k: 16 usmmla, 4 + 8 loads.  Rows are counted
 *   through both groups; the last of an odd number is computed twice. */
#include <arm_neon.h>
#include <string.h>

#include "ops/kernels/gemm_s8.h"
#include "tensor/cpu.h"

enum { ROWS = 4, LANES = 4, KR = 8 };
#define SHAPES(X) X(1, 1) X(2, 1) X(3, 1) X(4, 1) X(1, 2) X(2, 2) X(3, 2) X(4, 2)

#include "ops/kernels/gemm_s8_q.h"

enum { COLS = NR / 2 };        /* pairs of columns */

INLINE uint8x16_t two_rows(const uint8_t *p, const uint8_t *q)
{
    return vcombine_u8(vld1_u8(p), vld1_u8(q));
}

INLINE void body(const int rows, const int groups, const oct_gemm_s8_args *t)
{
    _Alignas(64) int32_t acc[2 * ROWS][NR];
    const int n = rows * groups, pairs = (n + 1) / 2;
    int32x4_t s[ROWS * COLS]; /* [pair of rows][pair of columns] */
    const int32_t *bias = t->panel;
    const int8_t *b = (const int8_t *)(bias + 4 * NR);
    UNROLL for (int i = 0; i < pairs * COLS; i++) {
        const int32x2_t two = vld1_s32(bias + i % COLS * 2);
        s[i] = vcombine_s32(two, two);
    }
    for (int q = 0; q < t->n_segs; q++) {
        const oct_gemm_s8_seg seg = t->seg[q];
        const ptrdiff_t px = (ptrdiff_t)t->step * seg.width;
        const uint8_t *a0 = t->a[0] + seg.offset + t->pos[0] * seg.width, *a1 = a0;
        if (groups == 2) a1 = t->a[1] + seg.offset + t->pos[1] * seg.width;
        for (int c = 0; c < seg.len; c += KR, a0 += KR, a1 += KR, b += NR * KR)
            UNROLL for (int p = 0; p < pairs; p++) {
                const int i = 2 * p, j = i + 1 < n ? i + 1 : i;
                const uint8x16_t a = two_rows(i < rows ? a0 + i * px : a1 + (i - rows) * px,
                                              j < rows ? a0 + j * px : a1 + (j - rows) * px);
                UNROLL for (int k = 0; k < COLS; k++)
                    s[p * COLS + k] = vusmmlaq_s32(s[p * COLS + k], a, vld1q_s8(b + k * 16));
            }
    }
    UNROLL for (int i = 0; i < pairs * COLS; i++) {
        const int row = i / COLS * 2, col = i % COLS * 2;
        vst1_s32(acc[row] + col, vget_low_s32(s[i]));
        vst1_s32(acc[row + 1] + col, vget_high_s32(s[i]));
    }
    finish(t, (const int32_t (*)[NR])acc);
}

#define DEFINE(rows, groups) \
    static void tile_##rows##x##groups(const oct_gemm_s8_args *t) { body(rows, groups, t); }
SHAPES(DEFINE)
#define ENTRY(rows, groups) tile_##rows##x##groups,
static oct_gemm_s8_tile *const instance[] = { SHAPES(ENTRY) };

static void tile(const oct_gemm_s8_args *t) { instance[(t->groups - 1) * ROWS + t->rows - 1](t); }

static int place(int j, int p) { return j / 2 * 16 + j % 2 * 8 + p; }

const oct_gemm_s8 oct_gemm_s8_neoni8mm = {
    .isa = "neoni8mm", .needs = OCT_CPU_NEON | OCT_CPU_NEONI8MM, .x_max = 255, .rows = ROWS,
    .nr = NR, .kr = KR, .place = place, .tile = tile };
