/* What each operator becomes on the device: one launch, or one for each operand of a concat. */
#include <limits.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "cuda/steps.h"
#include "ops/quantized.h"

/* Rows of the device are counted in int. */
static oct_status check_value(const oct_tensor *t)
{
    if (t->layout == OCT_BLOCKED ? t->rank != 4 : t->rank > 2)
        return oct_fail(OCT_ERR_UNSUPPORTED, "a value of rank %d, which the GPU does not have",
                        t->rank);
    if (t->rank && oct_tensor_count(t) / (size_t)t->dim[t->rank - 1] > INT_MAX / 2)
        return oct_fail(OCT_ERR_UNSUPPORTED, "%zu rows, more than the GPU's kernels count",
                        oct_tensor_count(t) / (size_t)t->dim[t->rank - 1]);
    return OCT_OK;
}

typedef struct making {
    oct_device *d;
    const oct_args *args;
    oct_prepare *how;
    int per_text;
} making;

static oct_status add(const making *m, int (*launch)(void *, const oct_cuda_step *),
                      const char *kernel, oct_cuda_step **out)
{
    oct_cuda_value x;
    OCT_TRY(oct_cuda_operand(m->d, m->args->in[0], m->per_text, &x));
    OCT_TRY(oct_cuda_add_step(m->d, m->args->out, m->per_text, out));
    (*out)->x = x;
    (*out)->launch = launch;
    m->how->kernel = kernel;
    return OCT_OK;
}

int oct_cuda_launch_import(void *stream, const oct_cuda_step *s)
{
    return oct_cuda_import(stream, s->rows, s->raw, s->y);
}

static int launch_layout(void *stream, const oct_cuda_step *s)
{
    return oct_cuda_layout(stream, s->rows, s->raw, s->y);
}

static oct_status make_layout(const making *m)
{
    oct_cuda_step *s;
    if (!oct_cuda_is_input(m->d, m->args->in[OCT_LAYOUT_X]))
        return oct_fail(OCT_ERR_UNSUPPORTED, "layout: of what is no input");
    OCT_TRY(oct_cuda_add_step(m->d, m->args->out, m->per_text, &s));
    s->raw = m->args->in[OCT_LAYOUT_X]->data;
    s->launch = launch_layout;
    m->how->kernel = "layout/cuda";
    return OCT_OK;
}

static int launch_flatten(void *stream, const oct_cuda_step *s)
{
    return oct_cuda_flatten(stream, s->rows, s->pixels, s->x, s->y);
}

static oct_status make_flatten(const making *m)
{
    const oct_tensor *x = m->args->in[OCT_FLATTEN_X];
    oct_cuda_step *s;
    if (oct_cuda_is_input(m->d, x)) { /* in PyTorch's order already */
        OCT_TRY(oct_cuda_add_step(m->d, m->args->out, m->per_text, &s));
        s->raw = x->data;
        s->launch = oct_cuda_launch_import;
        m->how->kernel = "import/cuda";
        return OCT_OK;
    }
    OCT_TRY(check_value(x));
    OCT_TRY(add(m, launch_flatten, "flatten/cuda", &s));
    s->pixels = x->layout == OCT_BLOCKED ? x->dim[1] * x->dim[2] : 1;
    return OCT_OK;
}

static int launch_act(void *stream, const oct_cuda_step *s)
{
    return oct_cuda_act(stream, s->rows, s->act, s->x, s->y);
}

static oct_status make_activation(const making *m)
{
    oct_cuda_step *s;
    if (m->args->out->dtype != OCT_F32)
        return oct_fail(OCT_ERR_UNSUPPORTED, "activation: of U8, which the GPU does not have");
    OCT_TRY(add(m, launch_act, "activation/cuda", &s));
    s->act = ((const oct_activation_attr *)m->args->attr)->act;
    return OCT_OK;
}

static int launch_add(void *stream, const oct_cuda_step *s)
{
    return oct_cuda_add(stream, s->rows, s->act, s->x, s->b, s->y);
}

static int launch_add_u8(void *stream, const oct_cuda_step *s)
{
    return oct_cuda_add_u8(stream, s->rows, s->zero_a, s->scale_a, s->out, s->x, s->b, s->y);
}

static oct_status make_add(const making *m)
{
    const oct_tensor *a = m->args->in[OCT_ADD_A], *b = m->args->in[OCT_ADD_B], *y = m->args->out;
    const oct_act act = ((const oct_add_attr *)m->args->attr)->act;
    oct_cuda_step *s;
    oct_cuda_value second;
    OCT_TRY(oct_cuda_operand(m->d, b, m->per_text, &second));
    OCT_TRY(add(m, y->dtype == OCT_U8 ? launch_add_u8 : launch_add, "add/cuda", &s));
    s->b = second;
    s->act = act;
    if (y->dtype != OCT_U8) return OCT_OK;
    s->out = oct_quant_requant(y, act, b);
    s->zero_a = a->zero;
    s->scale_a = *a->scale / *y->scale;
    if (!(s->scale_a > 0 && s->scale_a < 0x1p64f && s->out.residual_scale > 0 &&
          s->out.residual_scale < 0x1p64f))
        return oct_fail(OCT_ERR_UNSUPPORTED, "add: scales %g and %g to %g", (double)*a->scale,
                        (double)*b->scale, (double)*y->scale);
    return OCT_OK;
}

static int launch_batchnorm(void *stream, const oct_cuda_step *s)
{
    return oct_cuda_batchnorm(stream, s->rows, s->gamma, s->x, s->y);
}

/* [mean | scale | beta], as ops/batchnorm.c has them */
static oct_status fill_table(const oct_args *args, int c, float *mean, float *scale, float *beta)
{
    const float eps = ((const oct_batchnorm_attr *)args->attr)->eps;
    const size_t n = (size_t)c;
    const oct_tensor *g = args->in[OCT_BATCHNORM_GAMMA], *b = args->in[OCT_BATCHNORM_BETA];
    oct_tensor_read_f32(args->in[OCT_BATCHNORM_MEAN], 0, n, mean);
    if (g) oct_tensor_read_f32(g, 0, n, scale);
    if (b) oct_tensor_read_f32(b, 0, n, beta);
    for (int i = 0; i < c; i++) {
        float var;
        oct_tensor_read_f32(args->in[OCT_BATCHNORM_VAR], (size_t)i, 1, &var);
        const double under = (double)var + (double)eps;
        if (!(under > 0))
            return oct_fail(OCT_ERR_FORMAT, "batchnorm: variance %d is %g, eps %g", i, (double)var,
                            (double)eps);
        scale[i] = (float)((double)(g ? scale[i] : 1) / sqrt(under));
    }
    return OCT_OK;
}

static oct_status make_batchnorm(const making *m)
{
    const int c = m->args->out->dim[m->args->out->rank - 1];
    const void *there = NULL;
    oct_cuda_step *s;
    float *table = calloc(3 * (size_t)c, sizeof *table);
    if (!table) return oct_fail(OCT_ERR_MEMORY, "batchnorm: out of memory");
    oct_status status = fill_table(m->args, c, table, table + c, table + 2 * c);
    if (!status)
        status = oct_cuda_put(m->d, table, 3 * (size_t)c * sizeof *table, m->how, &there);
    free(table);
    OCT_TRY(status);
    OCT_TRY(add(m, launch_batchnorm, "batchnorm/cuda", &s));
    s->gamma = there;
    return OCT_OK;
}

static int launch_pool(void *stream, const oct_cuda_step *s)
{
    return oct_cuda_pool2d(stream, s->rows, &s->u.pool);
}

static oct_status make_pool(const making *m)
{
    const oct_tensor *x = m->args->in[OCT_POOL_X], *y = m->args->out;
    oct_cuda_step *s;
    OCT_TRY(add(m, launch_pool, "pool/cuda", &s));
    oct_cuda_pool *p = &s->u.pool;
    *p = (oct_cuda_pool){ .x = s->x, .y = s->y, .attr = *(const oct_pool_attr *)m->args->attr,
                          .h = x->dim[1], .w = x->dim[2], .oh = y->dim[1], .ow = y->dim[2] };
    if (x->dtype != OCT_U8) return OCT_OK;
    p->zero = x->zero;
    p->scale = *x->scale;
    if (y->dtype == OCT_U8) p->scale = p->scale / *y->scale;
    p->out = oct_quant_requant(y, OCT_ACT_NONE, NULL);
    return OCT_OK;
}

static int launch_copy(void *stream, const oct_cuda_step *s)
{
    return oct_cuda_copy_cols(stream, s->rows, s->u.copy);
}

static oct_status make_concat(const making *m)
{
    const oct_tensor *y = m->args->out;
    const int image = y->layout == OCT_BLOCKED;
    for (int i = 0, at = 0; i < OCT_MAX_IN && m->args->in[i]; i++) {
        const oct_tensor *x = m->args->in[i];
        oct_cuda_value from;
        oct_cuda_step *s;
        OCT_TRY(oct_cuda_operand(m->d, x, m->per_text, &from));
        OCT_TRY(oct_cuda_add_step(m->d, y, m->per_text, &s));
        s->launch = launch_copy;
        s->u.copy = (oct_cuda_copy){ .x = from, .y = s->y, .at = at, .stride = { 1, 1 },
                                     .h = image ? y->dim[1] : 1, .w = image ? y->dim[2] : 1,
                                     .ow = image ? y->dim[2] : 1 };
        at += from.cols;
    }
    m->how->kernel = "copy/cuda";
    return OCT_OK;
}

static oct_status make_pad(const making *m)
{
    const oct_tensor *x = m->args->in[OCT_PAD_X], *y = m->args->out;
    const oct_pad_attr *attr = m->args->attr;
    oct_cuda_step *s;
    OCT_TRY(add(m, launch_copy, "copy/cuda", &s));
    s->u.copy = (oct_cuda_copy){ .x = s->x, .y = s->y, .at = attr->before, .alone = 1,
                                 .fill = x->zero, .h = x->dim[1], .w = x->dim[2], .ow = y->dim[2],
                                 .stride = { attr->stride[0], attr->stride[1] } };
    return OCT_OK;
}

static int launch_quantize(void *stream, const oct_cuda_step *s)
{
    return oct_cuda_quantize(stream, s->rows, s->quant, s->inverse, s->x, s->y);
}

static int launch_dequantize(void *stream, const oct_cuda_step *s)
{
    return oct_cuda_dequantize(stream, s->rows, s->quant, s->x, s->y);
}

/* by over the scale, as ops/quantize.c has it */
static oct_status put_inverse(const making *m, const oct_tensor *by, float scale,
                              const float **out)
{
    const size_t n = (size_t)by->dim[0];
    const void *there = NULL;
    float *inverse = malloc(n * sizeof *inverse);
    if (!inverse) return oct_fail(OCT_ERR_MEMORY, "quantize: out of memory");
    for (size_t i = 0; i < n; i++) inverse[i] = ((const float *)by->data)[i] / scale;
    const oct_status status = oct_cuda_put(m->d, inverse, n * sizeof *inverse, m->how, &there);
    free(inverse);
    *out = there;
    return status;
}

static oct_status make_quantize(const making *m, const oct_tensor *quantized)
{
    oct_cuda_step *s;
    const int to_bytes = quantized == m->args->out;
    const oct_tensor *by = to_bytes ? m->args->in[OCT_QUANTIZE_BY] : NULL;
    const float *inverse = NULL;
    if (by) OCT_TRY(put_inverse(m, by, *quantized->scale, &inverse));
    OCT_TRY(add(m, to_bytes ? launch_quantize : launch_dequantize,
                to_bytes ? "quantize/cuda" : "dequantize/cuda", &s));
    s->inverse = inverse;
    s->quant = (oct_quant){ *quantized->scale, quantized->zero, quantized->max };
    return OCT_OK;
}

static int launch_softmax(void *stream, const oct_cuda_step *s)
{
    return oct_cuda_softmax(stream, s->rows, s->x, s->y);
}

static oct_status make_softmax(const making *m)
{
    oct_cuda_step *s;
    return add(m, launch_softmax, "softmax/cuda", &s);
}

static int launch_layernorm(void *stream, const oct_cuda_step *s)
{
    return oct_cuda_layernorm(stream, s->rows, s->eps, s->gamma, s->beta, s->x, s->y);
}

static oct_status make_layernorm(const making *m)
{
    const float *gamma, *beta;
    oct_cuda_step *s;
    OCT_TRY(oct_cuda_constant(m->d, m->args->in[OCT_LAYERNORM_GAMMA], m->how, &gamma));
    OCT_TRY(oct_cuda_constant(m->d, m->args->in[OCT_LAYERNORM_BETA], m->how, &beta));
    OCT_TRY(add(m, launch_layernorm, "layernorm/cuda", &s));
    s->gamma = gamma;
    s->beta = beta;
    s->eps = ((const oct_layernorm_attr *)m->args->attr)->eps;
    return OCT_OK;
}

static int launch_embed(void *stream, const oct_cuda_step *s)
{
    return oct_cuda_embed(stream, s->rows, &s->u.embedding);
}

static oct_status make_embedding(const making *m)
{
    oct_tensor *const *in = m->args->in;
    const oct_tensor *word = in[OCT_EMBEDDING_WORD], *types = in[OCT_EMBEDDING_TYPES];
    oct_cuda_embedding e = { .ids = in[OCT_EMBEDDING_IDS]->data,
                             .starts = in[OCT_EMBEDDING_STARTS]->data,
                             .types = types ? types->data : NULL, .word_type = word->dtype,
                             .texts = oct_cuda_rows_of(m->d, m->args->out, 1).count,
                             .eps = ((const oct_embedding_attr *)m->args->attr)->eps };
    const void *scale = NULL;
    oct_cuda_step *s;
    OCT_TRY(oct_cuda_put(m->d, word->data, oct_tensor_size(word), m->how, &e.word));
    if (word->dtype == OCT_S8)
        OCT_TRY(oct_cuda_put(m->d, word->scale, (size_t)word->dim[0] * sizeof(float), m->how,
                             &scale));
    e.scale = scale;
    OCT_TRY(oct_cuda_constant(m->d, in[OCT_EMBEDDING_POSITION], m->how, &e.position));
    if (types) OCT_TRY(oct_cuda_constant(m->d, in[OCT_EMBEDDING_TYPE], m->how, &e.type));
    OCT_TRY(oct_cuda_constant(m->d, in[OCT_EMBEDDING_GAMMA], m->how, &e.gamma));
    OCT_TRY(oct_cuda_constant(m->d, in[OCT_EMBEDDING_BETA], m->how, &e.beta));
    OCT_TRY(oct_cuda_add_step(m->d, m->args->out, m->per_text, &s));
    e.y = s->y;
    s->u.embedding = e;
    s->starts = e.starts;
    s->launch = launch_embed;
    m->how->kernel = "embedding/cuda";
    return OCT_OK;
}

static int launch_attention(void *stream, const oct_cuda_step *s)
{
    return oct_cuda_attend(stream, &s->u.attention);
}

static int launch_attention_f16(void *stream, const oct_cuda_step *s)
{
    return oct_cuda_attend_f16(stream, &s->u.attention);
}

static oct_status make_attention(const making *m)
{
    enum { MAX_TEXTS = 65535 }; /* blocks of a grid's third dimension */
    const oct_tensor *q = m->args->in[OCT_ATTENTION_Q];
    const oct_tensor *starts = m->args->in[OCT_ATTENTION_STARTS];
    const oct_attention_attr *attr = m->args->attr;
    const int texts = starts->dim[0] - 1;
    const oct_cuda_rows of_texts = oct_cuda_rows_of(m->d, m->args->out, 1);
    oct_cuda_step *s;
    if (attr->length > OCT_CUDA_LENGTH || attr->heads > MAX_TEXTS || texts > MAX_TEXTS)
        return oct_fail(OCT_ERR_UNSUPPORTED, "attention: %d texts of %d tokens, and the GPU's "
                        "kernel takes %d of %d", texts, attr->length, MAX_TEXTS, OCT_CUDA_LENGTH);
    OCT_TRY(add(m, launch_attention, "attention/cuda", &s));
    s->starts = starts->data;
    s->u.attention = (oct_cuda_attention){
        .starts = starts->data,
        .texts = { of_texts.count, texts, 1, of_texts.overflow },
        .d = m->args->out->dim[1], .heads = attr->heads, .length = attr->length, .one = q != NULL,
        .x = s->x, .y = s->y };
    if (q) s->u.attention.q = oct_cuda_value_of(m->d, q);
    const int width = m->args->out->dim[1] / attr->heads;
    if (s->x.type == OCT_F16 && width % 8 == 0 && width <= OCT_CUDA_WIDTH) {
        s->launch = launch_attention_f16;
        m->how->kernel = "attention_f16/cuda";
        m->how->type = OCT_F16;
    }
    m->how->macs = 2.0 * attr->length * m->args->out->dim[1];
    return OCT_OK;
}

static int launch_first(void *stream, const oct_cuda_step *s)
{
    return oct_cuda_first(stream, s->rows, s->starts, s->x, s->y);
}

static oct_status make_first(const making *m)
{
    oct_cuda_step *s;
    OCT_TRY(add(m, launch_first, "copy/cuda", &s));
    s->starts = m->args->in[OCT_FIRST_STARTS]->data;
    return OCT_OK;
}

oct_status oct_cuda_prepare_op(oct_device *d, oct_op_kind kind, const oct_args *args, int per_text,
                               oct_prepare *how)
{
    const making m = { d, args, how, per_text };
    how->type = OCT_F32;
    OCT_TRY(check_value(args->out));
    if (kind != OCT_OP_LAYOUT && kind != OCT_OP_FLATTEN) OCT_TRY(check_value(args->in[0]));
    switch (kind) {
    case OCT_OP_LAYOUT:     return make_layout(&m);
    case OCT_OP_CONV2D:
    case OCT_OP_LINEAR:     return oct_cuda_prepare_conv(d, kind, args, per_text, how);
    case OCT_OP_BATCHNORM:  return make_batchnorm(&m);
    case OCT_OP_ACTIVATION: return make_activation(&m);
    case OCT_OP_POOL:       return make_pool(&m);
    case OCT_OP_ADD:        return make_add(&m);
    case OCT_OP_CONCAT:     return make_concat(&m);
    case OCT_OP_PAD:        return make_pad(&m);
    case OCT_OP_FLATTEN:    return make_flatten(&m);
    case OCT_OP_SOFTMAX:    return make_softmax(&m);
    case OCT_OP_EMBEDDING:  return make_embedding(&m);
    case OCT_OP_LAYERNORM:  return make_layernorm(&m);
    case OCT_OP_ATTENTION:  return make_attention(&m);
    case OCT_OP_FIRST:      return make_first(&m);
    case OCT_OP_QUANTIZE:   return make_quantize(&m, args->out);
    case OCT_OP_DEQUANTIZE: return make_quantize(&m, args->in[OCT_DEQUANTIZE_X]);
    default:
        return oct_fail(OCT_ERR_UNSUPPORTED, "operator %d: the GPU has no kernel for it",
                        (int)kind);
    }
}
