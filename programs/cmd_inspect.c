/* octet inspect: what is in a model file. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "ops/attr.h"
#include "programs/cmd.h"
#include "programs/inspect_runs.h"
#include "programs/job.h"
#include "programs/report.h"
#include "programs/show.h"
#include "tensor/cpu.h"

/* What one node reads from the file. */
typedef struct stored {
    double parameters, bytes;
    const char *dtype;        /* of its first constant; "" if it has none */
    double density;           /* share of a layer's weights that are not 0; NAN: not known */
} stored;

static int is_activation(const oct_graph *g, const oct_tensor *t)
{
    for (int i = 0; i < g->n_ins; i++)
        if (g->in[i] == t) return 1;
    return oct_graph_writer(g, t) != NULL;
}

static double density_of(const oct_node *node)
{
    static const char zero[sizeof(double)];
    const int layer = node->kind == OCT_OP_CONV2D || node->kind == OCT_OP_LINEAR;
    const oct_tensor *w = layer ? node->args.in[OCT_CONV2D_W] : NULL; /* linear's, too */
    if (!w || !w->data || w->data == oct_no_data) return NAN;
    const size_t n = oct_tensor_count(w), unit = oct_dtype_size(w->dtype);
    size_t kept = 0;
    for (size_t i = 0; i < n; i++)
        kept += memcmp((const char *)w->data + i * unit, zero, unit) != 0;
    return n ? (double)kept / (double)n : NAN;
}

/* planned: the plan has packed the constants and given their data back. */
static stored count_stored(const oct_graph *g, const oct_node *node, int planned)
{
    stored s = { .dtype = "", .density = planned ? NAN : density_of(node) };
    for (int i = 0; i < OCT_MAX_IN; i++) {
        const oct_tensor *t = node->args.in[i];
        if (!t || is_activation(g, t)) continue;
        if (!*s.dtype) s.dtype = oct_dtype_name(t->dtype);
        s.parameters += (double)oct_tensor_count(t);
        s.bytes += (double)oct_tensor_size(t);
    }
    return s;
}

/* ---- JSON ---- */

static json_t *json_of_layers(const oct_graph *g, int planned, const inspect_runs *runs)
{
    json_t *list = json_array();
    for (int i = 0; i < g->n_nodes; i++) {
        const oct_node *node = &g->node[i];
        if (node->dead) continue;
        const stored s = count_stored(g, node, planned);
        json_array_append_new(list, json_pack(
            "{s:o, s:s, s:o, s:o, s:I, s:I, s:o, s:o, s:o}", "name", report_string(node->name),
            "op", oct_ops[node->kind]->name, "shape", report_shape(node->args.out),
            "dtype", *s.dtype ? json_string(s.dtype) : json_null(),
            "parameters", (json_int_t)s.parameters, "bytes", (json_int_t)s.bytes,
            "density", report_number(s.density), "kernel",
            report_string(inspect_kernel(runs, node->name)), "gain",
            report_number(inspect_gain(runs, node->name))));
    }
    return list;
}

static json_t *json_of_tensors(const oct_weights *w)
{
    json_t *list = json_array();
    for (int i = 0; i < oct_weights_count(w); i++) {
        const oct_weights_entry *e = oct_weights_at(w, i);
        oct_tensor t = { .rank = e->rank };
        memcpy(t.dim, e->dim, sizeof t.dim);
        json_array_append_new(list, json_pack(
            "{s:o, s:s, s:o, s:I}", "name", report_string(e->name),
            "dtype", oct_dtype_name(e->dtype), "shape", report_shape(&t),
            "bytes", (json_int_t)e->size));
    }
    return list;
}

static json_t *json_of_metadata(const oct_weights *w)
{
    json_t *object = json_object();
    const char *key, *value;
    for (int i = 0; (key = oct_weights_meta_at(w, i, &value)); i++) {
        json_t *name = report_string(key); /* a key that is no UTF-8 is escaped, as values are */
        json_object_set_new(object, json_string_value(name), report_json_text(value));
        json_decref(name);
    }
    return object;
}

/* Do launches overlap?  1, 0; -1: there are none. */
static int overlap_of(const oct_plan *plan)
{
    return plan->backend ? plan->backend->peaks(plan->device).overlap : -1;
}

static void print_launches(const oct_plan *plan)
{
    const int overlap = overlap_of(plan);
    if (overlap >= 0) printf("launches: %s\n", overlap ? "overlap" : "one after the other");
}

static json_t *json_of_plan(const oct_plan *plan)
{
    json_t *steps = json_array();
    for (int i = 0; i < plan->n_steps; i++) {
        const oct_step *s = &plan->step[i];
        json_t *o = json_pack(
            "{s:o, s:s, s:o, s:s, s:o, s:I, s:I}", "name", report_string(s->node->name),
            "op", s->op->name, "shape", report_shape(s->args.out),
            "type", oct_step_type(s), "kernel", report_string(s->kernel),
            "macs", (json_int_t)s->macs, "weight_bytes", (json_int_t)s->weight_size);
        if (s->ours_ms > 0)
            json_object_set_new(o, "ours_ms", report_number((double)s->ours_ms));
        if (s->library_ms > 0)
            json_object_set_new(o, "cublas_ms", report_number((double)s->library_ms));
        json_array_append_new(steps, o);
    }
    json_t *all = json_pack("{s:o, s:I, s:I, s:I}", "steps", steps,
                            "weight_bytes", (json_int_t)plan->weight_size,
                            "value_bytes", (json_int_t)plan->value_size,
                            "workspace_bytes", (json_int_t)plan->workspace_size);
    const int overlap = overlap_of(plan);
    if (overlap >= 0) json_object_set_new(all, "launches_overlap", json_boolean(overlap));
    return all;
}

static void print_json(const char *path, const oct_weights *w, const oct_model *m,
                       const inspect_runs *runs)
{
    json_t *o = json_pack("{s:o, s:s, s:I, s:s}", "path", report_string(path),
                          "format", oct_weights_format(w), "file_bytes",
                          (json_int_t)oct_weights_file_size(w), "kind", m ? m->kind : "unknown");
    if (m) {
        json_t *labels = m->label ? json_array() : json_null(), *doubts = json_array();
        for (int i = 0; i < m->n_doubts; i++)
            json_array_append_new(doubts, report_string(m->in_doubt[i]));
        for (int i = 0; m->label && i < m->classes; i++)
            json_array_append_new(labels, report_string(m->label[i]));
        json_object_set_new(o, "arch", report_json_text(m->arch));
        json_object_set_new(o, "isa", m->isa ? json_string(m->isa) : json_null());
        json_object_set_new(o, "parameters", json_integer((json_int_t)m->n_parameters));
        json_object_set_new(o, "input", report_shape(m->graph.in[0]));
        json_object_set_new(o, "classes", json_integer(m->classes));
        json_object_set_new(o, "vocabulary",
                            m->vocabulary ? json_integer(m->vocabulary) : json_null());
        json_object_set_new(o, "recipe", report_json_text(m->recipe));
        json_object_set_new(o, "recipe_is_guess", json_boolean(m->recipe_is_guess));
        json_object_set_new(o, "in_doubt", doubts);
        json_object_set_new(o, "labels", labels);
        json_object_set_new(o, "layers", json_of_layers(&m->graph, m->plan != NULL, runs));
        if (m->plan) json_object_set_new(o, "plan", json_of_plan(m->plan));
    }
    json_object_set_new(o, "metadata", json_of_metadata(w));
    json_object_set_new(o, "tensors", json_of_tensors(w));
    report_json_line(o);
}

/* ---- text ---- */

static void line(const char *what, const char *value)
{
    printf("%-11s ", what);
    cli_print_escaped(stdout, value);
    putchar('\n');
}

/* The kernel of a layer with weights, and what it gains where it leaves zeros out. */
static void print_run(const inspect_runs *runs, const oct_node *node, double density)
{
    const char *kernel = inspect_kernel(runs, node->name);
    const double gain = inspect_gain(runs, node->name);
    if (!kernel || isnan(density)) return;
    printf("  %s", kernel);
    if (isfinite(gain)) printf(" (%s)", show_ratio(gain).s);
}

static void print_layers(const oct_graph *g, const inspect_runs *runs)
{
    char shape[100], name[200];
    int width = REPORT_NAME;
    for (int i = 0; i < g->n_nodes; i++)
        if (!g->node[i].dead) width = report_wider(width, g->node[i].name);
    printf("\n%-*s %-11s %-20s %-5s %11s %11s %8s%s%s\n", width, "layer", "op", "output", "dtype",
           "parameters", "bytes", "not 0", runs->model ? "  kernel" : "",
           runs->dense ? " (gain)" : "");
    for (int i = 0; i < g->n_nodes; i++) {
        const oct_node *node = &g->node[i];
        if (node->dead) continue;
        const stored s = count_stored(g, node, 0);
        cli_escape(node->name, name, sizeof name);
        oct_tensor_shape(node->args.out, shape, sizeof shape);
        printf("%-*s %-11s ", width, name, oct_ops[node->kind]->name);
        if (s.parameters > 0)
            printf("%-20s %-5s %11.0f %11.0f", shape, s.dtype, s.parameters, s.bytes);
        else fputs(shape, stdout);
        if (isfinite(s.density)) printf(" %6.1f %%", 100 * s.density);
        print_run(runs, node, s.density);
        putchar('\n');
    }
}

static void print_tensors(const oct_weights *w)
{
    char shape[100], name[400];
    printf("\n%-44s %-5s %-24s %12s\n", "tensor", "dtype", "shape", "bytes");
    for (int i = 0; i < oct_weights_count(w); i++) {
        const oct_weights_entry *e = oct_weights_at(w, i);
        oct_tensor t = { .rank = e->rank };
        memcpy(t.dim, e->dim, sizeof t.dim);
        cli_escape(e->name, name, sizeof name);
        printf("%-44s %-5s %-24s %12zu\n", name, oct_dtype_name(e->dtype),
               oct_tensor_shape(&t, shape, sizeof shape), e->size);
    }
}

static void print_labels(const oct_model *m)
{
    enum { SHOWN = 12 };
    printf("labels     ");
    for (int i = 0; i < m->classes && i < SHOWN; i++) {
        putchar(' ');
        cli_print_escaped(stdout, m->label[i]);
    }
    if (m->classes > SHOWN) printf(" ... (%d)", m->classes);
    putchar('\n');
}

static void print_doubts(const oct_model *m)
{
    enum { IMAGENET = 1000 };
    for (int i = 0; i < m->n_doubts; i++) line("in doubt", m->in_doubt[i]);
    if (m->label) return;
    printf("labels      none in the file: --labels FILE, one a line%s\n",
           m->classes == IMAGENET ? " (1000 classes: ImageNet's?)" : "");
}

static void print_vocabulary(const oct_model *m)
{
    const oct_weights_entry *own = oct_weights_find(m->weights, OCT_MODEL_VOCAB);
    printf("vocabulary  %d tokens", m->vocabulary);
    if (own) printf(", %s of %zu bytes", OCT_MODEL_VOCAB, own->size);
    putchar('\n');
}

static void print_model(const oct_model *m)
{
    char shape[100];
    line("kind", m->kind);
    if (m->arch) line("arch", m->arch);
    printf("parameters  %zu\n", m->n_parameters);
    line("input", oct_tensor_shape(m->graph.in[0], shape, sizeof shape));
    printf("classes     %d\n", m->classes);
    if (m->vocabulary) print_vocabulary(m);
    if (m->recipe) line("recipe", m->recipe);
    if (m->recipe_is_guess)
        puts("            (a guess: the file says nothing; --mean, --std, --scale, --channels)");
    if (m->label) print_labels(m);
    print_doubts(m);
    if (!m->isa) return;
    printf("compiled    for %s, packing %d, passes", m->isa, OCT_PACKING);
    for (int i = 0; i < m->n_passes; i++) printf(" %s", m->pass[i].name);
    puts(m->n_passes ? "" : " none");
}

static void print_text(const char *path, const oct_weights *w, const oct_model *m,
                       const inspect_runs *runs, const char *why)
{
    const char *key, *value;
    line("file", path);
    line("format", oct_weights_format(w));
    printf("size        %zu bytes\n", oct_weights_file_size(w));
    if (m) print_model(m);
    else {
        line("kind", "unknown");
        line("", why);
    }
    for (int i = 0; (key = oct_weights_meta_at(w, i, &value)); i++) {
        static const char *const told[] = { "octet.arch", "octet.input", "octet.labels",
                                            "octet.plan" };
        int above = 0;
        for (size_t k = 0; m && k < sizeof told / sizeof *told; k++)
            above |= !strcmp(key, told[k]);
        if (above) continue;
        printf("metadata    ");
        cli_print_escaped(stdout, key);
        printf(": ");
        cli_print_escaped(stdout, value);
        putchar('\n');
    }
    if (!m) print_tensors(w);
    else if (m->plan) {
        putchar('\n');
        oct_plan_dump(m->plan, stdout);
        print_launches(m->plan);
    } else print_layers(&m->graph, runs);
}

/* A file of tensors that are no network we know: still worth a look. */
static int run_unknown(const cli_args *a)
{
    char why[256];
    snprintf(why, sizeof why, "%s", oct_last_error());
    oct_weights *w;
    const oct_status status = oct_weights_open(a->arg[0], &w);
    if (status) return cli_fail(a, a->arg[0], status);
    if (a->json) print_json(a->arg[0], w, NULL, NULL);
    else print_text(a->arg[0], w, NULL, NULL, why);
    oct_weights_close(w);
    return CLI_OK;
}

/* Kernels are worth a look where weights were changed for them. */
static int is_changed(const oct_model *m)
{
    return oct_weights_meta(m->weights, "octet.prune") ||
           oct_weights_meta(m->weights, "octet.quant");
}

static int print(const cli_args *a, const oct_options *options, const oct_model *m)
{
    inspect_runs runs = { .model = NULL };
    oct_status status = OCT_OK;
    if (a->measure && !is_changed(m))
        return cli_refuse(a, a->arg[0], OCT_ERR_UNSUPPORTED, "neither pruned nor quantized: "
                          "--measure has nothing to compare");
    if (!a->plan && !m->isa && !a->passes && is_changed(m))
        status = inspect_runs_open(a->arg[0], options, a->measure, &runs);
    if (!status && a->json) print_json(a->arg[0], m->weights, m, &runs);
    else if (!status) print_text(a->arg[0], m->weights, m, &runs, "");
    inspect_runs_close(&runs);
    return status ? cli_fail(a, a->arg[0], status) : CLI_OK;
}

static int run(const cli_args *a)
{
    oct_model *m = NULL;
    if (a->layers && !a->input.n) return cli_usage(a->command, "--layers: --input C,H,W expected");
    if (a->measure && (a->plan || a->passes))
        return cli_usage(a->command, "--measure: layers of the file, not with --plan, --passes");
    char *arch = job_arch(a);
    const job_settings s = job_defaults(a, a->arg[0], 1);
    const oct_options options = {
        .arch = arch, .batch = s.batch, .threads = s.threads, .isa = s.isa, .device = a->device,
        .precision = s.precision,
        .gemm = a->gemm,
        /* the layers of the file, unless what will run is asked for */
        .passes = a->passes ? a->passes : a->plan ? NULL : "none",
    };
    const oct_status status = a->plan ? oct_model_load(a->arg[0], &options, &m)
                                      : oct_model_describe(a->arg[0], &options, &m);
    const int plain = !a->plan && !a->layers && !a->passes;
    const int code = !status ? print(a, &options, m)
                   : status == OCT_ERR_UNSUPPORTED && plain ? run_unknown(a)
                   : cli_fail(a, a->arg[0], status);
    oct_model_free(m);
    free(arch);
    return code;
}

const cli_command cmd_inspect = {
    .program = "octet", .name = "inspect", .set = CLI_INSPECT, .min_args = 1, .max_args = 1,
    .operands = "MODEL", .run = run,
    .summary = "What is in a model file: kind, layers, parameters, recipe, labels, provenance.",
    .details =
        "A file of tensors that are no network octet knows is listed tensor by tensor. --plan\n"
        "shows what will run instead: op, shape, kernel, multiply-adds and bytes of each\n"
        "step. Of a pruned or quantized file the list has the kernel that each layer runs on\n"
        "here, and with --measure, where it leaves zeros out, how many times as fast that is as\n"
        "multiplying them: both are timed, one sample at a time, the least of 12 runs.",
    .examples =
        "  octet inspect mnist_cnn.safetensors\n"
        "  octet inspect resnet20.th --plan --isa avx2\n"
        "  octet inspect cifar_cnn.safetensors --plan --passes none\n"
        "  octet inspect pruned_int8.safetensors --measure --threads 1\n"
        "  octet inspect mnist_classifier.pt --input 1,28,28 \\\n"
        "      --layers \"conv1 relu maxpool:2 conv2 relu maxpool:2 flatten fc1 relu fc2\"\n",
};
