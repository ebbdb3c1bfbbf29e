/* conv2d on integers, weights in sparse blocks of 4 inputs.  Contract: ops/kernels/sparse_s8.h.
 *
 *   x  [n,h,w,c] U8       w  [out, c, kh, kw] S8, scale per row     b, y, residual: conv2d_s8.c
 *
 *   flat     outputs of an image are numbered y * pitch + x; pitch is the width of a map's row with
 *            what its taps reach past it, so that a tap is one offset for all of them.  What lies
 *            between two rows is computed and forgotten.  Without padding, stride and taps the
 *            pitch is ow: nothing lies between
 *   phases   with a stride, pixels of the padded image whose coordinates have the same remainder
 *            are a map of their own, in which neighbours are neighbours
 *   strip    some vectors of flat outputs and all that they read, planar, in the thread's
 *            scratch: [c / 4][phase][rows of the flat map] dwords.  A plane is an odd number of
 *            lines long, so that planes do not fall on the same lines of a cache
 *   items    a strip x some panels, one thread: the strip is made, its panels follow
 *
 * Where the strips begin depends on the shape and the kernel only, as offsets are packed. */
#include "ops/conv2d_sparse_s8.h"

#include <limits.h>
#include <string.h>

#include "ops/kernels/gemm_s8.h"
#include "ops/kernels/sparse_s8.h"
#include "ops/quantized.h"

enum {
    ALONE = 400000,            /* multiply-adds of a dense layer not worth a parallel region */
    MOST_STRIP = 1 << 26,      /* bytes */
};

/* Taps with the same remainders of their coordinates by the stride. */
typedef struct phase {
    int y, x;
} phase;

typedef struct state {
    oct_conv2d_shape c;
    const oct_sparse_s8 *g;
    oct_requant out;
    int pitch, flat;           /* of the map; outputs of an image, with what lies between rows */
    int vecs, strips;          /* of a strip; of an image */
    int length;                /* pixels of a plane that are read */
    size_t plane;              /* bytes */
    int n_phases;
    phase *phase;
    int *phase_of;             /* [taps] */
    int n_panels;
    int32_t chunk;             /* bytes of a strip gone over at a time; 0: all */
    const void *packed;
} state;

static int ceil_div(int a, int b) { return a / b + (a % b != 0); }
static int min_int(int a, int b) { return a < b ? a : b; }
static int max_int(int a, int b) { return a > b ? a : b; }

int oct_conv2d_sparse_s8_pick(const oct_args *args, const oct_prepare *how)
{
    const oct_conv2d_shape c = oct_conv2d_shape_of(args);
    const oct_conv2d_attr *attr = args->attr;
    return (attr->sparse & oct_sparse_isa(how->cpu)) && oct_conv2d_sparse_s8_can(&c);
}

/* ---- geometry ---- */

/* How far past a row's, or a column's, last output its taps reach, in pixels of a phase. */
static int reach(const oct_conv2d_shape *c, int i)
{
    return (c->kernel[i] - 1) * c->dilation[i] / c->stride[i];
}

static oct_status find_phases(state *s, oct_arena *arena)
{
    const oct_conv2d_shape *c = &s->c;
    const int taps = c->kernel[0] * c->kernel[1];
    s->phase = oct_arena_alloc(arena, (size_t)taps * sizeof *s->phase);
    s->phase_of = oct_arena_alloc(arena, (size_t)taps * sizeof *s->phase_of);
    if (!s->phase || !s->phase_of) return oct_fail(OCT_ERR_MEMORY, "conv2d: out of memory");
    for (int t = 0; t < taps; t++) {
        const phase p = { t / c->kernel[1] * c->dilation[0] % c->stride[0],
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
static int is_long(const state *s)
{
    const oct_conv2d_shape *c = &s->c;
    return !is_padded(c) && c->stride[0] == 1 && c->stride[1] == 1 && s->pitch == c->w;
}

static oct_status make_geometry(const oct_args *args, state *s, oct_arena *arena)
{
    const oct_conv2d_shape *c = &s->c;
    const long long pitch = (long long)c->ow + reach(c, 1);
    const long long flat = (c->oh - 1) * pitch + c->ow;
    if (flat > INT_MAX / 2 || pitch * reach(c, 0) > INT_MAX / 4)
        return oct_fail(OCT_ERR_UNSUPPORTED, "conv2d: %lld outputs", flat);
    OCT_TRY(find_phases(s, arena));
    s->pitch = (int)pitch;
    s->flat = (int)flat;
    const int vecs = ceil_div(s->flat, s->g->lanes);
    s->strips = ceil_div(vecs, s->g->vecs);
    s->vecs = ceil_div(vecs, s->strips);
    s->strips = ceil_div(vecs, s->vecs);
    s->length = s->vecs * s->g->lanes + reach(c, 0) * s->pitch + reach(c, 1);
    s->plane = (((size_t)s->length * 4 + 63) / 64 | 1) * 64;
    if ((size_t)s->n_phases * (size_t)(c->c / 4) > MOST_STRIP / s->plane)
        return oct_fail(OCT_ERR_UNSUPPORTED, "conv2d: strips of more than %d bytes", MOST_STRIP);
    if (args->out->dim[0] > INT_MAX / s->strips)
        return oct_fail(OCT_ERR_UNSUPPORTED, "conv2d: %d images of %d strips", args->out->dim[0],
                        s->strips);
    s->n_panels = ceil_div(c->out, s->g->nr);
    return OCT_OK;
}

static size_t strip_size(const state *s)
{
    return (size_t)s->n_phases * (size_t)(s->c.c / 4) * s->plane;
}

/* ---- prepare ---- */

static oct_status offsets(const state *s, oct_arena *tmp, int32_t **out)
{
    const oct_conv2d_shape *c = &s->c;
    const int taps = c->kernel[0] * c->kernel[1], quads = c->c / 4;
    int32_t *to = *out = oct_arena_alloc(tmp, (size_t)taps * (size_t)quads * sizeof *to);
    if (!to) return oct_fail(OCT_ERR_MEMORY, "conv2d: out of memory");
    for (int q = 0; q < quads; q++)
        for (int t = 0; t < taps; t++) {
            const int y = t / c->kernel[1] * c->dilation[0] / c->stride[0];
            const int x = t % c->kernel[1] * c->dilation[1] / c->stride[1];
            const size_t plane = (size_t)(q * s->n_phases + s->phase_of[t]);
            *to++ = (int32_t)(plane * s->plane) + 4 * (y * s->pitch + x);
        }
    return OCT_OK;
}

static oct_status describe(const oct_args *args, const state *s, oct_arena *tmp,
                           oct_sparse_s8_weights *out)
{
    const oct_tensor *x = args->in[OCT_CONV2D_X], *w = args->in[OCT_CONV2D_W];
    oct_gemm_s8_weights rows = { .bias = NULL }; /* its biases are ours */
    float *scale = oct_arena_alloc(tmp, (size_t)w->dim[0] * sizeof *scale);
    int32_t *offset;
    if (!scale) return oct_fail(OCT_ERR_MEMORY, "conv2d: out of memory");
    OCT_TRY(oct_quant_scales("conv2d", x, w, args->out, scale));
    OCT_TRY(oct_quant_bias("conv2d", args, tmp, &rows));
    OCT_TRY(offsets(s, tmp, &offset));
    *out = (oct_sparse_s8_weights){ .b = w->data, .n = w->dim[0], .c = s->c.c,
                                    .taps = s->c.kernel[0] * s->c.kernel[1], .offset = offset,
                                    .zero = x->zero, .bias = rows.bias, .scale = scale,
                                    .fbias = rows.fbias };
    return OCT_OK;
}

/* The packed weights, ours or the file's. */
static oct_status make_packed(const oct_args *args, oct_prepare *how, state *s, oct_arena *tmp)
{
    const oct_packed *given = how->n_given ? how->given : NULL;
    oct_sparse_s8_weights w = { .n = 0 };
    size_t size = 0;
    void *packed;
    int ready;
    if (given) size = oct_sparse_s8_given(s->g, s->c.out, given->data, given->size);
    if (!how->given) {
        OCT_TRY(describe(args, s, tmp, &w));
        size = oct_sparse_s8_size(s->g, &w);
    }
    how->type = OCT_S8;
    OCT_TRY(oct_prepare_packed("conv2d", how, size, &packed, &ready));
    s->packed = packed;
    how->weight_size = size;
    if (ready) return oct_sparse_s8_check(s->g, s->c.out, (int32_t)(strip_size(s) - s->plane) +
                                          4 * (s->length - s->vecs * s->g->lanes), packed, size);
    oct_sparse_s8_pack(s->g, &w, packed);
    return OCT_OK;
}

oct_status oct_conv2d_sparse_s8_prepare(const oct_args *args, oct_prepare *how, void **out)
{
    const oct_conv2d_attr *attr = args->attr;
    state *s = oct_arena_zalloc(how->arena, sizeof *s);
    if (!s) return oct_fail(OCT_ERR_MEMORY, "conv2d: out of memory");
    *out = s;
    s->c = oct_conv2d_shape_of(args);
    s->g = oct_sparse_s8_pick(how->cpu, args->in[OCT_CONV2D_X]->max);
    s->out = oct_quant_requant(args->out, attr->act, args->in[OCT_CONV2D_RESIDUAL]);
    OCT_TRY(make_geometry(args, s, how->arena));
    oct_arena tmp = { 0 };
    const oct_status status = make_packed(args, how, s, &tmp);
    oct_arena_free(&tmp);
    if (status) return status;
    how->thread_size = strip_size(s);
    const size_t quad = s->plane * (size_t)s->n_phases;
    const size_t blocks = how->weight_size / sizeof(oct_sparse_s8_block);
    s->chunk = oct_sparse_s8_chunk(s->c.c / 4, quad, quad, (int)(blocks / (size_t)s->c.out));
    oct_sparse_s8_classify(s->g, s->packed, s->n_panels, &s->out);
    return oct_kernel_name(how, "sparse_s8", s->g->isa);
}

/* ---- run ---- */

typedef struct work {
    const state *s;
    const uint8_t *x;          /* of the first image */
    int zero;
    const char *residual;
    char *y;
    size_t y_size;             /* bytes of an element of y and residual */
    int panel_items;
    const oct_run *r;
} work;

/* Pixels first .. first + n of row y of a phase's map, x of them from column x0 on: to the planes
 * of block b at pixel `to`. */
static void input_run(const work *w, const uint8_t *image, const phase *p, int b, int y, int x,
                      int n, unsigned char *to)
{
    const state *s = w->s;
    const oct_conv2d_shape *c = &s->c;
    const int width = oct_block_width(c->c, b);
    const size_t row = (size_t)(y * c->stride[0] + p->y - c->pad[0]);
    const size_t column = (size_t)(x * c->stride[1] + p->x - c->pad[1]);
    const size_t block = (size_t)b * OCT_BLOCK * (size_t)c->h * (size_t)c->w;
    s->g->input(&(oct_sparse_s8_in){
        .x = image + block + (row * (size_t)c->w + column) * (size_t)width,
        .pixel = (size_t)(width * c->stride[1]), .n = n, .quads = width / 4, .to = to,
        .step = s->plane * (size_t)s->n_phases });
}

/* Columns (rows) of a phase's map that exist: *from .. *to - 1. */
static void existing(const oct_conv2d_shape *c, int i, int p, int *from, int *to)
{
    const int size = i ? c->w : c->h;
    *from = max_int(0, ceil_div(c->pad[i] - p, c->stride[i]));
    *to = ceil_div(size + c->pad[i] - p, c->stride[i]);
}

/* What of one phase a strip from flat pixel `first` on reads. */
static void input_phase(const work *w, const uint8_t *image, int k, int first, unsigned char *to)
{
    const state *s = w->s;
    const phase *p = &s->phase[k];
    const int blocks = oct_block_count(s->c.c), end = first + s->length;
    const size_t step = s->plane * (size_t)s->n_phases;
    int y0, y1, x0, x1;
    existing(&s->c, 0, p->y, &y0, &y1);
    existing(&s->c, 1, p->x, &x0, &x1);
    for (int b = 0; b < blocks; b++, to += OCT_BLOCK / 4 * step) {
        if (is_long(s)) {
            const int n = min_int(end, s->c.h * s->c.w) - first;
            input_run(w, image, p, b, 0, first, n, to);
            continue;
        }
        for (int y = max_int(y0, first / s->pitch); y < y1 && y * s->pitch < end; y++) {
            const int from = max_int(first, y * s->pitch + x0);
            const int until = min_int(end, y * s->pitch + min_int(x1, s->pitch));
            if (from < until)
                input_run(w, image, p, b, y, from - y * s->pitch, until - from,
                          to + 4 * (size_t)(from - first));
        }
    }
}

/* Runs of outputs of a strip, for one image and block of the output: at most one a row. */
static int find_runs(const state *s, int first, int width, oct_sparse_s8_run *run)
{
    const oct_conv2d_shape *c = &s->c;
    const int end = min_int(first + s->vecs * s->g->lanes, s->flat);
    int n = 0;
    if (s->pitch == c->ow) {
        run[0] = (oct_sparse_s8_run){ 0, end - first, (size_t)first * (size_t)width };
        return 1;
    }
    for (int y = first / s->pitch; y * s->pitch < end; y++) {
        const int from = max_int(first, y * s->pitch), until = min_int(end, y * s->pitch + c->ow);
        const size_t pixel = (size_t)y * (size_t)c->ow + (size_t)(from - y * s->pitch);
        if (from < until)
            run[n++] = (oct_sparse_s8_run){ from - first, until - from, pixel * (size_t)width };
    }
    return n;
}

static void item(void *arg, int i, int thread)
{
    enum { MOST_RUNS = OCT_SPARSE_S8_VECS * 16 + 1 };
    const work *w = arg;
    const state *s = w->s;
    const oct_conv2d_shape *c = &s->c;
    const int pi = i % w->panel_items, strip = i / w->panel_items % s->strips;
    const size_t image = (size_t)(i / w->panel_items / s->strips);
    const int p0 = (int)((long long)s->n_panels * pi / w->panel_items);
    const int p1 = (int)((long long)s->n_panels * (pi + 1) / w->panel_items);
    const int first = strip * s->vecs * s->g->lanes;
    unsigned char *planes = oct_run_scratch(w->r, thread);
    const uint8_t *x = w->x + image * (size_t)c->h * (size_t)c->w * (size_t)c->c;
    oct_sparse_s8_run run[MOST_RUNS];
    if (!is_long(s)) memset(planes, w->zero ^ s->g->flip, strip_size(s));
    for (int k = 0; k < s->n_phases; k++)
        input_phase(w, x, k, first, planes + (size_t)k * s->plane);
    oct_sparse_s8_args t = { .x = planes, .size = (int32_t)strip_size(s), .chunk = s->chunk,
                             .vecs = s->vecs, .run = run, .out = &s->out };
    for (int p = p0, before = -1; p < p1; p++) {
        const int n = p * s->g->nr, b = n / OCT_BLOCK, width = oct_block_width(c->out, b);
        const size_t pixels = (size_t)c->oh * (size_t)c->ow;
        const size_t at = (image * pixels * (size_t)c->out + (size_t)b * OCT_BLOCK * pixels +
                           (size_t)(n % OCT_BLOCK)) * w->y_size;
        if (width != before) t.n_runs = find_runs(s, first, width, run);
        before = width;
        t.panel = oct_sparse_s8_panel(s->packed, p);
        t.cols = min_int(s->g->nr, c->out - n);
        t.ldc = (size_t)width;
        t.c = w->y + at;
        t.residual = w->residual ? w->residual + at : NULL;
        s->g->tile(&t);
    }
}

void oct_conv2d_sparse_s8_run(const oct_args *args, const void *opaque, const oct_run *r)
{
    const state *s = opaque;
    const oct_tensor *x = args->in[OCT_CONV2D_X], *residual = args->in[OCT_CONV2D_RESIDUAL];
    work w = { .s = s, .x = x->data, .zero = x->zero, .y = args->out->data, .r = r,
               .residual = residual ? residual->data : NULL, .panel_items = 1,
               .y_size = oct_dtype_size(args->out->dtype) };
    const int strips = r->n * s->strips, threads = r->pool->threads;
    const double macs = (double)r->n * s->c.oh * s->c.ow * s->c.out * s->c.c * s->c.kernel[0] *
                        s->c.kernel[1];
    const int alone = threads == 1 || macs < ALONE;
    if (!alone && strips < 4 * threads) w.panel_items = min_int(threads, s->n_panels);
    if (!alone) oct_parallel_for(r->pool, strips * w.panel_items, item, &w);
    else for (int i = 0; i < strips; i++) item(&w, i, 0);
}
