#define _GNU_SOURCE /* memmem */
#include "tests/header_change.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

enum { MORE = 64 };

char *header_changed(const char *file, size_t size, const char *from, const char *to, size_t *out)
{
    uint64_t length;
    const size_t old = strlen(from), new = strlen(to);
    memcpy(&length, file, sizeof length);
    const char *at = memmem(file + 8, length, from, old), *data = file + 8 + length;
    *out = size + MORE;
    if (!at || new > old + MORE) return NULL;
    char *copy = malloc(*out), *to_data = copy + 8 + length + MORE;
    const uint64_t wide = length + MORE;
    const size_t before = (size_t)(at - file), rest = (size_t)(data - at) - old;
    memset(copy, ' ', *out);
    memcpy(copy, &wide, sizeof wide);
    memcpy(copy + 8, file + 8, before - 8);
    memcpy(copy + before, to, new);
    memcpy(copy + before + new, at + old, rest);
    memcpy(to_data, data, size - 8 - length);
    return copy;
}
