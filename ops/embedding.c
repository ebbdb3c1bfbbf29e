/* embedding:  y[i] = layernorm(word[ids[i]] + type[types[i]] + position[p])
 *
 *   ids, types  S32 [tokens]                       starts  S32 [texts + 1]
 *   word, position, type  [rows, d] F32, F16, BF16, finite or not; S8, a scale a row, zero 0
 *   gamma, beta           FP32 [d]
 *   p  the token's place in its own text, from 0
 * Word vectors keep the file's dtype, they are the most of a small model's bytes; the others are
 * FP32.  S8 stands for (float)q * scale, one product.  Two additions, each one operation, then norm
 * of ops/kernels/vec.h. */
#include <math.h>
#include <string.h>

#include "ops/attr.h"
#include "ops/common.h"
#include "ops/kernels/vec_u8.h"
#include "ops/spread.h"

enum { SIGN = 128 }; /* what makes an S8 the U8 that vec_u8.h reads */

typedef struct state {
    const oct_vec *vec;
    const oct_vec_u8 *bytes;
    oct_tensor word;           /* S8: its bytes less -128 */
    const float *scale;        /* of the words, S8; else NULL */
    const float *position, *type, *gamma, *beta; /* one after the other; type NULL: none */
} state;

typedef struct job {
    const state *s;
    size_t d;
    float eps;
    const int32_t *ids, *types, *starts;
    float *y;
} job;

static oct_status infer_table(const oct_tensor *t, int d)
{
    if (!t) return oct_fail(OCT_ERR_SHAPE, "embedding: a table is missing");
    const oct_dtype type = t->dtype;
    const int scaled = t->scale || t->data == oct_no_data; /* of a compiled model they are packed */
    if (type != OCT_F32 && type != OCT_F16 && type != OCT_BF16 && (type != OCT_S8 || !scaled))
        return oct_fail(OCT_ERR_UNSUPPORTED, "embedding: a table of %s, expected F32, F16, BF16 or "
                        "I8 with scales", oct_dtype_name(type));
    if (t->rank != 2 || t->dim[0] < 1 || t->dim[1] < 1 || t->dim[1] != d)
        return oct_fail(OCT_ERR_SHAPE, "embedding: a table is not [rows, %d]", d);
    return OCT_OK;
}

static oct_status infer(oct_args *args)
{
    oct_tensor *const *in = args->in;
    const oct_embedding_attr *attr = args->attr;
    const oct_tensor *word = in[OCT_EMBEDDING_WORD], *ids = in[OCT_EMBEDDING_IDS];
    const oct_tensor *types = in[OCT_EMBEDDING_TYPES];
    const int d = word ? word->dim[1] : 0;
    if (!ids || ids->dtype != OCT_S32 || ids->rank != 1 || ids->dim[0] < 1)
        return oct_fail(OCT_ERR_SHAPE, "embedding: the ids are no I32 [tokens]");
    if (types && (types->dtype != OCT_S32 || types->rank != 1 || types->dim[0] != ids->dim[0]))
        return oct_fail(OCT_ERR_SHAPE, "embedding: the token types are no I32 [%d]", ids->dim[0]);
    if (!types != !in[OCT_EMBEDDING_TYPE])
        return oct_fail(OCT_ERR_SHAPE, "embedding: token types without a table, or a table alone");
    OCT_TRY(oct_infer_starts("embedding", in[OCT_EMBEDDING_STARTS]));
    OCT_TRY(infer_table(word, d));
    OCT_TRY(infer_table(in[OCT_EMBEDDING_POSITION], d));
    if (types) OCT_TRY(infer_table(in[OCT_EMBEDDING_TYPE], d));
    OCT_TRY(oct_infer_param("embedding", in[OCT_EMBEDDING_GAMMA], d));
    OCT_TRY(oct_infer_param("embedding", in[OCT_EMBEDDING_BETA], d));
    if (!(attr->eps >= 0 && attr->eps < INFINITY))
        return oct_fail(OCT_ERR_SHAPE, "embedding: eps %g, expected 0 or more", (double)attr->eps);
    void *data = args->out->data;
    *args->out = (oct_tensor){ .rank = 2, .dim = { ids->dim[0], d }, .data = data };
    return OCT_OK;
}

/* Scales of the words, position, type, gamma, beta as FP32, one after the other. */
static oct_status pack_small(const oct_args *args, oct_prepare *how, state *s)
{
    static const int order[] = { OCT_EMBEDDING_POSITION, OCT_EMBEDDING_TYPE, OCT_EMBEDDING_GAMMA,
                                 OCT_EMBEDDING_BETA };
    const float **const to[] = { &s->position, &s->type, &s->gamma, &s->beta };
    const oct_tensor *word = args->in[OCT_EMBEDDING_WORD];
    const size_t n_scales = word->dtype == OCT_S8 ? (size_t)word->dim[0] : 0;
    size_t size = n_scales * sizeof(float);
    void *packed;
    int ready;
    for (int i = 0; i < 4; i++)
        if (args->in[order[i]]) size += oct_tensor_count(args->in[order[i]]) * sizeof(float);
    how->weight_size += size;
    OCT_TRY(oct_prepare_packed("embedding", how, size, &packed, &ready));
    float *at = packed;
    if (n_scales) {
        s->scale = at;
        if (!ready) memcpy(at, word->scale, n_scales * sizeof *at);
        at += n_scales;
    }
    for (int i = 0; i < 4; i++) {
        const oct_tensor *t = args->in[order[i]];
        if (!t) continue;
        *to[i] = at;
        if (!ready) oct_tensor_read_f32(t, 0, oct_tensor_count(t), at);
        at += oct_tensor_count(t);
    }
    return OCT_OK;
}

static void pack_words(const oct_tensor *word, size_t size, void *to)
{
    const int8_t *from = word->data;
    uint8_t *bytes = to;
    if (word->dtype != OCT_S8) memcpy(to, from, size);
    else for (size_t i = 0; i < size; i++) bytes[i] = (uint8_t)(from[i] + SIGN);
}

static oct_status prepare(const oct_args *args, oct_prepare *how, void **out)
{
    const oct_tensor *word = args->in[OCT_EMBEDDING_WORD];
    const size_t size = oct_tensor_size(word);
    int ready;
    state *s = oct_arena_zalloc(how->arena, sizeof *s);
    if (!s) return oct_fail(OCT_ERR_MEMORY, "embedding: out of memory");
    *out = s;
    s->vec = oct_vec_pick(how->cpu);
    s->bytes = oct_vec_u8_pick(how->cpu);
    s->word = *word;
    OCT_TRY(oct_prepare_packed("embedding", how, size, &s->word.data, &ready));
    if (!ready) pack_words(word, size, s->word.data);
    how->kernel = s->vec->name;
    how->weight_size = size;
    return pack_small(args, how, s);
}

static void read_word(const state *s, size_t id, size_t d, float *y)
{
    if (!s->scale) {
        oct_tensor_read_f32(&s->word, id * d, d, y);
        return;
    }
    const oct_quant q = { .scale = s->scale[id], .zero = SIGN, .max = 255 };
    s->bytes->dequantize(d, (const uint8_t *)s->word.data + id * d, &q, y);
}

/* Tokens first .. end, which may begin and end in the middle of texts. */
static void tokens(void *arg, size_t first, size_t end)
{
    const job *j = arg;
    const state *s = j->s;
    int t = 0;
    while ((size_t)j->starts[t + 1] <= first) t++;
    for (size_t i = first; i < end; i++) {
        while ((size_t)j->starts[t + 1] <= i) t++;
        const size_t p = i - (size_t)j->starts[t];
        float *y = j->y + i * j->d;
        read_word(s, (size_t)j->ids[i], j->d, y);
        if (s->type)
            s->vec->add(OCT_ACT_NONE, j->d, y, s->type + (size_t)j->types[i] * j->d, y);
        s->vec->add(OCT_ACT_NONE, j->d, y, s->position + p * j->d, y);
        s->vec->norm(j->d, y, s->gamma, s->beta, j->eps, y);
    }
}

static void run(const oct_args *args, const void *opaque, const oct_run *r)
{
    const oct_embedding_attr *attr = args->attr;
    const oct_tensor *types = args->in[OCT_EMBEDDING_TYPES];
    job j = { opaque, (size_t)args->out->dim[1], attr->eps, args->in[OCT_EMBEDDING_IDS]->data,
              types ? types->data : NULL, args->in[OCT_EMBEDDING_STARTS]->data,
              args->out->data };
    oct_spread(r->pool, (size_t)r->n, 24 * j.d, tokens, &j);
}

const oct_op oct_op_embedding = { "embedding", infer, prepare, run };
