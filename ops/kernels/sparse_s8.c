#include "config.h"
#include "ops/kernels/sparse_s8.h"

#include <string.h>

#include "ops/kernels/gemm_s8.h"
#include "ops/kernels/gemm_s8_sort.h"

const oct_sparse_s8 *const oct_sparse_s8_all[] = {
#if HAVE_AVX512
    &oct_sparse_s8_avx512,
#endif
#if HAVE_AVXVNNI
    &oct_sparse_s8_avxvnni,
#endif
#if HAVE_AVX2
    &oct_sparse_s8_avx2_a7,
    &oct_sparse_s8_avx2,
#endif
#if HAVE_NEONDOT
    &oct_sparse_s8_neondot,
#endif
#if HAVE_NEON
    &oct_sparse_s8_neon,
#endif
    &oct_sparse_s8_ref,
    NULL,
};

const oct_sparse_s8 *oct_sparse_s8_pick(unsigned cpu_flags, int x_max)
{
    const oct_sparse_s8 *const *g = oct_sparse_s8_all;
    while (((*g)->needs & cpu_flags) != (*g)->needs || (*g)->x_max < x_max) g++;
    return *g; /* ref needs nothing and takes every byte */
}

enum { HEADER = 6, LINE = 64 }; /* arrays of nr words before the blocks */

static size_t round_up(size_t size) { return (size + LINE - 1) / LINE * LINE; }
static int panels(const oct_sparse_s8 *g, int n) { return (n + g->nr - 1) / g->nr; }
static size_t table_size(const oct_sparse_s8 *g, int n)
{
    return round_up(((size_t)panels(g, n) + 1) * sizeof(uint32_t));
}

/* ---- the blocks of a column ---- */

static int take(const oct_sparse_s8_weights *w, int j, int q, int t, oct_sparse_s8_block *out)
{
    const int8_t *from = w->b + ((size_t)j * (size_t)w->c + 4 * (size_t)q) * (size_t)w->taps + t;
    for (int p = 0; p < 4; p++) out->w[p] = from[p * w->taps];
    out->offset = w->offset ? w->offset[q * w->taps + t] : 0;
    return out->w[0] || out->w[1] || out->w[2] || out->w[3];
}

int oct_sparse_s8_count(const oct_sparse_s8_weights *w, int j)
{
    oct_sparse_s8_block block;
    int n = 0;
    for (int q = 0; q < w->c / 4; q++)
        for (int t = 0; t < w->taps; t++) n += take(w, j, q, t, &block);
    return n;
}

/* Do the products of a and b (or NULL), added as vpmaddubsw does it, fit int16 in both lanes, if
 * the positive and the negative weights' sums are at most this? */
static int fits(const oct_sparse_s8_block *a, const oct_sparse_s8_block *b, int most)
{
    for (int lane = 0; lane < 4; lane += 2) {
        int sum[2] = { 0, 0 };
        for (int p = lane; p < lane + 2; p++) {
            sum[a->w[p] < 0] += a->w[p];
            if (b) sum[b->w[p] < 0] += b->w[p];
        }
        if (sum[0] > most || -sum[1] > most) return 0;
    }
    return 1;
}

static void swap(oct_sparse_s8_block *a, oct_sparse_s8_block *b)
{
    const oct_sparse_s8_block t = *a;
    *a = *b;
    *b = t;
}

/* The fast ones to the front; how many, pairs counted once. */
static int sort(oct_sparse_s8_order order, oct_sparse_s8_block *b, int n)
{
    int fast = 0, last = n;
    if (order == OCT_SPARSE_S8_AS_IS) return n;
    if (order == OCT_SPARSE_S8_SAFE) {
        for (int i = 0; i < n; i++)
            if (fits(&b[i], NULL, OCT_GEMM_S8_SAFE_SUM)) swap(&b[fast++], &b[i]);
        return fast;
    }
    while (last - fast > 1) {  /* b[fast] with the next that fits, or to the end */
        int i = fast + 1;
        while (i < last && !fits(&b[fast], &b[i], OCT_GEMM_S8_PAIR_SUM)) i++;
        if (i < last) swap(&b[fast + 1], &b[i]), fast += 2;
        else swap(&b[fast], &b[--last]);
    }
    return fast / 2;
}

/* ---- panels ---- */

static size_t panel_size(const oct_sparse_s8 *g, const oct_sparse_s8_weights *w, int p)
{
    size_t blocks = 0;
    for (int j = p * g->nr; j < (p + 1) * g->nr && j < w->n; j++)
        blocks += (size_t)oct_sparse_s8_count(w, j);
    return round_up(HEADER * sizeof(int32_t) * (size_t)g->nr +
                    blocks * sizeof(oct_sparse_s8_block));
}

size_t oct_sparse_s8_size(const oct_sparse_s8 *g, const oct_sparse_s8_weights *w)
{
    size_t size = table_size(g, w->n);
    for (int p = 0; p < panels(g, w->n); p++) size += panel_size(g, w, p);
    return size;
}

static int32_t sum_of(const oct_sparse_s8_block *b, int n)
{
    int32_t sum = 0;
    for (int i = 0; i < n; i++) sum += b[i].w[0] + b[i].w[1] + b[i].w[2] + b[i].w[3];
    return sum;
}

static void pack_panel(const oct_sparse_s8 *g, const oct_sparse_s8_weights *w, int p, void *panel)
{
    const int nr = g->nr;
    int32_t *bias = panel, *colsum = bias + 3 * nr, *fast = bias + 4 * nr, *slow = fast + nr;
    float *scale = (void *)(bias + nr), *fbias = scale + nr;
    oct_sparse_s8_block *block = (void *)(slow + nr);
    for (int j = 0; j < nr && p * nr + j < w->n; j++) {
        const int n = p * nr + j, at = oct_pack_order(g->pack, j);
        int count = 0;
        for (int q = 0; q < w->c / 4; q++)
            for (int t = 0; t < w->taps; t++) {
                oct_sparse_s8_block next; /* what is behind the last one may be no room */
                if (take(w, n, q, t, &next)) block[count++] = next;
            }
        fast[j] = sort(g->order, block, count);
        slow[j] = count - fast[j] * (g->order == OCT_SPARSE_S8_PAIRS ? 2 : 1);
        colsum[at] = sum_of(block, count);
        bias[at] = (w->bias ? w->bias[n] : 0) - (w->zero - g->flip) * colsum[at];
        scale[at] = w->scale[n];
        fbias[at] = w->fbias ? w->fbias[n] : 0;
        block += count;
    }
}

void oct_sparse_s8_pack(const oct_sparse_s8 *g, const oct_sparse_s8_weights *w, void *packed)
{
    uint32_t *begin = packed;
    size_t at = table_size(g, w->n);
    memset(packed, 0, at);
    for (int p = 0; p < panels(g, w->n); p++) {
        const size_t size = panel_size(g, w, p);
        begin[p] = (uint32_t)at;
        memset((char *)packed + at, 0, size);
        pack_panel(g, w, p, (char *)packed + at);
        at += size;
    }
    begin[panels(g, w->n)] = (uint32_t)at;
}

void oct_sparse_s8_classify(const oct_sparse_s8 *g, const void *packed, int n, oct_requant *q)
{
    int bounded = 1, plain = 1;
    for (int p = 0; p < n; p++) { /* they differ in size */
        oct_gemm_s8_classify(q, g->nr, oct_sparse_s8_panel(packed, p), 0, 1);
        bounded &= q->bounded;
        plain &= q->plain;
    }
    q->bounded = bounded;
    q->plain = plain;
}

size_t oct_sparse_s8_blocks(const oct_sparse_s8 *g, const void *packed, int n)
{
    const int each = g->order == OCT_SPARSE_S8_PAIRS ? 2 : 1;
    size_t blocks = 0;
    for (int p = 0; p < n; p++) {
        const int32_t *fast = (const int32_t *)oct_sparse_s8_panel(packed, p) + 4 * g->nr;
        for (int j = 0; j < g->nr; j++) blocks += (size_t)(fast[j] * each + fast[g->nr + j]);
    }
    return blocks;
}

int32_t oct_sparse_s8_chunk(int quads, size_t used, size_t plane, int per_column)
{
    enum { L1 = 32 << 10, FEW = 5 };
    const size_t size = (size_t)quads * used, most = (size_t)per_column / FEW;
    size_t chunks = (size + L1 - 1) / L1;
    if (size <= L1 + L1 / 4 || most < 2) return 0;
    if (chunks > most) chunks = most;
    return (int32_t)(((size_t)quads + chunks - 1) / chunks * plane);
}

/* ---- from a file ---- */

size_t oct_sparse_s8_given(const oct_sparse_s8 *g, int n, const void *packed, size_t size)
{
    if (size < table_size(g, n)) return 0;
    return ((const uint32_t *)packed)[panels(g, n)];
}

static int offsets_are_right(const oct_sparse_s8_block *b, int32_t n, int32_t most)
{
    for (int32_t i = 0; i < n; i++)
        if (b[i].offset < 0 || b[i].offset > most || b[i].offset % 4) return 0;
    return 1;
}

static int panel_is_right(const oct_sparse_s8 *g, int32_t most, const void *panel, size_t size)
{
    const size_t header = HEADER * sizeof(int32_t) * (size_t)g->nr;
    if (size < header) return 0;
    const int32_t *fast = (const int32_t *)panel + 4 * g->nr, *slow = fast + g->nr;
    const oct_sparse_s8_block *block = (const void *)(slow + g->nr);
    size_t left = (size - header) / sizeof *block;
    for (int j = 0; j < g->nr; j++) {
        const size_t each = g->order == OCT_SPARSE_S8_PAIRS ? 2 : 1;
        if (fast[j] < 0 || slow[j] < 0 || (g->order == OCT_SPARSE_S8_AS_IS && slow[j])) return 0;
        const size_t n = (size_t)fast[j] * each + (size_t)slow[j];
        if (n > left || !offsets_are_right(block, (int32_t)n, most)) return 0;
        block += n;
        left -= n;
    }
    return 1;
}

oct_status oct_sparse_s8_check(const oct_sparse_s8 *g, int n, int32_t most, const void *packed,
                               size_t size)
{
    const uint32_t *begin = packed;
    size_t at = table_size(g, n);
    for (int p = 0; p < panels(g, n); p++) {
        const size_t end = begin[p + 1];
        if (begin[p] != at || end < at || end > size || end % LINE ||
            !panel_is_right(g, most, (const char *)packed + at, end - at))
            return oct_fail(OCT_ERR_FORMAT, "packed sparse weights, panel %d: its blocks are not "
                            "of this layer", p);
        at = end;
    }
    return OCT_OK;
}
