/* octet prune --calib: samples of the user's, evenly of all there are, repair what pruning left. */
#include <stdlib.h>
#include <string.h>

#include "models/prune_repair.h"
#include "programs/prune.h"
#include "programs/report.h"

enum { DEFAULT_SAMPLES = 256,
       FLOATS = 1 << 20, MOST = 64, TEXTS = 16 }; /* of a batch: of its samples; texts */

/* ---- which samples ---- */

static int count_samples(const prune_work *w)
{
    const int all = oct_source_count(w->calib);
    const int most = w->a->samples.n ? w->a->samples.v[0] : DEFAULT_SAMPLES;
    return all < most ? all : most;
}

/* Sample i of n: a folder is sorted by class, so the first ones would be of one. */
static int choose(const prune_work *w, int i, int n)
{
    return (int)((2 * (int64_t)i + 1) * oct_source_count(w->calib) / (2 * (int64_t)n));
}

/* ---- into the repair ---- */

static int add_batch(const prune_work *w, oct_prune_repair *r, const oct_batch *b)
{
    for (int i = 0; i < b->n; i++)
        if (b->item[i].status)
            return cli_refuse(w->a, oct_source_name(w->calib, b->item[i].index),
                              b->item[i].status, "%s", b->item[i].error);
    memcpy(oct_prune_repair_input(r, 0)->data, b->data,
           (size_t)b->n * w->job.sample * sizeof *b->data);
    const oct_status status = oct_prune_repair_add(r, b->n);
    return status ? cli_fail(w->a, w->path, status) : CLI_OK;
}

static int add_images(const prune_work *w, oct_prune_repair *r, int batch, report_progress *bar)
{
    const job *j = &w->job;
    const int n = count_samples(w);
    int code = CLI_OK, done = 0;
    oct_loader *loader;
    oct_batch b;
    int *order = malloc((size_t)n * sizeof *order + 1);
    if (!order) return cli_refuse(w->a, NULL, OCT_ERR_MEMORY, "out of memory");
    for (int i = 0; i < n; i++) order[i] = choose(w, i, n);
    const oct_loader_options options = {
        .source = w->calib, .recipe = &j->recipe, .channels = j->channels, .height = j->height,
        .width = j->width, .batch = batch, .threads = w->a->threads.n ? w->a->threads.v[0] : 0,
        .order = order, .n = n,
    };
    const oct_status status = oct_loader_open(&options, &loader);
    if (status) return free(order), cli_fail(w->a, w->a->calib, status);
    for (oct_loader_next(loader, &b); b.n && !code; oct_loader_next(loader, &b)) {
        code = add_batch(w, r, &b);
        report_progress_step(bar, done += b.n);
        if (code) break;
    }
    oct_loader_close(loader);
    free(order);
    return code;
}

static int add_texts(const prune_work *w, oct_prune_repair *r, int batch, report_progress *bar)
{
    const int n = count_samples(w);
    int cut = 0;
    oct_status status = OCT_OK;
    text_job t = text_job_onto(&w->text, batch, oct_prune_repair_input(r, 0),
                               oct_prune_repair_input(r, 1), oct_prune_repair_input(r, 2));
    for (int i = 0; i < n && !status; i++) {
        int is_cut;
        const char *text = oct_source_text(w->calib, choose(w, i, n));
        status = text_job_add(&t, text, strlen(text), &is_cut);
        cut += !status && is_cut;
        if (!status && (t.n == batch || i == n - 1)) {
            status = oct_prune_repair_add(r, t.n);
            t.n = 0;
        }
        report_progress_step(bar, i + 1);
    }
    if (status) return report_progress_end(bar), cli_fail(w->a, w->path, status);
    text_job_note_cut(&t, w->a, w->a->calib, cut);
    return CLI_OK;
}

/* ---- in order ---- */

static void step(void *bar, int done, int of)
{
    (void)of;
    report_progress_step(bar, done);
}

static int repair(prune_work *w, oct_prune_repair *r, int batch)
{
    report_progress bar;
    report_progress_start(&bar, w->a->quiet, w->texts ? "texts" : "images", count_samples(w));
    const int code = w->texts ? add_texts(w, r, batch, &bar) : add_images(w, r, batch, &bar);
    report_progress_end(&bar);
    if (code) return code;
    report_progress_start(&bar, w->a->quiet, "steps",
                          oct_prune_repair_model(r)->graph.n_nodes);
    const oct_status status = oct_prune_repair_run(r, step, &bar);
    report_progress_end(&bar);
    w->pruned.repair.forced = w->lint.forced;
    return status ? cli_fail(w->a, w->a->calib, status) : CLI_OK;
}

int prune_repair(prune_work *w)
{
    const job_settings s = job_defaults(w->a, w->path, 1);
    oct_options o = w->texts ? job_options(w->a, &s) : w->job.options;
    oct_prune_repair *r;
    const size_t fit = w->texts ? TEXTS : FLOATS / (w->job.sample + 1) + 1;
    o.batch = fit < MOST ? (int)fit : MOST;
    const oct_status status = oct_prune_repair_open(&w->pruned, w->path, w->temporary, &o,
                                                   &r);
    if (status) return cli_fail(w->a, w->path, status);
    const int code = repair(w, r, o.batch);
    oct_prune_repair_close(r);
    return code;
}
