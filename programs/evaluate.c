#include "programs/evaluate.h"

#include <malloc.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#include "programs/feed.h"
#include "programs/npy.h"
#include "programs/report.h"
#include "programs/scores.h"
#include "tensor/cpu.h"
#include "weights/sha256.h"

/* One run in progress; loss in out is a sum until finish. */
typedef struct run {
    const cli_args *a;
    const eval_settings *s;
    const oct_model *model;
    int batch, is_probability;
    const char *unit;         /* of the samples: "images" */
    npy_writer *file;         /* NULL: no --logits */
    eval_result *out;
    oct_sha256 hash;          /* of the samples so far */
    report_progress bar;
} run;

/* A batch that was run. */
typedef struct answered {
    int n;                    /* samples, 0 at the end */
    const float *logits;      /* [n, classes] */
    double ms;
} answered;

/* Runs the next batch and adds its samples to the hash.  Returns an exit code. */
typedef int next_batch(run *r, void *from, answered *out);

void eval_free(eval_result *r)
{
    free(r->label);
    free(r->answer);
    free(r->logits);
    free(r->batch_ms);
    *r = (eval_result){ 0 };
}

/* Every sample has a class the model knows, before anything runs. */
static int check_labels(const run *r)
{
    const oct_source *source = r->s->source;
    for (int i = 0; i < oct_source_count(source); i++) {
        const int label = oct_source_label(source, i);
        if (label < 0)
            return cli_refuse(r->a, oct_source_name(source, i), OCT_ERR_FORMAT, "has no label");
        if (label >= r->model->classes)
            return cli_refuse(r->a, oct_source_name(source, i), OCT_ERR_FORMAT,
                              "label %d, the model has %d classes", label, r->model->classes);
    }
    return CLI_OK;
}

static int make_room(const run *r)
{
    const size_t n = (size_t)oct_source_count(r->s->source), classes = (size_t)r->model->classes;
    eval_result *out = r->out;
    out->label = calloc(n, sizeof *out->label);
    out->answer = calloc(n, sizeof *out->answer);
    if (r->s->keep_logits) out->logits = calloc(n, classes * sizeof *out->logits);
    if (out->label && out->answer && (out->logits || !r->s->keep_logits)) return CLI_OK;
    return cli_refuse(r->a, NULL, OCT_ERR_MEMORY, "out of memory for %zu samples", n);
}

static int count(const run *r, const answered *b)
{
    const int n_classes = r->model->classes;
    const size_t classes = (size_t)n_classes;
    eval_result *out = r->out;
    for (int i = 0; i < b->n; i++, out->samples++) {
        const float *row = b->logits + (size_t)i * classes;
        const int label = oct_source_label(r->s->source, out->samples);
        const int answer = scores_argmax(row, n_classes);
        out->label[out->samples] = label;
        out->answer[out->samples] = answer;
        out->correct += answer == label;
        out->loss += scores_loss(row, n_classes, r->is_probability, label);
        if (out->logits)
            memcpy(out->logits + (size_t)out->samples * classes, row, classes * sizeof *row);
        const oct_status status = r->file ? npy_append(r->file, row) : OCT_OK;
        if (status) return cli_fail(r->a, r->s->logits, status);
    }
    return CLI_OK;
}

/* The last batch may be smaller: it tells nothing about a batch's latency if there are others. */
static int add_time(const run *r, double ms, int full)
{
    eval_result *out = r->out;
    out->ms_total += ms;
    if (!full && out->n_batches) return CLI_OK;
    if (!report_push(&out->batch_ms, out->n_batches, ms))
        return cli_refuse(r->a, NULL, OCT_ERR_MEMORY, "out of memory");
    out->n_batches++;
    return CLI_OK;
}

static int run_all(run *r, next_batch *next, void *from)
{
    answered b;
    int code = next(r, from, &b);
    while (!code && b.n) {
        code = count(r, &b);
        if (!code) code = add_time(r, b.ms, b.n == r->batch);
        if (code) return code;
        report_progress_step(&r->bar, r->out->samples);
        code = next(r, from, &b);
    }
    return code;
}

/* Largest resident memory so far, bytes. */
static double peak_bytes(void)
{
    struct rusage u;
    return getrusage(RUSAGE_SELF, &u) ? 0 : (double)u.ru_maxrss * 1024; /* Linux counts KiB */
}

int eval_forget_peak(void)
{
#ifdef __GLIBC__
    malloc_trim(0); /* what was freed is given back */
#endif
    FILE *f = fopen("/proc/self/clear_refs", "w"); /* proc(5) */
    if (!f) return 0;
    const int written = fputs("5", f) >= 0;
    return fclose(f) == 0 && written;
}

static void finish(run *r)
{
    eval_result *out = r->out;
    const oct_model *m = r->model;
    oct_sha256_hex(&r->hash, out->sha256);
    out->accuracy = (double)out->correct / out->samples;
    scores_wilson(out->correct, out->samples, &out->accuracy_low, &out->accuracy_high);
    out->loss /= out->samples;
    report_sort(out->batch_ms, out->n_batches);
    out->ms_p50 = report_percentile(out->batch_ms, out->n_batches, 0.50);
    out->ms_p99 = report_percentile(out->batch_ms, out->n_batches, 0.99);
    out->batch = r->batch;
    out->threads = m->pool->threads;
    out->isa = oct_model_isa(m);
    out->precision = m->precision;
    out->model_bytes = (double)oct_weights_file_size(m->weights);
    out->peak_bytes = peak_bytes();
}

static int evaluate(run *r, next_batch *next, void *from)
{
    const eval_settings *s = r->s;
    oct_status status = OCT_OK;
    oct_sha256_init(&r->hash);
    int code = check_labels(r);
    if (!code) code = make_room(r);
    if (!code && s->logits) status = npy_create(s->logits, r->model->classes, &r->file);
    if (status) code = cli_fail(r->a, s->logits, status);
    if (code) return code;
    report_progress_start(&r->bar, r->a->quiet, r->unit, oct_source_count(s->source));
    code = run_all(r, next, from);
    report_progress_end(&r->bar);
    if (code) npy_drop(r->file);
    else if (r->file && (status = npy_commit(r->file))) code = cli_fail(r->a, s->logits, status);
    if (!code) finish(r);
    return code;
}

/* ---- images ---- */

typedef struct images {
    job *job;
    feed *feed;
} images;

static int next_images(run *r, void *from, answered *out)
{
    images *in = from;
    feed_batch b;
    feed_next(in->feed, &b);
    out->n = b.n;
    for (int i = 0; i < b.n; i++)
        if (b.item[i].status) {
            report_progress_end(&r->bar);
            return cli_refuse(r->a, b.item[i].name, b.item[i].status, "%s", b.item[i].error);
        }
    if (!b.n) return CLI_OK;
    const oct_status status = job_run(in->job, b.data, b.n, &out->logits, &out->ms);
    if (status) return report_progress_end(&r->bar), cli_fail(r->a, r->s->path, status);
    oct_sha256_add(&r->hash, b.data, (size_t)b.n * in->job->sample * sizeof *b.data);
    return CLI_OK;
}

int eval_run(const cli_args *a, job *j, const eval_settings *s, eval_result *out)
{
    images in = { .job = j };
    run r = { .a = a, .s = s, .model = j->model, .batch = j->batch, .unit = "images",
              .is_probability = j->is_probability, .out = out };
    *out = (eval_result){ 0 };
    const oct_status status = feed_open(j, &s->data, 1, s->source,
                                        a->threads.n ? a->threads.v[0] : 0, &in.feed);
    if (status) return cli_fail(a, s->path, status);
    const int code = evaluate(&r, next_images, &in);
    feed_close(in.feed);
    return code;
}

/* ---- texts ---- */

typedef struct texts {
    text_job *job;
    int next, cut;            /* texts taken, those of them that were too long */
} texts;

static int next_texts(run *r, void *from, answered *out)
{
    texts *in = from;
    text_job *j = in->job;
    oct_status status = OCT_OK;
    const oct_source *source = r->s->source;
    while (!status && j->n < j->batch && in->next < oct_source_count(source)) {
        int cut;
        const char *text = oct_source_text(source, in->next++);
        status = text_job_add(j, text, strlen(text), &cut);
        in->cut += !status && cut;
    }
    out->n = j->n;
    if (!status && !out->n) return CLI_OK;
    if (!status) oct_sha256_add(&r->hash, j->ids, (size_t)j->starts[j->n] * sizeof *j->ids);
    if (!status) status = text_job_run(j, &out->logits, &out->ms);
    return status ? report_progress_end(&r->bar), cli_fail(r->a, r->s->path, status) : CLI_OK;
}

int eval_run_texts(const cli_args *a, text_job *j, const eval_settings *s, eval_result *out)
{
    texts in = { .job = j };
    run r = { .a = a, .s = s, .model = j->model, .batch = j->batch, .unit = "texts", .out = out };
    *out = (eval_result){ 0 };
    const int code = evaluate(&r, next_texts, &in);
    if (!code) text_job_note_cut(j, a, s->data, in.cut);
    return code;
}

int eval_file(const cli_args *a, const char *file, int of_texts, int batch, const eval_settings *s,
              eval_result *out, double *bytes)
{
    cli_args plain = *a;
    job j = { .batch = 0 };
    text_job t = { .batch = 0 };
    plain.layers = NULL;
    plain.input.n = 0;
    job_settings how = job_defaults(&plain, file, batch);
    how.source = s->source;
    int code = of_texts ? text_job_open(&plain, &how, 0, &t) : job_open(&plain, &how, &j);
    (void)eval_forget_peak(); /* or it stays the largest of both models */
    if (!code && s->source)
        code = of_texts ? eval_run_texts(a, &t, s, out) : eval_run(a, &j, s, out);
    if (!code) *bytes = (double)oct_weights_file_size((of_texts ? t.model : j.model)->weights);
    text_job_close(&t);
    job_close(&j);
    return code;
}

json_t *eval_json(const eval_result *r)
{
    return json_pack(
        "{s:i, s:i, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:i, s:i, s:o, s:o, s:o, s:o}",
        "samples", r->samples, "correct", r->correct, "accuracy", report_number(r->accuracy),
        "accuracy_low", report_number(r->accuracy_low), "accuracy_high",
        report_number(r->accuracy_high), "loss", report_number(r->loss), "ms_total",
        report_number(r->ms_total), "ms_p50", report_number(r->ms_p50), "ms_p99",
        report_number(r->ms_p99), "batch", r->batch, "threads", r->threads, "isa",
        report_string(r->isa), "precision", report_string(r->precision), "model_bytes",
        report_count(r->model_bytes), "peak_bytes", report_count(r->peak_bytes));
}

int eval_promised(const eval_result *before, double points)
{
    return (int)ceil(before->correct - points / 100 * before->samples - 1e-9);
}

double eval_agreement(const eval_result *a, const eval_result *b)
{
    if (!a->answer || !b->answer || a->samples != b->samples || !a->samples) return NAN;
    int same = 0;
    for (int i = 0; i < a->samples; i++) same += a->answer[i] == b->answer[i];
    return (double)same / a->samples;
}
