/* A quantized tensor of PyTorch becomes two: NAME, the integers as they lie in the file, and
 * NAME.scale, F32 [first dimension of NAME], as octet's own files have it:
 *
 *   real[o, ...] = scale[o] * NAME[o, ...]
 *
 * The file has its scales as doubles, one for all or one for each index of dimension 0, and zero
 * points, which are 0 in weights.  Both are looked at when the scales are read. */
#include <math.h>
#include <string.h>

#include "weights/pth.h"

typedef oct_pickle_value value;

static const char suffix[] = ".scale";

/* One number: a scale or a zero point. */
static oct_status take_one(oct_weights *w, const oct_pickle_quantizer *q, oct_scales *s)
{
    double *scale = oct_slab_alloc(&w->slab, sizeof *scale);
    if (!scale) return oct_slab_error(&w->slab);
    *scale = q->scale->f;
    s->value = scale;
    s->zero_value = q->zero->i;
    s->one = true;
    return OCT_OK;
}

static oct_status take_lists(oct_weights *w, const oct_pickle_quantizer *q, int n, oct_scales *s)
{
    const char *name = s->of->entry.name;
    const value *scales = q->scale, *zeros = q->zero;
    if (scales->n != (uint32_t)n || zeros->n != (uint32_t)n)
        return oct_fail(OCT_ERR_FORMAT, "%.80s: %u scales and %u zero points, expected %d", name,
                        scales->n, zeros->n, n);
    double *scale = oct_slab_alloc(&w->slab, (size_t)n * sizeof *scale);
    if (!scale) return oct_slab_error(&w->slab);
    s->value = scale;
    for (const oct_pickle_cell *c = scales->list.first; c; c = c->next) {
        if (c->value->kind != OCT_PICKLE_FLOAT)
            return oct_fail(OCT_ERR_FORMAT, "%.80s: a scale that is no float", name);
        *scale++ = c->value->f;
    }
    for (const oct_pickle_cell *c = zeros->list.first; c; c = c->next) {
        if (c->value->kind != OCT_PICKLE_INT)
            return oct_fail(OCT_ERR_FORMAT, "%.80s: a zero point that is no integer", name);
        if (!s->zero_value) s->zero_value = c->value->i;
    }
    return OCT_OK;
}

/* A vector of n, of this dtype. */
static oct_status take_vector(oct_weights *w, const oct_scales *s, const oct_pickle_tensor *t,
                              oct_dtype dtype, int n, const oct_weights_item **out)
{
    oct_weights_claim c;
    oct_weights_item *it;
    const char *name = s->of->entry.name;
    OCT_TRY(oct_pth_claim(w, name, strlen(name), t, &c));
    if (c.dtype != dtype || c.rank != 1 || c.dim[0] != n || t->quantizer)
        return oct_fail(OCT_ERR_FORMAT, "%.80s: its %s are not %s [%d]", name,
                        dtype == OCT_F64 ? "scales" : "zero points", oct_dtype_name(dtype), n);
    OCT_TRY(oct_names_item(w, &c, &it));
    *out = it;
    return OCT_OK;
}

static oct_status take(oct_weights *w, const oct_pickle_quantizer *q, int n, oct_scales *s)
{
    if (q->scale->kind == OCT_PICKLE_FLOAT) return take_one(w, q, s);
    if (q->axis != 0 || s->of->entry.rank == 0)
        return oct_fail(OCT_ERR_UNSUPPORTED, "%.80s: scales along dimension %lld of %d, only the "
                        "first is read", s->of->entry.name, (long long)q->axis,
                        s->of->entry.rank);
    if (q->scale->kind == OCT_PICKLE_LIST) return take_lists(w, q, n, s);
    OCT_TRY(take_vector(w, s, q->scale->tensor, OCT_F64, n, &s->scale));
    return take_vector(w, s, q->zero->tensor, OCT_S64, n, &s->zero);
}

oct_status oct_scales_add(oct_weights *w, const char *name, size_t size,
                          const oct_pickle_tensor *t)
{
    oct_weights_claim c;
    oct_weights_item *of;
    OCT_TRY(oct_pth_claim(w, name, size, t, &c));
    OCT_TRY(oct_names_item(w, &c, &of));
    oct_scales *s = oct_slab_alloc(&w->slab, sizeof *s);
    oct_weights_item *it = oct_slab_alloc(&w->slab, sizeof *it);
    char *text = oct_slab_alloc(&w->slab, size + sizeof suffix);
    if (!s || !it || !text) return oct_slab_error(&w->slab);
    memcpy(text, name, size);
    memcpy(text + size, suffix, sizeof suffix);
    const int n = of->entry.rank ? of->entry.dim[0] : 1;
    s->of = of;
    OCT_TRY(take(w, t->quantizer, n, s));
    it->entry = (oct_weights_entry){ .name = text, .dtype = OCT_F32, .rank = 1, .dim = { n },
                                     .size = (size_t)n * sizeof(float) };
    it->scales = s;
    oct_names_link(w, of);
    oct_names_link(w, it);
    return OCT_OK;
}

static oct_status fill(const oct_weights_item *it, const double *scale, const int64_t *zero,
                       float *out)
{
    const oct_scales *s = it->scales;
    int64_t other = s->zero_value;
    for (int i = 0; i < it->entry.dim[0]; i++) {
        const double from = scale[s->one ? 0 : i];
        out[i] = (float)from;
        if (!(out[i] > 0) || !isfinite(out[i]))
            return oct_fail(OCT_ERR_FORMAT, "%.80s: scale %d is %g, expected a positive float",
                            s->of->entry.name, i, from);
        if (zero && !other) other = zero[i];
    }
    if (other)
        return oct_fail(OCT_ERR_UNSUPPORTED, "%.80s: quantized with a zero point of %lld: only "
                        "symmetric weights are read", s->of->entry.name, (long long)other);
    return OCT_OK;
}

oct_status oct_scales_load(oct_weights *w, const oct_weights_item *it, void **data)
{
    const oct_scales *s = it->scales;
    void *scale = NULL, *zero = NULL;
    OCT_TRY(oct_data_new(w, it->entry.size, data));
    oct_status status = s->scale ? oct_data_load(w, s->scale, &scale) : OCT_OK;
    if (status == OCT_OK && s->zero) status = oct_data_load(w, s->zero, &zero);
    if (status == OCT_OK) status = fill(it, scale ? scale : s->value, zero, *data);
    oct_data_free(w, scale); /* no harm in what is none: NULL, or freed where it failed */
    oct_data_free(w, zero);
    if (status != OCT_OK) oct_data_free(w, *data);
    return status;
}
