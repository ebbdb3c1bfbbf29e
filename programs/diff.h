#ifndef OCT_PROGRAMS_DIFF_H
#define OCT_PROGRAMS_DIFF_H

#include "programs/cli.h"
#include "programs/diff_layers.h"

/* octet diff: what was found, and how it is printed. */
typedef struct diff {
    const cli_args *a;
    diff_set set;
    double tolerance;
    int samples;
    int agree;                /* of the same top-1; -1: one side gave no output */
} diff;

/* NULL: none. */
const diff_layer *diff_first_departure(const diff *d);

void diff_print(const diff *d); /* --json, or text */

#endif
