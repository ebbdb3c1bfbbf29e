#ifndef OCT_MODELS_LAYERS_H
#define OCT_MODELS_LAYERS_H

#include "tensor/arena.h"

/* The layer line of a cnn: words with blanks between, applied in order.  A word is a name, then
 * perhaps a colon and numbers with letters: kernel size (of a pool, no letter, first), s stride,
 * p padding, d dilation, g groups.  "conv1:p1s2" "maxpool:3s2p1" "relu"
 *
 *   line = word *(blank word)      word = name [":" [number] *(letter number)]
 *
 * The line is hostile: at most OCT_LAYERS_MAX words of 200 bytes without control bytes, numbers
 * up to 65535, each letter once, only padding may be zero. */
enum { OCT_LAYERS_MAX = 2000 };

typedef enum oct_layer_option {
    OCT_LAYER_KERNEL, OCT_LAYER_STRIDE, OCT_LAYER_PAD, OCT_LAYER_DILATION, OCT_LAYER_GROUPS,
    OCT_LAYER_OPTIONS
} oct_layer_option;

typedef struct oct_layer {
    const char *word;              /* "conv1:p1s2" */
    const char *name;              /* "conv1" */
    int position;                  /* in the line, from 1 */
    int option[OCT_LAYER_OPTIONS]; /* -1: not given */
} oct_layer;

/* (*out)[0 .. *n) in the arena, n >= 1; ERR_FORMAT "layers: word 5 'conv1:q2': ..." */
OCT_MUST_CHECK oct_status oct_layers_parse(const char *line, oct_arena *arena,
                                           oct_layer **out, int *n);

/* The number given, or usual. */
static inline int oct_layer_get(const oct_layer *l, oct_layer_option option, int usual)
{
    return l->option[option] < 0 ? usual : l->option[option];
}

/* ERR_FORMAT if an option was given that is not in takes, "kspdg" being all of them. */
OCT_MUST_CHECK oct_status oct_layer_takes(const oct_layer *l, const char *takes);

#endif
