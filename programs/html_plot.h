#ifndef OCT_PROGRAMS_HTML_PLOT_H
#define OCT_PROGRAMS_HTML_PLOT_H

#include <stdio.h>

/* Pieces of an HTML page and of its SVG figures: well-formed XML, too.  Colours are classes that
 * the page's style knows.  Numbers that are not finite leave nothing, or lie at an end. */

/* s as text or in a quoted attribute; bytes that are no text as \xNN. */
void html_text(FILE *to, const char *s);

/* Where values lie: linear, or, over several powers of ten, logarithmic to both sides of 0. */
typedef struct plot_axis {
    double from, to;          /* data; finite, from < to, once plot_fit was called */
    double x0, x1;            /* units of the figure */
    double linear;            /* values within +-linear are spread evenly; 0: all are */
    int n;                    /* values included so far */
} plot_axis;

void plot_include(plot_axis *a, double v);
/* All values are in: gives them x0 .. x1. */
void plot_fit(plot_axis *a, double x0, double x1);
double plot_x(const plot_axis *a, double v);

/* Vertical lines from y0 to y1 at round values, and these below. */
void plot_grid(FILE *to, const plot_axis *a, double y0, double y1);

/* <figure>, caption, <svg>; the caption's second part may hold markup, the rest is escaped. */
void plot_open(FILE *to, const char *title, const char *caption, double width, double height);
void plot_close(FILE *to);

void plot_bar(FILE *to, const char *class, double x0, double x1, double y, double height);
void plot_line(FILE *to, const char *class, double x0, double y0, double x1, double y1);
/* anchor: "start", "middle", "end" */
void plot_label(FILE *to, const char *class, double x, double y, const char *anchor,
                const char *s);

#endif
