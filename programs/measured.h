#ifndef OCT_PROGRAMS_MEASURED_H
#define OCT_PROGRAMS_MEASURED_H

#include "programs/evaluate.h"

/* Writes the file of octet quantize or octet prune, octet.measured inside: what --eval found,
 * before and after, as far as it does not depend on the machine.  before NULL: nothing was
 * evaluated, text is NULL.
 *
 * The file says how large it is, so write(arg, text) writes it to path until that is true: data
 * begin on a multiple of 64 bytes, so a digit more seldom changes it.  *bytes: a guess at its size,
 * then its size.  0, or an exit code and the line was printed. */
int measured_write(const cli_args *a, const char *path, const eval_result *before,
                   const eval_result *after, double *bytes,
                   int (*write)(void *arg, const char *text), void *arg);

#endif
