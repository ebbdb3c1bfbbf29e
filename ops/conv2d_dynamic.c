/* conv2d on integers, x FP32 and quantized at run time, an image at a time.
 *
 *   x, residual, y  [n,h,w,c] FP32     w  [out, c/groups, kh, kw] S8, scale per row     b  F32
 *
 * Some images at a time: the range of each, found in parts (a least and a largest value have no
 * order); its scale and zero; its bytes, padded with its zero, into the workspace; then
 * conv2d_s8's tiles, whose rows all have the image's scale and zero.  An image's bits are the same
 * in any batch.
 *
 * Workspace: frames[images], oct_range part[images][n_parts], float scale[images][rows],
 * int32 zero[images][rows], rows as many as a group of a tile has. */
#include "ops/common.h"
#include "ops/conv2d_s8.h"
#include "ops/kernels/vec_u8.h"
#include "ops/quantized.h"
#include "ops/spread.h"

#include <string.h>

enum { PART = 4096 };          /* elements of an image whose range is found at once */

typedef struct state {
    oct_conv2d_s8 s8;
    const oct_vec_u8 *vec;
    size_t frame;              /* bytes */
    size_t count, n_parts;     /* elements and parts of an image */
    int images;                /* at a time */
} state;

/* One run on some images. */
typedef struct work {
    const state *s;
    const oct_tensor *x;
    int first;                 /* image */
    uint8_t *frames;
    oct_range *part;
    float *scale;
    int32_t *zero;
} work;

static size_t round_up(size_t size) { return (size + OCT_ALIGN - 1) / OCT_ALIGN * OCT_ALIGN; }

oct_status oct_conv2d_dynamic_prepare(const oct_args *args, oct_prepare *how, void **out)
{
    const oct_tensor *x = args->in[OCT_CONV2D_X];
    state *s = oct_arena_zalloc(how->arena, sizeof *s);
    if (!s) return oct_fail(OCT_ERR_MEMORY, "conv2d: out of memory");
    *out = s;
    OCT_TRY(oct_conv2d_s8_make(args, how, "conv2d_dynamic",
                               oct_gemm_s8_pick(how->cpu, OCT_DYNAMIC_MAX), &s->s8));
    s->vec = oct_vec_u8_pick(how->cpu);
    s->frame = oct_conv2d_frame_count(&s->s8.g);
    s->count = oct_tensor_sample_count(x);
    s->n_parts = (s->count + PART - 1) / PART;
    s->images = oct_conv2d_frames(&s->s8.g, x->dim[0]);
    const size_t image = s->frame + s->n_parts * sizeof(oct_range) +
                         (size_t)s->s8.gemm->rows * (sizeof(float) + sizeof(int32_t));
    how->shared_size = (size_t)s->images * image + OCT_ALIGN;
    return OCT_OK;
}

static work open_work(const state *s, const oct_tensor *x, void *shared)
{
    work w = { .s = s, .x = x, .frames = shared };
    const size_t images = (size_t)s->images;
    w.part = (void *)(w.frames + round_up(images * s->frame));
    w.scale = (void *)(w.part + images * s->n_parts);
    w.zero = (void *)(w.scale + images * (size_t)s->s8.gemm->rows);
    return w;
}

/* Parts first .. end, counted through the images. */
static void find_ranges(void *arg, size_t first, size_t end)
{
    const work *w = arg;
    const state *s = w->s;
    for (size_t i = first; i < end; i++) {
        const size_t image = i / s->n_parts, at = i % s->n_parts * PART;
        const size_t left = s->count - at;
        const float *x = (const float *)w->x->data + ((size_t)w->first + image) * s->count + at;
        w->part[i] = s->vec->range(left < PART ? left : PART, x);
    }
}

static void set_scales(const work *w, int images)
{
    const state *s = w->s;
    const oct_range *part = w->part;
    for (int i = 0, n = 0; i < images; i++) {
        oct_range all = { 0, 0 };
        for (size_t k = 0; k < s->n_parts; k++, part++) {
            all.lo = part->lo < all.lo ? part->lo : all.lo;
            all.hi = part->hi > all.hi ? part->hi : all.hi;
        }
        const oct_qparams p = oct_dynamic_qparams(all);
        for (int row = 0; row < s->s8.gemm->rows; row++, n++) {
            w->scale[n] = p.scale;
            w->zero[n] = p.zero;
        }
    }
}

/* `count` rows of a block of an image from x on: bytes into its frame. */
static void frame_rows(const work *w, const oct_rows *r, const float *x, int image)
{
    const state *s = w->s;
    const oct_conv2d_shape *c = &s->s8.g.c;
    const int zero = w->zero[image * s->s8.gemm->rows];
    const float inverse = 1 / w->scale[image * s->s8.gemm->rows];
    const size_t width = (size_t)r->width, row = (size_t)c->w * width;
    const size_t pitch = (size_t)s->s8.g.pw * width, left = (size_t)c->pad[1] * width;
    const size_t top = (size_t)c->pad[0] * pitch;
    uint8_t *block = w->frames + (size_t)image * s->frame +
                     (size_t)r->block * OCT_BLOCK * (size_t)s->s8.g.ph * (size_t)s->s8.g.pw;
    uint8_t *to = block + top + (size_t)r->row * pitch;
    if (r->row == 0) memset(block, zero, top);
    if (!left) {
        s->vec->steps((size_t)r->count * row, x, inverse, zero, OCT_DYNAMIC_MAX, to);
        to += (size_t)r->count * pitch;
    } else {
        for (int y = 0; y < r->count; y++, x += row, to += pitch) {
            memset(to, zero, left);
            s->vec->steps(row, x, inverse, zero, OCT_DYNAMIC_MAX, to + left);
            memset(to + left + row, zero, left);
        }
    }
    if (r->row + r->count == c->h) memset(to, zero, top);
}

static void fill_frames(void *arg, size_t first, size_t end)
{
    const work *w = arg;
    const size_t before = oct_rows_units(w->x, w->first);
    while (first < end) {
        const oct_rows r = oct_rows_next(w->x, before + first, before + end);
        frame_rows(w, &r, (const float *)w->x->data + r.at, (int)r.sample - w->first);
        first += (size_t)r.count;
    }
}

static void tiles(const oct_conv2d_job *job, const oct_conv2d_stretch *at)
{
    const work *w = job->own;
    const state *s = w->s;
    const int row = at->image * s->s8.gemm->rows;
    oct_gemm_s8_args t = oct_conv2d_s8_args(&s->s8, at);
    t.row_scale[0] = t.row_scale[1] = w->scale + row;
    if (w->zero[row]) t.row_zero[0] = t.row_zero[1] = w->zero + row;
    oct_conv2d_s8_tiles(&s->s8, job, at, &t);
}

void oct_conv2d_dynamic_run(const oct_args *args, const void *opaque, const oct_run *r)
{
    const state *s = opaque;
    const oct_tensor *x = args->in[OCT_CONV2D_X];
    work w = open_work(s, x, r->shared);
    oct_conv2d_job job = oct_conv2d_s8_job(args, &s->s8, tiles, &w, 0);
    const float *residual = job.residual;
    float *y = job.y;
    const size_t y_count = oct_tensor_sample_count(args->out);
    for (; w.first < r->n; w.first += s->images) {
        const int left = r->n - w.first, images = left < s->images ? left : s->images;
        const size_t parts = (size_t)images * s->n_parts, out = (size_t)w.first * y_count;
        oct_spread(r->pool, parts, PART * sizeof(float), find_ranges, &w);
        set_scales(&w, images);
        oct_spread(r->pool, oct_rows_units(x, images), oct_rows_size(x), fill_frames, &w);
        job.images = images;
        job.x = w.frames;
        job.y = y + out;
        job.residual = residual ? residual + out : NULL;
        oct_conv2d_walk_frames(&job, r);
    }
}
