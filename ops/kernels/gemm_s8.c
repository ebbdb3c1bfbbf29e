#include "config.h"
#include "ops/kernels/gemm_s8.h"

#include <string.h>

#include "ops/kernels/gemm_s8_sort.h"

const oct_gemm_s8 *const oct_gemm_s8_all[] = {
#if HAVE_AVX512
    &oct_gemm_s8_avx512,
#endif
#if HAVE_AVXVNNI
    &oct_gemm_s8_avxvnni,
#endif
#if HAVE_AVX2
    &oct_gemm_s8_avx2_a7,
    &oct_gemm_s8_avx2,
#endif
#if HAVE_NEONI8MM
    &oct_gemm_s8_neoni8mm,
#endif
#if HAVE_NEONDOT
    &oct_gemm_s8_neondot,
#endif
#if HAVE_NEON
    &oct_gemm_s8_neon_a7,
    &oct_gemm_s8_neon,
#endif
    &oct_gemm_s8_ref,
    NULL,
};

const oct_gemm_s8 *oct_gemm_s8_pick(unsigned cpu_flags, int x_max)
{
    const oct_gemm_s8 *const *g = oct_gemm_s8_all;
    while (((*g)->needs & cpu_flags) != (*g)->needs || (*g)->x_max < x_max) g++;
    return *g; /* ref needs nothing and takes every byte */
}

enum { HEADER = 4 };           /* arrays of nr words before b */

static size_t k_groups(const oct_gemm_s8 *g, int n_segs, const oct_gemm_s8_seg *seg)
{
    size_t n = 0;
    for (int s = 0; s < n_segs; s++)
        n += ((size_t)seg[s].len + (size_t)g->kr - 1) / (size_t)g->kr;
    return n;
}

static size_t k_group_size(const oct_gemm_s8 *g)
{
    return (size_t)g->nr * (size_t)g->kr;
}

static size_t table_size(const oct_gemm_s8 *g, int n_segs, const oct_gemm_s8_seg *seg)
{
    return g->order ? oct_gemm_s8_table_size(g, n_segs, seg) : 0;
}

size_t oct_gemm_s8_panel_size(const oct_gemm_s8 *g, int n_segs, const oct_gemm_s8_seg *seg)
{
    const size_t size = HEADER * sizeof(int32_t) * (size_t)g->nr + table_size(g, n_segs, seg) +
                        k_groups(g, n_segs, seg) * k_group_size(g);
    return (size + 63) / 64 * 64;
}

/* Column j of the k groups at b, from one row of weights; returns the sum of the row. */
static int32_t scatter(const oct_gemm_s8 *g, const oct_gemm_s8_weights *w, const int8_t *row, int j,
                       int8_t *b)
{
    int32_t sum = 0;
    for (int s = 0, k = 0; s < w->n_segs; s++)
        for (int c = 0; c < w->seg[s].len; c++, k++) {
            const int8_t v = row[w->perm ? w->perm[k] : k];
            b[g->place(j, c % g->kr)] = v;
            if ((c + 1) % g->kr == 0 || c + 1 == w->seg[s].len) b += k_group_size(g);
            sum += v;
        }
    return sum;
}

void oct_gemm_s8_pack(const oct_gemm_s8 *g, const oct_gemm_s8_weights *w, int first, int count,
                      void *packed)
{
    const size_t size = oct_gemm_s8_panel_size(g, w->n_segs, w->seg), nr = (size_t)g->nr;
    const size_t start = HEADER * sizeof(int32_t) * nr + table_size(g, w->n_segs, w->seg);
    unsigned char *panel = packed;
    for (int n0 = 0; n0 < count; n0 += g->nr, panel += size) {
        memset(panel, 0, size);
        int32_t *bias = (void *)panel, *colsum = bias + 3 * nr;
        float *scale = (void *)(bias + nr), *fbias = scale + nr;
        for (int j = 0; j < g->nr && n0 + j < count; j++) {
            const size_t n = (size_t)(first + n0 + j);
            const int at = oct_gemm_s8_column(g, j);
            colsum[at] = scatter(g, w, w->b + n * (size_t)w->k, j, (int8_t *)panel + start);
            bias[at] = (w->bias ? w->bias[n] : 0) - (w->zero - g->flip) * colsum[at];
            scale[at] = w->scale[n];
            fbias[at] = w->fbias ? w->fbias[n] : 0;
        }
        if (g->order) oct_gemm_s8_sort(g, w->n_segs, w->seg, panel);
    }
}

void oct_gemm_s8_classify(oct_requant *q, int nr, const void *packed, size_t panel_size, int n)
{
    int bounded = 1, biased = 0;
    for (int p = 0; p < n; p++) {
        const float *scale = (const float *)((const char *)packed + (size_t)p * panel_size) + nr;
        for (int j = 0; j < nr; j++) {
            bounded = bounded && oct_requant_is_bounded(q, scale[j], scale[nr + j]);
            biased = biased || scale[nr + j] != 0;
        }
    }
    q->bounded = bounded;
    q->plain = bounded && !biased && q->zero == 0 && q->lo == 0;
}

oct_status oct_gemm_s8_check(const oct_gemm_s8 *g, int n_segs, const oct_gemm_s8_seg *seg,
                             const void *packed, size_t panel_size, int n)
{
    for (int p = 0; p < n && g->order; p++)
        if (!oct_gemm_s8_sorted(g, n_segs, seg, (const char *)packed + (size_t)p * panel_size))
            return oct_fail(OCT_ERR_FORMAT, "packed weights, panel %d: its table of offsets is not "
                            "of this layer", p);
    return OCT_OK;
}
