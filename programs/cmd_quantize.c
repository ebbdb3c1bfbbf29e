/* octet quantize: FP32 to INT8 on the user's own samples, and the proof of it. */
#include <stdlib.h>
#include <string.h>

#include "config.h"
#include "programs/cmd.h"
#include "programs/feed.h"
#include "programs/labels.h"
#include "programs/lint_samples.h"
#include "programs/measured.h"
#include "programs/origin.h"
#include "programs/output.h"
#include "programs/quantize.h"
#include "programs/report.h"

enum { DEFAULT_BATCH = 16 };

static int out_of_memory(const cli_args *a)
{
    return cli_refuse(a, NULL, OCT_ERR_MEMORY, "out of memory");
}

/* ---- shared with the other parts ---- */

int quantize_keep(quantize_work *w, const char *layer, const char *why)
{
    const oct_quant_kept kept = { oct_arena_strdup(&w->arena, layer),
                                  oct_arena_strdup(&w->arena, why) };
    if (!kept.layer || !kept.why) return out_of_memory(w->a);
    w->kept[w->n_kept++] = kept;
    return CLI_OK;
}

int quantize_trial_open(const quantize_work *w, const oct_quant_kept *kept, int n_kept,
                        int keep_values, job *out, oct_quant_info *info)
{
    *out = w->job;
    oct_options o = w->job.options;
    o.pool = w->job.model->pool;
    o.keep_values = keep_values;
    o.precision = NULL;
    oct_status status = oct_quantizer_build(w->q, kept, n_kept, out->batch, &out->model, info);
    if (!status) status = oct_model_plan(out->model, &o);
    if (!status) return CLI_OK;
    oct_model_free(out->model);
    out->model = NULL;
    return cli_fail(w->a, w->path, status);
}

void quantize_trial_close(job *trial)
{
    oct_model_free(trial->model);
    trial->model = NULL;
}

int quantize_evaluate(const quantize_work *w, job *j, int keep_logits, eval_result *out)
{
    const eval_settings s = { .path = w->path, .data = w->a->eval, .source = w->eval,
                              .keep_logits = keep_logits };
    if (!w->texts) return eval_run(w->a, j, &s, out);
    text_job t = text_job_share(&w->text, j->model, j->batch);
    return eval_run_texts(w->a, &t, &s, out);
}

/* ---- the samples ---- */

/* Data that departs is refused, with its cause; with --force the file and the report say so. */
static int check_samples(quantize_work *w, const char **forced)
{
    lint_samples said;
    const int code = lint_samples_check(w->a, w->path, w->texts, w->calib, &w->arena, &said);
    w->report.lint = said.sentence;
    w->report.forced = said.forced != NULL;
    *forced = said.forced;
    return code;
}

static int add(quantize_work *w, const feed_batch *b)
{
    for (int i = 0; i < b->n; i++)
        if (b->item[i].status)
            return cli_refuse(w->a, b->item[i].name, b->item[i].status, "%s", b->item[i].error);
    memcpy(oct_quantizer_input(w->q, 0)->data, b->data,
           (size_t)b->n * w->job.sample * sizeof *b->data);
    const oct_status status = oct_quantizer_add(w->q, b->n);
    return status ? cli_fail(w->a, w->path, status) : CLI_OK;
}

static int calibrate(quantize_work *w)
{
    feed *f;
    feed_batch b;
    int code = CLI_OK, done = 0;
    char *path = w->a->calib;
    if (!w->calib) return CLI_OK;
    if (w->texts) return quantize_text_calibrate(w);
    const oct_status status = feed_open(&w->job, &path, 1, w->calib,
                                        w->a->threads.n ? w->a->threads.v[0] : 0, &f);
    if (status) return cli_fail(w->a, w->path, status);
    report_progress bar;
    report_progress_start(&bar, w->a->quiet, "images", oct_source_count(w->calib));
    for (feed_next(f, &b); b.n && !code; feed_next(f, &b)) {
        code = add(w, &b);
        report_progress_step(&bar, done += b.n);
    }
    report_progress_end(&bar);
    feed_close(f);
    return code;
}

/* ---- the file ---- */

static int write_file(quantize_work *w, const char *path, oct_quantizer_save_info *info)
{
    const oct_status status = oct_quantizer_write(w->q, path, w->kept, w->n_kept, info);
    return status ? cli_fail(w->a, w->a->output, status) : CLI_OK;
}

typedef struct writing {
    quantize_work *work;
    const char *path;
    oct_quantizer_save_info *info;
} writing;

static int write_measured(void *arg, const char *text)
{
    writing *to = arg;
    to->info->measured = text;
    return write_file(to->work, to->path, to->info);
}

static int write_final(quantize_work *w, const char *path, oct_quantizer_save_info *info)
{
    quant_report *r = &w->report;
    writing to = { w, path, info };
    const int code = measured_write(w->a, path, r->has_eval ? &r->before : NULL, &r->after,
                                    &r->bytes_after, write_measured, &to);
    r->after.model_bytes = r->bytes_after;
    return code;
}

/* ---- accuracy and time ---- */

static int evaluate(quantize_work *w, job *j, int keep_logits, eval_result *out)
{
    if (!w->eval) return CLI_OK;
    (void)eval_forget_peak(); /* or it stays the largest of both */
    return quantize_evaluate(w, j, keep_logits, out);
}

/* ---- the report ---- */

/* Takes page over: what --report writes, NULL: nothing. */
static int tell(quantize_work *w, output *page)
{
    const cli_args *a = w->a;
    quant_report *r = &w->report;
    if (page) {
        oct_status status = quant_report_write(output_stream(page), a->report, r);
        if (status) output_drop(page);
        else status = output_commit(page);
        if (status) return cli_fail(a, a->report, status);
    }
    if (a->json) report_json_line(quant_report_json(r));
    else quant_report_text(stdout, r);
    return CLI_OK;
}

static int describe(quantize_work *w, const oct_quant_info *info)
{
    static const char *const of_texts[] = {
        "Multiply-adds are a token's in the linear layers; attention's products stay in FP32."
    };
    quant_report *r = &w->report;
    const oct_model *m = w->job.model;
    char *sha = oct_arena_alloc(&w->arena, 65);
    if (!sha) return out_of_memory(w->a);
    const oct_status status = oct_weights_sha256(m->weights, sha);
    if (status) return cli_fail(w->a, w->path, status);
    r->source_sha256 = sha;
    r->method = info->method;
    r->bits = info->bits;
    r->bias_correction = info->bias_correction;
    r->calib_samples = info->samples;
    r->calib_sha256 = info->sha256;
    r->bytes_before = (double)oct_weights_file_size(m->weights);
    r->parameters = (double)m->n_parameters;
    r->classes = w->job.classes;
    r->note = of_texts;
    r->n_notes = w->texts;
    return CLI_OK;
}

/* ---- in order ---- */

/* Which layers stay in FP32. */
static int choose(quantize_work *w)
{
    const cli_args *a = w->a;
    int code = CLI_OK;
    w->kept = oct_arena_alloc(&w->arena, 2 * (size_t)w->job.model->graph.n_nodes *
                                         sizeof *w->kept);
    if (!w->kept) return out_of_memory(a);
    for (int i = 0; i < a->keep.n && !code; i++) {
        if (quantize_step(w->job.model->plan, a->keep.v[i]) < 0)
            return cli_usage(a->command, "--keep: there is no layer '%.80s'", a->keep.v[i]);
        code = quantize_keep(w, a->keep.v[i], "--keep");
    }
    if (!code && a->tune) code = quantize_tune(w);
    if (!code && a->max_drop.n) code = quantize_max_drop(w);
    return code;
}

/* Everything about the FP32 model, up to a file in `temporary`. */
static int make(quantize_work *w, const char *temporary, oct_quantizer_save_info *info)
{
    const cli_args *a = w->a;
    const oct_quantizer_options how = {
        .method = w->dynamic ? "dynamic" : a->method,
        .percentile = a->percentile.n ? a->percentile.v[0] : 0,
        .bits = a->bits.n ? a->bits.v[0] : 0, .no_bias_correction = a->no_bias_correction,
        .smooth = { a->smooth.n ? a->smooth.v[0] : 0,
                    a->smooth.n ? a->smooth.v[a->smooth.n - 1] : 0 } };
    job_settings s = job_defaults(a, w->path, DEFAULT_BATCH);
    s.source = w->calib ? w->calib : w->eval;
    int code = w->texts ? quantize_text_open(w, &s, &info->save) : job_open(a, &s, &w->job);
    if (code) return code;
    code = evaluate(w, &w->job, a->max_drop.n, &w->report.before);
    if (code) return code;
    if (w->eval) w->report.eval_sha256 = w->report.before.sha256;
    oct_status status = oct_quantizer_attach(w->path, &w->job.options, w->job.model, &how, &w->q);
    if (status) return cli_fail(a, w->path, status);
    code = calibrate(w);
    if (!code) code = choose(w);
    if (!code) code = quantize_layers(w);
    if (code) return code;
    oct_quant_info quant;
    status = oct_quantizer_info(w->q, &quant);
    code = status ? cli_fail(a, w->path, status) : describe(w, &quant);
    if (!code && !w->texts && (status = job_recipe(a, &w->job, &w->arena, &info->save.recipe)))
        code = cli_fail(a, w->path, status);
    return code ? code : write_file(w, temporary, info);
}

/* OUT appears when all is known; until then there is a temporary file beside it. */
static int quantize(quantize_work *w, oct_quantizer_save_info *info)
{
    output *o, *page = NULL;
    char **label = NULL;
    const eval_settings eval = { .path = w->path, .data = w->a->eval, .source = w->eval };
    oct_status status = output_open(w->a->output, &o);
    if (status) return cli_fail(w->a, w->a->output, status);
    if (w->a->report && (status = output_open(w->a->report, &page)))
        return output_drop(o), cli_fail(w->a, w->a->report, status);
    const char *temporary = output_temporary(o);
    int code = make(w, temporary, info);
    if (!code && w->a->labels)
        code = labels_read(w->a, w->a->labels, w->job.classes, &label);
    if (!code) {
        info->save.label = label ? label : w->job.model->label;
        w->report.label = info->save.label;
        oct_model_unplan(w->job.model);
        code = eval_file(w->a, temporary, w->texts, w->job.batch, &eval, &w->report.after,
                         &w->report.bytes_after);
    }
    if (!code) code = write_final(w, temporary, info);
    if (code) output_drop(o);
    else if ((status = output_commit(o))) code = cli_fail(w->a, w->a->output, status);
    if (!code) code = tell(w, page);
    else output_drop(page);
    labels_free(label);
    return code;
}

static int check_usage(const quantize_work *w)
{
    const cli_args *a = w->a;
    if (!a->output) return cli_usage(a->command, "-o OUT expected");
    if (!a->calib && !w->dynamic)
        return cli_usage(a->command, "--calib DATA expected: activation ranges come from samples "
                         "of your own, %s say; --dynamic needs none",
                         w->texts ? "a text a line" : "a folder of images");
    if (a->calib && a->dynamic)
        return cli_usage(a->command, "--dynamic finds ranges at run time: --calib is not for it");
    if (a->smooth.n && w->dynamic)
        return cli_usage(a->command, "--smooth needs --calib: channels' extremes come from "
                         "samples");
    if (a->max_drop.n && !a->eval) return cli_usage(a->command, "--max-drop needs --eval DATA");
    if (a->report && !quant_report_can_write(a->report))
        return cli_usage(a->command, "--report '%s': a name ending in .html or .json expected",
                         a->report);
    if (origin_is(a->arg[0], a->output))
        return cli_usage(a->command, "--output '%s': the model itself, which has more than the "
                         "quantized one", a->output);
    oct_method method;
    if (a->method && oct_method_find(a->method, &method))
        return cli_usage(a->command, "--method: %s", oct_last_error());
    return CLI_OK;
}

/* What cannot be quantized is told before anything runs. */
static int check_model(const cli_args *a)
{
    char *arch = job_arch(a);
    const oct_options options = { .arch = arch };
    oct_model *m;
    const oct_status status = oct_model_describe(a->arg[0], &options, &m);
    free(arch);
    if (status) return CLI_OK; /* an option is missing, perhaps: job_open tells */
    const int quantized = !strcmp(m->precision, "int8");
    oct_model_free(m);
    return quantized ? cli_refuse(a, a->arg[0], OCT_ERR_UNSUPPORTED, "quantized already")
                     : CLI_OK;
}

static int run(const cli_args *a)
{
    quantize_work w = { .a = a, .path = a->arg[0], .texts = job_takes_texts(a, a->arg[0]) };
    oct_quantizer_save_info info = { .forced = NULL };
    w.dynamic = a->dynamic || (w.texts && !a->calib && !a->method);
    int code = check_usage(&w);
    if (code) return code;
    w.report = (quant_report){ .model = w.path, .output = a->output, .version = PACKAGE_VERSION,
                               .calib = a->calib, .dynamic = w.dynamic, .eval_data = a->eval,
                               .has_eval = a->eval != NULL };
    info.save.command = w.report.command = origin_command(a, &w.arena);
    if (!info.save.command) code = out_of_memory(a);
    if (!code) code = check_model(a);
    if (!code) code = job_open_source(a, w.texts, a->calib, &w.calib);
    if (!code) code = job_open_source(a, w.texts, a->eval, &w.eval);
    if (!code) code = check_samples(&w, &info.forced);
    if (!code) code = quantize(&w, &info);
    oct_quantizer_free(w.q);
    job_close(&w.job);
    text_job_close(&w.text);
    eval_free(&w.report.before);
    eval_free(&w.report.after);
    oct_source_close(w.calib);
    oct_source_close(w.eval);
    oct_arena_free(&w.arena);
    return code;
}

const cli_command cmd_quantize = {
    .program = "octet", .name = "quantize", .set = CLI_QUANTIZE, .min_args = 1, .max_args = 1,
    .operands = "MODEL --calib DATA -o OUT", .run = run,
    .summary = "An FP32 model in INT8, calibrated on your own samples, and the proof of it.",
    .details =
        "DATA runs through the FP32 model; how often every activation has which value gives the\n"
        "ranges that 8-bit integers stand for. Before that, it is looked at as by octet lint, and\n"
        "refused if it does not look like what the model was trained on. Weights get a scale for\n"
        "each output channel. OUT is a safetensors file that every program takes as a MODEL; its\n"
        "answers have the same bits on every CPU, thread count and batch. With --eval both models\n"
        "answer labelled data: accuracy, loss, agreement, time, memory, before and after. Memory\n"
        "does not grow with the number of samples; the same MODEL, DATA and options give the same\n"
        "bytes on every machine. A model of texts, a Hugging Face folder, becomes one file,\n"
        "vocabulary inside; without DATA it gets --dynamic.",
    .examples =
        "  octet quantize resnet50.pth --calib photos/ -o resnet50_int8.safetensors\n"
        "  octet quantize cifar_cnn.safetensors --calib data_batch.bin --eval test_batch.bin \\\n"
        "      --max-drop 0.3 --report report.html -o cifar_int8.safetensors\n"
        "  octet quantize mnist_cnn.safetensors --dynamic -o mnist_int8.safetensors\n"
        "  octet quantize distilbert_sst2 --dynamic --eval dev.tsv -o sst2_int8.safetensors\n"
        "  octet quantize distilbert_sst2 --calib train.tsv --eval dev.tsv -o sst2.safetensors\n",
};
