#include "programs/prune_report.h"

#include <math.h>
#include <string.h>

#include "programs/change.h"
#include "programs/report.h"

typedef struct sums {
    double weights, zeros, zeros_before, left, macs, macs_before;
} sums;

static sums add_up(const oct_pruned *p)
{
    sums s = { 0, 0, 0, 0, 0, 0 };
    for (int i = 0; i < p->n_layers; i++) {
        const oct_pruned_layer *l = &p->layer[i];
        s.weights += (double)l->weights;
        s.zeros += (double)l->zeros;
        s.zeros_before += (double)l->zeros_before;
        s.left += (double)l->left;
        s.macs += l->places * (double)l->left;
        s.macs_before += l->places * (double)l->weights;
    }
    return s;
}

/* ---- text ---- */

static void line(FILE *to, const char *what, const char *s)
{
    fprintf(to, "%-14s", what);
    cli_print_escaped(to, s);
    putc('\n', to);
}

static void head(FILE *to, const prune_report *r)
{
    const oct_prune_options *how = &r->pruned->how;
    line(to, "model", r->model);
    line(to, "output", r->output);
    fprintf(to, "%-14s%s", "structure", oct_prune_name(how));
    if (how->whole) {
        fprintf(to, ", %s %% of the %ss %s", show_digits(100 * how->amount, 6).s,
                oct_prune_name(how), how->per_layer ? "of each group" : "of all groups together");
        if (how->whole == OCT_GROUP_HEAD) putc('\n', to);
        else fprintf(to, ", a multiple of %d stays\n", how->multiple);
    } else if (how->structure == OCT_MASK_2_4) fputs(": two of each four inputs stay\n", to);
    else fprintf(to, ", %s %% of the %s %s\n", show_digits(100 * how->amount, 6).s,
                 how->structure == OCT_MASK_UNSTRUCTURED ? "weights" : "blocks",
                 how->per_layer ? "of each layer" : "of all layers together");
    if (r->calib_data) {
        line(to, "repaired on", r->calib_data);
        fprintf(to, "%-14s%d\n", "  samples", r->pruned->repair.samples);
        line(to, "  SHA-256", r->pruned->repair.sha256);
        line(to, r->forced ? "lint (forced)" : "lint", r->lint);
    }
    if (!r->has_eval) return;
    line(to, "evaluation", r->eval_data);
    line(to, "  SHA-256", r->before.sha256);
}

static void sparsity(FILE *to, const oct_pruned *p)
{
    int width = REPORT_NAME;
    char name[200];
    for (int i = 0; i < p->n_layers; i++) width = report_wider(width, p->layer[i].name);
    putc('\n', to);
    for (int i = 0; i < p->n_layers; i++) {
        const oct_pruned_layer *l = &p->layer[i];
        cli_escape(l->name, name, sizeof name);
        fprintf(to, "Sparsity in %s:%*s %6.2f%%  %zu of %zu%s\n", name,
                width - (int)strlen(name), "", 100 * ((double)l->zeros / (double)l->weights),
                l->zeros, l->weights, l->chosen ? "" : ", left as it is");
    }
    const sums s = add_up(p);
    fprintf(to, "Global sparsity: %*s %6.2f%%  %.0f of %.0f\n", width - 4, "",
            100 * (s.zeros / s.weights), s.zeros, s.weights);
}

/* What is left of each layer whose channels go. */
static void channels(FILE *to, const oct_pruned *p)
{
    int width = REPORT_NAME;
    char name[200];
    for (int i = 0; i < p->n_layers; i++) width = report_wider(width, p->layer[i].name);
    fprintf(to, "\n%-*s  %12s  %12s  %7s  %9s %9s\n", width, "layer", "outputs", "inputs",
            "density", "MACs", "before");
    for (int i = 0; i < p->n_layers; i++) {
        const oct_pruned_layer *l = &p->layer[i];
        char out[40], in[40];
        cli_escape(l->name, name, sizeof name);
        snprintf(out, sizeof out, "%d of %d", l->out, l->out_before);
        snprintf(in, sizeof in, "%d of %d", l->in, l->in_before);
        fprintf(to, "%-*s  %12s  %12s  %6.2f%%  %9s %9s\n", width, name, out, in,
                100 * oct_pruned_density(l), show_count(l->places * (double)l->left).s,
                show_count(l->places * (double)l->weights).s);
    }
}

/* Of convolutions and linear layers, for an image; of texts for a token. */
static void multiply_adds(FILE *to, const prune_report *r)
{
    const sums s = add_up(r->pruned);
    change_row(to, "multiply-adds", show_count(s.macs_before), show_count(s.macs), "");
}

/* What repair did to the layers: how far each is from the dense one on the samples. */
static void repaired(FILE *to, const oct_pruned *p)
{
    int width = REPORT_NAME;
    char name[200];
    for (int i = 0; i < p->n_layers; i++) width = report_wider(width, p->layer[i].name);
    fputs("\nOff the dense layer's answer to the samples, share of its variance:\n", to);
    fprintf(to, "%-*s  %10s  %10s\n", width, "", "pruned", "repaired");
    for (int i = 0; i < p->n_layers; i++) {
        const oct_pruned_layer *l = &p->layer[i];
        cli_escape(l->name, name, sizeof name);
        if (l->repaired)
            fprintf(to, "%-*s  %10s  %10s\n", width, name, show_percent(l->error_before, 3).s,
                    show_percent(l->error_after, 3).s);
        else if (l->why_not) fprintf(to, "%-*s  as pruned: %s\n", width, name, l->why_not);
    }
}

/* Accuracy of all three. */
static void between(FILE *to, const prune_report *r)
{
    const eval_result *e = &r->cut;
    fprintf(to, "pruned, before the repair: accuracy %s, %d of %d, average loss %s\n",
            show_percent(e->accuracy, 2).s, e->correct, e->samples, show_fixed(e->loss, 4).s);
}

void prune_report_text(FILE *to, const prune_report *r)
{
    head(to, r);
    change_head(to);
    if (r->has_eval) change_text(to, &r->before, &r->after);
    else fputs("nothing was evaluated: --eval DATA measures accuracy, time and memory\n", to);
    change_row(to, "file size", show_bytes(r->bytes_before), show_bytes(r->bytes_after), "");
    if (r->has_eval && r->calib_data) between(to, r);
    if (r->pruned->how.whole) {
        multiply_adds(to, r);
        channels(to, r->pruned);
        if (r->calib_data) repaired(to, r->pruned);
        return;
    }
    sparsity(to, r->pruned);
    if (r->calib_data) repaired(to, r->pruned);
    fputs("\nBlocks of four that are all zero are not stored where that saves an eighth, and left out "
          "of the sums\nwhere that is faster: of convolutions and linear layers, in FP32 and after "
          "octet quantize.\n", to);
}

/* ---- JSON ---- */

static json_t *json_of_layers(const oct_pruned *p)
{
    json_t *list = json_array();
    for (int i = 0; i < p->n_layers; i++) {
        const oct_pruned_layer *l = &p->layer[i];
        list = oct_json_append(list, json_pack(
            "{s:o, s:s, s:b, s:I, s:I, s:I, s:I, s:o, s:[i, i], s:[i, i], s:o, s:o, s:b, s:o, s:o,"
            " s:o}", "name",
            report_string(l->name), "op", l->op, "pruned", l->chosen,
            "weights", (json_int_t)l->weights, "zeros", (json_int_t)l->zeros,
            "zeros_before", (json_int_t)l->zeros_before, "weights_left", (json_int_t)l->left,
            "density", report_number(oct_pruned_density(l)),
            "shape_before", l->out_before, l->in_before, "shape", l->out, l->in,
            "macs_before", report_count(l->places * (double)l->weights),
            "macs", report_count(l->places * (double)l->left),
            "repaired", l->repaired, "error_before",
            report_number(l->repaired ? l->error_before : NAN), "error_after",
            report_number(l->repaired ? l->error_after : NAN), "not_repaired",
            report_string(l->why_not)));
    }
    return list;
}

static json_t *json_of_only(const oct_prune_options *how)
{
    json_t *list = json_array();
    for (int i = 0; i < how->n_only; i++)
        list = oct_json_append(list, report_string(how->only[i]));
    return list;
}

json_t *prune_report_json(const prune_report *r)
{
    const oct_pruned *p = r->pruned;
    const sums s = add_up(p);
    return json_pack(
        "{s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:b, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o,"
        " s:o, s:b, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o}",
        "model", report_string(r->model), "output", report_string(r->output),
        "command", report_string(r->command), "version", report_string(r->version),
        "source_sha256", report_string(r->source_sha256),
        "structure", report_string(oct_prune_name(&p->how)),
        "amount", report_number(p->how.amount), "per_layer", p->how.per_layer,
        "only", json_of_only(&p->how), "eval", report_string(r->eval_data),
        "eval_sha256", report_string(r->has_eval ? r->before.sha256 : NULL),
        "before", r->has_eval ? eval_json(&r->before) : json_null(),
        "pruned", r->has_eval && r->calib_data ? eval_json(&r->cut) : json_null(),
        "after", r->has_eval ? eval_json(&r->after) : json_null(),
        "calib", report_string(r->calib_data), "calib_samples",
        r->calib_data ? json_integer(p->repair.samples) : json_null(), "calib_sha256",
        report_string(r->calib_data ? p->repair.sha256 : NULL),
        "lint", report_string(r->lint), "forced", r->forced,
        "agreement", report_number(r->has_eval ? eval_agreement(&r->before, &r->after) : NAN),
        "bytes_before", report_count(r->bytes_before),
        "bytes_after", report_count(r->bytes_after),
        "weights", report_count(s.weights), "zeros", report_count(s.zeros),
        "zeros_before", report_count(s.zeros_before), "weights_left", report_count(s.left),
        "macs_before", report_count(s.macs_before), "macs", report_count(s.macs),
        "layers", json_of_layers(p));
}
