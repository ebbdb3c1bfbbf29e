/* What gemm_s8's tiles stand on: its packer, and requant.h against a table written by hand. */
#include "ops/kernels/gemm_s8_sort.h"
#include "tests/check_gemm_s8.h"
#include "tests/check_kernels.h"

/* By hand, not by requant.h: an oracle must not share code with its subject. */
int check_gemm_s8_table(void)
{
    static const struct { float y; int zero, lo, hi, want; } t[] = {
        { 0.f, 3, 0, 255, 3 },       { 0.5f, 0, 0, 255, 0 },       { 1.5f, 0, 0, 255, 2 },
        { 2.5f, 0, 0, 255, 2 },      { -0.5f, 128, 0, 255, 128 },  { -1.5f, 128, 0, 255, 126 },
        { 0.5f, 1, 0, 255, 1 },                                /* round first, then add zero */
        { 300.f, 0, 0, 255, 255 },   { -300.f, 0, 0, 255, 0 },     { 300.f, 200, 0, 255, 255 },
        { 54.6f, 200, 0, 255, 255 }, { 54.4f, 200, 0, 255, 254 },  { 130.f, 0, 0, 127, 127 },
        { 0x1p90f, 7, 0, 255, 255 }, { -0x1p90f, 7, 0, 255, 0 },
        { -7.f, 4, 4, 255, 4 },      { 6.f, 4, 4, 9, 9 },          /* ReLU, ReLU6 */
        { 254.5f, 0, 0, 255, 254 },  { 255.5f, 0, 0, 255, 255 },   { -0.f, 0, 0, 255, 0 },
    };
    for (size_t i = 0; i < sizeof t / sizeof *t; i++) {
        const oct_requant q = { .zero = t[i].zero, .lo = t[i].lo, .hi = t[i].hi };
        const int got = oct_requant_u8(t[i].y, &q);
        CHECK(got == t[i].want, "row %zu: got %d, want %d", i, got, t[i].want);
    }
    const oct_requant q = { .residual_scale = 0.25f, .residual_zero = 100 };
    CHECK(oct_requant_add(1.f, 90, &q) == -1.5f && oct_requant_add(0.f, 255, &q) == 38.75f,
          "residual");
    CHECK(oct_requant_act(-1.f, OCT_ACT_NONE) == -1 && oct_requant_act(-1.f, OCT_ACT_RELU) == 0 &&
          oct_requant_act(7.f, OCT_ACT_RELU) == 7 && oct_requant_act(7.f, OCT_ACT_RELU6) == 6,
          "act");
    return (int)(sizeof t / sizeof *t) + 2;
}

/* Where in a panel group p of k starts.  In check_gemm_s8_pack the offset of a group in A is its
 * number. */
static const int8_t *group_at(const oct_gemm_s8 *g, const void *panel, int p)
{
    const int32_t *table = (const int32_t *)panel + 4 * g->nr;
    const int8_t *b = (const int8_t *)table;
    int i = p;
    if (g->order) {
        const int32_t *offset = table + 2 + OCT_GEMM_S8_PART * table[0];
        const int fast = g->order == OCT_GEMM_S8_PAIRS ? 2 * table[3] : table[3];
        CHECK(table[0] == 1 && table[2] == 3 && fast + table[4] == 2, "table");
        b = (const int8_t *)panel + table[1];
        i = offset[0] == p ? 0 : 1;
        CHECK(offset[i] == p, "no group %d", p);
    }
    return b + (size_t)(i * g->nr * g->kr);
}

/* The packer: permutation, padding of segments, columns first .. of a larger matrix. */
int check_gemm_s8_pack(const oct_gemm_s8 *g)
{
    enum { N = 5, K = 3, COLS = N - 1 };
    static const int8_t b[N * K] = { 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, -12, 13, 14, -128 };
    static const int32_t perm[K] = { 2, 0, 1 }, bias[N] = { 1, -20, 300, -4000, 50000 };
    static const float scale[N] = { 1, 10, 100, 1000, 10000 };
    const oct_gemm_s8_seg seg[2] = { { 0, 1, 3 }, { 1, 2, 3 } };
    const oct_gemm_s8_weights w = { b, K, perm, 2, seg, 10, bias, scale, NULL };
    const size_t nr = (size_t)g->nr, size = oct_gemm_s8_panel_size(g, 2, seg);
    unsigned char *panel = check_out(size, 64);
    oct_gemm_s8_pack(g, &w, 1, COLS, panel);
    const int32_t *word = (const void *)panel;
    for (int j = 0; j < g->nr; j++) {
        const size_t at = (size_t)oct_gemm_s8_column(g, j);
        const int n = j + 1;
        const int32_t sum = j < COLS ? b[n * K] + b[n * K + 1] + b[n * K + 2] : 0;
        CHECK(word[at] == (j < COLS ? bias[n] - (10 - g->flip) * sum : 0), "bias %d", j);
        CHECK(((const float *)word)[nr + at] == (j < COLS ? scale[n] : 0), "scale %d", j);
        CHECK(word[2 * nr + at] == 0 && word[3 * nr + at] == sum, "fbias or colsum %d", j);
        for (int p = 0; p < 2 * g->kr; p++) {
            const int c = p % g->kr, k = p / g->kr + c, real = j < COLS && c <= p / g->kr;
            const int got = group_at(g, panel, p / g->kr)[g->place(j, c)];
            CHECK(got == (real ? b[n * K + perm[k]] : 0), "gemm_s8/%s column %d k %d", g->isa,
                  j, p);
        }
    }
    CHECK(check_intact(panel), "gemm_s8/%s packed outside", g->isa);
    check_reset();
    return 1;
}
