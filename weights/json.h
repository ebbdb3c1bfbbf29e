#ifndef OCT_WEIGHTS_JSON_H
#define OCT_WEIGHTS_JSON_H

#include <jansson.h>
#include <stdbool.h>

/* json_loadb with JSON_REJECT_DUPLICATES that can tell a failed allocation: jansson calls some of
 * them syntax errors and others cost a string a character.  NULL: *no_memory, or see error. */
json_t *oct_json_load(const char *text, size_t size, json_error_t *error, bool *no_memory);

/* json_dumps; also NULL where jansson would leave out what it had no memory for. */
char *oct_json_dump(const json_t *value, size_t flags);

#endif
