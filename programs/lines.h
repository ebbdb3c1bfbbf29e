#ifndef OCT_PROGRAMS_LINES_H
#define OCT_PROGRAMS_LINES_H

#include <stddef.h>

#include "tensor/status.h"

/* The lines of a stream, each as soon as it is there: a pipe or terminal is read no further than
 * it has something.  A line ends with \n or \r\n, the last one also with the stream, and may have
 * any bytes, zeros too.  Memory grows with the longest line, not with their number; one of more
 * than LINES_MAX bytes is skipped and told of. */
enum { LINES_MAX = 1 << 24 };

typedef struct lines lines;

typedef enum lines_result {
    LINES_LINE,      /* text[0..size), a 0 behind it; valid until the next call */
    LINES_TOO_LONG,  /* there was one, text is empty */
    LINES_NOT_YET,   /* no whole line is there */
    LINES_END,
    LINES_FAILED     /* oct_last_error() says why */
} lines_result;

OCT_MUST_CHECK oct_status lines_open(int fd, lines **out); /* fd stays the caller's */
/* wait: 1: until there is a line, never LINES_NOT_YET. */
lines_result lines_next(lines *l, int wait, const char **text, size_t *size);
void lines_close(lines *l); /* NULL is fine */

#endif
