#ifndef OCT_PROGRAMS_OUTPUT_H
#define OCT_PROGRAMS_OUTPUT_H

#include <stdio.h>

#include "tensor/status.h"

/* A file that appears whole or not at all: bytes go to a temporary file in the same folder, then
 * fsync, rename.  Until then PATH is untouched, and nothing is left behind if the output is
 * dropped, or the program ended by SIGINT, SIGTERM or SIGHUP: not what oct_weights_save writes on
 * its way to output_temporary either. */
typedef struct output output;

OCT_MUST_CHECK oct_status output_open(const char *path, output **out);
FILE *output_stream(output *o);                       /* o's; errors may be left to output_sync */
const char *output_temporary(const output *o);        /* for who writes by name, and syncs itself */
/* All bytes are on the disk: what fails fails here, or in writing, and hardly in the rename. */
OCT_MUST_CHECK oct_status output_sync(output *o);
OCT_MUST_CHECK oct_status output_commit(output *o);   /* syncs; frees o, on failure too */
void output_drop(output *o);                          /* NULL is fine */

/* All of it at once: save(arg, to) writes the file `to`, which becomes PATH. */
OCT_MUST_CHECK oct_status output_save(const char *path,
                                      oct_status (*save)(void *arg, const char *to), void *arg);

#endif
