#ifndef OCT_QUANT_LAYER_H
#define OCT_QUANT_LAYER_H

#include "graph/graph.h"
#include "quant/means.h"

/* A conv2d or linear node that can become integers: its weights are there, are none yet, and no sum
 * has more products than gemm_s8 allows. */
int oct_quantize_can(const oct_node *node);

/* Names of nodes that stay FP32. */
typedef struct oct_keep {
    const char *const *name;   /* [n] */
    int n;
} oct_keep;
int oct_keep_has(oct_keep keep, const char *name);
/* ERR_UNSUPPORTED if one of them is not in the graph. */
OCT_MUST_CHECK oct_status oct_keep_check(oct_keep keep, const oct_graph *g);

/* One conv2d or linear node: its weights become S8 with a scale for each row, its bias S32 in units
 * of s_in s_w[o], or F32 where s_in is 0.  The constants it has are changed, a bias it lacks is
 * new; data in arena.  ERR_UNSUPPORTED if one of them is not finite. */
typedef struct oct_quantize_layer {
    oct_node *node;
    float s_in;                /* scale of x; 0: x is FP32 and quantized at run time */
    const oct_means *means;    /* of x's channels, for bias correction; NULL or empty: none */
    const float *by;           /* [k] of a linear: x is multiplied by it, w divided; or NULL */
    oct_arena *arena;
} oct_quantize_layer;

OCT_MUST_CHECK oct_status oct_quantize_layer_run(const oct_quantize_layer *l);

#endif
