#include "programs/change.h"
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

static void summary(FILE *to, const quant_report *r)
{
    char text[80];
    change_head(to);
    if (r->has_eval) change_text(to, &r->before, &r->after);
    else fputs("nothing was evaluated: --eval DATA measures accuracy, time and memory\n", to);
    snprintf(text, sizeof text, "%s smaller", show_ratio(quant_compression(r)).s);
    change_row(to, "file size", show_bytes(r->bytes_before), show_bytes(r->bytes_after), text);
    change_row(to, "  of four bytes a parameter", (shown){ "" },
               show_percent(quant_of_four_bytes(r), 1), "");
    change_row(to, "multiply-adds in INT8", (shown){ "" }, show_percent(quant_int8_share(r), 2),
               "");
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
