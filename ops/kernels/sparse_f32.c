#include "config.h"
#include "ops/kernels/sparse_f32.h"

#include <string.h>

const oct_sparse_f32 *const oct_sparse_f32_all[] = {
#if HAVE_AVX512
    &oct_sparse_f32_avx512,
#endif
#if HAVE_AVX2
    &oct_sparse_f32_avx2,
#endif
#if HAVE_NEON
    &oct_sparse_f32_neon,
#endif
    &oct_sparse_f32_ref,
    NULL,
};

const oct_sparse_f32 *oct_sparse_f32_pick(unsigned cpu_flags)
{
    const oct_sparse_f32 *const *g = oct_sparse_f32_all;
    while (((*g)->needs & cpu_flags) != (*g)->needs) g++; /* ref needs nothing */
    return *g;
}

enum { NR = OCT_SPARSE_F32_NR, GROUPS = NR / 4, LINE = 64, QUAD = 5, SINGLE = 2 }; /* words */

static size_t round_up(size_t size) { return (size + LINE - 1) / LINE * LINE; }
static int panels(int n) { return (n + NR - 1) / NR; }
static size_t table_size(int n) { return round_up(((size_t)panels(n) + 2) * sizeof(uint32_t)); }
static size_t header_words(size_t chunks) { return NR + chunks * (GROUPS + NR); }

/* ---- the weights of a panel ---- */

/* Rows of panel p, in order of k; what is past the last one is zeros. */
static void read_rows(const oct_sparse_f32_weights *w, int p)
{
    const size_t k = (size_t)w->k;
    float *row = w->rows + NR * k;
    for (size_t j = 0; j < NR; j++) {
        const size_t n = (size_t)p * NR + j;
        float *to = w->rows + j * k;
        memset(to, 0, k * sizeof *to);
        if (n >= (size_t)w->n) continue;
        oct_tensor_read_f32(w->w, n * k, k, row);
        for (size_t i = 0; i < k; i++) to[i] = row[w->perm ? w->perm[i] : (int32_t)i];
    }
}

/* Of columns 4 group .. + 3, k in from .. until. */
typedef struct group_count {
    int quads, singles[4];     /* one or the other */
} group_count;

/* A quad takes as long as 3 singles: 4 products, but one x. */
static group_count count_group(const oct_sparse_f32_weights *w, int group, int from, int until)
{
    const float *row = w->rows + (size_t)group * 4 * (size_t)w->k;
    group_count c = { 0, { 0 } };
    int all = 0;
    for (int i = from; i < until; i++) {
        int here = 0;
        for (int l = 0; l < 4; l++) {
            const int is = row[(size_t)l * (size_t)w->k + (size_t)i] != 0;
            c.singles[l] += is;
            here += is;
        }
        c.quads += here > 0;
        all += here;
    }
    if (3 * c.quads < all) memset(c.singles, 0, sizeof c.singles);
    else c.quads = 0;
    return c;
}

static int chunk_from(const oct_sparse_f32_weights *w, int chunk, int chunks)
{
    return (int)((long long)w->k * chunk / chunks);
}

oct_sparse_f32_count oct_sparse_f32_count_of(const oct_sparse_f32_weights *w)
{
    oct_sparse_f32_count sum = { 0, 0 };
    for (int p = 0; p < panels(w->n); p++) {
        read_rows(w, p);
        for (int g = 0; g < GROUPS; g++) {
            const group_count c = count_group(w, g, 0, w->k);
            sum.quads += c.quads;
            for (int l = 0; l < 4; l++) sum.singles += c.singles[l];
        }
    }
    return sum;
}

int oct_sparse_f32_chunks_for(const oct_sparse_f32_weights *w, size_t pixels)
{
    enum { L1 = 32 << 10, FEW = 5 };
    const oct_sparse_f32_count n = oct_sparse_f32_count_of(w);
    const size_t read = 4 * pixels * (size_t)w->k;
    const double most = (n.singles + 4 * n.quads) / w->n / FEW;
    const double want = (double)((read + L1 - 1) / L1), chunks = want < most ? want : most;
    return chunks < 1 ? 1 : chunks > OCT_SPARSE_F32_MAX_CHUNKS ? OCT_SPARSE_F32_MAX_CHUNKS
                                                               : (int)chunks;
}

/* ---- packing ---- */

size_t oct_sparse_f32_size(const oct_sparse_f32_weights *w, int chunks)
{
    size_t size = table_size(w->n);
    for (int p = 0; p < panels(w->n); p++) {
        size_t words = header_words((size_t)chunks);
        read_rows(w, p);
        for (int c = 0; c < chunks; c++)
            for (int g = 0; g < GROUPS; g++) {
                const group_count n = count_group(w, g, chunk_from(w, c, chunks),
                                                  chunk_from(w, c + 1, chunks));
                words += QUAD * (size_t)n.quads;
                for (int l = 0; l < 4; l++) words += SINGLE * (size_t)n.singles[l];
            }
        size += round_up(words * sizeof(int32_t));
    }
    return size;
}

/* The records of 4 columns in one chunk; returns what is behind them. */
static int32_t *pack_group(const oct_sparse_f32_weights *w, int group, const group_count *n,
                           int from, int until, int32_t *to)
{
    const size_t k = (size_t)w->k;
    const float *row = w->rows + (size_t)group * 4 * k;
    for (int i = from; i < until && n->quads; i++) {
        float four[4];
        for (size_t l = 0; l < 4; l++) four[l] = row[l * k + (size_t)i];
        if (four[0] == 0 && four[1] == 0 && four[2] == 0 && four[3] == 0) continue;
        *to++ = w->offset[i];
        memcpy(to, four, sizeof four);
        to += 4;
    }
    for (size_t l = 0; l < 4; l++)
        for (int i = from; i < until && n->singles[l]; i++) {
            if (row[l * k + (size_t)i] == 0) continue;
            *to++ = w->offset[i];
            memcpy(to++, &row[l * k + (size_t)i], sizeof *to);
        }
    return to;
}

/* Returns the panel's size. */
static size_t pack_panel(const oct_sparse_f32_weights *w, int p, int chunks, void *panel)
{
    float *bias = panel;
    int32_t *quads = (int32_t *)panel + NR, *singles = quads + chunks * GROUPS;
    int32_t *to = singles + chunks * NR;
    read_rows(w, p);
    for (int j = 0; j < NR; j++) /* + 0: -0 becomes +0 */
        bias[j] = w->bias && p * NR + j < w->n ? w->bias[p * NR + j] + 0.f : 0;
    for (int c = 0; c < chunks; c++)
        for (int g = 0; g < GROUPS; g++) {
            const int from = chunk_from(w, c, chunks), until = chunk_from(w, c + 1, chunks);
            const group_count n = count_group(w, g, from, until);
            *quads++ = n.quads;
            memcpy(singles, n.singles, sizeof n.singles);
            singles += 4;
            to = pack_group(w, g, &n, from, until, to);
        }
    const size_t size = (size_t)((char *)to - (char *)panel);
    memset(to, 0, round_up(size) - size);
    return round_up(size);
}

void oct_sparse_f32_pack(const oct_sparse_f32_weights *w, int chunks, void *packed)
{
    uint32_t *begin = (uint32_t *)packed + 1;
    size_t at = table_size(w->n);
    memset(packed, 0, at);
    begin[-1] = (uint32_t)chunks;
    for (int p = 0; p < panels(w->n); p++) {
        begin[p] = (uint32_t)at;
        at += pack_panel(w, p, chunks, (char *)packed + at);
    }
    begin[panels(w->n)] = (uint32_t)at;
}

/* ---- from a file ---- */

size_t oct_sparse_f32_given(int n, const void *packed, size_t size)
{
    return size < table_size(n) ? 0 : ((const uint32_t *)packed)[1 + panels(n)];
}

/* n records of `words` words each at *at, of which *left are there. */
static int records_are_right(const int32_t **at, size_t *left, int32_t n, size_t words,
                             int32_t most)
{
    if (n < 0 || (size_t)n > *left / words) return 0;
    for (int32_t i = 0; i < n; i++, *at += words)
        if (**at < 0 || **at > most || **at % 4) return 0;
    *left -= (size_t)n * words;
    return 1;
}

static int panel_is_right(int32_t most, size_t chunks, const int32_t *panel, size_t size)
{
    size_t left = size / sizeof *panel;
    if (left < header_words(chunks)) return 0;
    const int32_t *quads = panel + NR, *singles = quads + chunks * GROUPS;
    const int32_t *at = panel + header_words(chunks);
    left -= header_words(chunks);
    for (size_t c = 0; c < chunks; c++)
        for (int g = 0; g < GROUPS; g++) {
            if (!records_are_right(&at, &left, *quads++, QUAD, most)) return 0;
            for (int l = 0; l < 4; l++)
                if (!records_are_right(&at, &left, *singles++, SINGLE, most)) return 0;
        }
    return 1;
}

oct_status oct_sparse_f32_check(int n, int32_t most, const void *packed, size_t size)
{
    const uint32_t *begin = (const uint32_t *)packed + 1;
    const size_t chunks = begin[-1];
    size_t at = table_size(n);
    if (chunks < 1 || chunks > OCT_SPARSE_F32_MAX_CHUNKS)
        return oct_fail(OCT_ERR_FORMAT, "packed sparse weights: %zu chunks", chunks);
    for (int p = 0; p < panels(n); p++) {
        const size_t end = begin[p + 1];
        if (begin[p] != at || end < at || end > size || end % LINE ||
            !panel_is_right(most, chunks, (const void *)((const char *)packed + at), end - at))
            return oct_fail(OCT_ERR_FORMAT, "packed sparse weights, panel %d: its records are not "
                            "of this layer", p);
        at = end;
    }
    return OCT_OK;
}

oct_sparse_f32_count oct_sparse_f32_count_packed(int n, const void *packed)
{
    const int chunks = oct_sparse_f32_chunks(packed);
    oct_sparse_f32_count sum = { 0, 0 };
    for (int p = 0; p < panels(n); p++) {
        const int32_t *quads = (const int32_t *)oct_sparse_f32_panel(packed, p) + NR;
        const int32_t *singles = quads + chunks * GROUPS;
        for (int i = 0; i < chunks * GROUPS; i++) sum.quads += quads[i];
        for (int i = 0; i < chunks * NR; i++) sum.singles += singles[i];
    }
    return sum;
}
