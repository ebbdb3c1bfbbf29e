/* octet eval: how often a model is right, how sure it is, how long it takes. */
#include "models/ranges.h"
#include "programs/cmd.h"
#include "programs/evaluate.h"
#include "programs/origin.h"
#include "programs/output.h"
#include "programs/report.h"

enum { DEFAULT_BATCH = 64 };

static void print(const eval_result *r)
{
    printf("samples      %d\n", r->samples);
    printf("correct      %d\n", r->correct);
    printf("accuracy     %.6f (95 %%: %.6f to %.6f)\n", r->accuracy, r->accuracy_low,
           r->accuracy_high);
    printf("loss         %.6f\n", r->loss);
    printf("time         %.1f ms, %.1f samples/s (without decoding)\n", r->ms_total,
           r->samples / r->ms_total * 1e3);
    printf("batch of %-3d %.3f ms median, %.3f ms 99th percentile\n", r->batch, r->ms_p50,
           r->ms_p99);
    printf("on           %s, %d thread%s, %s\n", r->isa, r->threads, r->threads == 1 ? "" : "s",
           r->precision);
    printf("model        %.0f bytes\n", r->model_bytes);
    printf("peak memory  %.0f bytes\n", r->peak_bytes);
}

/* What --check found: of all layers, and the first that has any. */
typedef struct found {
    long long nan, infinite;
    const char *first;        /* its name; NULL: every value is finite */
} found;

static found find(const oct_plan *plan)
{
    found f = { 0 };
    for (int i = 0; i < plan->n_steps; i++) {
        const oct_watched *w = &plan->watched[i];
        if (!f.first && (w->nan || w->infinite)) f.first = plan->step[i].node->name;
        f.nan += w->nan;
        f.infinite += w->infinite;
    }
    return f;
}

static void print_found(const found *f)
{
    char name[200];
    printf("not finite   %lld NaN, %lld infinite", f->nan, f->infinite);
    if (f->first) cli_escape(f->first, name, sizeof name), printf(", first in %s", name);
    putchar('\n');
}

static json_t *json_of_found(json_t *o, const found *f)
{
    json_object_set_new(o, "nan", json_integer(f->nan));
    json_object_set_new(o, "infinite", json_integer(f->infinite));
    json_object_set_new(o, "first_not_finite", f->first ? report_string(f->first) : json_null());
    return o;
}

static int show(const cli_args *a, const oct_model *m, int code, eval_result *result)
{
    if (!code && a->json) {
        json_t *o = eval_json(result);
        const found f = a->check ? find(m->plan) : (found){ 0 };
        report_json_line(a->check ? json_of_found(o, &f) : o);
    } else if (!code) {
        print(result);
        const found f = a->check ? find(m->plan) : (found){ 0 };
        if (a->check) print_found(&f);
    }
    eval_free(result);
    return code;
}

/* ---- -o OUT ---- */

static int check_usage(const cli_args *a)
{
    if (!a->output) return CLI_OK;
    if (a->passes) return cli_usage(a->command, "--passes: -o OUT names what all passes leave");
    if (origin_is(a->arg[0], a->output))
        return cli_usage(a->command, "--output '%s': the model itself", a->output);
    return CLI_OK;
}

/* Before samples are run. */
static int check_model(const cli_args *a, const oct_model *m)
{
    const oct_status status = a->output ? oct_ranges_check(m) : OCT_OK;
    return status ? cli_fail(a, a->arg[0], status) : CLI_OK;
}

typedef struct with_ranges {
    const oct_model *m;
    const oct_save_info *info;
    oct_ranges_data data;
} with_ranges;

static oct_status write_file(void *arg, const char *to)
{
    const with_ranges *r = arg;
    return oct_ranges_save(r->m, to, r->info, r->data);
}

/* info has what the kind of model needs. */
static int save(const cli_args *a, const oct_model *m, oct_save_info *info, oct_arena *arena,
                const eval_result *r)
{
    info->label = m->label;
    info->command = origin_command(a, arena);
    if (!info->command) return cli_refuse(a, NULL, OCT_ERR_MEMORY, "out of memory");
    const oct_status status = output_save(a->output, write_file, &(with_ranges){
        m, info, { r->samples, r->sha256 } });
    return status ? cli_fail(a, a->output, status) : CLI_OK;
}

/* ---- in order ---- */

static int run_texts(const cli_args *a, job_settings *how, eval_settings *s)
{
    text_job j;
    eval_result result = { 0 };
    oct_arena arena = { 0 };
    oct_save_info info = { .recipe = NULL };
    int code = text_job_open(a, how, 0, &j);
    if (!code) code = check_model(a, j.model);
    if (!code) code = eval_run_texts(a, &j, s, &result);
    const oct_status status = !code && a->output ? text_job_save_info(&j, &arena, &info) : OCT_OK;
    if (status) code = cli_fail(a, a->arg[0], status);
    if (!code && a->output) code = save(a, j.model, &info, &arena, &result);
    code = show(a, j.model, code, &result);
    oct_arena_free(&arena);
    text_job_close(&j);
    return code;
}

static int run_images(const cli_args *a, job_settings *how, eval_settings *s)
{
    job j;
    eval_result result = { 0 };
    oct_arena arena = { 0 };
    oct_save_info info = { .recipe = NULL };
    how->source = s->source;
    int code = job_open(a, how, &j);
    if (!code) code = check_model(a, j.model);
    if (!code) code = eval_run(a, &j, s, &result);
    const oct_status status = !code && a->output ? job_recipe(a, &j, &arena, &info.recipe) : OCT_OK;
    if (status) code = cli_fail(a, a->arg[0], status);
    if (!code && a->output) code = save(a, j.model, &info, &arena, &result);
    code = show(a, j.model, code, &result);
    oct_arena_free(&arena);
    job_close(&j);
    return code;
}

static int run(const cli_args *a)
{
    oct_source *source = NULL;
    if (!a->data) return cli_usage(a->command, "--data DATA expected");
    int code = check_usage(a);
    if (code) return code;
    const int texts = job_takes_texts(a, a->arg[0]);
    code = job_open_source(a, texts, a->data, &source);
    job_settings how = job_defaults(a, a->arg[0], DEFAULT_BATCH);
    how.watch = a->check || a->output;
    eval_settings s = {
        .path = a->arg[0], .data = a->data, .source = source, .logits = a->logits,
    };
    if (!code) code = (texts ? run_texts : run_images)(a, &how, &s);
    oct_source_close(source);
    return code;
}

const cli_command cmd_eval = {
    .program = "octet", .name = "eval", .set = CLI_EVAL, .min_args = 1, .max_args = 1,
    .operands = "MODEL --data DATA", .run = run,
    .summary = "Accuracy, loss, run time and memory of a model on labelled data.",
    .details =
        "For a model of texts DATA is a TSV of text<TAB>label, its first line perhaps a header.\n"
        "The loss is the mean cross-entropy, natural logarithm; the bounds of the accuracy\n"
        "are the 95 % Wilson interval; times do not contain decoding.\n"
        "--json prints one object: samples correct accuracy accuracy_low accuracy_high loss\n"
        "ms_total ms_p50 ms_p99 batch threads isa precision model_bytes peak_bytes.",
    .examples =
        "  octet eval mnist_cnn.safetensors --data t10k-images-idx3-ubyte.gz\n"
        "  octet eval cifar_cnn.safetensors --data test_batch.bin --batch 32 --json\n"
        "  octet eval distilbert_sst2 --data dev.tsv --precision int8\n"
        "  octet eval resnet20.th --data photos-by-class/ --logits logits.npy\n"
        "  octet eval resnet50.pth --data val/ --check -o resnet50-ranges.safetensors\n",
};
