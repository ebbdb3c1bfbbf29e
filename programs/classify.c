#include "programs/classify.h"

#include <string.h>

#include "programs/answers.h"
#include "programs/feed.h"
#include "programs/report.h"

typedef struct state {
    const cli_args *a;
    job job;
    answers answers;
} state;

/* One sample's lines, or its error; ms is its share of the batch's time. */
static int show(state *s, const feed_item *item, const float *logits, double ms)
{
    if (!item->status)
        return answers_show(&s->answers, item->name, strlen(item->name), logits, ms);
    answers_bad(&s->answers, cli_refuse(s->a, item->name, item->status, "%s", item->error));
    return CLI_OK;
}

static int run_all(state *s, feed *f, report_progress *bar)
{
    feed_batch b;
    for (feed_next(f, &b); b.n; feed_next(f, &b)) {
        const float *logits = NULL;
        double ms = 0;
        int good = 0;
        for (int i = 0; i < b.n; i++) good += !b.item[i].status;
        const oct_status status = good ? job_run(&s->job, b.data, b.n, &logits, &ms) : OCT_OK;
        report_progress_end(bar);
        if (status) return cli_fail(s->a, s->a->arg[0], status);
        for (int i = 0; i < b.n; i++) {
            const float *row = good ? logits + (size_t)i * (size_t)s->job.classes : NULL;
            const int code = show(s, &b.item[i], row, ms / b.n);
            if (code) return code;
        }
        if (fflush(stdout) || ferror(stdout)) return CLI_OK; /* cli_finish says so */
        report_progress_step(bar, (double)s->answers.seen);
    }
    return CLI_OK;
}

/* The feed is opened, then everything runs. */
static int classify(state *s, oct_source *first)
{
    const cli_args *a = s->a;
    feed *f;
    const int threads = a->threads.n ? a->threads.v[0] : 0;
    const oct_status status = feed_open(&s->job, a->arg + 1, a->n_args - 1, first, threads, &f);
    if (status) return cli_fail(a, a->arg[0], status);
    report_progress bar; /* a bar between result lines on one terminal would be in the way */
    const int many = first && a->n_args == 2 ? oct_source_count(first) : a->n_args - 1;
    report_progress_start(&bar, a->quiet || report_is_terminal(stdout), "images", many);
    const int code = run_all(s, f, &bar);
    report_progress_end(&bar);
    feed_close(f);
    return code;
}

int classify_run(const cli_args *a)
{
    state s = { .a = a };
    oct_source *first = NULL; /* what it lacks is said when its turn comes: the model goes first */
    if (oct_source_open(a->arg[1], &first)) first = NULL;
    if (first && oct_source_count(first) < 1) oct_source_close(first), first = NULL;
    job_settings settings = job_defaults(a, a->arg[0], 1);
    settings.source = first;
    int code = job_open(a, &settings, &s.job);
    if (!code) code = answers_open(a, s.job.model, s.job.is_probability, &s.answers);
    if (!code) code = classify(&s, first);
    code = answers_close(&s.answers, code);
    job_close(&s.job);
    oct_source_close(first);
    return code;
}
