#ifndef OCT_PROGRAMS_LABELS_H
#define OCT_PROGRAMS_LABELS_H

#include "programs/cli.h"

/* --labels FILE: one name a line, exactly as many as the model has classes.  *out is a list of
 * `classes` strings to be freed with labels_free.  0, or an exit code and the line was printed. */
int labels_read(const cli_args *a, const char *path, int classes, char ***out);
void labels_free(char **labels); /* NULL is fine */

#endif
