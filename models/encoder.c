#include "models/encoder.h"

#include <stdio.h>
#include <string.h>

#include "models/build.h"
#include "models/metadata.h"

enum { MAX_LAYERS = 256, NAME = 120 };

typedef struct builder {
    oct_build b;                /* x: rows so far */
    const oct_encoder_names *names;
    const char *prefix;         /* "" if the file lacks it */
    oct_encoder_config config;
    int layer, depth;
} builder;

static const oct_weights_entry *find(const oct_weights *w, const char *prefix, const char *module,
                                     int layer, const char *part)
{
    char full[NAME];
    if (layer < 0) snprintf(full, sizeof full, "%s%s.weight", prefix, module);
    else snprintf(full, sizeof full, "%s%s%d.%s.weight", prefix, module, layer, part);
    return oct_weights_find(w, full);
}

static const char *find_prefix(const oct_encoder_names *n, const oct_weights *w)
{
    return find(w, n->prefix, n->word, -1, NULL) ? n->prefix : "";
}

int oct_encoder_recognise(const oct_encoder_names *n, const oct_weights *w)
{
    const char *prefix = find_prefix(n, w);
    return find(w, prefix, n->word, -1, NULL) && find(w, prefix, n->layer, 0, n->query);
}

/* The full name of a module of this layer, or of none, and perhaps of a tensor in it (".bias"). */
static const char *tensor_name(const builder *e, const char *module, const char *tensor,
                               char to[NAME])
{
    if (e->layer < 0) snprintf(to, NAME, "%s%s%s", e->prefix, module, tensor);
    else snprintf(to, NAME, "%s%s%d.%s%s", e->prefix, e->names->layer, e->layer, module, tensor);
    return to;
}

static const char *full_name(const builder *e, const char *module, char to[NAME])
{
    return tensor_name(e, module, "", to);
}

/* A tensor of n modules, their rows one after the other. */
static oct_status constants(builder *e, const char *const *module, int n, const char *tensor,
                            int rank, const int *dim, oct_tensor **out)
{
    char name[3][NAME];
    const char *list[3];
    for (int i = 0; i < n; i++) list[i] = tensor_name(e, module[i], tensor, name[i]);
    return oct_model_constants(e->b.m, list, n, rank, dim, out);
}

/* Weight [rows, columns] and bias of n modules. */
static oct_status linear_constants(builder *e, const char *const *module, int n, int rows,
                                   int columns, oct_tensor **w, oct_tensor **bias)
{
    OCT_TRY(constants(e, module, n, ".weight", 2, (int[]){ rows, columns }, w));
    return constants(e, module, n, ".bias", 1, (int[]){ n > 1 ? rows : (*w)->dim[0] }, bias);
}

static oct_status add_linear(builder *e, const char *name, const char *const *module, int n,
                             int rows)
{
    static const oct_linear_attr attr = { .act = OCT_ACT_NONE };
    oct_tensor *w, *bias;
    OCT_TRY(linear_constants(e, module, n, rows, e->b.x->dim[1], &w, &bias));
    return oct_build_add(&e->b, OCT_OP_LINEAR, name, &attr, sizeof attr,
                         (oct_tensor *[OCT_MAX_IN]){ e->b.x, w, bias });
}

static oct_status linear(builder *e, const char *module, int rows)
{
    char name[NAME];
    return add_linear(e, full_name(e, module, name), &module, 1, rows);
}

static oct_status activation(builder *e, const char *module, oct_act act)
{
    char name[NAME];
    const oct_activation_attr attr = { .act = act };
    return oct_build_add(&e->b, OCT_OP_ACTIVATION, full_name(e, module, name), &attr, sizeof attr,
                         (oct_tensor *[OCT_MAX_IN]){ e->b.x });
}

/* Weight and bias of a LayerNorm, gamma and beta in old files. */
static oct_status norm_constants(builder *e, const char *module, int d, oct_tensor *out[2])
{
    char name[NAME];
    tensor_name(e, module, ".gamma", name);
    const int old = oct_weights_find(e->b.m->weights, name) != NULL;
    OCT_TRY(constants(e, &module, 1, old ? ".gamma" : ".weight", 1, &d, &out[0]));
    return constants(e, &module, 1, old ? ".beta" : ".bias", 1, &d, &out[1]);
}

/* layernorm(x + other), the sum named PREFIXadd. */
static oct_status add_and_norm(builder *e, const char *prefix, const char *module,
                               oct_tensor *other)
{
    char name[NAME];
    const oct_layernorm_attr attr = { .eps = e->config.eps };
    oct_tensor *p[2];
    OCT_TRY(oct_build_sum(&e->b, full_name(e, prefix, name), other));
    OCT_TRY(norm_constants(e, module, e->b.x->dim[1], p));
    return oct_build_add(&e->b, OCT_OP_LAYERNORM, full_name(e, module, name), &attr, sizeof attr,
                         (oct_tensor *[OCT_MAX_IN]){ e->b.x, p[0], p[1] });
}

static oct_status embeddings(builder *e)
{
    const oct_encoder_names *n = e->names;
    oct_model *m = e->b.m;
    const oct_embedding_attr attr = { .eps = e->config.eps };
    const char *const module[3] = { n->word, n->position, n->type };
    oct_tensor *table[3] = { NULL }, *p[2], *types = m->graph.n_ins > 2 ? m->graph.in[2] : NULL;
    char name[NAME];
    for (int i = 0; i < 3 && module[i]; i++)
        OCT_TRY(constants(e, &module[i], 1, ".weight", 2,
                          (int[]){ -1, i ? table[0]->dim[1] : -1 }, &table[i]));
    OCT_TRY(norm_constants(e, n->norm, table[0]->dim[1], p));
    m->vocabulary = table[0]->dim[0];
    m->token_types = table[2] ? table[2]->dim[0] : 0;
    return oct_build_add(&e->b, OCT_OP_EMBEDDING, full_name(e, "embeddings", name), &attr,
                         sizeof attr, (oct_tensor *[OCT_MAX_IN]){
                             m->graph.in[0], m->graph.starts, types, table[0], table[1], table[2],
                             p[0], p[1] });
}

/* Rows of q, k and v: a layer may have fewer heads than octet.arch says, of the same size. */
static oct_status count_heads(const builder *e, int d, int *rows, int *heads)
{
    const oct_encoder_names *n = e->names;
    const oct_weights_entry *q = find(e->b.m->weights, e->prefix, n->layer, e->layer, n->query);
    const int size = d / e->config.heads;
    *rows = q->rank == 2 ? q->dim[0] : d; /* of another rank: refused where it is read */
    *heads = *rows / size;
    if (*heads >= 1 && *rows % size == 0) return OCT_OK;
    return oct_fail(OCT_ERR_SHAPE, "%.80s: %d rows are not a number of heads of %d", q->name, *rows,
                    size);
}

/* The last layer's output is read at each text's first token only, so all of it but k and v is
 * computed there: *x, what the layer adds to, becomes these rows. */
static oct_status attention(builder *e, oct_tensor **x)
{
    const oct_encoder_names *n = e->names;
    const int last = e->layer == e->depth - 1;
    const char *const qkv[3] = { n->query, n->key, n->value };
    oct_attention_attr attr = { .length = e->b.m->max_length };
    oct_tensor *starts = e->b.m->graph.starts, *keys, *q = NULL;
    char name[NAME];
    int d;
    OCT_TRY(count_heads(e, (*x)->dim[1], &d, &attr.heads));
    full_name(e, last ? "attention.kv" : "attention.qkv", name);
    OCT_TRY(add_linear(e, name, last ? qkv + 1 : qkv, last ? 2 : 3, d));
    keys = e->b.x;
    if (last) {
        OCT_TRY(oct_build_add(&e->b, OCT_OP_FIRST, full_name(e, "first", name), NULL, 0,
                              (oct_tensor *[OCT_MAX_IN]){ *x, starts }));
        *x = e->b.x;
        OCT_TRY(linear(e, n->query, d));
        q = e->b.x;
    }
    return oct_build_add(&e->b, OCT_OP_ATTENTION, full_name(e, "attention", name), &attr,
                         sizeof attr, (oct_tensor *[OCT_MAX_IN]){ keys, starts, q });
}

static oct_status add_layer(builder *e)
{
    const oct_encoder_names *n = e->names;
    oct_tensor *x = e->b.x;
    const int d = x->dim[1];
    OCT_TRY(attention(e, &x));
    OCT_TRY(linear(e, n->out, d));
    OCT_TRY(add_and_norm(e, "attention.", n->out_norm, x));
    x = e->b.x;
    OCT_TRY(linear(e, n->up, -1));
    OCT_TRY(activation(e, "activation", e->config.act));
    OCT_TRY(linear(e, n->down, d));
    return add_and_norm(e, "", n->down_norm, x);
}

static oct_status add_head(builder *e)
{
    const oct_encoder_names *n = e->names;
    const char *prefix = e->prefix;
    if (!n->pooler_prefix) e->prefix = "";
    OCT_TRY(linear(e, n->pooler, -1));
    OCT_TRY(activation(e, "pooled", n->pooler_act));
    e->prefix = "";
    OCT_TRY(linear(e, "classifier", -1));
    e->prefix = prefix;
    return oct_graph_output(&e->b.m->graph, e->b.x);
}

/* Everything that sizes something, from the tensors' shapes; their ranks are checked where they are
 * read. */
static oct_status measure(builder *e, oct_encoder_shape *shape, int *positions)
{
    const oct_encoder_names *n = e->names;
    const oct_weights *w = e->b.m->weights;
    const oct_weights_entry *word = find(w, e->prefix, n->word, -1, NULL);
    const oct_weights_entry *position = find(w, e->prefix, n->position, -1, NULL);
    const oct_weights_entry *up = find(w, e->prefix, n->layer, 0, n->up);
    const oct_weights_entry *classifier = find(w, "", "classifier", -1, NULL);
    const struct { const oct_weights_entry *entry; const char *name; } all[] = {
        { word, n->word }, { position, n->position }, { up, n->up }, { classifier, "classifier" },
    };
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
        if (!all[i].entry)
            return oct_fail(OCT_ERR_FORMAT, "%s.weight: no such tensor in the file", all[i].name);
        if (all[i].entry->rank != 2 || all[i].entry->dim[0] < 1 || all[i].entry->dim[1] < 1)
            return oct_fail(OCT_ERR_SHAPE, "%.80s: not a matrix", all[i].entry->name);
    }
    while (e->depth < MAX_LAYERS && find(w, e->prefix, n->layer, e->depth, n->query)) e->depth++;
    if (e->depth == MAX_LAYERS)
        return oct_fail(OCT_ERR_UNSUPPORTED, "more than %d layers", MAX_LAYERS - 1);
    *shape = (oct_encoder_shape){ word->dim[1], up->dim[0], e->depth, classifier->dim[0] };
    *positions = position->dim[0];
    return OCT_OK;
}

oct_status oct_encoder_build(const oct_encoder_names *names, oct_model *m, const char *arch,
                             const oct_options *options)
{
    builder e = { .b = { .m = m }, .names = names, .prefix = find_prefix(names, m->weights),
                  .layer = -1 };
    oct_encoder_shape shape;
    int positions = 0;
    OCT_TRY(measure(&e, &shape, &positions));
    m->classes = shape.classes;
    OCT_TRY(oct_encoder_configure(names, m, arch, &shape, &e.config));
    OCT_TRY(oct_encoder_inputs(m, options, positions, names->type != NULL));
    OCT_TRY(embeddings(&e));
    for (e.layer = 0; e.layer < e.depth; e.layer++) OCT_TRY(add_layer(&e));
    e.layer = -1;
    OCT_TRY(add_head(&e));
    if (m->recipe) return OCT_OK;
    oct_build_doubt(m, "recipe: lower case, as uncased models have it; tensors do not tell");
    return oct_json_write(json_pack("{s:b, s:i, s:s}", "lowercase", 1, "max_length", positions,
                                    "type", "text"), &m->arena, &m->recipe);
}
