#ifndef OCT_GRAPH_GROUPS_H
#define OCT_GRAPH_GROUPS_H

#include "graph/graph.h"

/* Which output channels of convolutions and linear layers can be removed from a network, and what
 * goes with each: rows of weights, biases, batch norms, columns of whoever reads them.
 *
 * A channel is what can only go as a whole, the smallest set of entries with these ties:
 *
 *   conv2d, linear      output o is row o of the weight and entry o of the bias, input i column i
 *   batchnorm           entry c of all its vectors
 *   activation, pool, first                 channel c of y is channel c of x
 *   flatten             features c H W to c H W + H W - 1 of y are channel c of x
 *   add, residual       channel c of a, of b and of y are one: blocks of a stage and its downsample
 *   attention           the columns of a head in q, k, v and y are one
 *
 * A group is the channels of the outputs that are tied to one another, a stage's or a layer's.
 * What stays as it is: inputs and outputs of the network, inputs and outputs of convolutions in
 * groups, of pad (an option-A shortcut puts zeros beside its channels, and how many before and
 * behind is not in the tensors), and of all other operators: a layernorm's mean is over all its
 * channels, so the stream of an encoder stays.  All this is channel 0 of group 0.
 *
 * The graph may be as built or fused (conv2d and linear with a residual, linear on an image). */
typedef enum oct_group_kind {
    OCT_GROUP_FIXED,        /* group 0 */
    OCT_GROUP_NEURON,       /* of linear layers only */
    OCT_GROUP_CHANNEL,      /* of a convolution, too */
    OCT_GROUP_HEAD          /* its channels are heads of attention */
} oct_group_kind;

/* Entry p of dimension dim of a constant is part of channel[first + p / repeat]. */
typedef struct oct_group_axis {
    const oct_tensor *constant;
    int dim;
    int first, repeat;
} oct_group_axis;

typedef struct oct_groups {
    oct_group_kind *kind;   /* [n_groups] */
    int n_groups;
    int *group;             /* [n_channels] of each channel; channels in the order they are made */
    int n_channels;
    int *channel;           /* [n_outputs] of each output of a layer; 0 is [0] */
    int n_outputs;
    oct_group_axis *axis;   /* [n_axes] of all constants that some channel has a part of */
    int n_axes;
} oct_groups;

/* Everything in arena.  Fails for want of memory only. */
OCT_MUST_CHECK oct_status oct_groups_find(const oct_graph *g, oct_arena *arena, oct_groups *out);

/* An output channel's own weights: rows of a conv2d's or linear's weight. */
static inline int oct_group_axis_makes(const oct_group_axis *a)
{
    return a->dim == 0 && a->constant->rank > 1;
}

#endif
