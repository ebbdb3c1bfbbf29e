#ifndef OCT_PROGRAMS_CHANGE_H
#define OCT_PROGRAMS_CHANGE_H

#include <stdio.h>

#include "programs/evaluate.h"
#include "programs/show.h"

/* The table in which octet quantize and octet prune compare two models, for a terminal. */
void change_head(FILE *to);
void change_row(FILE *to, const char *what, shown before, shown after, const char *change);
/* Rows for what both found on one set: accuracy, loss, agreement, times, memory. */
void change_text(FILE *to, const eval_result *before, const eval_result *after);

#endif
