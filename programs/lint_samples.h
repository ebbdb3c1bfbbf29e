#ifndef OCT_PROGRAMS_LINT_SAMPLES_H
#define OCT_PROGRAMS_LINT_SAMPLES_H

#include "input/input.h"
#include "programs/cli.h"
#include "tensor/arena.h"

/* What octet lint says of --calib's samples, for commands that go on with them. */
typedef struct lint_samples {
    const char *sentence;     /* in arena; NULL: there are none */
    const char *forced;       /* the cause's name, if they were refused but for --force; or NULL */
} lint_samples;

/* All of source (NULL: nothing to do) is looked at.  0, or an exit code and the line was printed:
 * samples that depart are refused, with the cause, unless there is --force. */
int lint_samples_check(const cli_args *a, const char *model, int texts, oct_source *source,
                       oct_arena *arena, lint_samples *out);

#endif
