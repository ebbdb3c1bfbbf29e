#include "programs/prune_report.h"

#include <math.h>
#include <string.h>

#include "programs/change.h"
#include "programs/report.h"

typedef struct sums {
    double weights, zeros, zeros_before;
} sums;

static sums add_up(const oct_pruned *p)
{
    sums s = { 0, 0, 0 };
    for (int i = 0; i < p->n_layers; i++) {
        s.weights += (double)p->layer[i].weights;
        s.zeros += (double)p->layer[i].zeros;
        s.zeros_before += (double)p->layer[i].zeros_before;
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
    fprintf(to, "%-14s%s", "structure", oct_mask_name(how->structure));
    if (how->structure == OCT_MASK_2_4) fputs(": two of each four inputs stay\n", to);
    else fprintf(to, ", %s %% of the %s %s\n", show_digits(100 * how->amount, 6).s,
                 how->structure == OCT_MASK_UNSTRUCTURED ? "weights" : "blocks",
                 how->per_layer ? "of each layer" : "of all layers together");
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

void prune_report_text(FILE *to, const prune_report *r)
{
    head(to, r);
    change_head(to);
    if (r->has_eval) change_text(to, &r->before, &r->after);
    else fputs("nothing was evaluated: --eval DATA measures accuracy, time and memory\n", to);
    change_row(to, "file size", show_bytes(r->bytes_before), show_bytes(r->bytes_after), "");
    sparsity(to, r->pruned);
    fputs("\nBlocks of four inputs that are all zero are not stored where that saves an eighth. FP32 "
          "multiplies zeros\nlike other weights; after octet quantize such blocks are left out where "
          "that is faster.\n", to);
}

/* ---- JSON ---- */

static json_t *json_of_layers(const oct_pruned *p)
{
    json_t *list = json_array();
    for (int i = 0; i < p->n_layers; i++) {
        const oct_pruned_layer *l = &p->layer[i];
        list = oct_json_append(list, json_pack(
            "{s:o, s:s, s:b, s:I, s:I, s:I, s:o}", "name", report_string(l->name), "op", l->op,
            "pruned", l->chosen, "weights", (json_int_t)l->weights, "zeros", (json_int_t)l->zeros,
            "zeros_before", (json_int_t)l->zeros_before, "density",
            report_number((double)(l->weights - l->zeros) / (double)l->weights)));
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
        " s:o, s:o, s:o}",
        "model", report_string(r->model), "output", report_string(r->output),
        "command", report_string(r->command), "version", report_string(r->version),
        "source_sha256", report_string(r->source_sha256),
        "structure", report_string(oct_mask_name(p->how.structure)),
        "amount", report_number(p->how.amount), "per_layer", p->how.per_layer,
        "only", json_of_only(&p->how), "eval", report_string(r->eval_data),
        "eval_sha256", report_string(r->has_eval ? r->before.sha256 : NULL),
        "before", r->has_eval ? eval_json(&r->before) : json_null(),
        "after", r->has_eval ? eval_json(&r->after) : json_null(),
        "agreement", report_number(r->has_eval ? eval_agreement(&r->before, &r->after) : NAN),
        "bytes_before", report_count(r->bytes_before),
        "bytes_after", report_count(r->bytes_after),
        "weights", report_count(s.weights), "zeros", report_count(s.zeros),
        "zeros_before", report_count(s.zeros_before), "layers", json_of_layers(p));
}
