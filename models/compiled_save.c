/* octet compile: the graph after the passes as JSON, the packed weights as tensors. */
#include <stdlib.h>
#include <string.h>

#include "config.h"
#include "models/compiled.h"
#include "models/metadata.h"
#include "ops/attr_table.h"
#include "tensor/cpu.h"

const char oct_compiled_prefix[] = "octet.packed.";

static oct_status out_of_memory(void) { return oct_fail(OCT_ERR_MEMORY, "compile: out of memory"); }

/* ---- octet.plan: NULL anywhere is out of memory, and makes everything above it NULL ---- */

/* Both take list or object and value over, whatever happens; so does jansson, NULL included. */
static json_t *append(json_t *list, json_t *value)
{
    if (json_array_append_new(list, value) == 0) return list;
    json_decref(list);
    return NULL;
}

static json_t *put(json_t *object, const char *key, json_t *value)
{
    if (json_object_set_new(object, key, value) == 0) return object;
    json_decref(object);
    return NULL;
}

static json_t *json_of_dims(const int *dim, int n)
{
    json_t *list = json_array();
    for (int i = 0; i < n; i++) list = append(list, json_integer(dim[i]));
    return list;
}

static json_t *json_of_entry(const oct_attr_field *f, const void *attr, int i)
{
    const char *at = (const char *)attr + f->offset + (size_t)i * 4;
    int number;
    float real;
    memcpy(&number, at, sizeof number);
    memcpy(&real, at, sizeof real);
    if (f->type == OCT_ATTR_FLOAT) return json_real((double)real);
    return f->type == OCT_ATTR_INT ? json_integer(number)
                                   : json_string(oct_attr_word(f->type, number));
}
_Static_assert(sizeof(int) == 4 && sizeof(float) == 4 && sizeof(oct_act) == 4 &&
               sizeof(oct_pool_kind) == 4, "an entry of an attr takes 4 bytes");

static json_t *json_of_attr(const oct_node *node)
{
    const oct_attr_table *table = &oct_attr_tables[node->kind];
    json_t *object = json_object();
    for (int k = 0; k < table->n_fields; k++) {
        const oct_attr_field *f = &table->field[k];
        json_t *value = f->count == 1 ? json_of_entry(f, node->args.attr, 0) : json_array();
        for (int i = 0; i < f->count && f->count > 1; i++)
            value = append(value, json_of_entry(f, node->args.attr, i));
        object = put(object, f->name, value);
    }
    return object;
}

/* The number of a value: of an input, or of what live node i writes; -1: a constant. */
static int number_of(const oct_graph *g, const oct_tensor *t)
{
    for (int i = 0; i < g->n_ins; i++)
        if (g->in[i] == t) return i;
    for (int i = 0, live = g->n_ins; i < g->n_nodes; i++) {
        if (!g->node[i].dead && g->node[i].args.out == t) return live;
        live += !g->node[i].dead;
    }
    return -1;
}

static json_t *json_of_operand(const oct_graph *g, const oct_tensor *t)
{
    if (!t) return json_null();
    const int value = number_of(g, t);
    if (value >= 0) return json_integer(value);
    json_t *shape = json_of_dims(t->dim, t->rank);
    return put(put(json_object(), "dtype", json_string(oct_dtype_name(t->dtype))), "shape", shape);
}

static json_t *json_of_node(const oct_graph *g, const oct_node *node)
{
    int n = OCT_MAX_IN;
    while (n > 0 && !node->args.in[n - 1]) n--;
    json_t *in = json_array(), *object = json_object();
    for (int i = 0; i < n; i++) in = append(in, json_of_operand(g, node->args.in[i]));
    object = put(object, "name", json_string(node->name));
    object = put(object, "op", json_string(oct_ops[node->kind]->name));
    object = put(object, "attr", json_of_attr(node));
    return put(object, "in", in);
}

/* What each piece is held in: a layer's decision, which its weights made. */
static json_t *json_of_types(const oct_plan *plan)
{
    json_t *list = json_array();
    for (int i = 0; i < plan->n_steps; i++)
        for (int k = 0; k < plan->step[i].n_packed; k++)
            list = append(list, json_string(oct_dtype_name(plan->step[i].packed[k].type)));
    return list;
}

static json_t *json_of_plan(const oct_model *m)
{
    const oct_graph *g = &m->graph;
    json_t *passes = json_array(), *nodes = json_array(), *outs = json_array();
    json_t *o = json_object();
    for (int i = 0; i < m->n_passes; i++) passes = append(passes, json_string(m->pass[i].name));
    for (int i = 0; i < g->n_nodes; i++)
        if (!g->node[i].dead) nodes = append(nodes, json_of_node(g, &g->node[i]));
    for (int i = 0; i < g->n_outs; i++) outs = append(outs, json_integer(number_of(g, g->out[i])));
    o = put(o, "isa", json_string(oct_cpu_isa_name(m->cpu)));
    o = put(o, "packing", json_integer(OCT_PACKING));
    if (strcmp(m->precision, "fp32") != 0 && strcmp(m->precision, "int8") != 0) {
        o = put(o, "precision", json_string(m->precision));
        o = put(o, "types", json_of_types(m->plan));
    }
    o = put(o, "passes", passes);
    o = put(o, "parameters", json_integer((json_int_t)m->n_parameters));
    o = put(o, "input", json_of_dims(g->in[0]->dim + 1, g->in[0]->rank - 1));
    o = put(o, "outputs", outs);
    return put(o, "nodes", nodes);
}

/* ---- the other keys ---- */

enum { OWN_KEYS = 6 };

static oct_status json_of_labels(const oct_model *m, char *const *label, oct_arena *arena,
                                 const char **out)
{
    json_t *list = json_array();
    for (int i = 0; i < m->classes; i++) list = append(list, json_string(label[i]));
    return oct_json_write(list, arena, out);
}

static oct_status write_origin(const oct_model *m, const oct_compiled_info *info, oct_arena *arena,
                               const char **out)
{
    char sha[65];
    OCT_TRY(oct_weights_sha256(m->weights, sha));
    json_t *o = put(json_object(), "command", json_string(info->command));
    o = put(put(o, "octet", json_string(PACKAGE_VERSION)), "sha256", json_string(sha));
    return oct_json_write(o, arena, out);
}

/* Keys of the source that compiling does not touch (octet.quant, a user's own) are kept. */
static oct_status make_meta(const oct_model *m, const oct_compiled_info *info, oct_arena *arena,
                            oct_save_meta **out, int *n)
{
    const char *key, *value;
    int others = 0;
    while (oct_weights_meta_at(m->weights, others, &value)) others++;
    oct_save_meta *meta = oct_arena_alloc(arena, ((size_t)others + OWN_KEYS) * sizeof *meta);
    if (!meta) return out_of_memory();
    *n = 0;
    meta[(*n)++] = (oct_save_meta){ "octet.format", "1" };
    meta[(*n)++] = (oct_save_meta){ "octet.arch", m->arch };
    meta[*n].key = "octet.plan";
    OCT_TRY(oct_json_write(json_of_plan(m), arena, &meta[(*n)++].value));
    meta[*n].key = "octet.origin";
    OCT_TRY(write_origin(m, info, arena, &meta[(*n)++].value));
    if (info->recipe) meta[(*n)++] = (oct_save_meta){ "octet.input", info->recipe };
    if (info->label) {
        meta[*n].key = "octet.labels";
        OCT_TRY(json_of_labels(m, info->label, arena, &meta[(*n)++].value));
    }
    for (int i = 0; (key = oct_weights_meta_at(m->weights, i, &value)); i++) {
        static const char *const own[] = { "octet.format", "octet.arch", "octet.plan",
                                           "octet.origin", "octet.input", "octet.labels" };
        int mine = 0;
        for (size_t k = 0; k < sizeof own / sizeof *own; k++) mine |= strcmp(key, own[k]) == 0;
        if (!mine) meta[(*n)++] = (oct_save_meta){ key, value };
    }
    *out = meta;
    return OCT_OK;
}

/* Each piece as [lines, 64] bytes: aligned in the file, its own 64 readable bytes behind it. */
static oct_status make_tensors(const oct_plan *plan, oct_arena *arena, oct_save_tensor **out,
                               int *n)
{
    enum { NAME = sizeof oct_compiled_prefix + 12 };
    const size_t most = (size_t)plan->n_steps * OCT_MAX_PACKED + 1;
    oct_save_tensor *list = oct_arena_alloc(arena, most * sizeof *list);
    if (!list) return out_of_memory();
    *n = 0;
    for (int i = 0; i < plan->n_steps; i++)
        for (int k = 0; k < plan->step[i].n_packed; k++) {
            const oct_packed *piece = &plan->step[i].packed[k];
            char *name = oct_arena_alloc(arena, NAME);
            oct_tensor *t = oct_arena_alloc(arena, sizeof *t);
            if (!name || !t) return out_of_memory();
            snprintf(name, NAME, "%s%04d", oct_compiled_prefix, *n);
            *t = (oct_tensor){ .dtype = OCT_U8, .rank = 2,
                               .dim = { (int)(piece->size / OCT_ALIGN), OCT_ALIGN },
                               .data = (void *)(uintptr_t)piece->data };
            list[(*n)++] = (oct_save_tensor){ name, t };
        }
    *out = list;
    return OCT_OK;
}

oct_status oct_compiled_save(const oct_model *m, const char *path, const oct_compiled_info *info)
{
    oct_arena arena = { 0 };
    oct_save_tensor *tensor = NULL;
    oct_save_meta *meta = NULL;
    int n = 0, n_meta = 0;
    oct_status status = make_meta(m, info, &arena, &meta, &n_meta);
    if (status == OCT_OK) status = make_tensors(m->plan, &arena, &tensor, &n);
    if (status == OCT_OK) status = oct_weights_save(path, tensor, n, meta, n_meta);
    oct_arena_free(&arena);
    return status;
}
