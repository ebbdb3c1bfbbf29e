#ifndef OCT_MODELS_CNN_INPUT_H
#define OCT_MODELS_CNN_INPUT_H

#include "models/layers.h"
#include "models/metadata.h"

/* Elements of any value of one sample: 256 MiB.  A line over a small file cannot ask for more. */
enum { OCT_MAX_SAMPLE = 1 << 26 };

/* The shape of one sample of a cnn: dim[0 .. *rank) is [c, h, w] or [features].  It is "input" of
 * the arch; the caller's height and width go before it; where it is missing the channels are what
 * the first module takes. */
OCT_MUST_CHECK oct_status oct_cnn_input(const oct_model *m, const json_t *arch,
                                        const oct_layer *layer, int n, const oct_options *options,
                                        int dim[3], int *rank);

#endif
