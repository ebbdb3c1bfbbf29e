#ifndef OCT_TESTS_HEADER_CHANGE_H
#define OCT_TESTS_HEADER_CHANGE_H

#include <stddef.h>

/* A copy of a safetensors file with `from` in its header replaced by `to`, the first time it stands
 * there; the header is made longer with blanks, 64 more of them.  malloc'd; NULL: `from` is not
 * there. */
char *header_changed(const char *file, size_t size, const char *from, const char *to, size_t *out);

#endif
