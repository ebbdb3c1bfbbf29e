#include "programs/lint_data.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "programs/feed.h"
#include "programs/report.h"

enum { DEFAULT_BATCH = 16 };

/* What the file alone tells: the size the model was made for, 0, 0 where it does not tell, and
 * whether it is in integers, without batch norms. */
typedef struct own {
    int h, w, quantized;
} own;

static own own_traits(const cli_args *a, const char *path)
{
    char *arch = job_arch(a);
    const oct_options options = { .arch = arch };
    oct_model *m;
    own out = { .h = 0 };
    if (!oct_model_describe(path, &options, &m)) {
        const oct_tensor *in = oct_model_input(m, 0);
        if (in->rank == 4) out.h = in->dim[2], out.w = in->dim[3];
        out.quantized = !strcmp(m->precision, "int8");
        oct_model_free(m);
    }
    free(arch);
    return out;
}

/* What the recipe makes of black and white, over all channels. */
static void recipe_range(const job *j, oct_lint_options *o)
{
    const oct_recipe *r = &j->recipe;
    if (j->model->recipe_is_guess) return;
    o->low = INFINITY;
    o->high = -INFINITY;
    for (int c = 0; c < r->channels && c < 4; c++)
        for (int white = 0; white < 2; white++) {
            const double mean = r->n_mean ? r->mean[r->n_mean > 1 ? c : 0] : 0;
            const double std = r->n_std ? r->std[r->n_std > 1 ? c : 0] : 1;
            const double v = (255 * white * r->scale - mean) / std;
            o->low = fmin(o->low, v);
            o->high = fmax(o->high, v);
        }
}

/* Records of a size the model cannot take: told before anything is read. */
static int has_other_shape(const oct_source *source, const job *j, oct_lint_report *r)
{
    int c, h, w;
    oct_source_shape(source, &j->recipe, &c, &h, &w);
    if (!h || (c == j->channels && h == j->height && w == j->width)) return 0;
    *r = (oct_lint_report){ .samples = oct_source_count(source), .channels = 0 };
    r->cause = c != j->channels && w == j->channels ? OCT_LINT_NHWC : OCT_LINT_WRONG_SIZE;
    snprintf(r->sentence, sizeof r->sentence, "%s (samples of [%d, %d, %d], the model takes "
             "[%d, %d, %d])", r->cause == OCT_LINT_NHWC
             ? "is NHWC (channels last) where NCHW was expected"
             : "is of another size than the model takes", c, h, w, j->channels, j->height,
             j->width);
    return 1;
}

static int add_all(const cli_args *a, const char *path, const char *data, oct_source *source,
                   lint_data *d)
{
    feed *f;
    feed_batch b;
    int code = CLI_OK, done = 0;
    char *paths[1] = { a->calib ? a->calib : a->data };
    int *label = malloc((size_t)d->job.batch * sizeof *label);
    if (!label) return cli_refuse(a, data, OCT_ERR_MEMORY, "out of memory");
    oct_status status = feed_open(&d->job, paths, 1, source, a->threads.n ? a->threads.v[0] : 0,
                                  &f);
    if (status) return free(label), cli_fail(a, path, status);
    report_progress bar;
    report_progress_start(&bar, a->quiet, "images", oct_source_count(source));
    for (feed_next(f, &b); b.n && !code; feed_next(f, &b)) {
        for (int i = 0; i < b.n && !code; i++) {
            label[i] = b.item[i].label;
            if (b.item[i].status) {
                report_progress_end(&bar);
                code = cli_refuse(a, b.item[i].name, b.item[i].status, "%s", b.item[i].error);
            }
        }
        if (!code && (status = oct_lint_add(d->lint, b.data, label, b.n)))
            code = cli_fail(a, data, status);
        report_progress_step(&bar, done += b.n);
        if (code) break;
    }
    report_progress_end(&bar);
    feed_close(f);
    free(label);
    return code;
}

int lint_data_run(const cli_args *a, const char *model, const char *data, oct_source *source,
                  lint_data *out)
{
    *out = (lint_data){ .lint = NULL };
    job_settings settings = job_defaults(a, model, DEFAULT_BATCH);
    const own file = own_traits(a, model);
    settings.passes = file.quantized ? NULL : "none"; /* batch norms stay */
    settings.source = source;
    int code = job_open(a, &settings, &out->job);
    if (code || has_other_shape(source, &out->job, &out->report)) return code;

    oct_lint_options o = { .plan = out->job.model->plan, .pool = out->job.model->pool,
                           .samples = oct_source_count(source),
                           .is_probability = out->job.is_probability };
    recipe_range(&out->job, &o);
    const int *crop = out->job.model->recipe_is_guess ? NULL : out->job.recipe.crop;
    o.own_height = crop && crop[0] ? crop[0] : file.h;
    o.own_width = crop && crop[0] ? crop[1] : file.w;
    oct_status status = oct_lint_open(&o, &out->lint);
    if (status) return cli_fail(a, model, status);
    code = add_all(a, model, data, source, out);
    if (!code && (status = oct_lint_judge(out->lint, &out->report)))
        code = cli_fail(a, data, status);
    return code;
}

void lint_data_close(lint_data *d)
{
    oct_lint_free(d->lint);
    job_close(&d->job);
}
