#ifndef OCT_PROGRAMS_ORIGIN_H
#define OCT_PROGRAMS_ORIGIN_H

#include "programs/cli.h"
#include "tensor/arena.h"

/* octet.origin's command line: the options that change the file and are no path (labels are in
 * octet.labels, a compiled file's ISA in its plan), in one order, whatever order they were given
 * in.  In the arena; NULL: out of memory. */
char *origin_command(const cli_args *a, oct_arena *arena);

/* 1: both paths are the same file, which would be overwritten by what is made of it. */
int origin_is(const char *a, const char *b);

#endif
