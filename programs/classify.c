#include "programs/classify.h"

#include <stdlib.h>
#include <string.h>

#include "programs/feed.h"
#include "programs/labels.h"
#include "programs/npy.h"
#include "programs/report.h"
#include "programs/scores.h"

typedef struct state {
    const cli_args *a;
    job job;
    char **label;             /* [classes], or NULL: numbers */
    char **own_label;         /* of --labels, ours to free */
    npy_writer *logits;       /* NULL: not asked for, or given up */
    double *p;                /* [classes] */
    int *order;               /* [top] */
    int top;
    int seen, bad, bad_code;
} state;

static void print_text(const state *s, const char *name)
{
    for (int k = 0; k < s->top; k++) {
        const int c = s->order[k];
        cli_print_escaped(stdout, name);
        printf("\t%d\t%d\t", k + 1, c);
        if (s->label) cli_print_escaped(stdout, s->label[c]);
        else printf("%d", c);
        printf("\t%.6f\n", s->p[c]);
    }
}

static void print_json(const state *s, const char *name, double ms)
{
    json_t *top = json_array();
    for (int k = 0; k < s->top; k++) {
        const int c = s->order[k];
        char number[16];
        snprintf(number, sizeof number, "%d", c);
        json_array_append_new(top, json_pack("{s:i, s:o, s:o}", "index", c, "label",
                                             report_string(s->label ? s->label[c] : number),
                                             "probability", report_number(s->p[c])));
    }
    report_json_line(json_pack("{s:o, s:o, s:o}", "input", report_string(name), "top", top,
                               "ms", report_number(ms)));
}

/* One sample's lines, or its error; ms is its share of the batch's time. */
static int show(state *s, const feed_item *item, const float *logits, double ms)
{
    s->seen++;
    if (item->status) {
        s->bad++;
        s->bad_code = cli_refuse(s->a, item->name, item->status, "%s", item->error);
        npy_drop(s->logits); /* a file without this row would be out of step with the inputs */
        s->logits = NULL;
        return CLI_OK;
    }
    scores_softmax(logits, s->job.classes, s->job.is_probability, s->p);
    scores_top(s->p, s->job.classes, s->top, s->order);
    if (s->a->json) print_json(s, item->name, ms);
    else print_text(s, item->name);
    const oct_status status = s->logits ? npy_append(s->logits, logits) : OCT_OK;
    return status ? cli_fail(s->a, s->a->logits, status) : CLI_OK;
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
        report_progress_step(bar, s->seen);
    }
    return s->bad == 0 ? CLI_OK : s->seen == 1 ? s->bad_code : CLI_BAD_FILE;
}

/* Labels, buffers, the logits file, the feed; then everything runs. */
static int classify(state *s, oct_source *first)
{
    const cli_args *a = s->a;
    const size_t classes = (size_t)s->job.classes;
    s->label = s->job.model->label;
    if (a->labels) {
        const int code = labels_read(a, a->labels, s->job.classes, &s->own_label);
        if (code) return code;
        s->label = s->own_label;
    }
    s->top = a->top.n ? a->top.v[0] : 1;
    if (s->top > s->job.classes) s->top = s->job.classes;
    s->p = calloc(classes, sizeof *s->p);
    s->order = calloc(classes, sizeof *s->order);
    if (!s->p || !s->order) return cli_refuse(a, NULL, OCT_ERR_MEMORY, "out of memory");

    feed *f;
    const int threads = a->threads.n ? a->threads.v[0] : 0;
    oct_status status = feed_open(&s->job, a->arg + 1, a->n_args - 1, first, threads, &f);
    if (status) return cli_fail(a, a->arg[0], status);
    if (a->logits) status = npy_create(a->logits, s->job.classes, &s->logits);
    int code = status ? cli_fail(a, a->logits, status) : CLI_OK;
    if (!code) {
        report_progress bar; /* a bar between result lines on one terminal would be in the way */
        const int many = first && a->n_args == 2 ? oct_source_count(first) : a->n_args - 1;
        report_progress_start(&bar, a->quiet || report_is_terminal(stdout), "images", many);
        code = run_all(s, f, &bar);
        report_progress_end(&bar);
    }
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
    if (!code) code = classify(&s, first);

    if (s.logits && (code || fflush(stdout) || ferror(stdout))) npy_drop(s.logits);
    else if (s.logits) {
        const oct_status status = npy_commit(s.logits);
        if (status) code = cli_fail(a, a->logits, status);
    }
    labels_free(s.own_label);
    free(s.p);
    free(s.order);
    job_close(&s.job);
    oct_source_close(first);
    return code;
}
