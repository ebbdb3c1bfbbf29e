#include "config.h"
#include "ops/kernels/sparse_s8.h"

#include <string.h>

#include "ops/kernels/gemm_s8.h"
#include "ops/kernels/gemm_s8_sort.h"

const oct_sparse_s8 *const oct_sparse_s8_all[] = {
#if HAVE_AVX512
    &oct_sparse_s8_avx512, &oct_sparse_s8_4x1_avx512,
#endif
#if HAVE_AVXVNNI
    &oct_sparse_s8_avxvnni, &oct_sparse_s8_4x1_avxvnni,
#endif
#if HAVE_AVX2
    &oct_sparse_s8_avx2_a7, &oct_sparse_s8_4x1_avx2_a7,
    &oct_sparse_s8_avx2, &oct_sparse_s8_4x1_avx2,
#endif
#if HAVE_NEONDOT
    &oct_sparse_s8_neondot, &oct_sparse_s8_4x1_neondot,
#endif
#if HAVE_NEON
    &oct_sparse_s8_neon, &oct_sparse_s8_4x1_neon,
#endif
    &oct_sparse_s8_ref, &oct_sparse_s8_4x1_ref,
    NULL,
};

const oct_sparse_s8 *oct_sparse_s8_pick(unsigned cpu_flags, int x_max, int share)
{
    const oct_sparse_s8 *const *g = oct_sparse_s8_all;
    while (((*g)->needs & cpu_flags) != (*g)->needs || (*g)->x_max < x_max ||
           (*g)->share != share) g++;
    return *g; /* ref needs nothing and takes every byte */
}

enum { HEADER = 6, LINE = 64 }; /* arrays of nr words before the blocks */

static size_t round_up(size_t size) { return (size + LINE - 1) / LINE * LINE; }
static int panels(const oct_sparse_s8 *g, int n) { return (n + g->nr - 1) / g->nr; }
static size_t table_size(const oct_sparse_s8 *g, int n)
{
    return round_up(((size_t)panels(g, n) + 2) * sizeof(uint32_t));
}

/* ---- lists ---- */

typedef union part {           /* of a list: a block, or a quarter of an entry in bytes */
    oct_sparse_s8_block block;
    oct_sparse_s8_entry entry;
} part;

static size_t part_size(int share)
{
    return share > 1 ? sizeof(oct_sparse_s8_entry) : sizeof(oct_sparse_s8_block);
}

static int take(const oct_sparse_s8_weights *w, int j, int q, int t, oct_sparse_s8_block *out)
{
    const int8_t *from = w->b + ((size_t)j * (size_t)w->c + 4 * (size_t)q) * (size_t)w->taps + t;
    for (int p = 0; p < 4; p++) out->w[p] = from[p * w->taps];
    out->offset = w->offset ? w->offset[q * w->taps + t] : 0;
    return out->w[0] || out->w[1] || out->w[2] || out->w[3];
}

static int blocks(const oct_sparse_s8_weights *w, int j, oct_sparse_s8_block *to)
{
    oct_sparse_s8_block block; /* what is behind the last one may be no room */
    int n = 0;
    for (int q = 0; q < w->c / 4; q++)
        for (int t = 0; t < w->taps; t++) {
            if (!take(w, j, q, t, &block)) continue;
            if (to) to[n] = block;
            n++;
        }
    return n;
}

/* Inputs that columns j .. j + 3 share, four by four to `to`, or NULL: how many inputs. */
static int entries(const oct_sparse_s8_weights *w, int j, oct_sparse_s8_entry *to)
{
    int n = 0;
    for (int k = 0; k < w->c * w->taps; k++) {
        int8_t four[4] = { 0 };
        for (int i = 0; i < 4 && j + i < w->n; i++)
            four[i] = w->b[(size_t)(j + i) * (size_t)(w->c * w->taps) + (size_t)k];
        if (!four[0] && !four[1] && !four[2] && !four[3]) continue;
        const int p = n++ % 4;
        if (!to) continue;
        for (int i = p; i < 4; i++) to->offset[i] = w->offset[k];
        for (int i = 0; i < 4; i++) to->w[i][p] = four[i];
        to += p == 3;
    }
    return n;
}

int oct_sparse_s8_count(const oct_sparse_s8_weights *w, int share, int l)
{
    return share > 1 ? entries(w, share * l, NULL) : blocks(w, l, NULL);
}

/* Blocks, or entries. */
static int parts(const oct_sparse_s8 *g, const oct_sparse_s8_weights *w, int l)
{
    return (oct_sparse_s8_count(w, g->share, l) + g->share - 1) / g->share;
}

/* Do the products of a and b (or NULL), weights of 4 inputs, added as vpmaddubsw does it, fit int16
 * in both lanes, if the positive and the negative weights' sums are at most this? */
static int fits(const int8_t *a, const int8_t *b, int most)
{
    for (int lane = 0; lane < 4; lane += 2) {
        int sum[2] = { 0, 0 };
        for (int p = lane; p < lane + 2; p++) {
            sum[a[p] < 0] += a[p];
            if (b) sum[b[p] < 0] += b[p];
        }
        if (sum[0] > most || -sum[1] > most) return 0;
    }
    return 1;
}

typedef struct list {
    int share;
    char *first;
} list;

static char *part_at(const list *l, int i) { return l->first + part_size(l->share) * (size_t)i; }

/* Of part i, output j. */
static const int8_t *weights_at(const list *l, int i, int j)
{
    const void *p = part_at(l, i);
    return l->share > 1 ? ((const oct_sparse_s8_entry *)p)->w[j]
                        : ((const oct_sparse_s8_block *)p)->w;
}

/* Parts i and k together; i alone if k < 0. */
static int all_fit(const list *l, int i, int k, int most)
{
    for (int j = 0; j < l->share; j++)
        if (!fits(weights_at(l, i, j), k < 0 ? NULL : weights_at(l, k, j), most)) return 0;
    return 1;
}

static void swap(const list *l, int i, int k)
{
    part t;
    const size_t size = part_size(l->share);
    if (i == k) return;
    memcpy(&t, part_at(l, i), size);
    memcpy(part_at(l, i), part_at(l, k), size);
    memcpy(part_at(l, k), &t, size);
}

/* The fast ones of n to the front; how many, pairs counted once. */
static int sort(oct_sparse_s8_order order, const list *l, int n)
{
    int fast = 0, last = n;
    if (order == OCT_SPARSE_S8_AS_IS) return n;
    if (order == OCT_SPARSE_S8_SAFE) {
        for (int i = 0; i < n; i++)
            if (all_fit(l, i, -1, OCT_GEMM_S8_SAFE_SUM)) swap(l, fast++, i);
        return fast;
    }
    while (last - fast > 1) {  /* part `fast` with the next that fits, or to the end */
        int i = fast + 1;
        while (i < last && !all_fit(l, fast, i, OCT_GEMM_S8_PAIR_SUM)) i++;
        if (i < last) swap(l, fast + 1, i), fast += 2;
        else swap(l, fast, --last);
    }
    return fast / 2;
}

/* ---- panels ---- */

static size_t panel_size(const oct_sparse_s8 *g, const oct_sparse_s8_weights *w, int p)
{
    size_t n = 0;
    for (int j = p * g->nr; j < (p + 1) * g->nr && j < w->n; j += g->share)
        n += (size_t)parts(g, w, j / g->share);
    return round_up(HEADER * sizeof(int32_t) * (size_t)g->nr + n * part_size(g->share));
}

size_t oct_sparse_s8_size(const oct_sparse_s8 *g, const oct_sparse_s8_weights *w)
{
    size_t size = table_size(g, w->n);
    for (int p = 0; p < panels(g, w->n); p++) size += panel_size(g, w, p);
    return size;
}

static int32_t sum_of(const oct_sparse_s8_weights *w, int n)
{
    const size_t k = (size_t)w->c * (size_t)w->taps;
    int32_t sum = 0;
    for (size_t i = 0; i < k; i++) sum += w->b[(size_t)n * k + i];
    return sum;
}

static void pack_column(const oct_sparse_s8 *g, const oct_sparse_s8_weights *w, int n, void *panel)
{
    const int nr = g->nr, at = oct_pack_order(g->pack, n % nr);
    int32_t *bias = panel, *colsum = bias + 3 * nr;
    float *scale = (void *)(bias + nr), *fbias = scale + nr;
    colsum[at] = sum_of(w, n);
    bias[at] = (w->bias ? w->bias[n] : 0) - (w->zero - g->flip) * colsum[at];
    scale[at] = w->scale[n];
    fbias[at] = w->fbias ? w->fbias[n] : 0;
}

static void pack_panel(const oct_sparse_s8 *g, const oct_sparse_s8_weights *w, int p, void *panel)
{
    const int nr = g->nr, end = (p + 1) * nr < w->n ? (p + 1) * nr : w->n;
    int32_t *fast = (int32_t *)panel + 4 * nr, *slow = fast + nr;
    list to = { g->share, (char *)(slow + nr) };
    for (int n = p * nr; n < end; n++) pack_column(g, w, n, panel);
    for (int n = p * nr; n < end; n += g->share, fast++, slow++) {
        const int count = parts(g, w, n / g->share);
        if (g->share > 1) entries(w, n, (void *)to.first);
        else blocks(w, n, (void *)to.first);
        *fast = sort(g->order, &to, count);
        *slow = count - *fast * (g->order == OCT_SPARSE_S8_PAIRS ? 2 : 1);
        to.first = part_at(&to, count);
    }
}

void oct_sparse_s8_pack(const oct_sparse_s8 *g, const oct_sparse_s8_weights *w, void *packed)
{
    uint32_t *begin = (uint32_t *)packed + 1;
    size_t at = table_size(g, w->n);
    memset(packed, 0, at);
    begin[-1] = (uint32_t)g->share;
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
    size_t n_parts = 0;
    for (int p = 0; p < n; p++) {
        const int32_t *fast = (const int32_t *)oct_sparse_s8_panel(packed, p) + 4 * g->nr;
        for (int j = 0; j < g->nr; j++) n_parts += (size_t)(fast[j] * each + fast[g->nr + j]);
    }
    return n_parts * (size_t)g->share;
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

int oct_sparse_s8_share(const void *packed, size_t size)
{
    const uint32_t share = size < LINE ? 0 : *(const uint32_t *)packed;
    return share == 1 || share == 4 ? (int)share : 0;
}

size_t oct_sparse_s8_given(const oct_sparse_s8 *g, int n, const void *packed, size_t size)
{
    if (size < table_size(g, n)) return 0;
    return ((const uint32_t *)packed)[1 + panels(g, n)];
}

static int offsets_are_right(const list *l, int32_t n, int32_t most)
{
    for (int32_t i = 0; i < n; i++) { /* a part begins with them */
        const int32_t *offset = (const void *)part_at(l, i);
        for (int j = 0; j < l->share; j++)
            if (offset[j] < 0 || offset[j] > most || offset[j] % (4 / l->share)) return 0;
    }
    return 1;
}

static int panel_is_right(const oct_sparse_s8 *g, int32_t most, const void *panel, size_t size)
{
    const size_t header = HEADER * sizeof(int32_t) * (size_t)g->nr;
    if (size < header) return 0;
    const int32_t *fast = (const int32_t *)panel + 4 * g->nr, *slow = fast + g->nr;
    list at = { g->share, (char *)(uintptr_t)(slow + g->nr) };
    size_t left = (size - header) / part_size(g->share);
    for (int j = 0; j < g->nr; j++) {
        const size_t each = g->order == OCT_SPARSE_S8_PAIRS ? 2 : 1;
        if (fast[j] < 0 || slow[j] < 0 || (g->order == OCT_SPARSE_S8_AS_IS && slow[j])) return 0;
        const size_t n = (size_t)fast[j] * each + (size_t)slow[j];
        if (j >= g->nr / g->share && n) return 0; /* there is no such list */
        if (n > left || !offsets_are_right(&at, (int32_t)n, most)) return 0;
        at.first = part_at(&at, (int)n);
        left -= n;
    }
    return 1;
}

oct_status oct_sparse_s8_check(const oct_sparse_s8 *g, int n, int32_t most, const void *packed,
                               size_t size)
{
    const uint32_t *begin = (const uint32_t *)packed + 1;
    size_t at = table_size(g, n);
    if (oct_sparse_s8_share(packed, size) != g->share)
        return oct_fail(OCT_ERR_FORMAT, "packed sparse weights: not %s blocks",
                        g->share > 1 ? "4x1" : "1x4");
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
