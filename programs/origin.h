#ifndef OCT_PROGRAMS_ORIGIN_H
#define OCT_PROGRAMS_ORIGIN_H

#include "programs/cli.h"
#include "tensor/arena.h"

/* octet.origin's command line: the options that change the file and are no path (labels are in
 * octet.labels, a compiled file's ISA in its plan), in one order, whatever order they were given
 * in.  In the arena; NULL: out of memory. */
char *origin_command(const cli_args *a, oct_arena *arena);

/* 1: path is the model, or the weights in its folder, which would be overwritten by what is made of
 * them. */
int origin_is(const char *model, const char *path);

#endif
