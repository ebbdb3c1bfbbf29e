/* octet quantize's models of texts: the vocabulary goes into the file.  For times and layers texts
 * come from --calib, else --eval; without both they are seeded random ids. */
#include <string.h>

#include "programs/quantize.h"
#include "programs/report.h"

enum { SAMPLES = 64, RANDOM_LENGTH = 64 };

int quantize_text_open(quantize_work *w, const job_settings *s, oct_save_info *save)
{
    const cli_args *a = w->a;
    text_job *t = &w->text;
    const int code = text_job_open(a, s, 0, t);
    if (code) return code;
    w->job = (job){ .model = t->model, .options = job_options(a, s), .batch = s->batch,
                    .classes = t->classes };
    t->model = NULL; /* it is job's */
    const oct_status status = text_job_save_info(t, &w->arena, save);
    return status ? cli_fail(a, w->path, status) : CLI_OK;
}

/* ---- texts ---- */

static const oct_source *source_of(const quantize_work *w)
{
    return w->calib ? w->calib : w->eval;
}

/* Text i of them, from the first again after the last. */
static oct_status add_text(const quantize_work *w, text_job *j, int i)
{
    const oct_source *source = source_of(w);
    int cut;
    uint64_t seed = (uint64_t)i;
    if (!source) {
        const int length = j->max_length < RANDOM_LENGTH ? j->max_length : RANDOM_LENGTH;
        text_job_add_random(j, length, &seed);
        return OCT_OK;
    }
    const char *text = oct_source_text(source, i % oct_source_count(source));
    return text_job_add(j, text, strlen(text), &cut);
}

int quantize_text_fill(const quantize_work *w, oct_model *m)
{
    if (!w->texts) return CLI_OK;
    text_job t = text_job_share(&w->text, m, w->job.batch);
    while (t.n < t.batch) {
        const oct_status status = add_text(w, &t, t.n);
        if (status) return cli_fail(w->a, w->path, status);
    }
    return CLI_OK;
}

/* ---- the calibration ---- */

/* Adds texts from number `next` on, up to a batch, and counts: *next moves on, *cut counts those
 * that are too long. */
static oct_status calibrate(quantize_work *w, text_job *t, int *next, int *cut)
{
    const int count = oct_source_count(w->calib);
    for (; t->n < t->batch && *next < count; ++*next) {
        const char *text = oct_source_text(w->calib, *next);
        int is_cut;
        OCT_TRY(text_job_add(t, text, strlen(text), &is_cut));
        *cut += is_cut;
    }
    const int n = t->n;
    t->n = 0;
    return oct_quantizer_add(w->q, n);
}

int quantize_text_calibrate(quantize_work *w)
{
    text_job t = text_job_share(&w->text, w->job.model, w->job.batch);
    const int count = oct_source_count(w->calib);
    oct_status status = OCT_OK;
    report_progress bar;
    int next = 0, cut = 0;
    report_progress_start(&bar, w->a->quiet, "texts", count);
    while (!status && next < count) {
        status = calibrate(w, &t, &next, &cut);
        report_progress_step(&bar, next);
    }
    report_progress_end(&bar);
    if (status) return cli_fail(w->a, w->path, status);
    text_job_note_cut(&t, w->a, w->a->calib, cut);
    return CLI_OK;
}

/* ---- both networks on the same texts ---- */

static int open_one(const quantize_work *w, job *a)
{
    job_settings s = job_defaults(w->a, w->path, 1);
    s.batch = 1;
    s.keep_values = 1;
    *a = (job){ .options = job_options(w->a, &s), .batch = 1, .classes = w->job.classes };
    const oct_status status = oct_model_load(w->path, &a->options, &a->model);
    return status ? cli_fail(w->a, w->path, status) : CLI_OK;
}

int quantize_text_pair(const quantize_work *w, job *a, job *b)
{
    quantize_work one = *w;
    const int code = open_one(w, a);
    one.job = *a;
    return code ? code : quantize_trial_open(&one, w->kept, w->n_kept, 1, b, NULL);
}

static oct_status compare(const quantize_work *w, text_job *a, text_job *b, int i, diff_set *set)
{
    const float *logits;
    OCT_TRY(add_text(w, a, i));
    OCT_TRY(add_text(w, b, i));
    OCT_TRY(text_job_run(a, &logits, NULL));
    OCT_TRY(text_job_run(b, &logits, NULL));
    return diff_add(set, 0, 1);
}

int quantize_text_compare(const quantize_work *w, const job *a, const job *b, diff_set *set)
{
    text_job x = text_job_share(&w->text, a->model, 1), y = text_job_share(&w->text, b->model, 1);
    const oct_source *source = source_of(w);
    int n = source ? oct_source_count(source) : w->job.batch;
    if (n > SAMPLES) n = SAMPLES;
    for (int i = 0; i < n; i++) {
        const oct_status status = compare(w, &x, &y, i, set);
        if (status) return cli_fail(w->a, w->path, status);
    }
    return CLI_OK;
}
