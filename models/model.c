/* octet.h: open the weights, find the kind, build the graph, run the passes, make the plan. */
#include "models/model.h"

#include <float.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "models/backends.h"
#include "models/compiled.h"
#include "models/encoder.h"
#include "models/metadata.h"
#include "models/openblas.h"
#include "models/quantized.h"
#include "models/ranges.h"
#include "models/sparse.h"
#include "quant/pass_dynamic.h"
#include "tensor/cpu.h"

static const oct_builder *const builders[] = {
    &oct_builder_resnet, &oct_builder_cifar_resnet, &oct_builder_distilbert, &oct_builder_bert,
    &oct_builder_cnn,
};
enum { N_BUILDERS = sizeof builders / sizeof *builders, MAX_BATCH = 1 << 16,
       MAX_THREADS = 1024 };

static const oct_pass passes[] = {
    { "fold_bn", oct_pass_fold_bn },
    { "fuse",    oct_pass_fuse },
    { "dce",     oct_pass_dce },
};
enum { N_PASSES = sizeof passes / sizeof *passes };
_Static_assert(sizeof passes <= sizeof ((oct_model *)0)->pass, "model.h has room for all passes");

/* The names of running averages and counters, and of how values are quantized: part of a model, but
 * not trained. */
static int is_buffer(const oct_weights *w, const char *name)
{
    static const char *const ends[] = { "running_mean", "running_var", "num_batches_tracked",
                                        "zero_point", "position_ids", "smooth" };
    const char *dot = strrchr(name, '.');
    if (strcmp(name, OCT_MODEL_VOCAB) == 0) return 1;
    for (size_t i = 0; i < sizeof ends / sizeof *ends; i++)
        if (strcmp(dot ? dot + 1 : name, ends[i]) == 0) return 1;
    if (!dot || strcmp(dot, ".scale") != 0) return 0;
    char of[256];
    snprintf(of, sizeof of, "%.*s", (int)(dot - name), name); /* conv1.weight of its scales */
    if (oct_weights_find(w, of)) return 1;
    snprintf(of, sizeof of, "%.*s.zero_point", (int)(dot - name), name);
    return oct_weights_find(w, of) != NULL;
}

static size_t count_parameters(const oct_weights *w)
{
    size_t n = 0;
    for (int i = 0; i < oct_weights_count(w); i++) {
        const oct_weights_entry *e = oct_weights_at(w, i);
        if (!is_buffer(w, e->name)) n += e->size / oct_dtype_size(e->dtype);
    }
    return n;
}

static oct_status remember(oct_model *m, const char *name, const oct_tensor *t, int first,
                           int rows)
{
    if (m->n_constants == m->max_constants) {
        const int most = m->max_constants ? 2 * m->max_constants : 64;
        oct_named_constant *list = oct_arena_alloc(&m->arena, (size_t)most * sizeof *list);
        if (!list) return oct_fail(OCT_ERR_MEMORY, "%.80s: out of memory", name);
        if (m->n_constants)
            memcpy(list, m->constant, (size_t)m->n_constants * sizeof *list);
        m->constant = list;
        m->max_constants = most;
    }
    const char *own = oct_arena_strdup(&m->arena, name);
    if (!own) return oct_fail(OCT_ERR_MEMORY, "%.80s: out of memory", name);
    m->constant[m->n_constants++] = (oct_named_constant){ t, own, first, rows };
    return OCT_OK;
}

/* Rows of a tensor of the file, which is there. */
static int rows_of(const oct_model *m, const char *name)
{
    return oct_weights_find(m->weights, name)->dim[0];
}

static oct_status remember_all(oct_model *m, const char *const *names, int n, const oct_tensor *t)
{
    if (n == 1) return remember(m, names[0], t, 0, t->dim[0]);
    for (int i = 0, first = 0; i < n; i++) {
        const int rows = rows_of(m, names[i]);
        OCT_TRY(remember(m, names[i], t, first, rows));
        first += rows;
    }
    return OCT_OK;
}

/* Vectors and doubles become FP32 in the model's arena; larger tensors stay as the file has them
 * until they are packed. */
static oct_status convert(oct_model *m, const char *name, const oct_tensor *from, oct_tensor *to)
{
    const size_t count = oct_tensor_count(from);
    float *data = oct_arena_alloc(&m->arena, count * sizeof *data);
    if (!data) return oct_fail(OCT_ERR_MEMORY, "%.80s: out of memory", name);
    oct_tensor_read_f32(from, 0, count, data);
    oct_weights_let_go(m->weights, from);
    *to = *from;
    to->dtype = OCT_F32;
    to->data = data;
    return OCT_OK;
}

/* The scales of the quantized tensor NAME, one a row. */
static oct_status read_scales(oct_model *m, const char *name, int rows, float *out)
{
    char scale_name[256];
    oct_tensor scale;
    snprintf(scale_name, sizeof scale_name, "%.200s.scale", name);
    OCT_TRY(oct_weights_require(m->weights, scale_name, 1, &rows, &scale));
    if (scale.dtype != OCT_F32)
        return oct_fail(OCT_ERR_UNSUPPORTED, "%.80s: dtype %s, expected F32", scale_name,
                        oct_dtype_name(scale.dtype));
    memcpy(out, scale.data, (size_t)rows * sizeof *out);
    oct_weights_let_go(m->weights, &scale);
    for (int i = 0; i < rows; i++)
        if (!(out[i] > 0 && out[i] <= FLT_MAX))
            return oct_fail(OCT_ERR_FORMAT, "%.80s: entry %d is %g, not a scale", scale_name, i,
                            (double)out[i]);
    return OCT_OK;
}

static oct_status read_all_scales(oct_model *m, const char *const *names, int n, oct_tensor *t)
{
    float *scale = oct_arena_alloc(&m->arena, (size_t)t->dim[0] * sizeof *scale);
    if (!scale) return oct_fail(OCT_ERR_MEMORY, "%.80s: out of memory", names[0]);
    t->scale = scale;
    for (int i = 0; i < n; i++) {
        const int rows = rows_of(m, names[i]);
        OCT_TRY(read_scales(m, names[i], rows, scale));
        scale += rows;
    }
    return OCT_OK;
}

oct_status oct_model_constant(oct_model *m, const char *name, int rank, const int *dim,
                              oct_tensor **out)
{
    return oct_model_constants(m, &name, 1, rank, dim, out);
}

oct_status oct_model_constants(oct_model *m, const char *const *names, int n, int rank,
                               const int *dim, oct_tensor **out)
{
    const char *name = names[0];
    oct_tensor found;
    OCT_TRY(oct_weights_join(m->weights, names, n, rank, dim, &found));
    const int quantized = (found.dtype == OCT_S8 && found.rank > 1) ||
                          (found.dtype == OCT_S32 && found.rank == 1);
    if (found.dtype != OCT_F32 && found.dtype != OCT_F16 && found.dtype != OCT_BF16 &&
        found.dtype != OCT_F64 && !quantized)
        return oct_fail(OCT_ERR_UNSUPPORTED, "%.80s: dtype %s, expected F32, F16, BF16 or F64",
                        name, oct_dtype_name(found.dtype));
    oct_tensor *t = oct_arena_alloc(&m->arena, sizeof *t);
    if (!t) return oct_fail(OCT_ERR_MEMORY, "%.80s: out of memory", name);
    *out = t;
    *t = found;
    if (!quantized && (found.rank <= 1 || found.dtype == OCT_F64))
        OCT_TRY(convert(m, name, &found, t));
    if (found.dtype == OCT_S8) OCT_TRY(read_all_scales(m, names, n, t));
    return remember_all(m, names, n, t);
}

/* The caller's arch decides, then the file's, then the tensors. */
static oct_status find_builder(const oct_model *m, const char *arch, const oct_builder **out)
{
    const char *kind;
    json_t *object;
    *out = NULL;
    if (!arch) {
        for (int i = 0; i < N_BUILDERS && !*out; i++)
            if (builders[i]->recognise(m->weights)) *out = builders[i];
        return *out ? OCT_OK
                    : oct_fail(OCT_ERR_UNSUPPORTED, "the tensors do not tell the layers: pass them "
                               "(--layers \"conv1 relu maxpool:2 flatten fc1\")");
    }
    OCT_TRY(oct_json_parse("octet.arch", arch, JSON_OBJECT, &object));
    oct_status status = oct_json_string("octet.arch", object, "kind", &kind);
    if (!status && !kind) status = oct_fail(OCT_ERR_FORMAT, "octet.arch: 'kind' is missing");
    for (int i = 0; !status && i < N_BUILDERS; i++)
        if (strcmp(builders[i]->kind, kind) == 0) *out = builders[i];
    if (!status && !*out)
        status = oct_fail(OCT_ERR_UNSUPPORTED, "octet.arch: unknown kind '%.80s'", kind);
    json_decref(object);
    return status;
}

/* Where neither file nor kind says how images become input: 0..1, and it is called a guess. */
static const char *guess_recipe(const oct_tensor *x)
{
    if (x->rank == 4 && x->dim[1] == 1)
        return "{\"channels\":\"L\",\"scale\":0.00392156862745098,\"type\":\"image\"}";
    return "{\"channels\":\"RGB\",\"scale\":0.00392156862745098,\"type\":\"image\"}";
}

oct_status oct_model_passes(const char *list, oct_pass out[OCT_MODEL_MAX_PASSES], int *n)
{
    memcpy(out, passes, sizeof passes);
    return oct_passes_select(list, out, N_PASSES, n);
}

static oct_status run_passes(oct_model *m, const char *list)
{
    OCT_TRY(oct_model_passes(list, m->pass, &m->n_passes));
    return oct_passes_run(&m->graph, m->pass, m->n_passes, m->pass_changes);
}

static int is_quantized(const oct_model *m)
{
    for (int i = 0; i < m->n_constants; i++)
        if (m->constant[i].tensor->dtype == OCT_S8) return 1;
    return 0;
}

/* What the weights are decides, where they are I8; where they are floats, "int8" quantizes them now
 * and activations as they come. */
static oct_status settle_precision(oct_model *m, const oct_options *o)
{
    if (!is_quantized(m)) return OCT_OK;
    if (o->precision && strcmp(o->precision, "int8") != 0)
        return oct_fail(OCT_ERR_UNSUPPORTED, "precision '%.80s': the model is quantized to int8",
                        o->precision);
    m->precision = "int8";
    return OCT_OK;
}

/* --precision int8 of a model in floats. */
static oct_status quantize_now(oct_model *m)
{
    int changes = 0;
    if (strcmp(m->precision, "int8") != 0 || is_quantized(m)) return OCT_OK;
    return oct_pass_dynamic(&m->graph, (oct_keep){ NULL, 0 }, &changes);
}

/* *arch: the caller's, or NULL; then it becomes the file's, or stays NULL. */
static oct_status open_weights(oct_model *m, const char *path, const char **arch)
{
    OCT_TRY(oct_weights_open(path, &m->weights));
    if (!*arch) *arch = oct_weights_meta(m->weights, "octet.arch");
    if (!*arch && oct_compiled_is(m->weights))
        return oct_fail(OCT_ERR_FORMAT, "octet.plan without octet.arch");
    return find_builder(m, *arch, &m->builder);
}

oct_status oct_model_takes_texts(const char *path, const char *arch, int *texts)
{
    oct_model m = { 0 };
    const oct_status status = open_weights(&m, path, &arch);
    *texts = status == OCT_OK && m.builder->texts;
    oct_weights_close(m.weights);
    return status;
}

static oct_status describe(oct_model *m, const char *path, const oct_options *o, int with_plan)
{
    const char *arch = o->arch;
    if (o->batch < 0 || o->batch > MAX_BATCH)
        return oct_fail(OCT_ERR_UNSUPPORTED, "batch %d, expected 1 to %d", o->batch, MAX_BATCH);
    OCT_TRY(open_weights(m, path, &arch));
    m->dense = o->dense;
    m->kind = m->builder->kind;
    m->recipe = oct_weights_meta(m->weights, "octet.input");
    if (oct_compiled_is(m->weights)) {
        m->arch = oct_weights_meta(m->weights, "octet.arch");
        OCT_TRY(oct_compiled_read(m, o, with_plan));
    } else {
        m->n_parameters = count_parameters(m->weights);
        OCT_TRY(m->builder->build(m, arch, o));
        OCT_TRY(settle_precision(m, o));
    }
    m->recipe_is_guess = !m->recipe;
    if (!m->recipe) m->recipe = guess_recipe(m->graph.in[0]);
    OCT_TRY(oct_model_read_labels(m));
    if (m->isa) return OCT_OK;
    const char *list = with_plan || o->passes ? o->passes : "none";
    const int restored = oct_weights_meta(m->weights, "octet.quant") != NULL;
    if (restored && list && with_plan)
        return oct_fail(OCT_ERR_UNSUPPORTED, "passes '%.80s': a quantized model goes through all "
                        "of them", list);
    OCT_TRY(run_passes(m, list));
    if (restored && list) return OCT_OK;
    if (restored) OCT_TRY(oct_quantized_restore(m));
    else if (with_plan) OCT_TRY(quantize_now(m));
    return oct_sparse_restore(m);
}

oct_status oct_model_precision(const char *name, oct_dtype *out)
{
    static const struct { const char *name; oct_dtype type; } names[] = {
        { "fp32", OCT_F32 }, { "bf16", OCT_BF16 }, { "fp16", OCT_F16 }, { "int8", OCT_S8 },
    };
    *out = OCT_F32;
    if (!name) return OCT_OK;
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (strcmp(name, names[i].name) == 0) {
            *out = names[i].type;
            return OCT_OK;
        }
    return oct_fail(OCT_ERR_UNSUPPORTED, "precision '%.80s': unknown; fp32, bf16, fp16 or int8 "
                    "expected", name);
}

/* What a device other than the CPU cannot do. */
static oct_status check_device(const oct_model *m, const oct_options *o)
{
    const char *g = o->gemm ? o->gemm : "auto";
    if ((strcmp(g, "ours") && strcmp(g, "cublas") && strcmp(g, "auto")) || o->isa)
        return oct_fail(OCT_ERR_UNSUPPORTED, "device '%.80s': %s is the CPU's", o->device,
                        o->isa ? o->isa : g);
    if (o->keep_values || m->pack_only)
        return oct_fail(OCT_ERR_UNSUPPORTED, "device '%.80s': it runs models, all else is the "
                        "CPU's", o->device);
    if (o->precision && strcmp(o->precision, "bf16") == 0)
        return oct_fail(OCT_ERR_UNSUPPORTED, "device '%.80s': precision bf16, expected fp16, fp32 "
                        "or int8", o->device);
    return OCT_OK;
}

/* A device holds the values of a model in floats as halves, unless fp32 is asked for; the FP32
 * parts of a quantized one are FP32. */
static void settle_floats(oct_model *m, const oct_options *o, oct_plan_options *plan)
{
    if (!plan->backend) return;
    if (!o->precision && strcmp(m->precision, "fp32") == 0) m->precision = "fp16";
    plan->floats = strcmp(m->precision, "fp16") == 0 ? OCT_F16 : OCT_F32;
}

/* What the plan will run on, told before the file is read: a wrong option is the faster answer. */
static oct_status choose_machine(oct_model *m, const oct_options *o, oct_plan_options *plan)
{
    OCT_TRY(oct_backend_find(o->device, &plan->backend));
    if (plan->backend) OCT_TRY(check_device(m, o));
    if (plan->backend)
        plan->library = !o->gemm || strcmp(o->gemm, "auto") == 0 ? OCT_LIBRARY_FASTER
                      : strcmp(o->gemm, "cublas") == 0 ? OCT_LIBRARY_ALWAYS : OCT_LIBRARY_NEVER;
    else if (o->gemm && strcmp(o->gemm, "openblas") == 0) OCT_TRY(oct_openblas_open(&plan->sgemm));
    else if (o->gemm && strcmp(o->gemm, "ours") != 0)
        return oct_fail(OCT_ERR_UNSUPPORTED, "gemm '%.80s' is neither 'ours' nor 'openblas'",
                        o->gemm);
    if (o->isa && m->pack_only) OCT_TRY(oct_cpu_isa_any(o->isa, &m->cpu));
    else if (o->isa) OCT_TRY(oct_cpu_isa(o->isa, &m->cpu));
    else m->cpu = oct_cpu_flags();
    if (m->pack_only) OCT_TRY(oct_compiled_built(m->cpu));
    if (m->pack_only && plan->sgemm)
        return oct_fail(OCT_ERR_UNSUPPORTED, "gemm 'openblas' has no packed weights to compile");
    if (o->threads < 0 || o->threads > MAX_THREADS)
        return oct_fail(OCT_ERR_UNSUPPORTED, "%d threads, expected 1 to %d", o->threads,
                        MAX_THREADS);
    OCT_TRY(oct_model_precision(o->precision, &plan->precision));
    if (plan->sgemm && plan->precision != OCT_F32)
        return oct_fail(OCT_ERR_UNSUPPORTED, "gemm openblas: precision %s, expected fp32",
                        o->precision);
    m->precision = plan->precision == OCT_F16 ? "fp16" : plan->precision == OCT_BF16 ? "bf16"
                 : plan->precision == OCT_S8 ? "int8" : "fp32";
    plan->cpu = m->cpu;
    plan->keep_values = o->keep_values;
    plan->watch = o->watch;
    return OCT_OK;
}

static oct_status open_pool(oct_model *m, const oct_options *o)
{
    m->pool = o->pool;
    if (m->pool) return OCT_OK;
    m->own_pool = 1;
    return oct_pool_open(o->threads ? o->threads : oct_threads_default(), &m->pool);
}

static void packed(void *arg, const oct_tensor *constant)
{
    oct_weights_let_go(((oct_model *)arg)->weights, constant);
}

static oct_status make_plan(oct_model *m, const oct_options *o, oct_plan_options *plan)
{
    OCT_TRY(open_pool(m, o));
    if (m->isa && m->pack_only)
        return oct_fail(OCT_ERR_UNSUPPORTED, "compiled already, for %s: compile the model it was "
                        "made from", m->isa);
    if (plan->backend && m->isa)
        return oct_fail(OCT_ERR_UNSUPPORTED, "device '%.80s': compiled, its weights are packed for "
                        "the CPU's %s: use the model it was made from", o->device, m->isa);
    if (m->isa) OCT_TRY(oct_compiled_use(m, o, plan));
    settle_floats(m, o, plan);
    if (plan->library == OCT_LIBRARY_ALWAYS && plan->floats != OCT_F16)
        return oct_fail(OCT_ERR_UNSUPPORTED, "gemm cublas: precision %s, expected fp16",
                        m->precision);
    if (plan->backend && plan->floats == OCT_F16)
        OCT_TRY(oct_ranges_wide(m, &plan->wide, &plan->n_wide));
    plan->threads = m->pool->threads;
    plan->packed = m->isa ? NULL : packed;
    plan->arg = m;
    return oct_plan_build(&m->graph, plan, &m->plan);
}

oct_status oct_model_plan(oct_model *m, const oct_options *options)
{
    oct_plan_options plan = { 0 };
    OCT_TRY(choose_machine(m, options, &plan));
    if (plan.backend) /* who asks looks at each step */
        return oct_fail(OCT_ERR_UNSUPPORTED, "device '%.80s': it runs models, all else is the "
                        "CPU's", options->device);
    OCT_TRY(settle_precision(m, options));
    return make_plan(m, options, &plan);
}

void oct_model_unplan(oct_model *m)
{
    oct_plan_free(m->plan);
    m->plan = NULL;
}

typedef enum purpose { TO_RUN, TO_DESCRIBE, TO_PACK } purpose;

static oct_status load(const char *path, const oct_options *options, purpose why, oct_model **out)
{
    static const oct_options defaults;
    const oct_options *o = options ? options : &defaults;
    oct_plan_options plan = { 0 };
    oct_model *m = calloc(1, sizeof *m);
    *out = NULL;
    if (!m) return oct_fail(OCT_ERR_MEMORY, "model: out of memory");
    m->graph.arena = &m->arena;
    m->pack_only = why == TO_PACK;
    oct_status status = choose_machine(m, o, &plan);
    if (status == OCT_OK) status = describe(m, path, o, why != TO_DESCRIBE);
    if (status == OCT_OK && why != TO_DESCRIBE) status = make_plan(m, o, &plan);
    if (status != OCT_OK) oct_model_free(m);
    else *out = m;
    return status;
}

oct_status oct_model_load(const char *path, const oct_options *options, oct_model **out)
{
    return load(path, options, TO_RUN, out);
}

oct_status oct_model_describe(const char *path, const oct_options *options, oct_model **out)
{
    return load(path, options, TO_DESCRIBE, out);
}

oct_status oct_model_pack(const char *path, const oct_options *options, oct_model **out)
{
    return load(path, options, TO_PACK, out);
}

oct_tensor *oct_model_input(oct_model *m, int i)
{
    if (i < 0 || i >= m->graph.n_ins) return NULL;
    return m->plan ? &m->plan->in[i] : m->graph.in[i];
}

const oct_tensor *oct_model_output(const oct_model *m, int i)
{
    if (i < 0 || i >= m->graph.n_outs) return NULL;
    return m->plan ? &m->plan->out[i] : m->graph.out[i];
}

const char *oct_model_isa(const oct_model *m)
{
    return m->plan && m->plan->backend ? m->plan->backend->name : oct_cpu_isa_name(m->cpu);
}

oct_status oct_model_check(const oct_model *m, int n)
{
    if (!m->plan) return oct_fail(OCT_ERR_UNSUPPORTED, "run: the model is only described");
    if (m->pack_only)
        return oct_fail(OCT_ERR_UNSUPPORTED, "run: the model is only packed");
    const int batch = oct_plan_batch(m->plan);
    if (n < 1 || n > batch)
        return oct_fail(OCT_ERR_SHAPE, "run: %d samples, the plan is made for 1 to %d", n, batch);
    return m->plan->starts ? oct_encoder_check(m, n) : OCT_OK;
}

oct_status oct_model_run(oct_model *m, int n)
{
    OCT_TRY(oct_model_check(m, n));
    return oct_plan_run_all(m->plan, m->pool, n);
}

void oct_model_free(oct_model *m)
{
    if (!m) return;
    oct_plan_free(m->plan);
    if (m->own_pool) oct_pool_close(m->pool);
    oct_weights_close(m->weights);
    oct_arena_free(&m->arena);
    free(m);
}
