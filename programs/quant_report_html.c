/* The page: headline figures, plots, tables, where it came from.  Well-formed XML, no scripts,
 * nothing from outside. */
#include <math.h>
#include <stdarg.h>
#include <string.h>

#include "programs/html_plot.h"
#include "programs/quant_report_plots.h"
#include "programs/show.h"

static const char *base_name(const char *path)
{
    const char *slash = strrchr(path, '/');
    return slash && slash[1] ? slash + 1 : path;
}

static void head(FILE *to, const quant_report *r)
{
    const char *name = base_name(r->output ? r->output : r->model ? r->model : "-");
    fputs("<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\"/>\n"
          "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\"/>\n<title>", to);
    html_text(to, name);
    fprintf(to, ": quantized</title>\n<style>\n%s</style>\n</head>\n<body><main>\n"
            "<header><p class=\"over\">octet quantize</p>\n<h1>", quant_report_style);
    html_text(to, name);
    fputs("</h1>\n<p>", to);
    html_text(to, base_name(r->model ? r->model : "-"));
    fputs(" in 8-bit integers: ", to);
    html_text(to, r->method ? r->method : "-");
    if (r->dynamic) fputs(", ranges at run time", to);
    else fprintf(to, ", %d-bit activations%s", r->bits,
                 r->bias_correction ? ", bias correction" : "");
    if (r->calib) fprintf(to, ", calibrated on %d samples", r->calib_samples);
    fputs("</p></header>\n", to);
}

/* ---- headline figures ---- */

__attribute__((format(printf, 4, 5)))
static void card(FILE *to, const char *what, const char *figure, const char *fmt, ...)
{
    char text[200];
    va_list args;
    va_start(args, fmt);
    vsnprintf(text, sizeof text, fmt, args);
    va_end(args);
    fprintf(to, "<div class=\"card\"><p class=\"what\">%s</p><p class=\"big\">%s</p>"
            "<p class=\"sub\">", what, figure);
    html_text(to, text);
    fputs("</p>", to);
}

static void end_card(FILE *to) { fputs("</div>\n", to); }

/* Two bars, the longer one as wide as the card. */
static void two_bars(FILE *to, double before, double after)
{
    const double most = fmax(before, after);
    if (!(before >= 0 && after >= 0 && most > 0) || isinf(most)) return;
    fprintf(to, "<div class=\"mini\"><i class=\"b\" style=\"width:%.1f%%\"></i>"
            "<i style=\"width:%.1f%%\"></i></div>", 100 * before / most, 100 * after / most);
}

static void share_bar(FILE *to, double share)
{
    if (share >= 0 && share <= 1)
        fprintf(to, "<div class=\"mini\"><div class=\"t\"><i style=\"width:%.2f%%\"></i></div>"
                "</div>", 100 * share);
}

static void evaluation_cards(FILE *to, const quant_report *r)
{
    const eval_result *b = &r->before, *a = &r->after;
    card(to, "Accuracy", show_percent(a->accuracy, 2).s, "%s points against %s",
         show_change(100 * (a->accuracy - b->accuracy), 2).s, show_percent(b->accuracy, 2).s);
    plot_interval(to, r);
    end_card(to);
    const double same = quant_agreement(r);
    card(to, "Same answers", show_percent(same, 2).s, "of %d samples", a->samples);
    share_bar(to, same);
    end_card(to);
    card(to, "Speed", show_ratio(quant_speedup(r)).s, "%s ms a batch of %d, was %s",
         show_ms(a->ms_p50).s, a->batch, show_ms(b->ms_p50).s);
    two_bars(to, b->ms_p50, a->ms_p50);
    end_card(to);
}

static void cards(FILE *to, const quant_report *r)
{
    int int8 = 0;
    for (int i = 0; i < r->n_layers; i++) int8 += quant_is_int8(&r->layer[i]);
    fputs("<div class=\"cards\">\n", to);
    if (r->has_eval) {
        evaluation_cards(to, r);
    } else {
        card(to, "Accuracy", "not measured", "--eval DATA measures it, and speed and memory");
        end_card(to);
    }
    card(to, "File", show_bytes(r->bytes_after).s, "%s smaller; %s of four bytes a parameter",
         show_ratio(quant_compression(r)).s, show_percent(quant_of_four_bytes(r), 1).s);
    two_bars(to, r->bytes_before, r->bytes_after);
    end_card(to);
    if (r->has_eval) {
        card(to, "Peak memory", show_bytes(r->after.peak_bytes).s, "was %s",
             show_bytes(r->before.peak_bytes).s);
        two_bars(to, r->before.peak_bytes, r->after.peak_bytes);
        end_card(to);
    }
    const double share = quant_int8_share(r);
    card(to, "Multiply-adds in INT8", show_percent(share, 2).s, "%d of %d layers", int8,
         r->n_layers);
    share_bar(to, share);
    end_card(to);
    fputs("</div>\n", to);
}

/* ---- tables ---- */

static void row(FILE *to, const char *what, const char *before, const char *after,
                const char *change)
{
    fprintf(to, "<tr><td class=\"l\">%s</td><td>%s</td><td>%s</td><td>%s</td></tr>\n", what,
            before, after, change);
}

static void evaluation_rows(FILE *to, const quant_report *r)
{
    const eval_result *b = &r->before, *a = &r->after;
    row(to, "accuracy", show_percent(b->accuracy, 2).s, show_percent(a->accuracy, 2).s,
        show_change(100 * (a->accuracy - b->accuracy), 2).s);
    row(to, "lower end of its 95 % interval", show_percent(b->accuracy_low, 2).s,
        show_percent(a->accuracy_low, 2).s, "");
    row(to, "upper end", show_percent(b->accuracy_high, 2).s, show_percent(a->accuracy_high, 2).s,
        "");
    row(to, "right answers", show_fixed(b->correct, 0).s, show_fixed(a->correct, 0).s,
        show_change((double)a->correct - b->correct, 0).s);
    row(to, "samples", show_fixed(b->samples, 0).s, show_fixed(a->samples, 0).s, "");
    row(to, "average loss", show_fixed(b->loss, 4).s, show_fixed(a->loss, 4).s,
        show_change(a->loss - b->loss, 4).s);
    row(to, "run time of the set, ms", show_ms(b->ms_total).s, show_ms(a->ms_total).s,
        show_ratio(b->ms_total / a->ms_total).s);
    row(to, "a batch, median, ms", show_ms(b->ms_p50).s, show_ms(a->ms_p50).s,
        show_ratio(quant_speedup(r)).s);
    row(to, "a batch, 99th percentile, ms", show_ms(b->ms_p99).s, show_ms(a->ms_p99).s,
        show_ratio(b->ms_p99 / a->ms_p99).s);
    row(to, "peak memory", show_bytes(b->peak_bytes).s, show_bytes(a->peak_bytes).s,
        show_ratio(b->peak_bytes / a->peak_bytes).s);
}

static void summary(FILE *to, const quant_report *r)
{
    fputs("<h2>Before and after</h2>\n<div class=\"plots\"><div class=\"wide\"><table>\n"
          "<tr><th class=\"l\"></th><th>before</th><th>after</th><th>change</th></tr>\n", to);
    if (r->has_eval) evaluation_rows(to, r);
    row(to, "file", show_bytes(r->bytes_before).s, show_bytes(r->bytes_after).s,
        show_ratio(quant_compression(r)).s);
    fputs("</table></div>\n", to);
    plot_latency(to, r);
    fputs("</div>\n", to);
}

static void cell(FILE *to, const char *class, const char *s)
{
    fprintf(to, "<td class=\"%s\">", class);
    html_text(to, s ? s : "-");
    fputs("</td>", to);
}

static void layer_row(FILE *to, const layer_report *l)
{
    fputs("<tr>", to);
    cell(to, "l", show_name(l->name ? l->name : "-", SHOW_MAX, SHOW_CUT_FRONT).s);
    cell(to, "l soft", show_name(l->op ? l->op : "-", SHOW_MAX, SHOW_CUT_BACK).s);
    cell(to, "l soft", l->shape);
    cell(to, quant_is_int8(l) ? "l" : "l kept", l->precision);
    cell(to, "", show_count(l->macs).s);
    cell(to, "", show_fixed(l->sqnr_db, 1).s);
    cell(to, "", show_clipped(l->clipped).s);
    cell(to, "", show_range(l->low, l->high).s);
    cell(to, "soft", show_range(l->seen_low, l->seen_high).s);
    cell(to, "soft", show_digits(l->scale, 4).s);
    cell(to, "soft", isfinite(l->scale) ? show_fixed(l->zero, 0).s : "-");
    cell(to, "", show_ms(l->ms_before).s);
    cell(to, "", show_ms(l->ms_after).s);
    cell(to, "", show_ratio(l->ms_before / l->ms_after).s);
    fputs("</tr>\n", to);
}

static void item(FILE *to, const char *what, const char *s, int is_code)
{
    if (!s) return;
    fputs("<dt>", to);
    html_text(to, what);
    fprintf(to, "</dt><dd>%s", is_code ? "<code>" : "");
    html_text(to, s);
    fprintf(to, "%s</dd>\n", is_code ? "</code>" : "");
}

static void kept(FILE *to, const quant_report *r)
{
    int n = 0;
    for (int i = 0; i < r->n_layers; i++) {
        const layer_report *l = &r->layer[i];
        if (!l->why) continue;
        if (!n++) fputs("<h2>Kept in FP32</h2>\n<div class=\"wide\"><dl>\n", to);
        item(to, l->name ? l->name : "-", l->why, 0);
    }
    if (n) fputs("</dl></div>\n", to);
}

static void layers(FILE *to, const quant_report *r)
{
    static const char *const left[] = { "layer", "op", "output", "precision" };
    static const char *const right[] = { "MACs", "SQNR, dB", "clipped", "range", "seen", "scale",
                                         "zero", "ms FP32", "ms after", "faster" };
    if (!r->n_layers) return;
    fputs("<h2>Layers</h2>\n<div class=\"plots three\">\n", to);
    plot_sqnr(to, r);
    plot_ranges(to, r);
    plot_times(to, r);
    fputs("</div>\n<h2>All layers</h2>\n<div class=\"wide\"><table class=\"small\">\n<tr>", to);
    for (size_t i = 0; i < sizeof left / sizeof *left; i++)
        fprintf(to, "<th class=\"l\">%s</th>", left[i]);
    for (size_t i = 0; i < sizeof right / sizeof *right; i++) fprintf(to, "<th>%s</th>", right[i]);
    fputs("</tr>\n", to);
    for (int i = 0; i < r->n_layers; i++) layer_row(to, &r->layer[i]);
    fputs("</table></div>\n", to);
    kept(to, r);
}

/* ---- where it came from ---- */

static void origin(FILE *to, const quant_report *r)
{
    char text[120];
    fputs("<h2>How it was made</h2>\n<div class=\"wide\"><dl>\n", to);
    item(to, "model", r->model, 0);
    item(to, "its SHA-256", r->source_sha256, 1);
    item(to, "output", r->output, 0);
    item(to, "command", r->command, 1);
    item(to, "method", r->method, 0);
    if (r->calib) {
        snprintf(text, sizeof text, "%d", r->calib_samples);
        item(to, "calibration data", r->calib, 0);
        item(to, "samples", text, 0);
        item(to, "their SHA-256", r->calib_sha256, 1);
    }
    item(to, r->forced ? "lint, overridden by --force" : "lint", r->lint, 0);
    if (r->has_eval) {
        const eval_result *a = &r->after;
        snprintf(text, sizeof text, "%.20s, %d thread%s, batch %d", a->isa ? a->isa : "-",
                 a->threads, a->threads == 1 ? "" : "s", a->batch);
        item(to, "evaluation data", r->eval_data, 0);
        item(to, "its SHA-256", r->eval_sha256, 1);
        item(to, "measured with", text, 0);
    }
    item(to, "octet", r->version, 0);
    fputs("</dl></div>\n", to);
}

oct_status quant_report_html(FILE *to, const quant_report *r)
{
    head(to, r);
    for (int i = 0; i < r->n_notes; i++) {
        fputs("<p class=\"note\">", to);
        html_text(to, r->note[i]);
        fputs("</p>\n", to);
    }
    cards(to, r);
    summary(to, r);
    OCT_TRY(plot_answers(to, r));
    layers(to, r);
    origin(to, r);
    fputs("</main></body>\n</html>\n", to);
    return OCT_OK;
}
