#ifndef OCT_GRAPH_BOUNDARY_H
#define OCT_GRAPH_BOUNDARY_H

#include "graph/graph.h"
#include "ops/attr.h"

/* How FP32 value t is to be quantized where an operator reads it as U8; by: a constant, the
 * quantize node's operand, or NULL. */
typedef struct oct_boundary_how {
    oct_quant quant;
    oct_tensor *by;
} oct_boundary_how;
typedef oct_status oct_boundary_ask(void *arg, const oct_tensor *t, oct_boundary_how *out);

/* Inserts quantize and dequantize where an operand is not of the dtype its node takes, one a value,
 * before its first reader; infers every node anew, in order, so that dtypes follow from the attrs.
 * Outputs of the graph become FP32.  ask NULL: an FP32 x of S8 weights stays, to be quantized at
 * run time; any other FP32 operand where U8 is taken is an error. */
OCT_MUST_CHECK oct_status oct_graph_boundary(oct_graph *g, oct_boundary_ask *ask, void *arg,
                                             int *changes);

/* 1: operand k of node is read as U8. */
int oct_boundary_takes_u8(const oct_node *node, int k);

#endif
