#include <math.h>
#include <stdlib.h>

#include "programs/html_plot.h"
#include "programs/quant_report_plots.h"
#include "programs/show.h"

enum { HEAT_CLASSES = 50, NAMED = 30, NUMBERED = 16, PAIRS = 12, MANY_PAIRS = 24 };

static const char *label_of(const quant_report *r, int class, char number[16])
{
    if (r->label) return r->label[class];
    snprintf(number, 16, "%d", class);
    return number;
}

/* ---- heat maps ---- */

typedef struct heat {
    FILE *to;
    const quant_report *r;
    double cell, left, top;
} heat;

static void class_names(const heat *h)
{
    const int n = h->r->classes, step = n <= NAMED ? 1 : 5;
    for (int i = 0; i < n; i += step) {
        char number[16];
        const double at = (i + 0.5) * h->cell;
        const shown_name name = show_name(label_of(h->r, i, number), 15, SHOW_CUT_BACK);
        plot_label(h->to, "tick", h->left - 4, h->top + at + 3.5, "end", name.s);
        fprintf(h->to, "<g transform=\"translate(%.1f %.1f) rotate(-45)\">", h->left + at + 3,
                h->top - 4);
        plot_label(h->to, "tick", 0, 0, "start", name.s);
        fputs("</g>\n", h->to);
    }
}

/* Opacity grows with the root of the share of the row: few mistakes show, too. */
static void draw_cell(const heat *h, int row, int column, int count, int sum)
{
    const double x = h->left + column * h->cell, y = h->top + row * h->cell;
    const double share = sum ? (double)count / sum : 0;
    if (count)
        fprintf(h->to, "<rect class=\"heat\" x=\"%.1f\" y=\"%.1f\" width=\"%.1f\" height=\"%.1f\" "
                "fill-opacity=\"%.3f\"/>\n", x, y, h->cell, h->cell, sqrt(share));
    if (!count || h->r->classes > NUMBERED) return;
    char text[16];
    snprintf(text, sizeof text, "%d", count);
    plot_label(h->to, share > 0.4 ? "on" : "name", x + h->cell / 2, y + h->cell / 2 + 3.5, "middle",
               text);
}

static void heat_map(FILE *to, const quant_report *r, const eval_result *e, const char *title)
{
    const int n = r->classes;
    int count[HEAT_CLASSES][HEAT_CLASSES] = { 0 };
    const double edge = n <= 4 ? 75.0 * n : 300;
    const heat h = { to, r, edge / n, 86, 66 };
    char caption[120];
    snprintf(caption, sizeof caption, "%s right; rows: class of the data, columns: answer",
             show_percent(e->accuracy, 2).s);
    for (int i = 0; i < e->samples; i++) count[e->label[i]][e->answer[i]]++;
    plot_open(to, title, caption, 412, h.top + edge + 8);
    for (int i = 0; i < n; i++) {
        int sum = 0;
        for (int j = 0; j < n; j++) sum += count[i][j];
        for (int j = 0; j < n; j++) draw_cell(&h, i, j, count[i][j], sum);
    }
    fprintf(to, "<rect class=\"cell\" x=\"%.1f\" y=\"%.1f\" width=\"%.1f\" height=\"%.1f\"/>\n",
            h.left, h.top, edge, edge);
    class_names(&h);
    plot_close(to);
}

/* ---- the most frequent mistakes ---- */

typedef struct mistake {
    int label, answer;
    int before, after;        /* how often */
} mistake;

static int by_classes(const void *a, const void *b)
{
    const mistake *x = a, *y = b;
    if (x->label != y->label) return x->label < y->label ? -1 : 1;
    return (x->answer > y->answer) - (x->answer < y->answer);
}

static int by_frequency(const void *a, const void *b)
{
    const mistake *x = a, *y = b;
    const int m = x->before + x->after, n = y->before + y->after;
    return m != n ? (m < n ? 1 : -1) : by_classes(a, b);
}

/* One item a mistake of either run, then one a pair of classes; returns their number. */
static int collect(const quant_report *r, mistake *list)
{
    int n = 0, pairs = 0;
    for (int i = 0; i < r->before.samples; i++)
        if (r->before.label[i] != r->before.answer[i])
            list[n++] = (mistake){ r->before.label[i], r->before.answer[i], 1, 0 };
    for (int i = 0; i < r->after.samples; i++)
        if (r->after.label[i] != r->after.answer[i])
            list[n++] = (mistake){ r->after.label[i], r->after.answer[i], 0, 1 };
    if (n) qsort(list, (size_t)n, sizeof *list, by_classes);
    for (int i = 0; i < n; i++) {
        if (pairs && !by_classes(&list[pairs - 1], &list[i])) {
            list[pairs - 1].before += list[i].before;
            list[pairs - 1].after += list[i].after;
        } else {
            list[pairs++] = list[i];
        }
    }
    if (pairs) qsort(list, (size_t)pairs, sizeof *list, by_frequency);
    return pairs;
}

static void class_cell(FILE *to, const quant_report *r, int class)
{
    char number[16];
    fputs("<td class=\"l n\">", to);
    html_text(to, show_name(label_of(r, class, number), SHOW_MAX, SHOW_CUT_BACK).s);
    fputs("</td>", to);
}

static void mistakes_table(FILE *to, const quant_report *r, const mistake *list, int n)
{
    fputs("<figure><figcaption><b>Most frequent mistakes</b></figcaption>\n"
          "<table class=\"small\"><tr><th class=\"l\">class</th><th class=\"l\">answer</th>"
          "<th>before</th><th>after</th></tr>\n", to);
    const int most = r->classes > HEAT_CLASSES ? MANY_PAIRS : PAIRS;
    for (int i = 0; i < n && i < most; i++) {
        fputs("<tr>", to);
        class_cell(to, r, list[i].label);
        class_cell(to, r, list[i].answer);
        fprintf(to, "<td>%d</td><td>%d</td></tr>\n", list[i].before, list[i].after);
    }
    fputs("</table></figure>\n", to);
}

oct_status plot_answers(FILE *to, const quant_report *r)
{
    const eval_result *b = &r->before, *a = &r->after;
    if (!r->has_eval || !b->answer || !a->answer) return OCT_OK;
    const size_t room = (size_t)b->samples + (size_t)a->samples + 1;
    mistake *list = malloc(room * sizeof *list);
    if (!list) return oct_fail(OCT_ERR_MEMORY, "out of memory");
    const int n = collect(r, list);
    fputs("<h2>Answers</h2>\n<div class=\"plots three\">\n", to);
    if (r->classes >= 1 && r->classes <= HEAT_CLASSES) {
        heat_map(to, r, b, "Before");
        heat_map(to, r, a, "After");
    }
    if (n) mistakes_table(to, r, list, n);
    fputs("</div>\n", to);
    free(list);
    return OCT_OK;
}
