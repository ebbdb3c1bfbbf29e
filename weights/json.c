#include "weights/json.h"

#include <errno.h>
#include <stdlib.h>

typedef struct feed {
    const char *at, *end;
    bool no_memory;
} feed;

/* One byte a call: jansson asks for the next one right after it failed to keep the last, before
 * it reads a number, which clears errno. */
static size_t next(void *to, size_t size, void *data)
{
    feed *f = data;
    if (errno == ENOMEM) f->no_memory = true;
    if (f->no_memory || f->at == f->end || size == 0) return 0;
    *(char *)to = *f->at++;
    return 1;
}

json_t *oct_json_load(const char *text, size_t size, json_error_t *error, bool *no_memory)
{
    feed f = { text, text + size, false };
    errno = 0;
    json_t *value = json_load_callback(next, &f, JSON_REJECT_DUPLICATES, error);
    *no_memory = f.no_memory || errno == ENOMEM;
    if (!*no_memory) return value;
    json_decref(value);
    return NULL;
}

char *oct_json_dump(const json_t *value, size_t flags)
{
    errno = 0;
    char *text = value ? json_dumps(value, flags) : NULL;
    if (errno != ENOMEM) return text;
    free(text);
    return NULL;
}
