#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "input/image.h"

/* Pillow's Image.resize, byte for byte (src/libImaging/Resample.c of Pillow 13).
 *
 *   out[i] = sum_j in[j] * k[i][j],   k[i][j] = f((j + 0.5 - center_i) / s) / (their sum)
 *   center_i = (i + 0.5) * n_in / n_out,  s = max(1, n_in / n_out)
 *
 * in two passes, each rounded to 8 bits.  The weights are computed in double, then rounded to 22
 * fractional bits: 32 less 8 of the result and 2 for sums that are negative or above one.  A
 * sum's |k| add up to less than 2, so 255 * 2 * 2^22 fits int32.
 *
 * Horizontal comes first, unless the height shrinks by more than twice what the width does; the
 * order shows in the last bit, so it is part of the contract. */

enum { BITS = 32 - 8 - 2 };

static double box(double x) { return x > -0.5 && x <= 0.5 ? 1.0 : 0.0; }

static double bilinear(double x)
{
    x = x < 0.0 ? -x : x;
    return x < 1.0 ? 1.0 - x : 0.0;
}

static double bicubic(double x) /* Catmull-Rom: a = -0.5 */
{
    const double a = -0.5;
    x = x < 0.0 ? -x : x;
    if (x < 1.0) return ((a + 2.0) * x - (a + 3.0)) * x * x + 1;
    if (x < 2.0) return (((x - 5) * x + 8) * x - 4) * a;
    return 0.0;
}

static double sinc(double x)
{
    if (x == 0.0) return 1.0;
    x = x * 3.14159265358979323846;
    return sin(x) / x;
}

static double lanczos(double x)
{
    return -3.0 <= x && x < 3.0 ? sinc(x) * sinc(x / 3) : 0.0;
}

static const struct {
    double (*f)(double x);
    double support;
} filters[] = {
    [OCT_BOX] = { box, 0.5 },
    [OCT_BILINEAR] = { bilinear, 1.0 },
    [OCT_BICUBIC] = { bicubic, 2.0 },
    [OCT_LANCZOS] = { lanczos, 3.0 },
};

/* The weights of outputs [first, first + n) of one axis. */
typedef struct axis {
    int n, taps;   /* outputs; weights a row of k */
    int *start;    /* [n] first input of each output */
    int *count;    /* [n] inputs of each output */
    int32_t *k;    /* [n][taps] */
} axis;

static void axis_free(axis *a)
{
    free(a->start);
    free(a->count);
    free(a->k);
    *a = (axis){ 0 };
}

/* One output's weights; w has room for `taps`. */
static void weigh(axis *a, int i, double center, double support, double inverse, int n_in,
                  double (*f)(double), double *w)
{
    int first = (int)(center - support + 0.5), last = (int)(center + support + 0.5);
    if (first < 0) first = 0;
    if (last > n_in) last = n_in;
    double sum = 0.0;
    for (int j = 0; j < last - first; j++) {
        w[j] = f((j + first - center + 0.5) * inverse);
        sum += w[j];
    }
    for (int j = 0; j < last - first; j++) {
        const double v = sum != 0.0 ? w[j] / sum : w[j];
        const double scaled = v * (1 << BITS);
        a->k[(size_t)i * (size_t)a->taps + (size_t)j] = (int)(v < 0 ? -0.5 + scaled : 0.5 + scaled);
    }
    a->start[i] = first;
    a->count[i] = last - first;
}

/* Pillow's box is float: sizes above 2^24 are rounded to it. */
static oct_status axis_make(axis *a, int n_in, int n_out, oct_filter filter, int first, int n)
{
    const double scale = (double)(float)n_in / n_out, s = scale < 1.0 ? 1.0 : scale;
    const double support = filters[filter].support * s;
    *a = (axis){ .n = n, .taps = (int)ceil(support) * 2 + 1 };
    if (a->taps > n_in) a->taps = n_in;
    a->start = malloc((size_t)n * sizeof *a->start);
    a->count = malloc((size_t)n * sizeof *a->count);
    if (a->taps <= PTRDIFF_MAX / (int64_t)sizeof *a->k / n)
        a->k = malloc((size_t)n * (size_t)a->taps * sizeof *a->k);
    double *w = malloc((size_t)a->taps * sizeof *w);
    const int ok = a->start && a->count && a->k && w;
    for (int i = 0; ok && i < n; i++)
        weigh(a, i, (first + i + 0.5) * scale, support, 1.0 / s, n_in, filters[filter].f, w);
    free(w);
    if (ok) return OCT_OK;
    axis_free(a);
    return oct_fail(OCT_ERR_MEMORY, "resize from %d to %d: out of memory", n_in, n_out);
}

static uint8_t clip(int32_t sum)
{
    const int32_t v = sum >> BITS;
    return (uint8_t)(v < 0 ? 0 : v > 255 ? 255 : v);
}

/* One row of c = 1 or 3 channels. */
static void across(const axis *a, const uint8_t *in, int c, uint8_t *out)
{
    for (int i = 0; i < a->n; i++) {
        const int32_t *k = a->k + (size_t)i * (size_t)a->taps;
        const uint8_t *p = in + (size_t)a->start[i] * (size_t)c;
        int32_t s0 = 1 << (BITS - 1), s1 = s0, s2 = s0;
        if (c == 1) {
            for (int j = 0; j < a->count[i]; j++) s0 += p[j] * k[j];
        } else {
            for (int j = 0; j < a->count[i]; j++, p += 3) {
                s0 += p[0] * k[j];
                s1 += p[1] * k[j];
                s2 += p[2] * k[j];
            }
            out[3 * i + 1] = clip(s1);
            out[3 * i + 2] = clip(s2);
        }
        out[c * i] = clip(s0);
    }
}

/* Output row i of `row` bytes from the rows in[start - first ...]; sum is scratch. */
static void down(const axis *a, int i, const uint8_t *in, size_t stride, size_t row, int first,
                 int32_t *sum, uint8_t *out)
{
    const int32_t *k = a->k + (size_t)i * (size_t)a->taps;
    for (size_t x = 0; x < row; x++) sum[x] = 1 << (BITS - 1);
    for (int j = 0; j < a->count[i]; j++) {
        const uint8_t *p = in + (size_t)(a->start[i] - first + j) * stride;
        const int32_t w = k[j];
        for (size_t x = 0; x < row; x++) sum[x] += p[x] * w;
    }
    for (size_t x = 0; x < row; x++) out[x] = clip(sum[x]);
}

/* h == NULL or v == NULL: this axis keeps its size and only the window is cut out. */
typedef struct passes {
    const oct_image *in;
    const axis *h, *v;
    oct_window window;
    int32_t *sum;      /* a row of the vertical pass */
    uint8_t *tmp;      /* between the passes */
} passes;

/* Rows [y0, y0 + n) of the input, resized or cut, to out[n][window.width][c]. */
static void pass_across(const passes *p, const uint8_t *in, size_t stride, int n, uint8_t *out)
{
    const int c = p->in->channels;
    const size_t row = (size_t)p->window.width * (size_t)c;
    for (int y = 0; y < n; y++, in += stride, out += row) {
        if (p->h) across(p->h, in, c, out);
        else memcpy(out, in + (size_t)p->window.x * (size_t)c, row);
    }
}

static oct_status across_then_down(passes *p, uint8_t *out)
{
    const size_t stride = (size_t)p->in->width * (size_t)p->in->channels;
    const size_t row = (size_t)p->window.width * (size_t)p->in->channels;
    if (!p->v) {
        pass_across(p, p->in->data + (size_t)p->window.y * stride, stride, p->window.height, out);
        return OCT_OK;
    }
    const int last = p->v->n - 1, y0 = p->v->start[0];
    const int n = p->v->start[last] + p->v->count[last] - y0;
    p->tmp = malloc((size_t)n * row);
    p->sum = malloc(row * sizeof *p->sum);
    if (!p->tmp || !p->sum) return oct_fail(OCT_ERR_MEMORY, "resize: out of memory");
    pass_across(p, p->in->data + (size_t)y0 * stride, stride, n, p->tmp);
    for (int i = 0; i < p->v->n; i++)
        down(p->v, i, p->tmp, row, row, y0, p->sum, out + (size_t)i * row);
    return OCT_OK;
}

/* Only the input columns that the window's outputs read. */
static oct_status down_then_across(passes *p, uint8_t *out)
{
    const int c = p->in->channels, last = p->window.width - 1;
    const int x0 = p->h ? p->h->start[0] : p->window.x;
    const int x1 = p->h ? p->h->start[last] + p->h->count[last] : x0 + p->window.width;
    const size_t stride = (size_t)p->in->width * (size_t)c, row = (size_t)(x1 - x0) * (size_t)c;
    const size_t out_row = (size_t)p->window.width * (size_t)c;
    p->tmp = malloc(row);
    p->sum = malloc(row * sizeof *p->sum);
    if (!p->tmp || !p->sum) return oct_fail(OCT_ERR_MEMORY, "resize: out of memory");
    for (int i = 0; i <= last && p->h; i++) p->h->start[i] -= x0;
    for (int i = 0; i < p->v->n; i++) {
        down(p->v, i, p->in->data + (size_t)x0 * (size_t)c, stride, row, 0, p->sum, p->tmp);
        if (p->h) across(p->h, p->tmp, c, out + (size_t)i * out_row);
        else memcpy(out + (size_t)i * out_row, p->tmp, out_row);
    }
    return OCT_OK;
}

/* Pillow steps through the input by adding, so the rounding adds up; x < window.x counts too. */
static oct_status nearest(const oct_image *in, int width, int height, oct_window w, uint8_t *out)
{
    const size_t c = (size_t)in->channels, row = (size_t)w.width * c;
    int *column = malloc((size_t)w.width * sizeof *column);
    if (!column) return oct_fail(OCT_ERR_MEMORY, "resize: out of memory");
    const double dx = (double)(float)in->width / width, dy = (double)(float)in->height / height;
    double at = dx * 0.5;
    for (int x = 0; x < w.x + w.width; x++, at += dx)
        if (x >= w.x) column[x - w.x] = at < in->width ? (int)at : -1;
    at = dy * 0.5;
    for (int y = 0; y < w.y + w.height; y++, at += dy) {
        if (y < w.y) continue;
        uint8_t *to = out + (size_t)(y - w.y) * row;
        memset(to, 0, row);
        if (at >= in->height) continue;
        const uint8_t *from = in->data + (size_t)(int)at * (size_t)in->width * c;
        for (int x = 0; x < w.width; x++)
            if (column[x] >= 0) memcpy(to + (size_t)x * c, from + (size_t)column[x] * c, c);
    }
    free(column);
    return OCT_OK;
}

oct_status oct_image_resize_window(const oct_image *in, int width, int height, oct_filter filter,
                                   oct_window window, uint8_t *out)
{
    const int same_x = width == in->width, same_y = height == in->height;
    if (filter == OCT_NEAREST && !(same_x && same_y))
        return nearest(in, width, height, window, out);
    /* in int, as Pillow: both differences are below 2^28 */
    const int vertical_first = in->height > height &&
                               in->height - height > (int64_t)(in->width - width) * 2;
    axis h = { 0 }, v = { 0 };
    passes p = { .in = in, .window = window };
    oct_status status = OCT_OK;
    if (!same_x) status = axis_make(&h, in->width, width, filter, window.x, window.width);
    if (status == OCT_OK && !same_y)
        status = axis_make(&v, in->height, height, filter, window.y, window.height);
    if (!same_x) p.h = &h;
    if (!same_y) p.v = &v;
    if (status == OCT_OK)
        status = vertical_first ? down_then_across(&p, out) : across_then_down(&p, out);
    free(p.tmp);
    free(p.sum);
    axis_free(&h);
    axis_free(&v);
    return status;
}

oct_status oct_image_resize(const oct_image *in, int width, int height, oct_filter filter,
                            oct_image *out)
{
    *out = (oct_image){ 0 };
    OCT_TRY(oct_image_check_size("resize", (uint64_t)width, (uint64_t)height));
    oct_image to = { width, height, in->channels, NULL };
    to.data = malloc((size_t)width * (size_t)height * (size_t)in->channels);
    if (!to.data) return oct_fail(OCT_ERR_MEMORY, "resize to %dx%d: out of memory", width, height);
    const oct_status status = oct_image_resize_window(in, width, height, filter,
                                                      (oct_window){ 0, 0, width, height }, to.data);
    if (status == OCT_OK) *out = to;
    else oct_image_free(&to);
    return status;
}
