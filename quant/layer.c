#include "quant/layer.h"

#include <math.h>
#include <string.h>

#include "ops/attr.h"
#include "ops/kernels/gemm_s8.h"
#include "quant/bias.h"
#include "quant/qparams.h"

int oct_quantize_can(const oct_node *node)
{
    if (node->dead || (node->kind != OCT_OP_CONV2D && node->kind != OCT_OP_LINEAR)) return 0;
    const oct_tensor *w = node->args.in[OCT_CONV2D_W];
    return w->data && w->dtype != OCT_S8 && oct_tensor_sample_count(w) <= OCT_GEMM_S8_MAX_K;
}

int oct_keep_has(oct_keep keep, const char *name)
{
    for (int i = 0; i < keep.n; i++)
        if (strcmp(keep.name[i], name) == 0) return 1;
    return 0;
}

oct_status oct_keep_check(oct_keep keep, const oct_graph *g)
{
    for (int i = 0; i < keep.n; i++) {
        int found = 0;
        for (int k = 0; k < g->n_nodes; k++)
            found |= !g->node[k].dead && strcmp(g->node[k].name, keep.name[i]) == 0;
        if (!found)
            return oct_fail(OCT_ERR_UNSUPPORTED, "quantize: there is no layer '%.80s' to keep",
                            keep.name[i]);
    }
    return OCT_OK;
}

static oct_status out_of_memory(const oct_quantize_layer *l)
{
    return oct_fail(OCT_ERR_MEMORY, "%.80s: out of memory", l->node->name);
}

static oct_tensor *constant(const oct_quantize_layer *l, oct_dtype dtype, const oct_tensor *like)
{
    oct_tensor *t = oct_arena_zalloc(l->arena, sizeof *t);
    if (!t) return NULL;
    t->dtype = dtype;
    t->rank = like->rank;
    memcpy(t->dim, like->dim, sizeof t->dim);
    t->data = oct_arena_zalloc(l->arena, oct_tensor_size(t));
    return t->data ? t : NULL;
}

/* The rows of w, the bias and what both become; FP32 ones in tmp. */
typedef struct parts {
    int rows;
    size_t k;
    float *w, *bias, *scale;
    oct_tensor *q;
} parts;

static int all_finite(const float *p, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (!isfinite(p[i])) return 0;
    return 1;
}

static oct_status read(const oct_quantize_layer *l, oct_arena *tmp, parts *p)
{
    const oct_tensor *w = l->node->args.in[OCT_CONV2D_W], *b = l->node->args.in[OCT_CONV2D_BIAS];
    p->rows = w->dim[0];
    p->k = oct_tensor_sample_count(w);
    p->w = oct_arena_alloc(tmp, oct_tensor_count(w) * sizeof *p->w);
    p->bias = oct_arena_zalloc(tmp, (size_t)p->rows * sizeof *p->bias);
    p->scale = oct_arena_alloc(l->arena, (size_t)p->rows * sizeof *p->scale);
    p->q = constant(l, OCT_S8, w);
    if (!p->w || !p->bias || !p->scale || !p->q) return out_of_memory(l);
    p->q->scale = p->scale;
    oct_tensor_read_f32(w, 0, oct_tensor_count(w), p->w);
    if (b) oct_tensor_read_f32(b, 0, (size_t)p->rows, p->bias);
    for (size_t i = 0; l->by && i < oct_tensor_count(w); i++) p->w[i] /= l->by[i % p->k];
    if (all_finite(p->w, oct_tensor_count(w)) && all_finite(p->bias, (size_t)p->rows))
        return OCT_OK;
    return oct_fail(OCT_ERR_UNSUPPORTED, "%.80s: a weight or bias is not finite", l->node->name);
}

static void quantize(const oct_quantize_layer *l, const parts *p)
{
    for (int o = 0; o < p->rows; o++) {
        const float *row = p->w + (size_t)o * p->k;
        p->scale[o] = l->s_in > 0 ? oct_weight_scale(row, p->k, p->bias[o], l->s_in)
                                  : oct_weight_scale(row, p->k, 0, 1);
        oct_weight_quantize(row, p->k, p->scale[o], (int8_t *)p->q->data + (size_t)o * p->k);
    }
}

/* The correction can make a bias larger than its scale allows: then it is clamped, at 2^29. */
static oct_status correct(const oct_quantize_layer *l, const parts *p, oct_arena *tmp)
{
    const oct_node *node = l->node;
    const oct_tensor *x = node->args.in[OCT_CONV2D_X], *y = node->args.out, *w = p->q;
    if (!l->means || !l->means->channels) return OCT_OK;
    oct_bias_layer layer = { .out = p->rows, .in = l->means->channels, .groups = 1, .w = p->w,
                             .q = w->data, .scale = p->scale, .by = l->by };
    if (node->kind == OCT_OP_CONV2D) {
        const oct_conv2d_attr *a = node->args.attr;
        oct_bias_window window = {
            .in = { x->dim[1], x->dim[2] }, .out = { y->dim[1], y->dim[2] },
            .kernel = { w->dim[2], w->dim[3] }, .stride = { a->stride[0], a->stride[1] },
            .pad = { a->pad[0], a->pad[1] }, .dilation = { a->dilation[0], a->dilation[1] } };
        layer.groups = a->groups;
        layer.taps = w->dim[2] * w->dim[3];
        double *inside = oct_arena_alloc(tmp, (size_t)layer.taps * sizeof *inside);
        if (!inside) return out_of_memory(l);
        oct_bias_inside(&window, inside);
        layer.inside = inside;
    } else {
        layer.taps = (int)(p->k / (size_t)layer.in); /* of an image: h * w */
    }
    if ((size_t)(layer.in / layer.groups) * (size_t)layer.taps != p->k) return OCT_OK;
    oct_bias_correct(&layer, l->means, p->bias);
    return OCT_OK;
}

static oct_status set_bias(const oct_quantize_layer *l, const parts *p)
{
    const oct_tensor shape = { .rank = 1, .dim = { p->rows } };
    const int integers = l->s_in > 0;
    oct_tensor *b = constant(l, integers ? OCT_S32 : OCT_F32, &shape);
    oct_tensor **place = &l->node->args.in[OCT_CONV2D_BIAS];
    if (!b) return out_of_memory(l);
    for (int o = 0; o < p->rows; o++)
        if (integers)
            ((int32_t *)b->data)[o] = oct_bias_quantize(p->bias[o], l->s_in, p->scale[o]);
        else
            ((float *)b->data)[o] = p->bias[o];
    if (*place) **place = *b;
    else *place = b;
    *l->node->args.in[OCT_CONV2D_W] = *p->q;
    return OCT_OK;
}

oct_status oct_quantize_layer_run(const oct_quantize_layer *l)
{
    oct_arena tmp = { 0 };
    parts p = { 0 };
    oct_status status = read(l, &tmp, &p);
    if (status == OCT_OK) {
        quantize(l, &p);
        status = correct(l, &p, &tmp);
    }
    if (status == OCT_OK) status = set_bias(l, &p);
    oct_arena_free(&tmp);
    return status;
}
