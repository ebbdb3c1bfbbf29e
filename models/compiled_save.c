/* octet compile: the graph after the passes as JSON, the packed weights as tensors. */
#include <stdlib.h>
#include <string.h>

#include "models/compiled.h"
#include "models/save_meta.h"
#include "models/vocab_tensor.h"
#include "ops/attr_table.h"
#include "tensor/cpu.h"

const char oct_compiled_prefix[] = "octet.packed.";

static oct_status out_of_memory(void) { return oct_fail(OCT_ERR_MEMORY, "compile: out of memory"); }

/* ---- octet.plan ---- */

static json_t *json_of_dims(const int *dim, int n)
{
    json_t *list = json_array();
    for (int i = 0; i < n; i++) list = oct_json_append(list, json_integer(dim[i]));
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
            value = oct_json_append(value, json_of_entry(f, node->args.attr, i));
        object = oct_json_put(object, f->name, value);
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
    json_t *object = oct_json_put(json_object(), "dtype", json_string(oct_dtype_name(t->dtype)));
    return oct_json_put(object, "shape", shape);
}

static json_t *json_of_node(const oct_graph *g, const oct_node *node)
{
    int n = OCT_MAX_IN;
    while (n > 0 && !node->args.in[n - 1]) n--;
    json_t *in = json_array(), *object = json_object();
    for (int i = 0; i < n; i++) in = oct_json_append(in, json_of_operand(g, node->args.in[i]));
    object = oct_json_put(object, "name", json_string(node->name));
    object = oct_json_put(object, "op", json_string(oct_ops[node->kind]->name));
    object = oct_json_put(object, "attr", json_of_attr(node));
    return oct_json_put(object, "in", in);
}

/* What each piece is held in: a layer's decision, which its weights made. */
static json_t *json_of_types(const oct_plan *plan)
{
    json_t *list = json_array();
    for (int i = 0; i < plan->n_steps; i++)
        for (int k = 0; k < plan->step[i].n_packed; k++)
            list = oct_json_append(list, json_string(oct_dtype_name(plan->step[i].packed[k].type)));
    return list;
}

static json_t *json_of_texts(const oct_model *m)
{
    json_t *o = oct_json_put(json_object(), "length", json_integer(m->max_length));
    return oct_json_put(o, "types", json_boolean(m->token_types > 0));
}

static json_t *json_of_plan(const oct_model *m)
{
    const oct_graph *g = &m->graph;
    json_t *passes = json_array(), *nodes = json_array(), *outs = json_array();
    json_t *o = json_object();
    for (int i = 0; i < m->n_passes; i++)
        passes = oct_json_append(passes, json_string(m->pass[i].name));
    for (int i = 0; i < g->n_nodes; i++)
        if (!g->node[i].dead) nodes = oct_json_append(nodes, json_of_node(g, &g->node[i]));
    for (int i = 0; i < g->n_outs; i++)
        outs = oct_json_append(outs, json_integer(number_of(g, g->out[i])));
    o = oct_json_put(o, "isa", json_string(oct_cpu_isa_name(m->cpu)));
    o = oct_json_put(o, "packing", json_integer(OCT_PACKING));
    if (strcmp(m->precision, "fp32") != 0) {
        o = oct_json_put(o, "precision", json_string(m->precision));
        o = oct_json_put(o, "types", json_of_types(m->plan));
    }
    o = oct_json_put(o, "passes", passes);
    o = oct_json_put(o, "parameters", json_integer((json_int_t)m->n_parameters));
    if (g->starts) o = oct_json_put(o, "texts", json_of_texts(m));
    else o = oct_json_put(o, "input", json_of_dims(g->in[0]->dim + 1, g->in[0]->rank - 1));
    o = oct_json_put(o, "outputs", outs);
    return oct_json_put(o, "nodes", nodes);
}

/* Each piece as [lines, 64] bytes: aligned in the file, its own 64 readable bytes behind it.  Room
 * for one tensor more. */
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

oct_status oct_compiled_save(const oct_model *m, const char *path, const oct_save_info *info)
{
    oct_arena arena = { 0 };
    oct_save_tensor *tensor = NULL;
    oct_save_meta *meta = NULL;
    oct_tensor vocab;
    int n = 0, n_meta = 0;
    oct_save_meta plan = { "octet.plan", NULL };
    oct_status status = oct_json_write(json_of_plan(m), &arena, &plan.value);
    if (status == OCT_OK)
        status = oct_save_meta_make(m, info, &plan, 1, &arena, &meta, &n_meta);
    if (status == OCT_OK) status = make_tensors(m->plan, &arena, &tensor, &n);
    if (status == OCT_OK && info->vocab) {
        status = oct_vocab_tensor_make(info->vocab, info->vocab_size, &vocab);
        tensor[n++] = (oct_save_tensor){ OCT_MODEL_VOCAB, &vocab };
    }
    if (status == OCT_OK) status = oct_weights_save(path, tensor, n, meta, n_meta);
    oct_arena_free(&arena);
    return status;
}
