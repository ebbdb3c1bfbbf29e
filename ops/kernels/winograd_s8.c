#include "config.h"
#include "ops/kernels/winograd_s8.h"

#include <string.h>

#include "ops/kernels/gemm_s8.h"

const oct_winograd_s8 *const oct_winograd_s8_all[] = {
#if HAVE_AVX512
    &oct_winograd_s8_avx512,
#endif
#if HAVE_AVXVNNI
    &oct_winograd_s8_avxvnni,
#endif
#if HAVE_AVX2
    &oct_winograd_s8_avx2,
#endif
#if HAVE_NEON
    &oct_winograd_s8_neon,
#endif
    &oct_winograd_s8_ref,
    NULL,
};

const oct_winograd_s8 *oct_winograd_s8_pick(unsigned cpu_flags)
{
    const oct_winograd_s8 *const *g = oct_winograd_s8_all;
    while (((*g)->needs & cpu_flags) != (*g)->needs) g++; /* ref needs nothing */
    return *g;
}

enum { HEADER = 4 };           /* arrays of nr words before u */

int oct_winograd_s8_fits(const oct_winograd_s8_weights *w, int first, int count, int x_max)
{
    const int64_t limit = w->m == 4 ? 1 << 25 : 1 << 29; /* 2^31 / 64, 2^31 / 4 */
    const size_t k = (size_t)w->c * 9;
    for (size_t n = (size_t)first; n < (size_t)(first + count); n++) {
        int64_t sum[2] = { 0, 0 }; /* of the positive, of the negative weights */
        for (size_t i = 0; i < k; i++) {
            const int v = w->b[n * k + i];
            sum[v < 0] += v < 0 ? -v : v;
        }
        if (sum[0] * x_max >= limit || sum[1] * x_max >= limit) return 0;
    }
    return 1;
}

static size_t u_count(const oct_winograd_s8 *g, int c) /* int16 of U of one panel and xi */
{
    return ((size_t)c + 1) / 2 * 2 * (size_t)g->nr;
}

size_t oct_winograd_s8_panel_size(const oct_winograd_s8 *g, int m, int c)
{
    const size_t size = HEADER * sizeof(int32_t) * (size_t)g->nr +
                        (size_t)((m + 2) * (m + 2)) * u_count(g, c) * sizeof(int16_t);
    return (size + 63) / 64 * 64;
}

const int16_t *oct_winograd_s8_u(const oct_winograd_s8 *g, const void *panel, int xi, int c)
{
    return (const int16_t *)((const int32_t *)panel + HEADER * g->nr) + (size_t)xi * u_count(g, c);
}

/* u[xi] = (G w G^T)[xi] for the nine weights of one channel. */
static void transform(int m, const int8_t *w, int u[36])
{
    static const int g2[4][3] = { { 2, 0, 0 }, { 1, 1, 1 }, { 1, -1, 1 }, { 0, 0, 2 } };
    static const int g4[6][3] = { { 6, 0, 0 }, { -4, -4, -4 }, { -4, 4, -4 },
                                  { 1, 2, 4 }, { 1, -2, 4 },   { 0, 0, 3 } };
    const int (*const g)[3] = m == 4 ? g4 : g2;
    const int p = m + 2;
    int half[6][3]; /* G w */
    for (int i = 0; i < p; i++)
        for (int x = 0; x < 3; x++)
            half[i][x] = g[i][0] * w[x] + g[i][1] * w[3 + x] + g[i][2] * w[6 + x];
    for (int i = 0; i < p; i++)
        for (int j = 0; j < p; j++)
            u[i * p + j] = half[i][0] * g[j][0] + half[i][1] * g[j][1] + half[i][2] * g[j][2];
}

/* One column; returns the sum of its weights. */
static int32_t pack_column(const oct_winograd_s8 *g, const oct_winograd_s8_weights *w,
                           const int8_t *b, int j, int16_t *u)
{
    const int n_xi = (w->m + 2) * (w->m + 2);
    const size_t step = u_count(g, w->c);
    int32_t sum = 0;
    int one[36];
    for (int c = 0; c < w->c; c++, b += 9) {
        int16_t *to = u + (size_t)(c / 2) * 2 * (size_t)g->nr + g->place(j, c % 2);
        transform(w->m, b, one);
        for (int xi = 0; xi < n_xi; xi++) to[(size_t)xi * step] = (int16_t)one[xi];
        for (int i = 0; i < 9; i++) sum += b[i];
    }
    return sum;
}

void oct_winograd_s8_pack(const oct_winograd_s8 *g, const oct_winograd_s8_weights *w, int first,
                          int count, void *packed)
{
    const size_t size = oct_winograd_s8_panel_size(g, w->m, w->c), nr = (size_t)g->nr;
    unsigned char *panel = packed;
    for (int n0 = 0; n0 < count; n0 += g->nr, panel += size) {
        memset(panel, 0, size);
        int32_t *bias = (void *)panel, *colsum = bias + 3 * nr;
        float *scale = (void *)(bias + nr), *fbias = scale + nr;
        for (int j = 0; j < g->nr && n0 + j < count; j++) {
            const size_t n = (size_t)(first + n0 + j);
            const int at = oct_pack_order(g->lanes, j);
            colsum[at] = pack_column(g, w, w->b + n * (size_t)w->c * 9, j, (void *)(colsum + nr));
            bias[at] = (w->bias ? w->bias[n] : 0) - w->zero * colsum[at];
            scale[at] = w->scale[n];
            fbias[at] = w->fbias ? w->fbias[n] : 0;
        }
    }
}
