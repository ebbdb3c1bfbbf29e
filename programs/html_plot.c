#include "programs/html_plot.h"

#include <math.h>

#include "programs/cli.h"
#include "programs/show.h"

enum { TICKS = 6, MAX_TICKS = 40 };
static const double most = 1e30; /* what is beyond is drawn there: differences stay finite */

void html_text(FILE *to, const char *s)
{
    while (*s) {
        char one[5];
        const size_t n = cli_escape_one(&s, one);
        switch (one[0]) {
        case '&':  fputs("&amp;", to);  break;
        case '<':  fputs("&lt;", to);   break;
        case '>':  fputs("&gt;", to);   break;
        case '"':  fputs("&quot;", to); break;
        case '\'': fputs("&#39;", to);  break;
        default:   fwrite(one, 1, n, to);
        }
    }
}

void plot_include(plot_axis *a, double v)
{
    if (!isfinite(v)) return;
    v = fmax(-most, fmin(v, most));
    if (!a->n++) a->from = a->to = v;
    a->from = fmin(a->from, v);
    a->to = fmax(a->to, v);
}

void plot_fit(plot_axis *a, double x0, double x1)
{
    const double size = fmax(fabs(a->from), fabs(a->to));
    if (!(a->to - a->from > 1e-9 * size)) a->to = a->from + (size > 0 ? size : 1); /* no width */
    a->x0 = x0;
    a->x1 = x1;
}

static double spread(const plot_axis *a, double v)
{
    return a->linear > 0 ? copysign(log10(1 + fabs(v) / a->linear), v) : v;
}

double plot_x(const plot_axis *a, double v)
{
    if (isnan(v)) return a->x0;
    v = fmax(a->from, fmin(v, a->to));
    const double from = spread(a, a->from), to = spread(a, a->to);
    return a->x0 + (a->x1 - a->x0) * (spread(a, v) - from) / (to - from);
}

/* 1, 2 or 5 times a power of ten: at most TICKS of it are in width. */
static double round_step(double width)
{
    const double least = width / TICKS, power = pow(10, floor(log10(least)));
    const double digit = least / power;
    return power * (digit <= 1 ? 1 : digit <= 2 ? 2 : digit <= 5 ? 5 : 10);
}

static int linear_ticks(const plot_axis *a, double *v)
{
    int n = 0;
    const double step = round_step(a->to - a->from);
    for (double k = ceil(a->from / step - 1e-9); n < MAX_TICKS; k++) {
        if (k * step > a->to + 1e-9 * step) break;
        v[n++] = k * step;
    }
    return n;
}

/* 0 and powers of ten to both sides, every one, or every second, third ... */
static int log_ticks(const plot_axis *a, double *v)
{
    int n = 0;
    const double last = fmax(-a->from, a->to);
    const double powers = log10(last / a->linear) * (a->from < 0 && a->to > 0 ? 2 : 1);
    const double step = pow(10, fmax(1, ceil(powers / TICKS)));
    if (a->from <= 0 && a->to >= 0) v[n++] = 0;
    for (double x = a->linear; x <= last && n < MAX_TICKS - 1; x *= step) {
        if (x <= a->to && x >= a->from) v[n++] = x;
        if (-x >= a->from && -x <= a->to) v[n++] = -x;
    }
    return n;
}

void plot_grid(FILE *to, const plot_axis *a, double y0, double y1)
{
    double v[MAX_TICKS];
    const int n = a->linear > 0 ? log_ticks(a, v) : linear_ticks(a, v);
    for (int i = 0; i < n; i++) {
        const double x = plot_x(a, v[i]);
        plot_line(to, v[i] == 0 ? "zero" : "grid", x, y0, x, y1);
        plot_label(to, "tick", x, y1 + 12, "middle", show_digits(v[i], 4).s);
    }
}

void plot_open(FILE *to, const char *title, const char *caption, double width, double height)
{
    fputs("<figure><figcaption><b>", to);
    html_text(to, title);
    fprintf(to, "</b> %s</figcaption>\n<svg viewBox=\"0 0 %.0f %.0f\" role=\"img\" aria-label=\"",
            caption, width, height);
    html_text(to, title);
    fputs("\">\n", to);
}

void plot_close(FILE *to) { fputs("</svg></figure>\n", to); }

void plot_bar(FILE *to, const char *class, double x0, double x1, double y, double height)
{
    if (!(x1 > x0)) return;
    fprintf(to, "<rect class=\"%s\" x=\"%.1f\" y=\"%.1f\" width=\"%.1f\" height=\"%.1f\"/>\n",
            class, x0, y, x1 - x0, height);
}

void plot_line(FILE *to, const char *class, double x0, double y0, double x1, double y1)
{
    fprintf(to, "<line class=\"%s\" x1=\"%.1f\" y1=\"%.1f\" x2=\"%.1f\" y2=\"%.1f\"/>\n", class, x0,
            y0, x1, y1);
}

void plot_label(FILE *to, const char *class, double x, double y, const char *anchor,
                const char *s)
{
    fprintf(to, "<text class=\"%s\" x=\"%.1f\" y=\"%.1f\" text-anchor=\"%s\">", class, x, y,
            anchor);
    html_text(to, s);
    fputs("</text>\n", to);
}
