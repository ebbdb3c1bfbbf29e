#ifndef OCT_MODELS_SAVE_META_H
#define OCT_MODELS_SAVE_META_H

#include "models/metadata.h"
#include "models/model.h"

/* The metadata of a model file that octet writes: octet.format, arch, input, labels and origin,
 * what the writer adds, and every key of the source that is none of these, nor octet.ranges: they
 * are of the source's weights (models/ranges.h). */
typedef struct oct_save_info {
    const char *recipe;         /* octet.input, or NULL */
    char *const *label;         /* [classes], or NULL */
    const char *command;        /* for octet.origin: options that change the result */
    const char *vocab;          /* [vocab_size] of octet.vocab, a text model's; or NULL */
    size_t vocab_size;
} oct_save_info;

/* own: [n_own] of the writer; an entry without value keeps the source's key out.  *out is in the
 * arena. */
OCT_MUST_CHECK oct_status oct_save_meta_make(const oct_model *m, const oct_save_info *info,
                                             const oct_save_meta *own, int n_own,
                                             oct_arena *arena, oct_save_meta **out, int *n);

/* For JSON that is built up: NULL anywhere is out of memory, and makes everything above it NULL.
 * Both take list or object and value over, whatever happens; so does jansson, NULL included. */
json_t *oct_json_append(json_t *list, json_t *value);
json_t *oct_json_put(json_t *object, const char *key, json_t *value);

#endif
