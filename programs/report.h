#ifndef OCT_PROGRAMS_REPORT_H
#define OCT_PROGRAMS_REPORT_H

#include <jansson.h>
#include <stddef.h>
#include <stdio.h>

#include "graph/plan.h"

/* Time, progress, statistics and JSON for the programs' output. */

double report_now_ms(void); /* monotonic */

int report_is_terminal(FILE *stream);

/* For oct_plan_run's hook: ms of each step, added up over the slices of a run. */
typedef struct report_laps {
    double last;           /* report_now_ms() when the run starts */
    double *ms;            /* [steps] */
} report_laps;
void report_lap(void *laps, const oct_plan *plan, int step, int n);

/* Columns for the names in a table of layers: REPORT_NAME, wider for each that is longer. */
enum { REPORT_NAME = 24 };
int report_wider(int width, const char *name);

/* A bar with rate and time left on standard error; silent unless that is a terminal. */
typedef struct report_progress {
    int shown;             /* 0: stay silent */
    const char *unit;      /* "images" */
    double total, started_ms, drawn_ms;
} report_progress;
void report_progress_start(report_progress *p, int quiet, const char *unit, double total);
void report_progress_step(report_progress *p, double done);
void report_progress_end(report_progress *p); /* takes the bar away; before any other line */

/* Value below which a share p of v[0..n) lies, by nearest rank; v is sorted by report_sort. */
void report_sort(double *v, int n);
double report_percentile(const double *sorted, int n, double p);

/* JSON values that never fail on odd input: bytes that are no UTF-8 are escaped as \xNN, numbers
 * that are not finite are null. */
json_t *report_string(const char *s); /* NULL: null */
json_t *report_bytes(const char *s, size_t size); /* may have zeros in it; s[size] is 0 */
json_t *report_number(double x);
json_t *report_count(double x); /* rounded down to an integer; null beyond 2^53, too */
json_t *report_shape(const oct_tensor *t);
/* A JSON text of a file, parsed; as a string if it is none. */
json_t *report_json_text(const char *text);
/* One line; takes the reference.  0: not all of it, out of memory or an error of the stream. */
int report_json(FILE *to, json_t *object);
void report_json_line(json_t *object); /* to standard output */
/* The whole of a report's file; object NULL: out of memory.  Errors of the stream are its owner's to
 * ask for. */
OCT_MUST_CHECK oct_status report_json_file(FILE *to, json_t *object);
int report_ends_with(const char *name, const char *end); /* and there is more of it before */

/* (*list)[n] = value in a malloc'd list that was only ever grown by this; 0: out of memory. */
int report_push(double **list, int n, double value);

#endif
