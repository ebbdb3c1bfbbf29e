#include "programs/cli.h"
#include "programs/quant_report.h"
#include "programs/show.h"

static void line(FILE *to, const char *what, const char *s)
{
    if (!s) return;
    fprintf(to, "%-14s", what);
    cli_print_escaped(to, s);
    putc('\n', to);
}

static void head(FILE *to, const quant_report *r)
{
    line(to, "model", r->model);
    line(to, "output", r->output);
    fprintf(to, "%-14s%s", "method", r->method ? r->method : "-");
    if (r->dynamic) fputs(", ranges of activations at run time\n", to);
    else fprintf(to, ", %d bits%s\n", r->bits, r->bias_correction ? ", bias correction" : "");
    if (r->calib) {
        fprintf(to, "%-14s%d samples of ", "calibration", r->calib_samples);
        cli_print_escaped(to, r->calib);
        putc('\n', to);
        line(to, "  SHA-256", r->calib_sha256);
    }
    line(to, r->forced ? "lint (forced)" : "lint", r->lint);
    if (r->has_eval) line(to, "evaluation", r->eval_data);
    line(to, "  SHA-256", r->has_eval ? r->eval_sha256 : NULL);
}

static void row(FILE *to, const char *what, shown before, shown after, const char *change)
{
    fprintf(to, "%-30s %20s %20s%s%s\n", what, before.s, after.s, *change ? "  " : "", change);
}

static shown interval(const eval_result *e)
{
    shown out;
    snprintf(out.s, sizeof out.s, "%.8s .. %.8s %%", show_fixed(100 * e->accuracy_low, 2).s,
             show_fixed(100 * e->accuracy_high, 2).s);
    return out;
}

static shown of_samples(const eval_result *e)
{
    shown out;
    snprintf(out.s, sizeof out.s, "%d of %d", e->correct, e->samples);
    return out;
}

static shown as_fast(double before, double after)
{
    shown out;
    snprintf(out.s, sizeof out.s, "%.20s as fast", show_ratio(before / after).s);
    return out;
}

static void evaluation(FILE *to, const quant_report *r)
{
    const eval_result *b = &r->before, *a = &r->after;
    const shown none = { "" };
    char what[40], text[60];
    snprintf(text, sizeof text, "%s points", show_change(100 * (a->accuracy - b->accuracy), 2).s);
    row(to, "accuracy", show_percent(b->accuracy, 2), show_percent(a->accuracy, 2), text);
    row(to, "  95 % interval", interval(b), interval(a), "");
    row(to, "  correct", of_samples(b), of_samples(a),
        show_change((double)a->correct - b->correct, 0).s);
    row(to, "average loss", show_fixed(b->loss, 4), show_fixed(a->loss, 4),
        show_change(a->loss - b->loss, 4).s);
    row(to, "agreement", none, show_percent(quant_agreement(r), 2), "");
    row(to, "run time of the set, ms", show_ms(b->ms_total), show_ms(a->ms_total),
        as_fast(b->ms_total, a->ms_total).s);
    snprintf(what, sizeof what, "batch of %d, median, ms", b->batch);
    row(to, what, show_ms(b->ms_p50), show_ms(a->ms_p50), as_fast(b->ms_p50, a->ms_p50).s);
    row(to, "  99th percentile, ms", show_ms(b->ms_p99), show_ms(a->ms_p99),
        as_fast(b->ms_p99, a->ms_p99).s);
    snprintf(text, sizeof text, "%s %%",
             show_change(100 * (a->peak_bytes / b->peak_bytes - 1), 1).s);
    row(to, "peak memory", show_bytes(b->peak_bytes), show_bytes(a->peak_bytes), text);
}

static void summary(FILE *to, const quant_report *r)
{
    char text[80];
    fprintf(to, "\n%-30s %20s %20s  change\n", "", "before", "after");
    if (r->has_eval) evaluation(to, r);
    else fputs("nothing was evaluated: --eval DATA measures accuracy, time and memory\n", to);
    snprintf(text, sizeof text, "%s smaller", show_ratio(quant_compression(r)).s);
    row(to, "file size", show_bytes(r->bytes_before), show_bytes(r->bytes_after), text);
    row(to, "  of four bytes a parameter", (shown){ "" }, show_percent(quant_of_four_bytes(r), 1),
        "");
    row(to, "multiply-adds in INT8", (shown){ "" }, show_percent(quant_int8_share(r), 2), "");
    if (!r->has_eval) return;
    fprintf(to, "on %s, %d thread%s\n", r->after.isa ? r->after.isa : "-", r->after.threads,
            r->after.threads == 1 ? "" : "s");
}

/* A name of at most `width` columns, and blanks up to there. */
static void column(FILE *to, const char *s, int width)
{
    const shown_name name = show_name(s ? s : "-", width, SHOW_CUT_FRONT);
    fprintf(to, "%s%*s", name.s, width - name.width + 1, "");
}

/* 100 columns: 26 + 10 + 6, then 7 + 6 + 10 + 18 + 8 + 8 */
static void layer_table(FILE *to, const quant_report *r)
{
    static const char *const fmt = "%6s %5s %9s %17s %7s %7s\n";
    enum { NAME = 25, OP = 9, PRECISION = 5 };
    if (!r->n_layers) return;
    fprintf(to, "\n%-*s%-*s", NAME + 1, "layer", OP + PRECISION + 2, "op");
    fprintf(to, fmt, "MACs", "SQNR", "clipped", "range", "ms fp32", "int8");
    for (int i = 0; i < r->n_layers; i++) {
        const layer_report *l = &r->layer[i];
        column(to, l->name, NAME);
        column(to, l->op, OP);
        column(to, l->precision, PRECISION);
        fprintf(to, fmt, show_count(l->macs).s, show_fixed(l->sqnr_db, 1).s,
                show_clipped(l->clipped).s, show_range(l->low, l->high).s,
                show_ms(l->ms_before).s, show_ms(l->ms_after).s);
    }
}

void quant_report_text(FILE *to, const quant_report *r)
{
    head(to, r);
    summary(to, r);
    layer_table(to, r);
    int kept = 0;
    for (int i = 0; i < r->n_layers; i++) {
        if (!r->layer[i].why) continue;
        if (!kept++) fputs("\nkept in FP32\n", to);
        column(to, r->layer[i].name, 30);
        cli_print_escaped(to, r->layer[i].why);
        putc('\n', to);
    }
    if (r->n_notes) putc('\n', to);
    for (int i = 0; i < r->n_notes; i++) line(to, "note", r->note[i]);
}
