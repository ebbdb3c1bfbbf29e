/* Strips of planes.  Contract in conv2d_strips.h. */
#include "ops/conv2d_strips.h"

#include <limits.h>
#include <string.h>

enum { MOST_STRIP = 1 << 26 }; /* bytes */

static int ceil_div(int a, int b) { return a / b + (a % b != 0); }
static int min_int(int a, int b) { return a < b ? a : b; }
static int max_int(int a, int b) { return a > b ? a : b; }

/* How far past a row's, or a column's, last output its taps reach, in pixels of a phase. */
static int reach(const oct_conv2d_shape *c, int i)
{
    return (c->kernel[i] - 1) * c->dilation[i] / c->stride[i];
}

static oct_status find_phases(oct_conv2d_strips *s, oct_arena *arena)
{
    const oct_conv2d_shape *c = &s->c;
    const int taps = c->kernel[0] * c->kernel[1];
    s->phase = oct_arena_alloc(arena, (size_t)taps * sizeof *s->phase);
    s->phase_of = oct_arena_alloc(arena, (size_t)taps * sizeof *s->phase_of);
    if (!s->phase || !s->phase_of) return oct_fail(OCT_ERR_MEMORY, "conv2d: out of memory");
    for (int t = 0; t < taps; t++) {
        const oct_conv2d_phase p = { t / c->kernel[1] * c->dilation[0] % c->stride[0],
                                     t % c->kernel[1] * c->dilation[1] % c->stride[1] };
        int i = 0;
        while (i < s->n_phases && (s->phase[i].y != p.y || s->phase[i].x != p.x)) i++;
        if (i == s->n_phases) s->phase[s->n_phases++] = p;
        s->phase_of[t] = i;
    }
    return OCT_OK;
}

static int is_padded(const oct_conv2d_shape *c) { return c->pad[0] || c->pad[1]; }

/* Pixels of x follow each other as those of the flat map do: one long row. */
static int is_long(const oct_conv2d_strips *s)
{
    const oct_conv2d_shape *c = &s->c;
    return !is_padded(c) && c->stride[0] == 1 && c->stride[1] == 1 && s->pitch == c->w;
}

/* Bytes from a plane to the next of the same phase. */
static size_t step_of(const oct_conv2d_strips *s) { return s->plane * (size_t)s->n_phases; }

size_t oct_conv2d_strips_size(const oct_conv2d_strips *s)
{
    return (size_t)(s->c.c / s->per) * step_of(s);
}

oct_status oct_conv2d_strips_make(const oct_conv2d_shape *c, int batch, int lanes, int vecs,
                                  int per, int size, oct_arena *arena,
                                  oct_conv2d_strips *s)
{
    const long long pitch = (long long)c->ow + reach(c, 1);
    const long long flat = (c->oh - 1) * pitch + c->ow;
    if (flat > INT_MAX / 2 || pitch * reach(c, 0) > INT_MAX / 4)
        return oct_fail(OCT_ERR_UNSUPPORTED, "conv2d: %lld outputs", flat);
    *s = (oct_conv2d_strips){ .c = *c, .lanes = lanes, .per = per, .size = size,
                              .pitch = (int)pitch, .flat = (int)flat };
    OCT_TRY(find_phases(s, arena));
    const int all = ceil_div(s->flat, lanes);
    s->vecs = ceil_div(all, ceil_div(all, vecs));
    s->strips = ceil_div(all, s->vecs);
    s->length = s->vecs * lanes + reach(c, 0) * s->pitch + reach(c, 1);
    s->plane = oct_sparse_plane(s->length, size);
    if ((size_t)s->n_phases * (size_t)(c->c / per) > MOST_STRIP / s->plane)
        return oct_fail(OCT_ERR_UNSUPPORTED, "conv2d: strips of more than %d bytes", MOST_STRIP);
    if (batch > INT_MAX / s->strips)
        return oct_fail(OCT_ERR_UNSUPPORTED, "conv2d: %d images of %d strips", batch, s->strips);
    return OCT_OK;
}

int32_t oct_conv2d_strips_offset(const oct_conv2d_strips *s, int p, int t)
{
    const oct_conv2d_shape *c = &s->c;
    const int y = t / c->kernel[1] * c->dilation[0] / c->stride[0];
    const int x = t % c->kernel[1] * c->dilation[1] / c->stride[1];
    const size_t plane = (size_t)p * (size_t)s->n_phases + (size_t)s->phase_of[t];
    return (int32_t)(plane * s->plane) + s->size * (y * s->pitch + x);
}

int32_t oct_conv2d_strips_most(const oct_conv2d_strips *s)
{
    return (int32_t)(oct_conv2d_strips_size(s) - s->plane) +
           s->size * (s->length - s->vecs * s->lanes);
}

/* ---- input ---- */

typedef struct source {
    const oct_conv2d_strips *s;
    void (*input)(const oct_sparse_in *in);
    const unsigned char *image;
    int *odd;
} source;

/* Pixels x .. x + n of row y of a phase's map: to the planes of block b at pixel `to`. */
static void input_run(const source *f, const oct_conv2d_phase *p, int b, int y, int x, int n,
                      unsigned char *to)
{
    const oct_conv2d_strips *s = f->s;
    const oct_conv2d_shape *c = &s->c;
    const size_t size = (size_t)(s->size / s->per), width = (size_t)oct_block_width(c->c, b) * size;
    const size_t row = (size_t)(y * c->stride[0] + p->y - c->pad[0]);
    const size_t column = (size_t)(x * c->stride[1] + p->x - c->pad[1]);
    const size_t block = (size_t)b * OCT_BLOCK * (size_t)c->h * (size_t)c->w * size;
    f->input(&(oct_sparse_in){
        .x = f->image + block + (row * (size_t)c->w + column) * width,
        .pixel = width * (size_t)c->stride[1], .n = n, .planes = (int)width / s->size, .to = to,
        .step = step_of(s), .odd = f->odd });
}

/* Columns (rows) of a phase's map that exist: *from .. *to - 1. */
static void existing(const oct_conv2d_shape *c, int i, int p, int *from, int *to)
{
    const int size = i ? c->w : c->h;
    *from = max_int(0, ceil_div(c->pad[i] - p, c->stride[i]));
    *to = ceil_div(size + c->pad[i] - p, c->stride[i]);
}

/* What of one phase a strip from flat pixel `first` on reads. */
static void input_phase(const source *f, int k, int first, unsigned char *to)
{
    const oct_conv2d_strips *s = f->s;
    const oct_conv2d_phase *p = &s->phase[k];
    const int blocks = oct_block_count(s->c.c), end = first + s->length;
    int y0, y1, x0, x1;
    existing(&s->c, 0, p->y, &y0, &y1);
    existing(&s->c, 1, p->x, &x0, &x1);
    for (int b = 0; b < blocks; b++, to += (size_t)(OCT_BLOCK / s->per) * step_of(s)) {
        if (is_long(s)) {
            input_run(f, p, b, 0, first, min_int(end, s->c.h * s->c.w) - first, to);
            continue;
        }
        for (int y = max_int(y0, first / s->pitch); y < y1 && y * s->pitch < end; y++) {
            const int from = max_int(first, y * s->pitch + x0);
            const int until = min_int(end, y * s->pitch + min_int(x1, s->pitch));
            if (from < until)
                input_run(f, p, b, y, from - y * s->pitch, until - from,
                          to + (size_t)s->size * (size_t)(from - first));
        }
    }
}

void oct_conv2d_strips_input(const oct_conv2d_strips *s, void (*input)(const oct_sparse_in *in),
                             const unsigned char *image, int strip, int fill,
                             unsigned char *planes, int *odd)
{
    const source f = { s, input, image, odd };
    const int first = strip * s->vecs * s->lanes;
    if (!is_long(s) || first + s->length > s->c.h * s->c.w)
        memset(planes, fill, oct_conv2d_strips_size(s));
    for (int k = 0; k < s->n_phases; k++)
        input_phase(&f, k, first, planes + (size_t)k * s->plane);
}

/* ---- output ---- */

int oct_conv2d_strips_runs(const oct_conv2d_strips *s, int strip, int width, oct_sparse_run *run)
{
    const oct_conv2d_shape *c = &s->c;
    const int first = strip * s->vecs * s->lanes;
    const int end = min_int(first + s->vecs * s->lanes, s->flat);
    int n = 0;
    if (s->pitch == c->ow) {
        run[0] = (oct_sparse_run){ 0, end - first, (size_t)first * (size_t)width };
        return 1;
    }
    for (int y = first / s->pitch; y * s->pitch < end; y++) {
        const int from = max_int(first, y * s->pitch), until = min_int(end, y * s->pitch + c->ow);
        const size_t pixel = (size_t)y * (size_t)c->ow + (size_t)(from - y * s->pitch);
        if (from < until)
            run[n++] = (oct_sparse_run){ from - first, until - from, pixel * (size_t)width };
    }
    return n;
}

oct_conv2d_strips_place oct_conv2d_strips_place_of(const oct_conv2d_strips *s, int image, int first,
                                                   int nr)
{
    const oct_conv2d_shape *c = &s->c;
    const int b = first / OCT_BLOCK;
    const size_t pixels = (size_t)c->oh * (size_t)c->ow;
    return (oct_conv2d_strips_place){
        .cols = min_int(c->out - first, nr), .width = oct_block_width(c->out, b),
        .at = (size_t)image * pixels * (size_t)c->out + (size_t)b * OCT_BLOCK * pixels +
              (size_t)(first % OCT_BLOCK) };
}

void oct_conv2d_strips_each(const oct_conv2d_strips *s, int n, int n_panels, oct_pool *pool,
                            oct_sparse_body *body, void *arg)
{
    const oct_conv2d_shape *c = &s->c;
    const double macs = (double)n * c->oh * c->ow * c->out * c->c * c->kernel[0] * c->kernel[1];
    oct_sparse_each(n * s->strips, n_panels, macs, pool, body, arg);
}
