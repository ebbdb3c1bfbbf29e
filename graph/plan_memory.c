/* Lifetimes to offsets: the largest value first, each at the lowest place where it meets no value
 * that lives at the same time (first fit).  Optimal placement is NP-hard; where values shrink along
 * a chain, as in most networks, this is optimal.
 * Source: Pisarchyk and Lee, Efficient Memory Management for Deep Neural Net Inference, 2020. */
#include <stdint.h>

#include "graph/plan.h"

static const size_t unplaced = SIZE_MAX;

/* What a value takes: whole lines, and a tail that kernels may read. */
static size_t footprint(const oct_lifetime *v)
{
    return (v->size + OCT_ALIGN - 1) / OCT_ALIGN * OCT_ALIGN + OCT_TAIL;
}

static int meets(const oct_lifetime *a, const oct_lifetime *b)
{
    return a->first <= b->last && b->first <= a->last;
}

/* The largest value without a place; of equal ones the first, so that plans repeat. */
static int largest(const oct_lifetime *value, int n)
{
    int best = -1;
    for (int i = 0; i < n; i++)
        if (value[i].offset == unplaced && (best < 0 || value[i].size > value[best].size)) best = i;
    return best;
}

/* Every place below the end of a value that is in the way is in its way too: move past it. */
static size_t lowest(const oct_lifetime *value, int n, const oct_lifetime *v)
{
    size_t offset = 0;
    for (int i = 0; i < n; i++) {
        const oct_lifetime *other = &value[i];
        if (other->offset == unplaced || !meets(v, other)) continue;
        if (offset < other->offset + footprint(other) && other->offset < offset + footprint(v)) {
            offset = other->offset + footprint(other);
            i = -1; /* what was passed may be in the way now */
        }
    }
    return offset;
}

size_t oct_plan_offsets(oct_lifetime *value, int n)
{
    size_t size = 0;
    for (int i = 0; i < n; i++) value[i].offset = unplaced;
    for (int i = largest(value, n); i >= 0; i = largest(value, n)) {
        value[i].offset = lowest(value, n, &value[i]);
        const size_t end = value[i].offset + footprint(&value[i]);
        if (size < end) size = end;
    }
    return size;
}
