/* octet diff: two models, or one model run in two ways, layer by layer. */
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "programs/cmd.h"
#include "programs/diff_layers.h"
#include "programs/feed.h"
#include "programs/report.h"
#include "programs/scores.h"

enum { DEFAULT_BATCH = 16, RANDOM_SAMPLES = 64 };

typedef struct state {
    const cli_args *a;
    const char *path_a, *path_b;
    job job_a, job_b;         /* job_b.model NULL: dumps */
    int dumps;                /* b is a folder of .npy files */
    diff_set set;
    double tolerance;
    int samples, agree;       /* run; of the same top-1 */
} state;

/* Runs n samples through both and adds what they say. */
static int add(state *s, const float *data, int n)
{
    const float *x, *y = NULL;
    oct_status status = job_run(&s->job_a, data, n, &x, NULL);
    if (status) return cli_fail(s->a, s->path_a, status);
    if (s->job_b.model) status = job_run(&s->job_b, data, n, &y, NULL);
    if (!status) status = diff_add(&s->set, s->samples, n);
    if (status) return cli_fail(s->a, s->path_b, status);
    if (s->dumps && !strcmp(s->set.layer[s->set.n - 1].op, "output")) y = s->set.y;
    for (int i = 0; y && i < n; i++) { /* the output came last: its dump is still in y */
        const size_t row = (size_t)i * (size_t)s->job_a.classes;
        s->agree += scores_argmax(x + row, s->job_a.classes)
                    == scores_argmax(y + row, s->job_a.classes);
    }
    s->samples += n;
    return CLI_OK;
}

static int run_data(state *s, oct_source *source)
{
    feed *f;
    feed_batch b;
    int code = CLI_OK;
    const int wanted = s->set.samples ? s->set.samples : oct_source_count(source);
    if (wanted > oct_source_count(source))
        return cli_refuse(s->a, s->path_b, OCT_ERR_SHAPE, "holds %d samples, the data %d", wanted,
                          oct_source_count(source));
    const oct_status status = feed_open(&s->job_a, (char *const *)&s->a->data, 1, source,
                                        s->a->threads.n ? s->a->threads.v[0] : 0, &f);
    if (status) return cli_fail(s->a, s->path_a, status);
    report_progress bar;
    report_progress_start(&bar, s->a->quiet, "images", wanted);
    while (!code && s->samples < wanted) {
        feed_next(f, &b);
        const int left = wanted - s->samples, n = b.n < left ? b.n : left;
        int bad = 0;
        while (bad < n && !b.item[bad].status) bad++;
        if (bad == n) code = add(s, b.data, n);
        else code = cli_refuse(s->a, b.item[bad].name, b.item[bad].status, "%s", b.item[bad].error);
        report_progress_step(&bar, s->samples);
    }
    report_progress_end(&bar);
    feed_close(f);
    return code;
}

static int run_random(state *s)
{
    const int batch = s->job_a.batch;
    float *data = job_random(&s->job_a, batch);
    int code = data ? CLI_OK : cli_refuse(s->a, NULL, OCT_ERR_MEMORY, "out of memory");
    cli_note(s->a, "no --data: comparing on seeded random input");
    while (!code && s->samples < RANDOM_SAMPLES) {
        const int left = RANDOM_SAMPLES - s->samples;
        code = add(s, data, left < batch ? left : batch);
    }
    free(data);
    return code;
}

/* ---- what was found ---- */

static const diff_layer *first_departure(const state *s)
{
    for (int i = 0; i < s->set.n; i++)
        if (!(diff_relative(&s->set.layer[i]) <= s->tolerance)) return &s->set.layer[i];
    return NULL;
}

static const diff_layer *worst(const state *s)
{
    const diff_layer *most = &s->set.layer[0];
    for (int i = 1; i < s->set.n; i++)
        if (diff_relative(&s->set.layer[i]) > diff_relative(most)) most = &s->set.layer[i];
    return most;
}

static int knows_output(const state *s)
{
    return s->job_b.model || !strcmp(s->set.layer[s->set.n - 1].op, "output");
}

static void print_json(const state *s)
{
    json_t *list = json_array();
    for (int i = 0; i < s->set.n; i++) {
        const diff_layer *l = &s->set.layer[i];
        json_array_append_new(list, json_pack(
            "{s:o, s:s, s:o, s:o, s:o}", "name", report_string(l->name), "op", l->op,
            "max_difference", report_number(l->difference), "max_value", report_number(l->largest),
            "relative", report_number(diff_relative(l))));
    }
    const diff_layer *first = first_departure(s), *most = worst(s);
    report_json_line(json_pack(
        "{s:i, s:i, s:i, s:f, s:o, s:o, s:o, s:o, s:o}", "samples", s->samples,
        "compared", s->set.n, "skipped", s->set.skipped, "tolerance", s->tolerance,
        "largest_relative", report_number(diff_relative(most)),
        "largest_layer", report_string(most->name),
        "first_departure", report_string(first ? first->name : NULL),
        "same_top1", knows_output(s) ? json_integer(s->agree) : json_null(), "layers", list));
}

static void print_text(const state *s)
{
    printf("%-24s %-11s %14s %14s %12s\n", "layer", "op", "max |A - B|", "max |A|", "relative");
    for (int i = 0; i < s->set.n; i++) {
        const diff_layer *l = &s->set.layer[i];
        char name[200];
        cli_escape(l->name, name, sizeof name);
        printf("%-24s %-11s %14.6g %14.6g %12.3g\n", name, l->op, l->difference, l->largest,
               diff_relative(l));
    }
    const diff_layer *first = first_departure(s), *most = worst(s);
    printf("\n%d layers compared, %d without a counterpart, %d samples\n", s->set.n, s->set.skipped,
           s->samples);
    printf("largest difference   %.3g of the layer's largest value, at ", diff_relative(most));
    cli_print_escaped(stdout, most->name);
    printf("\nfirst beyond %-7.3g ", s->tolerance);
    cli_print_escaped(stdout, first ? first->name : "none");
    if (knows_output(s)) printf("\nsame top-1           %d of %d", s->agree, s->samples);
    putchar('\n');
}

/* ---- the two sides ---- */

/* A folder without a model in it holds dumps. */
static int is_dumps(const char *path)
{
    static const char *const of_model[] = {
        "model.safetensors", "pytorch_model.bin", "config.json",
    };
    struct stat st;
    if (stat(path, &st) || !S_ISDIR(st.st_mode)) return 0;
    for (size_t i = 0; i < sizeof of_model / sizeof *of_model; i++) {
        char name[4096];
        snprintf(name, sizeof name, "%s/%s", path, of_model[i]);
        if (!access(name, F_OK)) return 0;
    }
    return 1;
}

/* Dumps are of the network as it was written, so A runs as built; else --passes and
 * --precision are for B. */
static int open_sides(state *s, const oct_source *source)
{
    const cli_args *a = s->a;
    job_settings one = job_defaults(a, s->path_a, DEFAULT_BATCH), two = one;
    one.keep_values = two.keep_values = 1;
    one.source = two.source = source;
    two.path = s->path_b;
    if (!s->dumps) one.precision = NULL;
    one.passes = !s->dumps ? NULL : a->passes ? a->passes : "none";
    int code = job_open(a, &one, &s->job_a);
    if (!code && !s->dumps) code = job_open(a, &two, &s->job_b);
    if (code) return code;
    const job *x = &s->job_a, *y = &s->job_b;
    if (y->model && (y->channels != x->channels || y->height != x->height || y->width != x->width))
        return cli_refuse(a, s->path_b, OCT_ERR_SHAPE, "takes [%d, %d, %d], the other [%d, %d, %d]",
                          y->channels, y->height, y->width, x->channels, x->height, x->width);
    const oct_status status = s->dumps ? diff_pair_dumps(x->model, s->path_b, &s->set)
                                       : diff_pair_models(x->model, y->model, &s->set);
    return status ? cli_fail(a, s->path_b, status) : CLI_OK;
}

static int run(const cli_args *a)
{
    state s = { .a = a, .path_a = a->arg[0], .path_b = a->arg[a->n_args - 1],
                .tolerance = a->tolerance.n ? a->tolerance.v[0] : 1e-4 };
    if (a->n_args == 1 && !a->passes && !a->precision.n)
        return cli_usage(a->command, "B expected, or --passes or --precision to run A in a second "
                         "way");
    s.dumps = a->n_args == 2 && is_dumps(s.path_b);
    if (s.dumps && !a->data) return cli_usage(a->command, "--data expected: what the dumps are of");

    oct_source *source = NULL;
    const oct_status status = a->data ? oct_source_open(a->data, &source) : OCT_OK;
    if (status) return cli_fail(a, a->data, status);
    int code = open_sides(&s, source);
    if (!code) code = source ? run_data(&s, source) : run_random(&s);
    if (!code) {
        if (a->json) print_json(&s);
        else print_text(&s);
        if (a->tolerance.n && first_departure(&s)) code = CLI_PROMISE;
    }
    diff_free(&s.set);
    job_close(&s.job_a);
    job_close(&s.job_b);
    oct_source_close(source);
    return code;
}

const cli_command cmd_diff = {
    .program = "octet", .name = "diff", .set = CLI_DIFF, .min_args = 1, .max_args = 2,
    .operands = "A [B] --data DATA", .run = run,
    .summary = "Compare two models, or one model run in two ways, layer by layer.",
    .details =
        "B is a model, or a folder of NAME.npy, float32 [n, c, h, w] or [n, k], what\n"
        "PyTorch's modules of these names gave for the first n samples of DATA, and\n"
        "logits.npy. --passes and --precision are for B, or, with dumps, for A (--passes is\n"
        "then none by default). Without B, A is compared with itself under them. A's recipe\n"
        "is used for both. Without --data the input is seeded random numbers. For each layer\n"
        "that both have: the largest difference, and that relative to the largest value of A.",
    .examples =
        "  octet diff mnist_cnn.safetensors --passes none --data t10k-images-idx3-ubyte.gz\n"
        "  octet diff cifar_cnn.safetensors other.safetensors --data test_batch.bin --json\n"
        "  octet diff resnet20.th dumps/ --data test_batch.bin --tolerance 1e-5\n",
};
