#include "ops/kernels/gemm_s8_pair.h"

#include <string.h>

enum { HEADER = 4, TRIES = 32 }; /* words of a column before the table; groups looked at for a pair */

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

size_t oct_gemm_s8_pair_table_size(const oct_gemm_s8 *g, int n_segs, const oct_gemm_s8_seg *seg)
{
    size_t words = 2;
    for (int s = 0; s < n_segs; s++)
        words += (size_t)groups_of(g, &seg[s]) +
                 (starts_part(seg, s) ? OCT_GEMM_S8_PAIR_PART : 0);
    return (words * sizeof(int32_t) + 63) / 64 * 64;
}

/* May two groups of `lanes` pairs of weights be added in int16? */
static int fit(const int8_t *g, const int8_t *h, int lanes)
{
    for (int l = 0; l < lanes; l++, g += 2, h += 2) {
        const int w[4] = { g[0], g[1], h[0], h[1] };
        int sum[2] = { 0, 0 };
        for (int i = 0; i < 4; i++) sum[w[i] < 0] += w[i] < 0 ? -w[i] : w[i];
        if (sum[0] > OCT_GEMM_S8_PAIR_SUM || sum[1] > OCT_GEMM_S8_PAIR_SUM) return 0;
    }
    return 1;
}

/* Groups being sorted into order[0 .. count): pairs from the start, groups still alone at the end. */
typedef struct part { int32_t *order; int pairs, alone, count; } part;

static void add(part *p, int group, const int8_t *b, int lanes)
{
    int32_t *alone = p->order + p->count - p->alone;
    const size_t size = (size_t)lanes * 2;
    for (int i = 0; i < p->alone && i < TRIES; i++) {
        const int other = alone[p->alone - 1 - i]; /* the oldest first */
        if (!fit(b + (size_t)other * size, b + (size_t)group * size, lanes)) continue;
        memmove(alone + 1, alone, (size_t)(p->alone - 1 - i) * sizeof *alone);
        p->alone--;
        p->order[2 * p->pairs] = other;
        p->order[2 * p->pairs + 1] = group;
        p->pairs++;
        return;
    }
    alone[-1] = group;
    p->alone++;
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

void oct_gemm_s8_pair(const oct_gemm_s8 *g, int n_segs, const oct_gemm_s8_seg *seg, void *panel)
{
    int32_t *table = (int32_t *)panel + HEADER * g->nr, *p = table + 2;
    const size_t start = HEADER * sizeof(int32_t) * (size_t)g->nr +
                         oct_gemm_s8_pair_table_size(g, n_segs, seg);
    int8_t *b = (int8_t *)panel + start;
    int parts = 0, n = 0;
    for (int s = 0; s < n_segs; s++) parts += starts_part(seg, s);
    int32_t *order = p + OCT_GEMM_S8_PAIR_PART * parts;
    table[0] = parts;
    table[1] = (int32_t)start;
    for (int s = 0; s < n_segs; s++) {
        if (!starts_part(seg, s)) continue;
        part sorted = { .order = order + n };
        for (int i = s; i < n_segs; i++)
            if (seg[i].width == seg[s].width) sorted.count += groups_of(g, &seg[i]);
        for (int i = 0, group = 0; i < n_segs; group += groups_of(g, &seg[i]), i++)
            for (int k = 0; k < groups_of(g, &seg[i]) && seg[i].width == seg[s].width; k++)
                add(&sorted, group + k, b, g->nr * g->kr / 2);
        *p++ = seg[s].width;
        *p++ = sorted.pairs;
        *p++ = sorted.alone;
        n += sorted.count;
    }
    permute(b, (size_t)(g->nr * g->kr), order, n);
    for (int i = 0; i < n; i++) order[i] = offset_of(g, seg, ~order[i]);
}
