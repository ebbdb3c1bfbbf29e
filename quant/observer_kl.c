/* kl: the clip that loses the least information, as TensorRT finds it.
 *
 *   S. Migacz, "8-bit Inference with TensorRT", GTC 2017, slides 38-39; ONNX Runtime's
 *   calibrate.py, get_entropy_threshold, is the same with other counts of bins.
 *
 *   h[0..2048)     histogram of |x| over [0, max|x|], x != 0
 *   for i = levels .. 2048:
 *       P = h[0..i);  P[i-1] += everything beyond        what clipping at edge i makes of the data
 *       Q = h[0..i) in `levels` groups, each spread evenly over those of its bins where P > 0
 *       D[i] = KL(P / sum P || Q / sum Q)                what the grid makes of it
 *   clip at edge i of the least D of those with at most 2 % of all values beyond; of equal ones
 *   the farthest
 *
 * Here levels is what the grid has on one side of zero: qmax + 1 for a tensor that is never
 * negative, half of that else.  Group l is h[l i / levels .. (l + 1) i / levels), so that all
 * groups are as wide as bins allow; TensorRT's slides say nothing where i is no multiple, ONNX
 * Runtime gives the rest to the last group.  Zeros are left out: every grid has an exact zero, and
 * half of a ReLU's output would decide alone (TensorRT's own tools overwrite h[0] for that reason).
 * Where P[i-1] holds only outliers and Q nothing, D is infinite, such an i is passed over; ONNX
 * Runtime gives Q a small probability there.
 *
 * Theirs have no bound of 2 %.  Where one value repeats (the background of a digit is 4 of 5
 * pixels) what lies beyond it no longer counts, and D would clip a fifth of the values; in tails that gain
 * from clipping it clips 1 % at most (docs/quantization.md).
 *
 * h is made of the observer's bins, each spread evenly over the bins of h that it covers: the
 * widest, at the top, covers two to four.
 *
 * With sums over h at hand D[i] takes one step a group:
 *     D = sum p ln p - sum p ln q,   q the same for all bins of a group */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "quant/ln.h"
#include "quant/observer.h"
#include "tensor/f16.h"

enum { N = 2048, MOST_OUTSIDE = 50 /* a 50th of all values */ };

typedef struct work {
    double h[N];
    double sum[N + 1];        /* of h[0..i) */
    double entropy[N + 1];    /* sum of h ln h */
    int used[N + 1];          /* bins with h > 0 */
} work;

/* c values, spread evenly over [a, b), in bins of a width */
static void spread(double *h, double a, double b, double width, double c)
{
    int i = (int)(a / width), last = (int)(b / width);
    if (last > N - 1) last = N - 1;
    if (i >= last) {
        h[last] += c;
        return;
    }
    double from = a;
    for (; i < last; i++) {
        const double to = (i + 1) * width;
        h[i] += c * ((to - from) / (b - a));
        from = to;
    }
    if (b > from) h[last] += c * ((b - from) / (b - a));
}

static void fill(const oct_observer *o, double largest, work *w)
{
    for (int sign = 0; sign < 2; sign++) {
        const double most = (double)oct_f32_of_bits((uint32_t)o->most[sign]);
        for (int i = 0; i < OCT_OBSERVER_BINS; i++) {
            const uint64_t c = o->count[sign * OCT_OBSERVER_BINS + i];
            if (!c) continue;
            double b = oct_observer_edge(i + 1);
            if (b > most || i == OCT_OBSERVER_BINS - 1) b = most;
            spread(w->h, oct_observer_edge(i), b, largest / N, (double)c);
        }
    }
    for (int i = 0; i < N; i++) {
        const double h = w->h[i];
        w->sum[i + 1] = w->sum[i] + h;
        w->entropy[i + 1] = w->entropy[i] + (h > 0 ? h * oct_ln(h) : 0);
        w->used[i + 1] = w->used[i] + (h > 0);
    }
}

/* D[i], see above */
static double divergence(const work *w, int i, int levels)
{
    const double all = w->sum[N], kept = w->sum[i], out = all - kept;
    const int empty_end = w->used[N] > w->used[i] && w->h[i - 1] <= 0;
    const double last = w->used[N] > w->used[i] ? w->h[i - 1] + out : w->h[i - 1];
    double plnp = w->entropy[i - 1] + (last > 0 ? last * oct_ln(last) : 0), plnq = 0;
    for (int l = 0; l < levels; l++) {
        const int begin = l * i / levels, end = (l + 1) * i / levels;
        int used = w->used[end] - w->used[begin];
        const double own = w->sum[end] - w->sum[begin];
        if (l == levels - 1) {
            if (!used) return last > 0 ? INFINITY : (plnp - plnq) / all - oct_ln(all);
            plnq += (w->sum[i - 1] - w->sum[begin] + last) *
                    oct_ln(own / (used + empty_end) / kept);
        } else if (used) {
            plnq += own * oct_ln(own / used / kept);
        }
    }
    return (plnp - plnq) / all - oct_ln(all);
}

oct_status oct_observer_kl(const oct_observer *o, int qmax, oct_range *out)
{
    *out = oct_observer_minmax(o);
    const double largest = -(double)out->lo > (double)out->hi ? -(double)out->lo : (double)out->hi;
    if (o->total == o->zeros || largest < 0x1p-100) return OCT_OK;
    const int levels = out->lo < 0 && out->hi > 0 ? (qmax + 1) / 2 : qmax + 1;
    work *w = calloc(1, sizeof *w);
    if (!w) return oct_fail(OCT_ERR_MEMORY, "kl: out of memory");
    fill(o, largest, w);

    const double most_outside = (double)(o->total / MOST_OUTSIDE);
    double least = INFINITY;
    int best = N;
    for (int i = levels; i <= N; i++) {
        if (w->sum[N] - w->sum[i] > most_outside) continue;
        const double d = divergence(w, i, levels);
        if (d <= least) {
            least = d;
            best = i;
        }
    }
    free(w);
    const float clip = (float)(largest * best / N);
    if (out->hi > clip) out->hi = clip;
    if (out->lo < -clip) out->lo = -clip;
    return OCT_OK;
}
