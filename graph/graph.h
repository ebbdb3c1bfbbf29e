#ifndef OCT_GRAPH_GRAPH_H
#define OCT_GRAPH_GRAPH_H

#include <stdio.h>

#include "ops/op.h"

typedef struct oct_node {
    oct_op_kind kind;
    oct_args args;
    const char *name;      /* "layer1.0.conv1", for messages and dumps */
    int dead;              /* swept by pass_dce */
} oct_node;

/* Nodes in execution order; a value is the oct_tensor one node writes, or an input.  Constants
 * (weights) are oct_tensors with data.  Everything lives in arena. */
typedef struct oct_graph {
    oct_node *node;
    int n_nodes, max_nodes;
    oct_tensor **in;       /* what the caller writes before run */
    int n_ins;
    oct_tensor **out;      /* what the caller reads after run */
    int n_outs;
    oct_tensor *starts;    /* the input that says where texts begin (ops/attr.h); NULL: no texts */
    oct_arena *arena;
} oct_graph;

/* Building.  attr is copied (attr_size bytes; NULL if the operator has none), name too.  in[] ends
 * with OCT_MAX_IN entries or is filled up with NULL by the compound literal.  *out is the value
 * the node writes, its shape inferred; on failure the message names the node. */
OCT_MUST_CHECK oct_status oct_graph_input(oct_graph *g, const oct_tensor *shape, oct_tensor **out);
OCT_MUST_CHECK oct_status oct_graph_add(oct_graph *g, oct_op_kind kind, const char *name,
                                        const void *attr, size_t attr_size,
                                        oct_tensor *const in[OCT_MAX_IN], oct_tensor **out);
OCT_MUST_CHECK oct_status oct_graph_output(oct_graph *g, oct_tensor *value);

/* Every live node: operands written before (or constant, or input), infer() agrees with the
 * recorded shape, outputs exist. */
OCT_MUST_CHECK oct_status oct_graph_verify(const oct_graph *g);

/* graph/dump.c.  One line a node: name, op, attr, operands' shapes -> shape. */
void oct_graph_dump(const oct_graph *g, FILE *to);
/* "conv2d 3x3 s2 p1 +add +relu" into buf, always terminated; returns buf. */
const char *oct_node_text(const oct_node *node, char *buf, size_t size);

/* The one live node that reads value, once; NULL if none, several, or the caller reads it. */
oct_node *oct_graph_sole_user(const oct_graph *g, const oct_tensor *value);
/* The live node that writes value; NULL for inputs and constants. */
oct_node *oct_graph_writer(const oct_graph *g, const oct_tensor *value);

/* The last message says what does not fit; this puts "NAME: " in front of it. */
oct_status oct_graph_fail(oct_status status, const char *name);

/* Whoever read node's output, the caller included, reads its operand instead; node is dead. */
void oct_graph_bypass(oct_graph *g, oct_node *node, int operand);

#endif
