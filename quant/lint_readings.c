/* lint: other ways to read the samples.
 *
 * What people feed is one of a few encodings of a pixel p in 0..1, what networks expect another:
 *
 *     p   255 p   p / 255   (p - m) / s   (255 p - m) / s   (p / 255 - m) / s   255 (p - m)
 *
 * with mean m and deviation s from a short list of what everybody uses.  Every pair (encoding of
 * the data, encoding expected) is one affine map.  The range of the data leaves a few encodings,
 * the network's statistics choose the expected one, and the pair names the cause. */
#include <math.h>

#include "quant/lint_private.h"

typedef struct norm {
    int channels;              /* 0: any */
    double mean[OCT_LINT_MAX_CHANNELS], std[OCT_LINT_MAX_CHANNELS];
} norm;

static const norm norms[] = {
    { 3, { 0.485, 0.456, 0.406 }, { 0.229, 0.224, 0.225 } },      /* ImageNet */
    { 3, { 0.4914, 0.4822, 0.4465 }, { 0.2470, 0.2435, 0.2616 } }, /* CIFAR-10 */
    { 1, { 0.1307 }, { 0.3081 } },                                 /* MNIST */
    { 1, { 0.449 }, { 0.226 } },                                   /* ImageNet, gray */
    { 0, { 0.5, 0.5, 0.5, 0.5 }, { 0.5, 0.5, 0.5, 0.5 } },         /* -1 .. 1 */
};
enum { N_NORMS = sizeof norms / sizeof *norms };

/* x = scale p / s - offset m / s:  p = (s x + offset m) / scale.  DEEP is 255 times the range that
 * the network's 0..1 would have, TINY a 255th. */
typedef enum size_kind { TINY, SMALL, LARGE } size_kind;
typedef struct encoding {
    size_kind size;
    int normed;                /* mean taken off, s divided by where divided is set */
    double scale, offset;
    int divided;
    int can_expect;            /* a network may have been trained on it */
} encoding;

static const encoding encodings[] = {
    { SMALL, 0, 1, 0, 0, 1 },            /* p */
    { LARGE, 0, 255, 0, 0, 1 },          /* 255 p */
    { TINY, 0, 1.0 / 255, 0, 0, 0 },     /* p / 255 */
    { SMALL, 1, 1, 1, 1, 1 },            /* (p - m) / s */
    { LARGE, 1, 255, 1, 1, 0 },          /* (255 p - m) / s */
    { TINY, 1, 1.0 / 255, 1, 1, 0 },     /* (p / 255 - m) / s */
    { LARGE, 1, 255, 255, 0, 1 },        /* 255 (p - m) */
};
enum { N_ENCODINGS = sizeof encodings / sizeof *encodings };

/* x = a p + b of channel c */
static void coefficients(const encoding *e, const norm *n, int c, double *a, double *b)
{
    const double mean = e->normed ? n->mean[c] : 0, std = e->divided ? n->std[c] : 1;
    *a = e->scale / std;
    *b = -e->offset * mean / std;
}

static int at_most(int a, int b) { return a < b ? a : b; }

/* Could the data be in this encoding?  Its p must lie in 0..1, and not in a corner of it: of
 * bytes that were divided twice all are below 1/255, which as plain p would be a black night.  A
 * 50th of the range is left on either side for resizing and rounding. */
static int possible(const oct_lint *l, const encoding *e, const norm *n)
{
    double low = 1, high = 0;
    for (int c = 0; c < at_most(l->c, OCT_LINT_MAX_CHANNELS); c++) {
        double a, b;
        coefficients(e, n, c, &a, &b);
        low = fmin(low, (l->input.low[c] - b) / a);
        high = fmax(high, (l->input.high[c] - b) / a);
    }
    return low > -0.02 - (e->normed ? 0.3 : 0) && high < 1.02 + (e->normed ? 0.3 : 0)
           && high - low > 0.25;
}

static oct_lint_cause cause_of(const encoding *is, const encoding *expected)
{
    if (is->size > expected->size) return OCT_LINT_SCALE_255;
    if (is->size < expected->size) return OCT_LINT_SCALE_1;
    return is->normed ? OCT_LINT_MEAN_STD : OCT_LINT_NO_MEAN_STD;
}

static int fits(const norm *n, int channels) { return !n->channels || n->channels == channels; }

/* x -> p -> what the network expects */
static lint_reading affine(const encoding *is, const norm *n, const encoding *to, const norm *m)
{
    lint_reading r = { .kind = LINT_AFFINE, .cause = cause_of(is, to) };
    for (int c = 0; c < OCT_LINT_MAX_CHANNELS; c++) {
        double a, b, a2, b2;
        coefficients(is, n, c, &a, &b);
        coefficients(to, m, c, &a2, &b2);
        r.a[c] = (float)(a2 / a);
        r.b[c] = (float)(b2 - a2 * b / a);
    }
    return r;
}

/* All that the network may expect, of data in encoding `is`; n: readings so far. */
static int add_expected(const oct_lint *l, const encoding *is, const norm *with, int n,
                        lint_reading *out)
{
    for (int e = 0; e < N_ENCODINGS; e++) {
        const encoding *to = &encodings[e];
        for (int k = 0; k < (to->normed ? N_NORMS : 1); k++) {
            const int same = to == is && (!is->normed || &norms[k] == with);
            if (!to->can_expect || same || (to->normed && !fits(&norms[k], l->c))) continue;
            if (n < LINT_MAX_READINGS) out[n++] = affine(is, with, to, &norms[k]);
        }
    }
    return n;
}

int oct_lint_readings(const oct_lint *l, lint_reading out[LINT_MAX_READINGS])
{
    int n = 0;
    if (l->c > 1) out[n++] = (lint_reading){ .kind = LINT_HWC, .cause = OCT_LINT_NHWC };
    for (int f = 2; f <= 4; f *= 2) {
        if (l->h < 4 * f || l->w < 4 * f) continue;
        out[n++] = (lint_reading){ .kind = LINT_SHRINK, .cause = OCT_LINT_WRONG_SIZE, .factor = f };
        out[n++] = (lint_reading){ .kind = LINT_ENLARGE, .cause = OCT_LINT_WRONG_SIZE,
                                   .factor = f };
    }
    for (int e = 0; e < N_ENCODINGS; e++)
        for (int k = 0; k < (encodings[e].normed ? N_NORMS : 1); k++)
            if (!(encodings[e].normed && !fits(&norms[k], l->c))
                && possible(l, &encodings[e], &norms[k]))
                n = add_expected(l, &encodings[e], &norms[k], n, out);
    return n;
}

int oct_lint_swaps(const oct_lint *l, lint_reading out[LINT_MAX_READINGS])
{
    int n = 0;
    if (l->c != 3) return 0;
    out[n++] = (lint_reading){ .kind = LINT_SWAP, .cause = OCT_LINT_BGR, .a = { 1, 1, 1 } };
    for (int k = 0; k < N_NORMS; k++) {
        if (norms[k].channels != 3) continue;
        lint_reading *r = &out[n++];
        *r = out[0];
        for (int c = 0; c < 3; c++) { /* (p' - m) / s of the pixel p' = s' x' + m' */
            const double s = norms[k].std[c], other = norms[k].std[2 - c];
            r->a[c] = (float)(other / s);
            r->b[c] = (float)((norms[k].mean[2 - c] - norms[k].mean[c]) / s);
        }
    }
    return n;
}

lint_reading oct_lint_inverted(const oct_lint *l)
{
    lint_reading r = { .kind = LINT_AFFINE, .cause = OCT_LINT_INVERTED };
    for (int c = 0; c < OCT_LINT_MAX_CHANNELS; c++) {
        r.a[c] = -1;
        if (c < l->c) r.b[c] = (float)(l->input.low[c] + l->input.high[c]);
    }
    return r;
}

/* ---- applying one ---- */

/* out[c][y][x] = in[y][x][c] */
static void planes(const oct_lint *l, const float *in, float *out)
{
    const size_t map = (size_t)l->h * (size_t)l->w;
    for (int c = 0; c < l->c; c++)
        for (size_t i = 0; i < map; i++)
            out[(size_t)c * map + i] = in[i * (size_t)l->c + (size_t)c];
}

/* f x f pixels become one: tiles of several samples fill the image, so its size stays. */
static void shrink(const oct_lint *l, int f, int first, float *out)
{
    const int th = (l->h + f - 1) / f, tw = (l->w + f - 1) / f;
    for (int c = 0; c < l->c; c++)
        for (int y = 0; y < l->h; y++)
            for (int x = 0; x < l->w; x++) {
                const int tile = (first + y / th * f + x / tw) % l->n_kept;
                const float *in = l->kept + (size_t)tile * l->sample
                                  + (size_t)c * (size_t)l->h * (size_t)l->w;
                float sum = 0;
                int taps = 0;
                for (int i = y % th * f; i < at_most(y % th * f + f, l->h); i++)
                    for (int k = x % tw * f; k < at_most(x % tw * f + f, l->w); k++, taps++)
                        sum += in[(size_t)i * (size_t)l->w + (size_t)k];
                *out++ = sum / (float)taps;
            }
}

/* The middle, f times as large, bilinear. */
static void enlarge(const oct_lint *l, const float *in, int f, float *out)
{
    const float y0 = (float)(l->h - l->h / f) / 2, x0 = (float)(l->w - l->w / f) / 2;
    for (int c = 0; c < l->c; c++, in += (size_t)l->h * (size_t)l->w)
        for (int y = 0; y < l->h; y++)
            for (int x = 0; x < l->w; x++) {
                const float v = y0 + ((float)y + 0.5f) / (float)f - 0.5f;
                const float u = x0 + ((float)x + 0.5f) / (float)f - 0.5f;
                const int i = at_most((int)v, l->h - 2), k = at_most((int)u, l->w - 2);
                const float fy = v - (float)i, fx = u - (float)k;
                const float *p = in + (size_t)i * (size_t)l->w + (size_t)k;
                *out++ = (1 - fy) * ((1 - fx) * p[0] + fx * p[1])
                         + fy * ((1 - fx) * p[l->w] + fx * p[l->w + 1]);
            }
}

/* Channel c = a[c] x + b[c]; of channels beyond the table the last entry's. */
static void map_channels(const oct_lint *l, const lint_reading *r, const float *in, float *out)
{
    const size_t map = (size_t)l->h * (size_t)l->w;
    for (int c = 0; c < l->c; c++) {
        const int k = at_most(c, OCT_LINT_MAX_CHANNELS - 1);
        const int from = r->kind == LINT_SWAP ? l->c - 1 - c : c;
        const float *x = in + (size_t)from * map;
        for (size_t i = 0; i < map; i++) *out++ = r->a[k] * x[i] + r->b[k];
    }
}

void oct_lint_read(const oct_lint *l, const lint_reading *r, int i, float *out)
{
    const float *in = l->kept + (size_t)i * l->sample;
    switch (r->kind) {
    case LINT_AFFINE:
    case LINT_SWAP:    map_channels(l, r, in, out); break;
    case LINT_HWC:     planes(l, in, out); break;
    case LINT_SHRINK:  shrink(l, r->factor, i, out); break;
    case LINT_ENLARGE: enlarge(l, in, r->factor, out); break;
    }
}
