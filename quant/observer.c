#include "quant/observer.h"

#include <stdlib.h>
#include <string.h>

#include "tensor/f16.h"

enum {
    CHUNK = 512, BINS = OCT_OBSERVER_BINS,
    ZERO = 2 * BINS, TURNS = OCT_OBSERVER_ROOM,                         /* see add_chunk */
    INFINITE = 0x7f800000,
    BEYOND = OCT_OBSERVER_LEAST + (BINS << OCT_OBSERVER_SHIFT),         /* bits of 2^32 */
};

oct_observer *oct_observer_new(void)
{
    oct_observer *o = calloc(1, sizeof *o);
    if (o) o->least = INT32_MAX;
    return o;
}

double oct_observer_edge(int i)
{
    if (i <= 0) return 0;
    return (double)oct_f32_of_bits(OCT_OBSERVER_LEAST + ((uint32_t)i << OCT_OBSERVER_SHIFT));
}

/* 0..BINS-1 for the bits of a magnitude */
static int bin_of(int32_t bits)
{
    if (bits < OCT_OBSERVER_LEAST) return 0;
    return bits < BEYOND ? (bits - OCT_OBSERVER_LEAST) >> OCT_OBSERVER_SHIFT : BINS - 1;
}

static void raise_to(int32_t *most, int32_t v) { if (*most < v) *most = v; }
static void lower_to(int64_t *least, int64_t v) { if (*least > v) *least = v; }

/* The bins that may not be empty, [*first, *end) of one sign. */
static void occupied(const oct_observer *o, int sign, int *first, int *end)
{
    *first = *end = 0;
    if (!o->most[sign]) return;
    *first = bin_of((int32_t)(o->least + 1));
    *end = bin_of(o->most[sign]) + 1;
}

void oct_observer_clear(oct_observer *o)
{
    for (int sign = 0; sign < 2; sign++) {
        int first, end;
        occupied(o, sign, &first, &end);
        memset(o->count + sign * BINS + first, 0, (size_t)(end - first) * sizeof *o->count);
    }
    o->most[0] = o->most[1] = 0;
    o->least = INT32_MAX;
    o->total = o->zeros = o->nans = o->infinities = 0;
}

void oct_observer_merge(oct_observer *into, const oct_observer *from)
{
    for (int sign = 0; sign < 2; sign++) {
        int first, end;
        occupied(from, sign, &first, &end);
        for (int i = sign * BINS + first; i < sign * BINS + end; i++)
            into->count[i] += from->count[i];
        raise_to(&into->most[sign], from->most[sign]);
    }
    lower_to(&into->least, from->least);
    into->total += from->total;
    into->zeros += from->zeros;
    into->nans += from->nans;
    into->infinities += from->infinities;
}

/* Where NaN, infinities or values from 2^32 are about: one by one. */
static void add_slowly(oct_observer *o, const float *x)
{
    for (int i = 0; i < CHUNK; i++) {
        const uint32_t u = oct_bits_of_f32(x[i]);
        const int32_t bits = (int32_t)(u & 0x7fffffff);
        const int sign = (int)(u >> 31);
        if (bits > INFINITE) o->nans++;
        else if (bits == INFINITE) o->infinities++;
        else o->total++;
        if (bits >= INFINITE) continue;
        if (!bits) {
            o->zeros++;
            continue;
        }
        o->count[sign * BINS + bin_of(bits)]++;
        raise_to(&o->most[sign], bits);
        lower_to(&o->least, bits - 1);
    }
}

/* CHUNK values in two loops: the first one finds bins and extremes and becomes vector code.  Zeros,
 * half of what a ReLU writes, take turns among TURNS counters: adding to one of them again and
 * again would wait for the last sum each time. */
static void add_chunk(oct_observer *o, const float *x)
{
    int32_t most0 = 0, most1 = 0, least = INT32_MAX, bin[CHUNK];
    for (int i = 0; i < CHUNK; i++) {
        const uint32_t u = oct_bits_of_f32(x[i]);
        const int32_t bits = (int32_t)(u & 0x7fffffff), less = (int32_t)((u - 1) & 0x7fffffff);
        const int32_t p = (int32_t)u, n = (int32_t)(u ^ 0x80000000u); /* < 0 of the other sign */
        most0 = most0 > p ? most0 : p;
        most1 = most1 > n ? most1 : n;
        least = least < less ? least : less;                          /* zero: INT32_MAX */
        int32_t b = bits > OCT_OBSERVER_LEAST ? bits : OCT_OBSERVER_LEAST;
        b = ((b - OCT_OBSERVER_LEAST) >> OCT_OBSERVER_SHIFT) | (int32_t)(u >> 31) * BINS;
        bin[i] = bits == 0 ? ZERO + i % TURNS : b;
    }
    if (most0 >= BEYOND || most1 >= BEYOND) {
        add_slowly(o, x);
        return;
    }
    raise_to(&o->most[0], most0);
    raise_to(&o->most[1], most1);
    lower_to(&o->least, least);

    for (int i = 0; i < CHUNK; i++) o->count[bin[i]]++;
    for (int i = ZERO; i < ZERO + TURNS; i++) {
        o->zeros += o->count[i];
        o->count[i] = 0;
    }
    o->total += CHUNK;
}

void oct_observer_add(oct_observer *o, const float *x, size_t n)
{
    for (; n >= CHUNK; n -= CHUNK, x += CHUNK) add_chunk(o, x);
    if (!n) return;
    float rest[CHUNK] = { 0 }; /* zeros, taken back below */
    memcpy(rest, x, n * sizeof *x);
    add_chunk(o, rest);
    o->total -= CHUNK - n;
    o->zeros -= CHUNK - n;
}

oct_range oct_observer_minmax(const oct_observer *o)
{
    return (oct_range){ .lo = o->most[1] ? -oct_f32_of_bits((uint32_t)o->most[1]) : 0,
                        .hi = oct_f32_of_bits((uint32_t)o->most[0]) };
}

static uint64_t beyond(const oct_observer *o, int sign, float end)
{
    const int32_t bits = (int32_t)(oct_bits_of_f32(end) & 0x7fffffff);
    if (bits >= o->most[sign]) return 0;
    /* a bin that ends where the range does is inside; one that begins there is not */
    const int edge = (bits & ((1 << OCT_OBSERVER_SHIFT) - 1)) == 0 && bits >= OCT_OBSERVER_LEAST;
    uint64_t sum = 0;
    for (int i = bin_of(bits) + !edge; i < BINS; i++) sum += o->count[sign * BINS + i];
    return sum;
}

uint64_t oct_observer_outside(const oct_observer *o, oct_range range)
{
    return beyond(o, 0, range.hi > 0 ? range.hi : 0) + beyond(o, 1, range.lo < 0 ? range.lo : 0);
}

/* The least edge with at most `tail` values of this sign beyond it. */
static float cut(const oct_observer *o, int sign, uint64_t tail)
{
    const float most = oct_f32_of_bits((uint32_t)o->most[sign]);
    uint64_t sum = 0;
    for (int i = BINS - 1; i >= 0; i--) {
        sum += o->count[sign * BINS + i];
        if (sum <= tail) continue;
        const float edge = (float)oct_observer_edge(i + 1);
        return edge < most && i < BINS - 1 ? edge : most;
    }
    return 0;
}

/* percentile: at most total * (1 - ppm / 10^6) values, rounded down, lie outside: all of them at
 * the top of a tensor that is never negative, else half at each end (as ONNX Runtime's
 * PercentileCalibrater).  The count is exact, the cut is the upper edge of the bin that holds the
 * percentile, so at most 1/512 farther out than the sample itself. */
oct_range oct_observer_percentile(const oct_observer *o, int ppm)
{
    const uint64_t out = (uint64_t)(1000000 - (ppm ? ppm : OCT_PERCENTILE_DEFAULT));
    uint64_t tail = o->total / 1000000 * out + o->total % 1000000 * out / 1000000;
    if (o->most[0] && o->most[1]) tail /= 2;
    return (oct_range){ .lo = o->most[1] ? -cut(o, 1, tail) : 0, .hi = cut(o, 0, tail) };
}

static const char *const names[OCT_METHOD_COUNT] = { "minmax", "percentile", "kl", "mse" };

const char *oct_method_name(oct_method method) { return names[method]; }

oct_status oct_method_find(const char *name, oct_method *out)
{
    for (int i = 0; i < OCT_METHOD_COUNT; i++)
        if (strcmp(names[i], name) == 0) {
            *out = (oct_method)i;
            return OCT_OK;
        }
    return oct_fail(OCT_ERR_UNSUPPORTED,
                    "method '%.80s' is none of minmax, percentile, kl, mse", name);
}

oct_status oct_observer_range(const oct_observer *o, oct_method method,
                              const oct_method_options *options, oct_range *out)
{
    switch (method) {
    case OCT_METHOD_PERCENTILE:
        *out = oct_observer_percentile(o, options->ppm);
        return OCT_OK;
    case OCT_METHOD_KL:  return oct_observer_kl(o, options->qmax, out);
    case OCT_METHOD_MSE: return oct_observer_mse(o, options->qmax, out);
    default:
        *out = oct_observer_minmax(o);
        return OCT_OK;
    }
}
