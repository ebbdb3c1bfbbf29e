/* Loading a compiled model: octet.plan back into a graph, the pieces out of the mapping. */
#include <limits.h>
#include <math.h>
#include <string.h>

#include "models/cnn_input.h"
#include "models/compiled.h"
#include "models/metadata.h"
#include "ops/attr_table.h"
#include "ops/kernels/gemm_f32.h"
#include "tensor/cpu.h"

enum { MAX_NODES = 4096, MAX_SIDE = 1 << 16, MAX_INS = 3 };

static const char what[] = "octet.plan";

typedef struct reader {
    oct_model *m;
    int batch;
    size_t piece_bytes;       /* of all pieces: no constant has more elements */
    oct_tensor **value;       /* [n_values] so far */
    int n_values;
} reader;

int oct_compiled_is(const oct_weights *w) { return oct_weights_meta(w, what) != NULL; }

static oct_status get(const char *where, const json_t *object, const char *key, json_type type,
                      const json_t **out)
{
    *out = json_object_get(object, key);
    if (*out && json_typeof(*out) == type) return OCT_OK;
    return oct_fail(OCT_ERR_FORMAT, "%s: %.80s: '%s' is %s", what, where, key,
                    *out ? "of another type" : "missing");
}

static oct_status get_int(const char *where, const json_t *value, int low, int high, int *out)
{
    const json_int_t number = json_integer_value(value);
    if (!json_is_integer(value) || number < low || number > high)
        return oct_fail(OCT_ERR_FORMAT, "%s: %.80s: not an integer from %d to %d", what, where, low,
                        high);
    *out = (int)number;
    return OCT_OK;
}

/* A list of 1 .. OCT_MAX_RANK dimensions. */
static oct_status get_dims(const char *where, const json_t *list, int most, oct_tensor *t)
{
    const size_t n = json_array_size(list);
    if (n < 1 || n > OCT_MAX_RANK)
        return oct_fail(OCT_ERR_FORMAT, "%s: %.80s: %zu dimensions, from 1 to %d", what, where, n,
                        OCT_MAX_RANK);
    t->rank = (int)n;
    for (size_t i = 0; i < n; i++)
        OCT_TRY(get_int(where, json_array_get(list, i), 1, most, &t->dim[i]));
    return oct_tensor_check(t);
}

/* ---- nodes ---- */

static oct_status read_entry(const char *where, const oct_attr_field *f, const json_t *value,
                             void *at)
{
    int number = -1;
    if (f->type == OCT_ATTR_INT) {
        OCT_TRY(get_int(where, value, INT_MIN, INT_MAX, &number));
    } else if (f->type == OCT_ATTR_FLOAT) {
        const float real = (float)json_number_value(value);
        if (!json_is_number(value) || !isfinite(real))
            return oct_fail(OCT_ERR_FORMAT, "%s: %.80s: '%s' is not a number", what, where,
                            f->name);
        memcpy(at, &real, sizeof real);
        return OCT_OK;
    } else {
        if (json_is_string(value)) number = oct_attr_value(f->type, json_string_value(value));
        if (number < 0)
            return oct_fail(OCT_ERR_FORMAT, "%s: %.80s: '%s' is none of the known words", what,
                            where, f->name);
    }
    memcpy(at, &number, sizeof number);
    return OCT_OK;
}

/* All fields, and no others. */
static oct_status read_attr(const char *where, const oct_attr_table *table, const json_t *object,
                            unsigned char attr[OCT_ATTR_MAX_SIZE])
{
    memset(attr, 0, OCT_ATTR_MAX_SIZE);
    if (json_object_size(object) != (size_t)table->n_fields)
        return oct_fail(OCT_ERR_FORMAT, "%s: %.80s: %zu parameters, expected %d", what, where,
                        json_object_size(object), table->n_fields);
    for (int k = 0; k < table->n_fields; k++) {
        const oct_attr_field *f = &table->field[k];
        const json_t *value = json_object_get(object, f->name);
        if (!value)
            return oct_fail(OCT_ERR_FORMAT, "%s: %.80s: '%s' is missing", what, where, f->name);
        if (f->count > 1 && json_array_size(value) != (size_t)f->count)
            return oct_fail(OCT_ERR_FORMAT, "%s: %.80s: '%s' is no list of %d", what, where,
                            f->name, f->count);
        for (int i = 0; i < f->count; i++)
            OCT_TRY(read_entry(where, f, f->count > 1 ? json_array_get(value, (size_t)i) : value,
                               attr + f->offset + 4 * i));
    }
    return OCT_OK;
}

static oct_status read_constant(const reader *r, const char *where, const json_t *object,
                                oct_tensor **out)
{
    const json_t *dtype, *shape;
    oct_tensor t = { .dtype = OCT_DTYPE_COUNT, .data = oct_no_data };
    OCT_TRY(get(where, object, "dtype", JSON_STRING, &dtype));
    OCT_TRY(get(where, object, "shape", JSON_ARRAY, &shape));
    for (int i = 0; i < OCT_DTYPE_COUNT; i++)
        if (strcmp(oct_dtype_name((oct_dtype)i), json_string_value(dtype)) == 0)
            t.dtype = (oct_dtype)i;
    if (t.dtype == OCT_DTYPE_COUNT)
        return oct_fail(OCT_ERR_FORMAT, "%s: %.80s: dtype %.20s is not supported", what, where,
                        json_string_value(dtype));
    OCT_TRY(get_dims(where, shape, INT_MAX, &t));
    if (oct_tensor_count(&t) > r->piece_bytes) /* so that nothing is sized by an empty claim */
        return oct_fail(OCT_ERR_FORMAT, "%s: %.80s: a constant of %zu elements, the file has %zu "
                        "bytes of packed weights", what, where, oct_tensor_count(&t),
                        r->piece_bytes);
    *out = oct_arena_alloc(&r->m->arena, sizeof **out);
    if (!*out) return oct_fail(OCT_ERR_MEMORY, "%s: out of memory", what);
    **out = t;
    return OCT_OK;
}

/* letter: of oct_attr_table.operands; 0: the operator has no such operand. */
static oct_status read_operand(const reader *r, const char *where, char letter, const json_t *value,
                               oct_tensor **out)
{
    int i = 0;
    *out = NULL;
    if (!value || json_is_null(value)) {
        if (letter != 'v' && letter != 'c') return OCT_OK;
        return oct_fail(OCT_ERR_FORMAT, "%s: %.80s: an operand is missing", what, where);
    }
    if (!letter) return oct_fail(OCT_ERR_FORMAT, "%s: %.80s: too many operands", what, where);
    if ((letter == 'c' || letter == 'C') != json_is_object(value))
        return oct_fail(OCT_ERR_FORMAT, "%s: %.80s: a value where a constant is due, or the other "
                        "way round", what, where);
    if (json_is_object(value)) return read_constant(r, where, value, out);
    OCT_TRY(get_int(where, value, 0, r->n_values - 1, &i));
    *out = r->value[i];
    return OCT_OK;
}

static oct_status find_op(const char *where, const char *name, oct_op_kind *kind)
{
    for (int i = 0; i < OCT_OP_COUNT; i++)
        if (strcmp(oct_ops[i]->name, name) == 0) {
            *kind = (oct_op_kind)i;
            return OCT_OK;
        }
    return oct_fail(OCT_ERR_FORMAT, "%s: %.80s: unknown operator '%.80s'", what, where, name);
}

static oct_status read_node(reader *r, const json_t *object)
{
    const json_t *name, *op, *attr, *in;
    oct_op_kind kind = OCT_OP_LAYOUT;
    OCT_TRY(get("a node", object, "name", JSON_STRING, &name));
    const char *where = json_string_value(name);
    OCT_TRY(get(where, object, "op", JSON_STRING, &op));
    OCT_TRY(get(where, object, "attr", JSON_OBJECT, &attr));
    OCT_TRY(get(where, object, "in", JSON_ARRAY, &in));
    OCT_TRY(find_op(where, json_string_value(op), &kind));

    const oct_attr_table *table = &oct_attr_tables[kind];
    _Alignas(8) unsigned char bytes[OCT_ATTR_MAX_SIZE];
    oct_tensor *operand[OCT_MAX_IN] = { NULL }, *out;
    OCT_TRY(read_attr(where, table, attr, bytes));
    const size_t letters = strlen(table->operands);
    if (json_array_size(in) > letters)
        return oct_fail(OCT_ERR_FORMAT, "%s: %.80s: %zu operands, at most %zu", what, where,
                        json_array_size(in), letters);
    for (size_t i = 0; i < letters; i++)
        OCT_TRY(read_operand(r, where, table->operands[i], json_array_get(in, i), &operand[i]));
    if (r->m->graph.starts) {
        const oct_status status = oct_compiled_texts_node(r->m, kind, operand, bytes);
        if (status) return oct_graph_fail(status, where);
    }
    OCT_TRY(oct_graph_add(&r->m->graph, kind, where, table->size ? bytes : NULL, table->size,
                          operand, &out));
    if (oct_tensor_sample_count(out) > OCT_MAX_SAMPLE)
        return oct_fail(OCT_ERR_SHAPE, "%s: %.80s: %zu values of a sample, at most %d", what, where,
                        oct_tensor_sample_count(out), OCT_MAX_SAMPLE);
    r->value[r->n_values++] = out;
    return OCT_OK;
}

/* ---- the graph ---- */

static oct_status read_texts(reader *r, const json_t *object, const oct_options *o)
{
    const oct_graph *g = &r->m->graph;
    OCT_TRY(oct_compiled_texts(r->m, object, o));
    while (r->n_values < g->n_ins) {
        r->value[r->n_values] = g->in[r->n_values];
        r->n_values++;
    }
    return OCT_OK;
}

static oct_status read_input(reader *r, const json_t *plan, const oct_options *o)
{
    const json_t *list;
    if (json_object_get(plan, "texts")) return read_texts(r, json_object_get(plan, "texts"), o);
    oct_tensor sample = { .dtype = OCT_F32 };
    OCT_TRY(get("the model", plan, "input", JSON_ARRAY, &list));
    OCT_TRY(get_dims("input", list, MAX_SIDE, &sample));
    if (sample.rank == OCT_MAX_RANK || oct_tensor_count(&sample) > OCT_MAX_SAMPLE)
        return oct_fail(OCT_ERR_SHAPE, "%s: input of %zu values", what, oct_tensor_count(&sample));
    oct_tensor shape = { .dtype = OCT_F32, .rank = sample.rank + 1, .dim = { r->batch } };
    memcpy(shape.dim + 1, sample.dim, (size_t)sample.rank * sizeof *sample.dim);
    if (sample.rank == 3 && ((o->height && o->height != sample.dim[1]) ||
                             (o->width && o->width != sample.dim[2])))
        return oct_fail(OCT_ERR_SHAPE, "compiled for images of %d x %d, not %d x %d (height, "
                        "width)", sample.dim[1], sample.dim[2], o->height, o->width);
    return oct_graph_input(&r->m->graph, &shape, &r->value[r->n_values++]);
}

static oct_status read_nodes(reader *r, const json_t *plan, const oct_options *o)
{
    const json_t *nodes, *outs;
    int i = 0;
    OCT_TRY(get("the model", plan, "nodes", JSON_ARRAY, &nodes));
    OCT_TRY(get("the model", plan, "outputs", JSON_ARRAY, &outs));
    const size_t n = json_array_size(nodes);
    if (n < 1 || n > MAX_NODES || json_array_size(outs) != 1)
        return oct_fail(OCT_ERR_FORMAT, "%s: %zu nodes and %zu outputs, from 1 to %d and 1", what,
                        n, json_array_size(outs), MAX_NODES);
    r->value = oct_arena_alloc(&r->m->arena, (n + MAX_INS) * sizeof *r->value);
    if (!r->value) return oct_fail(OCT_ERR_MEMORY, "%s: out of memory", what);
    OCT_TRY(read_input(r, plan, o));
    for (size_t k = 0; k < n; k++) OCT_TRY(read_node(r, json_array_get(nodes, k)));
    OCT_TRY(get_int("outputs", json_array_get(outs, 0), r->m->graph.n_ins, r->n_values - 1, &i));
    const oct_tensor *out = r->value[i];
    if (out->rank != 2 || out->layout != OCT_DENSE)
        return oct_fail(OCT_ERR_SHAPE, "%s: the output has rank %d, expected 2", what, out->rank);
    if (out->dim[0] != r->batch)
        return oct_fail(OCT_ERR_SHAPE, "%s: the output has %d rows for %d samples", what,
                        out->dim[0], r->batch);
    r->m->classes = out->dim[1];
    OCT_TRY(oct_graph_output(&r->m->graph, r->value[i]));
    return oct_graph_verify(&r->m->graph);
}

static oct_status read_passes(oct_model *m, const json_t *list)
{
    oct_pass known[OCT_MODEL_MAX_PASSES];
    int n;
    OCT_TRY(oct_model_passes(NULL, known, &n));
    for (size_t i = 0; i < json_array_size(list); i++) {
        const char *name = json_string_value(json_array_get(list, i));
        int k = 0;
        while (name && k < n && strcmp(known[k].name, name) != 0) k++;
        if (!name || k == n || m->n_passes == OCT_MODEL_MAX_PASSES)
            return oct_fail(OCT_ERR_FORMAT, "%s: passes: unknown pass '%.80s'", what,
                            name ? name : "");
        m->pass[m->n_passes++] = known[k];
    }
    return OCT_OK;
}

/* A compiled model runs in the precision it was packed in. */
static oct_status read_precision(oct_model *m, const oct_options *o, const json_t *value)
{
    static const char *const known[] = { "fp32", "fp16", "bf16", "int8" };
    enum { N = sizeof known / sizeof *known };
    const char *name = value ? json_string_value(value) : known[0];
    int i = 0;
    while (name && i < N && strcmp(known[i], name) != 0) i++;
    if (!name || i == N)
        return oct_fail(OCT_ERR_FORMAT, "%s: precision '%.80s' is none of fp32, fp16, bf16, int8",
                        what, name ? name : "");
    m->precision = known[i];
    if (!o->precision || strcmp(o->precision, known[i]) == 0) return OCT_OK;
    return oct_fail(OCT_ERR_UNSUPPORTED, "compiled with --precision %s, not %.80s: use the model "
                    "it was made from", known[i], o->precision);
}

static oct_status read_types(oct_model *m, const json_t *plan)
{
    static const oct_dtype known[] = { OCT_F32, OCT_F16, OCT_BF16, OCT_S8 };
    enum { N = sizeof known / sizeof *known };
    const json_t *list;
    if (strcmp(m->precision, "fp32") == 0) return OCT_OK;
    OCT_TRY(get("the model", plan, "types", JSON_ARRAY, &list));
    const size_t n = json_array_size(list);
    if (n > MAX_NODES * OCT_MAX_PACKED) return oct_fail(OCT_ERR_FORMAT, "%s: %zu types", what, n);
    m->packed_type = oct_arena_zalloc(&m->arena, (n + 1) * sizeof *m->packed_type);
    if (!m->packed_type) return oct_fail(OCT_ERR_MEMORY, "%s: out of memory", what);
    m->n_packed_types = (int)n;
    for (size_t i = 0; i < n; i++) {
        const char *name = json_string_value(json_array_get(list, i));
        size_t k = 0;
        while (name && k < N && strcmp(oct_dtype_name(known[k]), name) != 0) k++;
        if (!name || k == N)
            return oct_fail(OCT_ERR_FORMAT, "%s: types: '%.80s' is none of F32, F16, BF16, I8",
                            what, name ? name : "");
        m->packed_type[i] = known[k];
    }
    return OCT_OK;
}

static oct_status read_head(oct_model *m, const oct_options *o, const json_t *plan)
{
    const json_t *isa, *packing, *passes, *parameters;
    unsigned flags;
    OCT_TRY(get("the model", plan, "packing", JSON_INTEGER, &packing));
    if (json_integer_value(packing) != OCT_PACKING)
        return oct_fail(OCT_ERR_UNSUPPORTED, "weights packed in layout %lld, this octet reads %d: "
                        "compile the model again", (long long)json_integer_value(packing),
                        OCT_PACKING);
    OCT_TRY(get("the model", plan, "isa", JSON_STRING, &isa));
    OCT_TRY(oct_cpu_isa_any(json_string_value(isa), &flags));
    m->isa = oct_cpu_isa_name(flags);
    OCT_TRY(get("the model", plan, "parameters", JSON_INTEGER, &parameters));
    if (json_integer_value(parameters) < 0)
        return oct_fail(OCT_ERR_FORMAT, "%s: %lld parameters", what,
                        (long long)json_integer_value(parameters));
    m->n_parameters = (size_t)json_integer_value(parameters);
    OCT_TRY(get("the model", plan, "passes", JSON_ARRAY, &passes));
    OCT_TRY(read_passes(m, passes));
    return read_precision(m, o, json_object_get(plan, "precision"));
}

/* Options that ask for another plan than the file has. */
static oct_status check_options(const oct_options *o, int with_plan)
{
    const int as_it_is = !o->passes || (!with_plan && strcmp(o->passes, "none") == 0);
    const char *option = o->arch ? "layers" : as_it_is ? NULL : "passes";
    if (o->gemm && strcmp(o->gemm, "ours") != 0) option = "gemm";
    if (!option) return OCT_OK;
    return oct_fail(OCT_ERR_UNSUPPORTED, "a compiled model has its %s already: use the model it "
                    "was made from", option[0] == 'g' ? "matrix kernels (--gemm)" : option);
}

/* Number of pieces; *bytes of them together. */
static int count_pieces(const oct_weights *w, size_t *bytes)
{
    const size_t length = strlen(oct_compiled_prefix);
    int n = 0;
    *bytes = 0;
    for (int i = 0; i < oct_weights_count(w); i++) {
        const oct_weights_entry *e = oct_weights_at(w, i);
        if (strncmp(e->name, oct_compiled_prefix, length) != 0) continue;
        *bytes += e->size; /* no overflow: the tensors are in the file, side by side */
        n++;
    }
    return n;
}

oct_status oct_compiled_read(oct_model *m, const oct_options *o, int with_plan)
{
    json_t *plan;
    reader r = { .m = m, .batch = o->batch ? o->batch : 1 };
    OCT_TRY(check_options(o, with_plan));
    count_pieces(m->weights, &r.piece_bytes);
    OCT_TRY(oct_json_parse(what, oct_weights_meta(m->weights, what), JSON_OBJECT, &plan));
    oct_status status = read_head(m, o, plan);
    if (status == OCT_OK) status = read_types(m, plan);
    if (status == OCT_OK) status = read_nodes(&r, plan, o);
    json_decref(plan);
    return status;
}

/* ---- the pieces ---- */

oct_status oct_compiled_built(unsigned flags)
{
    const unsigned generation = flags & OCT_CPU_AVX512 ? OCT_CPU_AVX512
                              : flags & OCT_CPU_AVX2   ? OCT_CPU_AVX2 : flags & OCT_CPU_NEON;
    if ((oct_gemm_f32_pick(flags)->needs & generation) == generation) return OCT_OK;
    return oct_fail(OCT_ERR_UNSUPPORTED, "this build has no kernels for %s",
                    oct_cpu_isa_name(flags));
}

static oct_status map_pieces(oct_model *m, oct_plan_options *plan)
{
    size_t bytes;
    const int n = count_pieces(m->weights, &bytes);
    oct_packed *piece = oct_arena_alloc(&m->arena, ((size_t)n + 1) * sizeof *piece);
    if (!piece) return oct_fail(OCT_ERR_MEMORY, "%s: out of memory", what);
    if (m->packed_type && m->n_packed_types != n)
        return oct_fail(OCT_ERR_FORMAT, "%s: %d types of %d pieces", what, m->n_packed_types, n);
    OCT_TRY(oct_weights_map(m->weights));
    for (int i = 0; i < n; i++) {
        char name[40];
        snprintf(name, sizeof name, "%s%04d", oct_compiled_prefix, i);
        OCT_TRY(oct_weights_mapped(m->weights, name, &piece[i].data, &piece[i].size));
        piece[i].type = m->packed_type ? m->packed_type[i] : OCT_F32;
    }
    plan->given = piece;
    plan->n_given = n;
    return OCT_OK;
}

oct_status oct_compiled_use(oct_model *m, const oct_options *o, oct_plan_options *plan)
{
    if (o->isa && strcmp(o->isa, m->isa) != 0)
        return oct_fail(OCT_ERR_UNSUPPORTED, "compiled for %s, which packs weights differently "
                        "from --isa %.80s", m->isa, o->isa);
    if (oct_cpu_isa(m->isa, &m->cpu) != OCT_OK)
        return oct_fail(OCT_ERR_UNSUPPORTED, "compiled for %s, this CPU has %s at most", m->isa,
                        oct_cpu_isa_name(oct_cpu_flags()));
    OCT_TRY(oct_compiled_built(m->cpu));
    plan->cpu = m->cpu;
    OCT_TRY(oct_model_precision(m->precision, &plan->precision));
    return map_pieces(m, plan);
}
