#ifndef OCT_PROGRAMS_BENCH_H
#define OCT_PROGRAMS_BENCH_H

#include "programs/cli.h"
#include "models/model.h"

/* octet bench: a row is a combination of settings; it is timed and printed the same way whatever
 * the model takes. */
typedef struct bench_peaks {
    unsigned cpu;
    double fp32, int8;        /* 10^9 operations a second of a core */
} bench_peaks;

typedef struct bench {        /* of the whole command */
    const cli_args *a;
    int header_done, texts;
    int n_peaks;              /* measured, one an ISA */
    bench_peaks peak[CLI_MAX_LIST];
} bench;

typedef struct bench_row {
    oct_model *model;
    int batch;
    /* Everything from the caller's samples to the logits [batch, classes] of the model. */
    oct_status (*run)(void *from, const float **logits);
    void *from;
    double tokens, squares;   /* of texts: sums of their lengths, of the squares; else 0 */

    float *out;               /* the caller's logits */
    double *ms;               /* of each run, rising */
    int n;
    double device_ms;         /* what a device took, copies left out: median; NAN: it is the CPU */
} bench_row;

/* Times and prints it, with --by-layer its layers, too.  0, or an exit code and the line was
 * printed. */
int bench_row_run(bench *b, bench_row *r);

/* Multiply-adds of a step for the batch. */
double bench_macs(const bench_row *r, const oct_step *step);

#endif
