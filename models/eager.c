#include "models/eager.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

static const char *part(const char *module, const char *tensor, char name[256])
{
    snprintf(name, 256, "%s.%s", module, tensor);
    return name;
}

int oct_eager_has(const oct_model *m, const char *module)
{
    char name[256];
    return oct_weights_find(m->weights, part(module, "scale", name)) &&
           oct_weights_find(m->weights, part(module, "zero_point", name));
}

/* A tensor of one element, [] or [1]. */
static oct_status scalar(oct_model *m, const char *name, oct_dtype dtype, oct_tensor *out)
{
    OCT_TRY(oct_weights_require(m->weights, name, -1, NULL, out));
    if (oct_tensor_count(out) == 1 && out->dtype == dtype) return OCT_OK;
    const oct_weights_entry *e = oct_weights_find(m->weights, name);
    return oct_fail(OCT_ERR_FORMAT, "%.80s: %zu elements of %s, expected one %s", name,
                    e->size / oct_dtype_size(e->dtype), oct_dtype_name(e->dtype),
                    oct_dtype_name(dtype));
}

oct_status oct_eager_output(oct_model *m, const char *module, oct_quant *out)
{
    char name[256];
    oct_tensor scale, zero;
    OCT_TRY(scalar(m, part(module, "scale", name), OCT_F32, &scale));
    OCT_TRY(scalar(m, part(module, "zero_point", name), OCT_S64, &zero));
    const int64_t z = *(const int64_t *)zero.data;
    if (z < 0 || z > 255)
        return oct_fail(OCT_ERR_FORMAT, "%.80s: %lld, expected 0 to 255 (quint8)", name,
                        (long long)z);
    *out = (oct_quant){ *(const float *)scale.data, (int)z, 255 };
    oct_weights_let_go(m->weights, &scale);
    oct_weights_let_go(m->weights, &zero);
    if (out->scale > 0) return OCT_OK; /* what is positive and odd, the operators refuse */
    return oct_fail(OCT_ERR_FORMAT, "%.80s: %g, expected a positive number",
                    part(module, "scale", name), (double)out->scale);
}

oct_status oct_eager_is_static(oct_model *m, const char *module, int *out)
{
    char name[256];
    oct_quant q;
    const oct_weights_entry *w = oct_weights_find(m->weights, part(module, "weight", name));
    *out = 0;
    if (!w || w->dtype != OCT_S8 || !oct_eager_has(m, module)) return OCT_OK;
    OCT_TRY(oct_eager_output(m, module, &q));
    *out = q.scale != 1 || q.zero != 0;
    return OCT_OK;
}

oct_status oct_eager_bias(oct_model *m, const oct_tensor *x, const oct_tensor *w,
                              oct_tensor **bias)
{
    const int n = w->dim[0];
    const oct_tensor *from = *bias;
    if (!from || x->dtype != OCT_U8 || w->dtype != OCT_S8) return OCT_OK;
    for (int i = 1; i < n; i++)
        if (w->scale[i] != w->scale[0]) return OCT_OK;
    oct_tensor *to = oct_arena_alloc(&m->arena, sizeof *to);
    int32_t *q = oct_arena_alloc(&m->arena, (size_t)n * sizeof *q);
    if (!to || !q) return oct_fail(OCT_ERR_MEMORY, "bias: out of memory");
    const float unit = *x->scale * w->scale[0];
    for (int i = 0; i < n; i++) {
        const float steps = ((const float *)from->data)[i] / unit;
        if (!(fabsf(steps) < 0x1p29f)) return OCT_OK; /* more than kernels take, or not a number */
        q[i] = (int32_t)lrintf(steps);
    }
    *to = (oct_tensor){ .dtype = OCT_S32, .rank = 1, .dim = { n }, .data = q };
    *bias = to;
    return OCT_OK;
}

oct_status oct_eager_enter(oct_model *m, const char *module, oct_tensor **x)
{
    oct_quantize_attr attr;
    OCT_TRY(oct_eager_output(m, module, &attr.quant));
    return oct_graph_add(&m->graph, OCT_OP_QUANTIZE, module, &attr, sizeof attr,
                         (oct_tensor *[OCT_MAX_IN]){ *x }, x);
}

oct_status oct_eager_leave(oct_model *m, const char *name, oct_tensor **x)
{
    return oct_graph_add(&m->graph, OCT_OP_DEQUANTIZE, name, NULL, 0,
                         (oct_tensor *[OCT_MAX_IN]){ *x }, x);
}

oct_quant oct_eager_of(const oct_tensor *x)
{
    return (oct_quant){ *x->scale, x->zero, x->max };
}

int oct_eager_graph(const oct_graph *g)
{
    for (int i = 0; i < g->n_nodes; i++)
        for (int k = 0; k < OCT_MAX_IN; k++) {
            const oct_tensor *t = g->node[i].args.in[k];
            if (t && t->data && t->dtype == OCT_S8) return 1;
        }
    return 0;
}
