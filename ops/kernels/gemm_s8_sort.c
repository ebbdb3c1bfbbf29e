#include "ops/kernels/gemm_s8_sort.h"

#include <string.h>

enum { HEADER = 4, TRIES = 32 }; /* words of a column before the table; tries to pair a group */

static int groups_of(const oct_gemm_s8 *g, const oct_gemm_s8_seg *seg)
{
    return (seg->len + g->kr - 1) / g->kr;
}

/* Is segment s the first of its width? */
static int starts_part(const oct_gemm_s8_seg *seg, int s)
{
    for (int i = 0; i < s; i++)
        if (seg[i].width == seg[s].width) return 0;
    return 1;
}

size_t oct_gemm_s8_table_size(const oct_gemm_s8 *g, int n_segs, const oct_gemm_s8_seg *seg)
{
    size_t words = 2;
    for (int s = 0; s < n_segs; s++)
        words += (size_t)groups_of(g, &seg[s]) +
                 (starts_part(seg, s) ? OCT_GEMM_S8_PART : 0);
    return (words * sizeof(int32_t) + 63) / 64 * 64;
}

/* Do the sums of `lanes` pairs of weights of g, and of h if there is one, keep to `most`? */
static int fit(const int8_t *g, const int8_t *h, int lanes, int most)
{
    for (int l = 0; l < 2 * lanes; l += 2) {
        const int w[4] = { g[l], g[l + 1], h ? h[l] : 0, h ? h[l + 1] : 0 };
        int sum[2] = { 0, 0 };
        for (int i = 0; i < 4; i++) sum[w[i] < 0] += w[i] < 0 ? -w[i] : w[i];
        if (sum[0] > most || sum[1] > most) return 0;
    }
    return 1;
}

/* Groups being sorted into order[0 .. count): the fast from the start, the slow from the end. */
typedef struct part {
    int32_t *order;
    int fast, slow, count;     /* fast: pairs, or groups */
    const int8_t *b;
    int lanes;                 /* of a group */
} part;

static const int8_t *weights(const part *p, int group)
{
    return p->b + (size_t)group * (size_t)p->lanes * 2;
}

/* Pairs with the first that fits of those still alone, the oldest first. */
static void add_pair(part *p, int group)
{
    int32_t *slow = p->order + p->count - p->slow;
    for (int i = 0; i < p->slow && i < TRIES; i++) {
        const int at = p->slow - 1 - i, other = slow[at];
        if (!fit(weights(p, other), weights(p, group), p->lanes, OCT_GEMM_S8_PAIR_SUM)) continue;
        memmove(slow + 1, slow, (size_t)at * sizeof *slow);
        p->slow--;
        p->order[2 * p->fast] = other;
        p->order[2 * p->fast + 1] = group;
        p->fast++;
        return;
    }
    slow[-1] = group;
    p->slow++;
}

static void add_safe(part *p, int group)
{
    if (fit(weights(p, group), NULL, p->lanes, OCT_GEMM_S8_SAFE_SUM)) p->order[p->fast++] = group;
    else p->order[p->count - ++p->slow] = group;
}

/* Group i becomes group order[i], in place; order[i] is ~order[i] afterwards. */
static void permute(int8_t *b, size_t size, int32_t *order, int n)
{
    int8_t first[OCT_GEMM_S8_MAX_NR * 4];
    for (int start = 0; start < n; start++) {
        if (order[start] < 0) continue;
        memcpy(first, b + (size_t)start * size, size);
        for (int to = start;;) {
            const int from = order[to];
            order[to] = ~order[to];
            if (from == start) {
                memcpy(b + (size_t)to * size, first, size);
                break;
            }
            memcpy(b + (size_t)to * size, b + (size_t)from * size, size);
            to = from;
        }
    }
}

static int32_t offset_of(const oct_gemm_s8 *g, const oct_gemm_s8_seg *seg, int group)
{
    for (; group >= groups_of(g, seg); seg++) group -= groups_of(g, seg);
    return (int32_t)seg->offset + group * g->kr;
}

void oct_gemm_s8_sort(const oct_gemm_s8 *g, int n_segs, const oct_gemm_s8_seg *seg, void *panel)
{
    int32_t *table = (int32_t *)panel + HEADER * g->nr, *p = table + 2;
    const size_t start = HEADER * sizeof(int32_t) * (size_t)g->nr +
                         oct_gemm_s8_table_size(g, n_segs, seg);
    int8_t *b = (int8_t *)panel + start;
    int parts = 0, n = 0;
    for (int s = 0; s < n_segs; s++) parts += starts_part(seg, s);
    int32_t *order = p + OCT_GEMM_S8_PART * parts;
    table[0] = parts;
    table[1] = (int32_t)start;
    for (int s = 0; s < n_segs; s++) {
        if (!starts_part(seg, s)) continue;
        part sorted = { .order = order + n, .b = b, .lanes = g->nr * g->kr / 2 };
        for (int i = s; i < n_segs; i++)
            if (seg[i].width == seg[s].width) sorted.count += groups_of(g, &seg[i]);
        for (int i = 0, group = 0; i < n_segs; group += groups_of(g, &seg[i]), i++)
            for (int k = 0; k < groups_of(g, &seg[i]) && seg[i].width == seg[s].width; k++)
                (g->order == OCT_GEMM_S8_PAIRS ? add_pair : add_safe)(&sorted, group + k);
        *p++ = seg[s].width;
        *p++ = sorted.fast;
        *p++ = sorted.slow;
        n += sorted.count;
    }
    permute(b, (size_t)(g->nr * g->kr), order, n);
    for (int i = 0; i < n; i++) order[i] = offset_of(g, seg, ~order[i]);
}

/* Does a group of a segment as wide as seg[s] begin at this offset? */
static int begins_group(const oct_gemm_s8 *g, int n_segs, const oct_gemm_s8_seg *seg, int s,
                        int64_t offset)
{
    for (int i = 0; i < n_segs; i++) {
        const int64_t k = offset - seg[i].offset;
        if (seg[i].width == seg[s].width && k >= 0 && k % g->kr == 0 &&
            k / g->kr < groups_of(g, &seg[i]))
            return 1;
    }
    return 0;
}

int oct_gemm_s8_sorted(const oct_gemm_s8 *g, int n_segs, const oct_gemm_s8_seg *seg,
                       const void *panel)
{
    const int32_t *table = (const int32_t *)panel + HEADER * g->nr, *p = table + 2;
    const size_t start = HEADER * sizeof(int32_t) * (size_t)g->nr +
                         oct_gemm_s8_table_size(g, n_segs, seg);
    int parts = 0;
    for (int s = 0; s < n_segs; s++) parts += starts_part(seg, s);
    const int32_t *order = p + OCT_GEMM_S8_PART * parts;
    if (table[0] != parts || table[1] != (int32_t)start) return 0;
    for (int s = 0; s < n_segs; s++) {
        if (!starts_part(seg, s)) continue;
        int count = 0;
        for (int i = s; i < n_segs; i++)
            if (seg[i].width == seg[s].width) count += groups_of(g, &seg[i]);
        const int64_t fast = (int64_t)p[1] * (g->order == OCT_GEMM_S8_PAIRS ? 2 : 1);
        if (p[0] != seg[s].width || p[1] < 0 || p[2] < 0 || fast + p[2] != count) return 0;
        for (int i = 0; i < count; i++)
            if (!begins_group(g, n_segs, seg, s, *order++)) return 0;
        p += OCT_GEMM_S8_PART;
    }
    return 1;
}
