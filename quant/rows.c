#include "quant/rows.h"

#include "ops/attr.h"
#include "ops/conv2d.h"
#include "ops/spread.h"

oct_rows oct_rows_of(const oct_node *node)
{
    const oct_tensor *w = node->args.in[OCT_CONV2D_W];
    if (node->kind == OCT_OP_LINEAR) return (oct_rows){ 1, w->dim[1], w->dim[0] };
    const oct_conv2d_shape c = oct_conv2d_shape_of(&node->args);
    return (oct_rows){ c.groups, w->dim[1] * c.kernel[0] * c.kernel[1], c.out / c.groups };
}

typedef struct work {
    const oct_rows_part *part;
    int m;                     /* positions that count */
    const oct_tensor *t;       /* x, y */
    oct_conv2d_shape c;        /* of x: the window; of y: 1 x 1 on the value itself */
    int first;                 /* channel or column; */
    const int *kept;           /* or these, NULL: first, first + 1, ... */
    float *z;
    size_t ldz;
} work;

static int channel(const work *w, size_t i) { return w->kept ? w->kept[i] : w->first + (int)i; }

/* Row of z i: a channel and a tap of an image. */
static void image_row(const work *w, size_t i)
{
    const oct_conv2d_shape *c = &w->c;
    const int taps = c->kernel[0] * c->kernel[1], tap = (int)(i % (size_t)taps);
    const int ch = channel(w, i / (size_t)taps), b = ch / OCT_BLOCK;
    const int width = oct_block_width(c->c, b);
    const int dy = tap / c->kernel[1] * c->dilation[0] - c->pad[0];
    const int dx = tap % c->kernel[1] * c->dilation[1] - c->pad[1];
    const float *x = (const float *)w->t->data +
                     (size_t)w->part->sample * oct_tensor_sample_count(w->t) +
                     (size_t)b * OCT_BLOCK * (size_t)c->h * (size_t)c->w + ch % OCT_BLOCK;
    float *z = w->z + i * w->ldz;
    for (int j = 0; j < w->part->count; j++) {
        const int at = oct_rows_position(w->part->first + j, w->m, w->part->positions);
        const int y = at / c->ow * c->stride[0] + dy, xx = at % c->ow * c->stride[1] + dx;
        const int inside = y >= 0 && y < c->h && xx >= 0 && xx < c->w;
        z[j] = inside ? x[((size_t)y * (size_t)c->w + (size_t)xx) * (size_t)width] : 0;
    }
}

/* Row of z i: a column of a matrix. */
static void matrix_row(const work *w, size_t i)
{
    const size_t ld = oct_tensor_sample_count(w->t);
    const float *x = (const float *)w->t->data + (size_t)w->part->row * ld + channel(w, i);
    for (int j = 0; j < w->part->count; j++) {
        const int at = oct_rows_position(w->part->first + j, w->m, w->part->positions);
        w->z[i * w->ldz + (size_t)j] = x[(size_t)at * ld];
    }
}

static void fill(void *arg, size_t first, size_t end)
{
    const work *w = arg;
    for (size_t i = first; i < end; i++)
        if (w->t->layout == OCT_BLOCKED) image_row(w, i);
        else matrix_row(w, i);
}

void oct_rows_x(const oct_step *step, int group, const oct_rows_part *part, float *z, size_t ldz,
                int column, oct_pool *pool)
{
    work w = { .part = part, .m = oct_rows_count(part->positions),
               .t = step->args.in[OCT_CONV2D_X], .z = z + column, .ldz = ldz };
    if (step->node->kind == OCT_OP_CONV2D) {
        w.c = oct_conv2d_shape_of(&step->args);
        w.first = group * step->args.in[OCT_CONV2D_W]->dim[1];
    }
    oct_spread(pool, (size_t)oct_rows_of(step->node).k, 8 * sizeof(float) * (size_t)part->count,
               fill, &w);
}

void oct_rows_y(const oct_tensor *y, const int *kept, int first, int n, const oct_rows_part *part,
                float *z, size_t ldz, int column, oct_pool *pool)
{
    work w = { .part = part, .m = oct_rows_count(part->positions), .t = y, .first = first,
               .kept = kept, .z = z + column, .ldz = ldz };
    if (y->layout == OCT_BLOCKED)
        w.c = (oct_conv2d_shape){ .c = y->dim[3], .h = y->dim[1], .w = y->dim[2],
                                  .ow = y->dim[2], .kernel = { 1, 1 }, .stride = { 1, 1 },
                                  .dilation = { 1, 1 } };
    oct_spread(pool, (size_t)n, 8 * sizeof(float) * (size_t)part->count, fill, &w);
}
