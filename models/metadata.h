#ifndef OCT_MODELS_METADATA_H
#define OCT_MODELS_METADATA_H

#include <jansson.h>

#include "models/model.h"

/* JSON in the metadata of a model file, or from the caller: hostile, so at most 1 MiB of text, no
 * duplicate keys, and every type and number checked.  Messages begin with `what`, the key. */

/* An object or array, to be freed with json_decref. */
OCT_MUST_CHECK oct_status oct_json_parse(const char *what, const char *text, json_type type,
                                         json_t **out);
/* ERR_FORMAT names a key of object that is not in known[], which ends with NULL. */
OCT_MUST_CHECK oct_status oct_json_known(const char *what, json_t *object,
                                         const char *const *known);
/* An integer from low to high into *out, which stays as it is if the key is absent. */
OCT_MUST_CHECK oct_status oct_json_int(const char *what, const json_t *object, const char *key,
                                       int low, int high, int *out);
/* A string, *out = NULL if the key is absent; valid as long as object. */
OCT_MUST_CHECK oct_status oct_json_string(const char *what, const json_t *object, const char *key,
                                          const char **out);
/* Sorted keys, no blanks, 15 digits: a float comes back exactly, 0.1 is "0.1". */
#define OCT_JSON_CANONICAL (JSON_SORT_KEYS | JSON_COMPACT | JSON_REAL_PRECISION(15))
/* Canonical.  Takes object (NULL: out of memory); *out is in the arena. */
OCT_MUST_CHECK oct_status oct_json_write(json_t *object, oct_arena *arena, const char **out);

/* octet.labels of the file, if it has them, into m->label; their number must be m->classes. */
OCT_MUST_CHECK oct_status oct_model_read_labels(oct_model *m);

#endif
