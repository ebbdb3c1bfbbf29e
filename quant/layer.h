#ifndef OCT_QUANT_LAYER_H
#define OCT_QUANT_LAYER_H

#include "graph/graph.h"
#include "quant/means.h"

/* One conv2d or linear node: its weights become S8 with a scale for each row, its bias S32 in units
 * of s_in s_w[o].  The constants it has are changed, a bias it lacks is new; data in arena. */
typedef struct oct_quantize_layer {
    oct_node *node;
    float s_in;                /* scale of x */
    const oct_means *means;    /* of x's channels, for bias correction; NULL or empty: none */
    oct_arena *arena;
} oct_quantize_layer;

OCT_MUST_CHECK oct_status oct_quantize_layer_run(const oct_quantize_layer *l);

#endif
