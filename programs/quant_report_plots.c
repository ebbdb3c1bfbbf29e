#include "programs/quant_report_plots.h"

#include <math.h>

#include "programs/html_plot.h"
#include "programs/show.h"

/* Figures with a row a layer: names to LEFT, the plot to RIGHT, a number behind it. */
enum { WIDTH = 400, LEFT = 142, RIGHT = 348, ROW = 16, TOP = 6, BOTTOM = 20, NAME = 24 };

typedef struct rows {
    FILE *to;
    const quant_report *r;
    plot_axis axis;
} rows;

static double row_y(int i) { return TOP + ROW * (double)i; }

/* After the axis has all values: the figure, its grid, the names. */
static void open_rows(rows *p, const char *title, const char *caption)
{
    const double bottom = row_y(p->r->n_layers);
    plot_fit(&p->axis, LEFT, RIGHT);
    plot_open(p->to, title, caption, WIDTH, bottom + BOTTOM);
    for (int i = 1; i < p->r->n_layers; i += 2) plot_bar(p->to, "zebra", 0, WIDTH, row_y(i), ROW);
    plot_grid(p->to, &p->axis, TOP - 2, bottom);
    for (int i = 0; i < p->r->n_layers; i++) {
        const layer_report *l = &p->r->layer[i];
        plot_label(p->to, "name", LEFT - 8, row_y(i) + 11.5, "end",
                   show_name(l->name ? l->name : "-", NAME, SHOW_CUT_FRONT).s);
    }
}

static const char *class_of(const layer_report *l) { return quant_is_int8(l) ? "after" : "keep"; }

static const char *const keys =
    "<span class=\"key after\">INT8</span><span class=\"key keep\">kept in FP32</span>";

void plot_sqnr(FILE *to, const quant_report *r)
{
    char caption[400];
    rows p = { .to = to, .r = r };
    for (int i = 0; i < r->n_layers; i++) plot_include(&p.axis, r->layer[i].sqnr_db);
    if (!p.axis.n) return;
    plot_include(&p.axis, 0);
    snprintf(caption, sizeof caption, "dB, of a layer's output; %s", keys);
    open_rows(&p, "Signal to quantization noise", caption);
    const double zero = plot_x(&p.axis, 0);
    for (int i = 0; i < r->n_layers; i++) {
        const layer_report *l = &r->layer[i];
        const double x = plot_x(&p.axis, l->sqnr_db), y = row_y(i);
        if (isfinite(l->sqnr_db))
            plot_bar(to, class_of(l), fmin(zero, x), fmax(zero, x), y + 3, ROW - 6);
        plot_label(to, "soft", WIDTH - 4, y + 11.5, "end", show_fixed(l->sqnr_db, 1).s);
    }
    plot_close(to);
}

/* Ranges that differ by more than this are drawn on a logarithmic scale. */
static const double much = 12;

/* Linear up to the power of ten below the narrowest range, at most 6 decades below the widest. */
static double linear_part(const quant_report *r)
{
    double least = INFINITY, most = 0;
    for (int i = 0; i < r->n_layers; i++) {
        const layer_report *l = &r->layer[i];
        const double size = fmax(fabs(l->seen_low), fabs(l->seen_high));
        if (!(size > 0) || !isfinite(size)) continue;
        least = fmin(least, size);
        most = fmax(most, size);
    }
    return most > much * least ? pow(10, floor(log10(fmax(least, most * 1e-6)))) : 0;
}

void plot_ranges(FILE *to, const quant_report *r)
{
    rows p = { .to = to, .r = r, .axis.linear = linear_part(r) };
    for (int i = 0; i < r->n_layers; i++) {
        const layer_report *l = &r->layer[i];
        plot_include(&p.axis, l->low);
        plot_include(&p.axis, l->high);
        plot_include(&p.axis, l->seen_low);
        plot_include(&p.axis, l->seen_high);
    }
    if (!p.axis.n) return;
    char caption[400];
    snprintf(caption, sizeof caption, "<span class=\"key after\">kept</span> and "
             "<span class=\"key warn\">clipped</span>, as a share of values%s",
             p.axis.linear > 0 ? "; logarithmic" : "");
    open_rows(&p, "Ranges and clipping", caption);
    for (int i = 0; i < r->n_layers; i++) {
        const layer_report *l = &r->layer[i];
        const double y = row_y(i), middle = y + ROW / 2.0;
        const double low = plot_x(&p.axis, l->low), high = plot_x(&p.axis, l->high);
        const double from = plot_x(&p.axis, l->seen_low), last = plot_x(&p.axis, l->seen_high);
        const int is_kept = !isfinite(l->low) || !isfinite(l->high);
        if (isfinite(l->seen_low) && isfinite(l->seen_high))
            plot_line(to, is_kept ? "seen" : "out", from, middle, last, middle);
        if (!is_kept) plot_bar(to, "after", low, fmax(high, low + 1), y + 4, ROW - 8);
        plot_label(to, "soft", WIDTH - 4, y + 11.5, "end", show_clipped(l->clipped).s);
    }
    plot_close(to);
}

void plot_times(FILE *to, const quant_report *r)
{
    rows p = { .to = to, .r = r };
    for (int i = 0; i < r->n_layers; i++) {
        plot_include(&p.axis, r->layer[i].ms_before);
        plot_include(&p.axis, r->layer[i].ms_after);
    }
    if (!p.axis.n) return;
    plot_include(&p.axis, 0);
    open_rows(&p, "Time in each layer", "ms a sample, <span class=\"key before\">before</span> "
              "<span class=\"key after\">after</span>; times as fast");
    const double zero = plot_x(&p.axis, 0);
    for (int i = 0; i < r->n_layers; i++) {
        const layer_report *l = &r->layer[i];
        const double y = row_y(i);
        plot_bar(to, "before", zero, plot_x(&p.axis, l->ms_before), y + 2, 5);
        plot_bar(to, class_of(l), zero, plot_x(&p.axis, l->ms_after), y + 8, 5);
        plot_label(to, "soft", WIDTH - 4, y + 11.5, "end",
                   show_ratio(l->ms_before / l->ms_after).s);
    }
    plot_close(to);
}

/* ---- the evaluation ---- */

static void one_interval(FILE *to, const plot_axis *a, const eval_result *e, const char *line,
                         const char *fill, double y)
{
    if (!isfinite(e->accuracy)) return;
    plot_line(to, line, plot_x(a, e->accuracy_low), y, plot_x(a, e->accuracy_high), y);
    const double x = plot_x(a, e->accuracy);
    plot_bar(to, fill, x - 2.5, x + 2.5, y - 5, 10);
}

void plot_interval(FILE *to, const quant_report *r)
{
    plot_axis a = { 0 };
    const eval_result *const both[] = { &r->before, &r->after };
    for (int i = 0; i < 2; i++) {
        plot_include(&a, both[i]->accuracy_low);
        plot_include(&a, both[i]->accuracy_high);
    }
    if (!a.n) return;
    plot_fit(&a, 2, 258);
    fputs("<svg viewBox=\"0 0 260 30\" role=\"img\" aria-label=\"95 % intervals\">\n", to);
    one_interval(to, &a, both[0], "lb", "before", 7);
    one_interval(to, &a, both[1], "la", "after", 22);
    fputs("</svg>\n", to);
}

enum { BINS = 60, PANEL = 90, HIST_WIDTH = 520, MARGIN = 8 };

/* Batches by time; those beyond the axis in the last bar. */
static void histogram(FILE *to, const plot_axis *a, const eval_result *e, const char *class,
                      double bottom)
{
    int count[BINS] = { 0 }, largest = 1;
    for (int i = 0; i < e->n_batches; i++) {
        const double share = (e->batch_ms[i] - a->from) / (a->to - a->from);
        int bin = (int)(BINS * fmax(0, fmin(share, 1))); /* NaN: 0 */
        if (bin > BINS - 1) bin = BINS - 1;
        if (++count[bin] > largest) largest = count[bin];
    }
    const double width = (a->x1 - a->x0) / BINS;
    for (int i = 0; i < BINS; i++) {
        const double height = (PANEL - 22.0) * count[i] / largest;
        if (count[i])
            plot_bar(to, class, a->x0 + width * i, a->x0 + width * (i + 1) - 0.8,
                     bottom - height, height);
    }
}

static void panel(FILE *to, const plot_axis *a, const eval_result *e, const char *name,
                  const char *class, double bottom)
{
    char text[120];
    const double p50 = plot_x(a, e->ms_p50), p99 = plot_x(a, e->ms_p99);
    histogram(to, a, e, class, bottom);
    plot_line(to, "zero", a->x0, bottom, a->x1, bottom);
    plot_line(to, "mark", p50, bottom - PANEL + 16, p50, bottom);
    plot_line(to, "p99", p99, bottom - PANEL + 16, p99, bottom);
    snprintf(text, sizeof text, "%s: p50 %s ms, p99 %s ms", name, show_ms(e->ms_p50).s,
             show_ms(e->ms_p99).s);
    const int left = p50 < (a->x0 + a->x1) / 2;
    plot_label(to, "name", left ? fmin(p50, p99) : fmax(p50, p99), bottom - PANEL + 11,
               left ? "start" : "end", text);
}

void plot_latency(FILE *to, const quant_report *r)
{
    plot_axis a = { 0 };
    const eval_result *b = &r->before, *e = &r->after;
    if (!r->has_eval || (!b->n_batches && !e->n_batches)) return;
    plot_include(&a, 0);
    plot_include(&a, 1.08 * b->ms_p99);
    plot_include(&a, 1.08 * e->ms_p99);
    plot_fit(&a, MARGIN, HIST_WIDTH - MARGIN);
    char caption[200];
    snprintf(caption, sizeof caption, "ms a batch of %d; %d and %d batches; line: median, dashed: "
             "99th percentile", b->batch, b->n_batches, e->n_batches);
    plot_open(to, "Latency", caption, HIST_WIDTH, 2 * PANEL + 34);
    plot_grid(to, &a, 16, 2 * PANEL + 16);
    panel(to, &a, b, "before", "before", PANEL + 2);
    panel(to, &a, e, "after", "after", 2 * PANEL + 16);
    plot_close(to);
}
