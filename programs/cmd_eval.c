/* octet eval: how often a model is right, how sure it is, how long it takes. */
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#include "programs/cmd.h"
#include "programs/feed.h"
#include "programs/npy.h"
#include "programs/report.h"
#include "programs/scores.h"
#include "tensor/cpu.h"

enum { DEFAULT_BATCH = 64 };

typedef struct tally {
    int samples, correct;
    double loss;              /* sum */
    double ms;                /* sum */
    double *batch_ms;         /* of the full batches; of the one there is, if it is not full */
    int n_batches;
} tally;

/* Every sample has a class the model knows, before anything runs. */
static int check_labels(const cli_args *a, const oct_source *source, int classes)
{
    for (int i = 0; i < oct_source_count(source); i++) {
        const int label = oct_source_label(source, i);
        if (label < 0)
            return cli_refuse(a, oct_source_name(source, i), OCT_ERR_FORMAT, "has no label");
        if (label >= classes)
            return cli_refuse(a, oct_source_name(source, i), OCT_ERR_FORMAT,
                              "label %d, the model has %d classes", label, classes);
    }
    return CLI_OK;
}

static int count(const cli_args *a, const job *j, const feed_batch *b, const float *logits,
                 npy_writer *file, tally *t)
{
    for (int i = 0; i < b->n; i++) {
        const float *row = logits + (size_t)i * (size_t)j->classes;
        t->correct += scores_argmax(row, j->classes) == b->item[i].label;
        t->loss += scores_loss(row, j->classes, j->is_probability, b->item[i].label);
        const oct_status status = file ? npy_append(file, row) : OCT_OK;
        if (status) return cli_fail(a, a->logits, status);
    }
    t->samples += b->n;
    return CLI_OK;
}

/* The last batch may be smaller: it tells nothing about a batch's latency if there are others. */
static int add_time(const cli_args *a, double ms, int full, tally *t)
{
    t->ms += ms;
    if (!full && t->n_batches) return CLI_OK;
    if (!report_push(&t->batch_ms, t->n_batches, ms))
        return cli_refuse(a, NULL, OCT_ERR_MEMORY, "out of memory");
    t->n_batches++;
    return CLI_OK;
}

static int run_all(const cli_args *a, job *j, feed *f, npy_writer *file, report_progress *bar,
                   tally *t)
{
    feed_batch b;
    for (feed_next(f, &b); b.n; feed_next(f, &b)) {
        const float *logits;
        double ms;
        for (int i = 0; i < b.n; i++)
            if (b.item[i].status) {
                report_progress_end(bar);
                return cli_refuse(a, b.item[i].name, b.item[i].status, "%s", b.item[i].error);
            }
        const oct_status status = job_run(j, b.data, b.n, &logits, &ms);
        if (status) return report_progress_end(bar), cli_fail(a, a->arg[0], status);
        int code = count(a, j, &b, logits, file, t);
        if (!code) code = add_time(a, ms, b.n == j->batch, t);
        if (code) return code;
        report_progress_step(bar, t->samples);
    }
    return CLI_OK;
}

/* Largest resident memory so far, bytes. */
static double peak_bytes(void)
{
    struct rusage u;
    return getrusage(RUSAGE_SELF, &u) ? 0 : (double)u.ru_maxrss * 1024; /* Linux counts KiB */
}

static void print(const cli_args *a, const job *j, tally *t)
{
    double low, high;
    const double accuracy = (double)t->correct / t->samples, loss = t->loss / t->samples;
    const double model_bytes = (double)oct_weights_file_size(j->model->weights);
    scores_wilson(t->correct, t->samples, &low, &high);
    report_sort(t->batch_ms, t->n_batches);
    const double p50 = report_percentile(t->batch_ms, t->n_batches, 0.50);
    const double p99 = report_percentile(t->batch_ms, t->n_batches, 0.99);
    const char *isa = oct_cpu_isa_name(j->model->cpu);
    const int threads = j->model->pool->threads;
    if (a->json) {
        report_json_line(json_pack(
            "{s:i, s:i, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:i, s:i, s:s, s:s, s:I, s:I}",
            "samples", t->samples, "correct", t->correct, "accuracy", report_number(accuracy),
            "accuracy_low", report_number(low), "accuracy_high", report_number(high),
            "loss", report_number(loss), "ms_total", report_number(t->ms),
            "ms_p50", report_number(p50), "ms_p99", report_number(p99), "batch", j->batch,
            "threads", threads, "isa", isa, "precision", j->model->precision,
            "model_bytes", (json_int_t)model_bytes, "peak_bytes", (json_int_t)peak_bytes()));
        return;
    }
    printf("samples      %d\n", t->samples);
    printf("correct      %d\n", t->correct);
    printf("accuracy     %.6f (95 %%: %.6f to %.6f)\n", accuracy, low, high);
    printf("loss         %.6f\n", loss);
    printf("time         %.1f ms, %.1f samples/s (without decoding)\n", t->ms,
           t->samples / t->ms * 1e3);
    printf("batch of %-3d %.3f ms median, %.3f ms 99th percentile\n", j->batch, p50, p99);
    printf("on           %s, %d thread%s, %s\n", isa, threads, threads == 1 ? "" : "s",
           j->model->precision);
    printf("model        %.0f bytes\n", model_bytes);
    printf("peak memory  %.0f bytes\n", peak_bytes());
}

/* Labels, logits file, feed; then everything runs. */
static int evaluate(const cli_args *a, job *j, oct_source *source)
{
    feed *f = NULL;
    npy_writer *file = NULL;
    tally t = { 0 };
    int code = check_labels(a, source, j->classes);
    if (code) return code;
    oct_status status = feed_open(j, &a->data, 1, source, a->threads.n ? a->threads.v[0] : 0, &f);
    if (status) return cli_fail(a, a->arg[0], status);
    if (a->logits && (status = npy_create(a->logits, j->classes, &file)))
        code = cli_fail(a, a->logits, status);
    if (!code) {
        report_progress bar;
        report_progress_start(&bar, a->quiet, "images", oct_source_count(source));
        code = run_all(a, j, f, file, &bar, &t);
        report_progress_end(&bar);
    }
    if (code) npy_drop(file);
    else if (file && (status = npy_commit(file))) code = cli_fail(a, a->logits, status);
    if (!code) print(a, j, &t);
    feed_close(f);
    free(t.batch_ms);
    return code;
}

static int run(const cli_args *a)
{
    job j = { 0 };
    oct_source *source = NULL;
    if (!a->data) return cli_usage(a->command, "--data DATA expected");
    job_settings settings = job_defaults(a, a->arg[0], DEFAULT_BATCH);
    const oct_status status = oct_source_open(a->data, &source);
    if (status) return cli_fail(a, a->data, status);
    settings.source = source;
    int code = job_open(a, &settings, &j);
    if (!code) code = evaluate(a, &j, source);
    job_close(&j);
    oct_source_close(source);
    return code;
}

const cli_command cmd_eval = {
    .program = "octet", .name = "eval", .set = CLI_EVAL, .min_args = 1, .max_args = 1,
    .operands = "MODEL --data DATA", .run = run,
    .summary = "Accuracy, loss, run time and memory of a model on labelled data.",
    .details =
        "The loss is the mean cross-entropy, natural logarithm; the bounds of the accuracy\n"
        "are the 95 % Wilson interval; times do not contain decoding.\n"
        "--json prints one object: samples correct accuracy accuracy_low accuracy_high loss\n"
        "ms_total ms_p50 ms_p99 batch threads isa precision model_bytes peak_bytes.",
    .examples =
        "  octet eval mnist_cnn.safetensors --data t10k-images-idx3-ubyte.gz\n"
        "  octet eval cifar_cnn.safetensors --data test_batch.bin --batch 32 --json\n"
        "  octet eval resnet20.th --data photos-by-class/ --logits logits.npy\n",
};
