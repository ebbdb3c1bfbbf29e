/* octet eval: how often a model is right, how sure it is, how long it takes. */
#include "programs/cmd.h"
#include "programs/evaluate.h"
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

static int show(const cli_args *a, int code, eval_result *result)
{
    if (!code && a->json) report_json_line(eval_json(result));
    else if (!code) print(result);
    eval_free(result);
    return code;
}

static int run_texts(const cli_args *a, job_settings *how, eval_settings *s)
{
    text_job j;
    eval_result result = { 0 };
    int code = text_job_open(a, how, 0, &j);
    if (!code) code = show(a, eval_run_texts(a, &j, s, &result), &result);
    text_job_close(&j);
    return code;
}

static int run_images(const cli_args *a, job_settings *how, eval_settings *s)
{
    job j;
    eval_result result = { 0 };
    how->source = s->source;
    int code = job_open(a, how, &j);
    if (!code) code = show(a, eval_run(a, &j, s, &result), &result);
    job_close(&j);
    return code;
}

static int run(const cli_args *a)
{
    oct_source *source = NULL;
    if (!a->data) return cli_usage(a->command, "--data DATA expected");
    const int texts = job_takes_texts(a, a->arg[0]);
    int code = job_open_source(a, texts, a->data, &source);
    job_settings how = job_defaults(a, a->arg[0], DEFAULT_BATCH);
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
        "  octet eval resnet20.th --data photos-by-class/ --logits logits.npy\n",
};
