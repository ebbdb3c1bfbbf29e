/* conv2d by im2col and how->sgemm, an image at a time: the textbook way, for --gemm openblas.
 *
 *   workspace  columns [groups][oh*ow][c/groups * kh * kw] in PyTorch's order of k,
 *              product [oh*ow][out/groups]
 * Its sums have the library's own order: not bit-identical to the other ways. */
#include "ops/conv2d.h"
#include "ops/sgemm.h"

typedef struct state {
    oct_conv2d_shape c;
    oct_sgemm_step **group;    /* [groups] */
} state;

static int per_group_k(const oct_conv2d_shape *c)
{
    return c->c / c->groups * c->kernel[0] * c->kernel[1];
}

oct_status oct_conv2d_im2col_prepare(const oct_args *args, oct_prepare *how, void **out)
{
    const oct_tensor *w = args->in[OCT_CONV2D_W], *b = args->in[OCT_CONV2D_BIAS];
    state *s = oct_arena_zalloc(how->arena, sizeof *s);
    if (!s) return oct_fail(OCT_ERR_MEMORY, "conv2d: out of memory");
    *out = s;
    s->c = oct_conv2d_shape_of(args);
    const int og = s->c.out / s->c.groups, k = per_group_k(&s->c);
    const size_t pixels = (size_t)s->c.oh * (size_t)s->c.ow;
    s->group = oct_arena_alloc(how->arena, (size_t)s->c.groups * sizeof *s->group);
    if (!s->group) return oct_fail(OCT_ERR_MEMORY, "conv2d: out of memory");
    size_t total = 0;
    for (int g = 0; g < s->c.groups; g++) {
        oct_tensor part = *w; /* rows of this group */
        part.dim[0] = og;
        part.data = (char *)w->data + (size_t)g * (size_t)og * (size_t)k * oct_dtype_size(w->dtype);
        if (w->scale) part.scale = w->scale + g * og;
        OCT_TRY(oct_sgemm_prepare(&part, k, NULL, b ? (const float *)b->data + g * og : NULL, how,
                                  &s->group[g]));
        total += how->weight_size;
    }
    how->weight_size = total;
    how->shared_size = pixels * ((size_t)k + (size_t)og) * sizeof(float);
    return OCT_OK;
}

/* Element of a BLOCKED image of h x w pixels, c channels. */
static size_t at(int h, int w, int c, int y, int x, int ch)
{
    const int b = ch / OCT_BLOCK;
    return (size_t)b * OCT_BLOCK * (size_t)h * (size_t)w + (size_t)(ch % OCT_BLOCK) +
           ((size_t)y * (size_t)w + (size_t)x) * (size_t)oct_block_width(c, b);
}

static void gather(const oct_conv2d_shape *c, int group, const float *x, float *col)
{
    const int cg = c->c / c->groups;
    for (int p = 0; p < c->oh * c->ow; p++)
        for (int ch = group * cg; ch < (group + 1) * cg; ch++)
            for (int t = 0; t < c->kernel[0] * c->kernel[1]; t++) {
                const int y = p / c->ow * c->stride[0] - c->pad[0] +
                              t / c->kernel[1] * c->dilation[0];
                const int xx = p % c->ow * c->stride[1] - c->pad[1] +
                               t % c->kernel[1] * c->dilation[1];
                const int inside = y >= 0 && y < c->h && xx >= 0 && xx < c->w;
                *col++ = inside ? x[at(c->h, c->w, c->c, y, xx, ch)] : 0;
            }
}

static void finish(const oct_conv2d_shape *c, int group, const float *product,
                   const float *residual, oct_act act, float *y)
{
    const int og = c->out / c->groups;
    for (int p = 0; p < c->oh * c->ow; p++)
        for (int o = group * og; o < (group + 1) * og; o++) {
            const size_t i = at(c->oh, c->ow, c->out, p / c->ow, p % c->ow, o);
            float v = *product++;
            if (residual) v = v + residual[i];
            if (act != OCT_ACT_NONE) v = v < 0 ? 0 : v;
            if (act == OCT_ACT_RELU6) v = v > 6 ? 6 : v;
            y[i] = v;
        }
}

void oct_conv2d_im2col_run(const oct_args *args, const void *opaque, const oct_run *r)
{
    const state *s = opaque;
    const oct_conv2d_shape *c = &s->c;
    const oct_conv2d_attr *attr = args->attr;
    const oct_tensor *residual = args->in[OCT_CONV2D_RESIDUAL];
    const size_t in = oct_tensor_sample_count(args->in[OCT_CONV2D_X]);
    const size_t count = oct_tensor_sample_count(args->out);
    float *col = r->shared, *product = col + (size_t)c->oh * (size_t)c->ow * (size_t)per_group_k(c);
    for (int n = 0; n < r->n; n++)
        for (int g = 0; g < c->groups; g++) {
            gather(c, g, (const float *)args->in[OCT_CONV2D_X]->data + (size_t)n * in, col);
            oct_sgemm_run(s->group[g], c->oh * c->ow, col, NULL, OCT_ACT_NONE, product);
            finish(c, g, product,
                   residual ? (const float *)residual->data + (size_t)n * count : NULL, attr->act,
                   (float *)args->out->data + (size_t)n * count);
        }
}
