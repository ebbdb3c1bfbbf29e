#include "quant/smooth.h"

#include <math.h>
#include <stdlib.h>

#include "quant/ln.h"

static float larger(float a, float b) { return a > b ? a : b; }

/* log2(s), to the nearest integer. */
static int exponent(float x, float w, double strength)
{
    if (!(x > 0 && x < INFINITY && w > 0 && w < INFINITY)) return 0;
    const double ln2 = 0x1.62e42fefa39efp-1;
    const double e = (strength * oct_ln((double)x) - (1 - strength) * oct_ln((double)w)) / ln2;
    if (e <= -OCT_SMOOTH_MOST) return -OCT_SMOOTH_MOST;
    if (e >= OCT_SMOOTH_MOST) return OCT_SMOOTH_MOST;
    return (int)lrint(e);
}

/* most[c]: the largest |w[o, c]|; row is room for one. */
static void find_most(const oct_tensor *w, float *row, float *most)
{
    const size_t in = (size_t)w->dim[1];
    for (size_t c = 0; c < in; c++) most[c] = 0;
    for (size_t o = 0; o < (size_t)w->dim[0]; o++) {
        oct_tensor_read_f32(w, o * in, in, row);
        for (size_t c = 0; c < in; c++) most[c] = larger(most[c], fabsf(row[c]));
    }
}

oct_status oct_smooth_factors(const oct_extremes *x, const oct_tensor *w, double strength,
                              oct_arena *arena, oct_tensor **by)
{
    const size_t in = (size_t)w->dim[1];
    float *most = malloc(2 * in * sizeof *most);
    oct_tensor *t = oct_arena_alloc(arena, sizeof *t);
    float *factor = oct_arena_alloc(arena, in * sizeof *factor);
    if (!most || !t || !factor) {
        free(most);
        return oct_fail(OCT_ERR_MEMORY, "smooth: out of memory");
    }
    find_most(w, most + in, most);
    for (size_t c = 0; c < in; c++)
        factor[c] = ldexpf(1, -exponent(larger(x->hi[c], -x->lo[c]), most[c], strength));
    free(most);
    *t = (oct_tensor){ .dtype = OCT_F32, .rank = 1, .dim = { w->dim[1] }, .data = factor };
    *by = t;
    return OCT_OK;
}

oct_range oct_smooth_range(const oct_extremes *x, const float *by)
{
    oct_range r = { 0, 0 };
    for (int c = 0; c < x->channels; c++) {
        const float lo = x->lo[c] * by[c], hi = x->hi[c] * by[c];
        if (lo < r.lo) r.lo = lo;
        if (hi > r.hi) r.hi = hi;
    }
    return r;
}
