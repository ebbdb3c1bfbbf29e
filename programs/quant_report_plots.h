#ifndef OCT_PROGRAMS_QUANT_REPORT_PLOTS_H
#define OCT_PROGRAMS_QUANT_REPORT_PLOTS_H

#include "programs/quant_report.h"

/* The figures of the HTML page.  One that has nothing to show leaves nothing. */
void plot_interval(FILE *to, const quant_report *r); /* accuracy, small: for a card */
void plot_sqnr(FILE *to, const quant_report *r);
void plot_ranges(FILE *to, const quant_report *r);
void plot_times(FILE *to, const quant_report *r);
void plot_latency(FILE *to, const quant_report *r);

/* Which answers are right and which class is taken for which: heat maps, the most frequent
 * mistakes. */
OCT_MUST_CHECK oct_status plot_answers(FILE *to, const quant_report *r);

extern const char quant_report_style[]; /* CSS */

#endif
