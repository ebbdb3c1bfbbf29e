#ifndef OCT_TENSOR_TEXT_H
#define OCT_TENSOR_TEXT_H

#include <stddef.h>

/* Text that is put together in a buffer of fixed size: what does not fit is cut, and the buffer
 * always ends with a zero.  { buffer, size } begins one. */
typedef struct oct_text {
    char *at;
    size_t left;               /* the terminating zero included; at least 1 */
} oct_text;

void oct_text_put(oct_text *t, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

#endif
