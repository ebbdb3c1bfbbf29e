#ifndef OCT_GRAPH_PASS_H
#define OCT_GRAPH_PASS_H

#include "graph/graph.h"

/* A pass changes the graph, never what it computes; it adds to *changes what it did. */
typedef oct_status oct_pass_fn(oct_graph *g, int *changes);

oct_pass_fn oct_pass_fold_bn; /* conv2d, linear + batchnorm -> weights' scale and bias */
oct_pass_fn oct_pass_fuse;    /* activation, add, flatten -> the producer or consumer's attr */
oct_pass_fn oct_pass_boundary; /* quantize, dequantize where dtypes meet: boundary.h */
oct_pass_fn oct_pass_dce;     /* sweeps dead nodes and nodes nobody reads */

typedef struct oct_pass {
    const char *name;         /* "fold_bn", for --passes and messages */
    oct_pass_fn *run;
} oct_pass;

/* Runs the passes in order; after each, oct_graph_verify.  changes[i], if not NULL, is what pass
 * i changed. */
OCT_MUST_CHECK oct_status oct_passes_run(oct_graph *g, const oct_pass *passes, int n, int *changes);

/* Keeps of passes[0..n) those named in list ("fold_bn,dce"; "none"; NULL: all), in the order of
 * passes; *kept of them.  ERR_UNSUPPORTED names an unknown one. */
OCT_MUST_CHECK oct_status oct_passes_select(const char *list, oct_pass *passes, int n, int *kept);

#endif
