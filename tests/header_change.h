#ifndef OCT_TESTS_HEADER_CHANGE_H
#define OCT_TESTS_HEADER_CHANGE_H

#include <stddef.h>

#include "tensor/status.h"

/* A copy of a safetensors file with `from` in its header replaced by `to`, the first time it stands
 * there; the header is made longer with blanks, 64 more of them.  malloc'd; NULL: `from` is not
 * there. */
char *header_changed(const char *file, size_t size, const char *from, const char *to, size_t *out);

/* A file that is not what it should be was refused for that. */
int header_refused(oct_status status);

/* Gives `try` files of which one byte of the header is another one, `rounds` times: each has to be
 * refused, accepted, or too large for the memory, and not all may be accepted. */
void header_shake(char *file, size_t size, int rounds, unsigned seed,
                  oct_status (*try)(const char *path));

#endif
