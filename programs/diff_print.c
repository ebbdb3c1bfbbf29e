#include "programs/diff.h"

#include "programs/report.h"

const diff_layer *diff_first_departure(const diff *d)
{
    for (int i = 0; i < d->set.n; i++)
        if (!(diff_relative(&d->set.layer[i]) <= d->tolerance)) return &d->set.layer[i];
    return NULL;
}

static const diff_layer *worst(const diff *d)
{
    const diff_layer *most = &d->set.layer[0];
    for (int i = 1; i < d->set.n; i++)
        if (diff_relative(&d->set.layer[i]) > diff_relative(most)) most = &d->set.layer[i];
    return most;
}

static void print_json(const diff *d)
{
    json_t *list = json_array();
    for (int i = 0; i < d->set.n; i++) {
        const diff_layer *l = &d->set.layer[i];
        json_array_append_new(list, json_pack(
            "{s:o, s:s, s:o, s:o, s:o}", "name", report_string(l->name), "op", l->op,
            "max_difference", report_number(l->difference), "max_value", report_number(l->largest),
            "relative", report_number(diff_relative(l))));
    }
    const diff_layer *first = diff_first_departure(d), *most = worst(d);
    report_json_line(json_pack(
        "{s:i, s:i, s:i, s:f, s:o, s:o, s:o, s:o, s:o}", "samples", d->samples,
        "compared", d->set.n, "skipped", d->set.skipped, "tolerance", d->tolerance,
        "largest_relative", report_number(diff_relative(most)),
        "largest_layer", report_string(most->name),
        "first_departure", report_string(first ? first->name : NULL),
        "same_top1", d->agree >= 0 ? json_integer(d->agree) : json_null(), "layers", list));
}

static void print_text(const diff *d)
{
    char name[200];
    int width = REPORT_NAME;
    for (int i = 0; i < d->set.n; i++) width = report_wider(width, d->set.layer[i].name);
    printf("%-*s %-11s %14s %14s %12s\n", width, "layer", "op", "max |A - B|", "max |A|",
           "relative");
    for (int i = 0; i < d->set.n; i++) {
        const diff_layer *l = &d->set.layer[i];
        cli_escape(l->name, name, sizeof name);
        printf("%-*s %-11s %14.6g %14.6g %12.3g\n", width, name, l->op, l->difference, l->largest,
               diff_relative(l));
    }
    const diff_layer *first = diff_first_departure(d), *most = worst(d);
    printf("\n%d layers compared, %d without a counterpart, %d samples\n", d->set.n, d->set.skipped,
           d->samples);
    printf("largest difference   %.3g of the layer's largest value, at ", diff_relative(most));
    cli_print_escaped(stdout, most->name);
    printf("\nfirst beyond %-7.3g ", d->tolerance);
    cli_print_escaped(stdout, first ? first->name : "none");
    if (d->agree >= 0) printf("\nsame top-1           %d of %d", d->agree, d->samples);
    putchar('\n');
}

void diff_print(const diff *d)
{
    if (d->a->json) print_json(d);
    else print_text(d);
}
