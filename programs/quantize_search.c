/* octet quantize's choice of layers that stay in FP32: --tune and --max-drop. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "programs/quantize.h"
#include "programs/report.h"

/* Slower than this share of its time in FP32 a layer does not pay: timings are not that exact. */
static const double slack = 1.02;

static int out_of_memory(const quantize_work *w)
{
    return cli_refuse(w->a, NULL, OCT_ERR_MEMORY, "out of memory");
}

/* ---- --tune ---- */

static int keep_slow(quantize_work *w, const oct_plan *ints, const double *before,
                     const double *after)
{
    for (int i = 0; i < ints->n_steps; i++) {
        const oct_node *node = ints->step[i].node;
        const int k = quantize_step(w->job.model->plan, node->name);
        if (ints->step[i].packed[0].type != OCT_S8 || k < 0) continue;
        if (after[i] <= slack * before[k]) continue;
        char why[80];
        snprintf(why, sizeof why, "--tune: integers take %.2f times as long",
                 after[i] / before[k]);
        const int code = quantize_keep(w, node->name, why);
        if (code) return code;
    }
    return CLI_OK;
}

int quantize_tune(quantize_work *w)
{
    job trial;
    int code = quantize_trial_open(w, w->kept, w->n_kept, 0, &trial, NULL);
    if (code) return code;
    const oct_plan *floats = w->job.model->plan, *ints = trial.model->plan;
    double *before = calloc((size_t)floats->n_steps, sizeof *before);
    double *after = calloc((size_t)ints->n_steps, sizeof *after);
    code = before && after ? quantize_time_both(w, trial.model, before, after) : out_of_memory(w);
    if (!code) code = keep_slow(w, ints, before, after);
    free(before);
    free(after);
    quantize_trial_close(&trial);
    return code;
}

/* ---- --max-drop ---- */

typedef struct candidate {
    const char *name;
    double distance;           /* of the logits from FP32's with this layer alone kept */
} candidate;

static int by_distance(const void *a, const void *b)
{
    const candidate *x = a, *y = b;
    if (x->distance != y->distance) return x->distance < y->distance ? -1 : 1;
    return strcmp(x->name, y->name);
}

/* One pass over the evaluation set. */
static int try(quantize_work *w, const oct_quant_kept *kept, int n, int *correct, double *distance)
{
    job trial;
    eval_result result;
    int code = quantize_trial_open(w, kept, n, 0, &trial, NULL);
    if (code) return code;
    code = quantize_evaluate(w, &trial, 1, &result);
    if (!code) {
        const size_t count = (size_t)result.samples * (size_t)trial.classes;
        const float *want = w->report.before.logits;
        double sum = 0;
        for (size_t i = 0; i < count; i++) {
            const double d = (double)result.logits[i] - (double)want[i];
            sum += d * d;
        }
        *correct = result.correct;
        *distance = sum / (double)count;
    }
    eval_free(&result);
    quantize_trial_close(&trial);
    return code;
}

/* Layers that would be integers, the one that helps most when it is not first. */
static int rank(quantize_work *w, candidate *list, int *n)
{
    const oct_graph *g = &w->job.model->graph;
    oct_quant_kept *kept = w->kept + w->n_kept;
    int code = CLI_OK, correct;
    *n = 0;
    for (int i = 0; i < g->n_nodes && !code; i++) {
        const oct_node *node = &g->node[i];
        int known = node->dead || (node->kind != OCT_OP_CONV2D && node->kind != OCT_OP_LINEAR &&
                                   node->kind != OCT_OP_EMBEDDING);
        for (int k = 0; k < w->n_kept; k++) known |= strcmp(w->kept[k].layer, node->name) == 0;
        if (known) continue;
        *kept = (oct_quant_kept){ node->name, "" };
        list[*n].name = node->name;
        code = try(w, w->kept, w->n_kept + 1, &correct, &list[(*n)++].distance);
    }
    if (!code) qsort(list, (size_t)*n, sizeof *list, by_distance);
    return code;
}

/* The least number of the first candidates that holds the promise: it holds with `high`, not with
 * `low`. */
static int search(quantize_work *w, const candidate *list, int n, int least_correct, int *found)
{
    oct_quant_kept *kept = w->kept + w->n_kept;
    int low = 0, high = n, code = CLI_OK, correct = 0;
    double distance;
    for (int i = 0; i < n; i++) kept[i] = (oct_quant_kept){ list[i].name, "--max-drop" };
    while (high - low > 1 && !code) {
        const int middle = low + (high - low) / 2;
        code = try(w, w->kept, w->n_kept + middle, &correct, &distance);
        if (correct >= least_correct) high = middle;
        else low = middle;
    }
    *found = high;
    return code;
}

int quantize_max_drop(quantize_work *w)
{
    const eval_result *before = &w->report.before;
    const double points = w->a->max_drop.v[0];
    const int least = eval_promised(before, points);
    int correct, n = 0, found;
    double distance;
    int code = try(w, w->kept, w->n_kept, &correct, &distance);
    if (code || correct >= least) return code;
    cli_note(w->a, "%s: %d of %d right in integers, %d promised: looking for the layers that lose "
             "most", w->path, correct, before->samples, least);
    candidate *list = oct_arena_zalloc(&w->arena, (size_t)w->job.model->graph.n_nodes *
                                                  sizeof *list);
    if (!list) return out_of_memory(w);
    code = rank(w, list, &n);
    if (!code) code = search(w, list, n, least, &found);
    if (code) return code;
    if (found == n)
        return cli_refuse(w->a, w->path, OCT_ERR_FORMAT, "--max-drop %g is not kept with any layer "
                          "in integers", points), CLI_PROMISE;
    for (int i = 0; i < found && !code; i++) code = quantize_keep(w, list[i].name, "--max-drop");
    return code;
}
