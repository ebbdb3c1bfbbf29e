/* Put small operators into the big one beside them, so that their values are never written and
 * read again.  Each row of the table is a pair of nodes, the second being the only reader of the
 * first; nothing matches twice, so a row may rely on what it finds.
 *
 *   producer, activation   relu and relu6 are applied where the producer stores its result; a
 *                          linear takes any activation
 *   producer, add          the other operand becomes the producer's residual, if it has been
 *                          computed when the producer runs
 *   flatten, linear        linear reads the image as it lies; prepare permutes its weights
 *
 * The first two give the same bits: after its chain a producer adds bias, residual and applies the
 * activation, each one operation, and a + b = b + a.  The third adds in another order. */
#include <stddef.h>
#include <string.h>

#include "graph/pass.h"
#include "ops/attr.h"

/* Operators that can apply an activation themselves: their attr, the place of act in it. */
static const struct { size_t size, act; } fusable[OCT_OP_COUNT] = {
    [OCT_OP_CONV2D] = { sizeof(oct_conv2d_attr), offsetof(oct_conv2d_attr, act) },
    [OCT_OP_LINEAR] = { sizeof(oct_linear_attr), offsetof(oct_linear_attr, act) },
    [OCT_OP_ADD]    = { sizeof(oct_add_attr), offsetof(oct_add_attr, act) },
};

static oct_act act_of(const oct_node *node)
{
    oct_act act;
    memcpy(&act, (const char *)node->args.attr + fusable[node->kind].act, sizeof act);
    return act;
}

/* attr may be shared or constant: the node gets its own. */
static oct_status set_act(oct_graph *g, oct_node *node, oct_act act)
{
    char *attr = oct_arena_alloc(g->arena, fusable[node->kind].size);
    if (!attr) return oct_fail(OCT_ERR_MEMORY, "%.80s: out of memory", node->name);
    memcpy(attr, node->args.attr, fusable[node->kind].size);
    memcpy(attr + fusable[node->kind].act, &act, sizeof act);
    node->args.attr = attr;
    return OCT_OK;
}

/* y = act(producer) */
static oct_status fuse_activation(oct_graph *g, oct_node *first, oct_node *second, int *done)
{
    const oct_act act = ((const oct_activation_attr *)second->args.attr)->act;
    if (act_of(first) != OCT_ACT_NONE) return OCT_OK;
    if (act != OCT_ACT_RELU && act != OCT_ACT_RELU6 && first->kind != OCT_OP_LINEAR) return OCT_OK;
    OCT_TRY(set_act(g, first, act));
    oct_graph_bypass(g, second, OCT_ACTIVATION_X);
    *done = 1;
    return OCT_OK;
}

/* y = act(producer + other) */
static oct_status fuse_residual(oct_graph *g, oct_node *first, oct_node *second, int *done)
{
    _Static_assert((int)OCT_CONV2D_RESIDUAL == (int)OCT_LINEAR_RESIDUAL, "one place for both");
    const int operand = second->args.in[OCT_ADD_A] == first->args.out ? OCT_ADD_A : OCT_ADD_B;
    oct_tensor *other = second->args.in[OCT_ADD_A + OCT_ADD_B - operand];
    const oct_node *writer = oct_graph_writer(g, other);
    if (act_of(first) != OCT_ACT_NONE || first->args.in[OCT_CONV2D_RESIDUAL]) return OCT_OK;
    if (first->args.out->dtype == OCT_U8) return OCT_OK; /* it is rounded before it is added */
    if (other->data || (writer && writer > first)) return OCT_OK;
    OCT_TRY(set_act(g, first, act_of(second)));
    first->args.in[OCT_CONV2D_RESIDUAL] = other;
    oct_graph_bypass(g, second, operand);
    *done = 1;
    return OCT_OK;
}

/* y = W flatten(image) */
static oct_status fuse_flatten(oct_graph *g, oct_node *first, oct_node *second, int *done)
{
    if (first->args.in[OCT_FLATTEN_X]->layout != OCT_BLOCKED) return OCT_OK;
    if (second->args.in[OCT_LINEAR_X] != first->args.out) return OCT_OK;
    oct_graph_bypass(g, first, OCT_FLATTEN_X);
    *done = 1;
    return OCT_OK;
}

static const struct {
    oct_op_kind first, second;
    oct_status (*fuse)(oct_graph *g, oct_node *first, oct_node *second, int *done);
} patterns[] = {
    { OCT_OP_CONV2D,  OCT_OP_ACTIVATION, fuse_activation },
    { OCT_OP_LINEAR,  OCT_OP_ACTIVATION, fuse_activation },
    { OCT_OP_ADD,     OCT_OP_ACTIVATION, fuse_activation },
    { OCT_OP_CONV2D,  OCT_OP_ADD,        fuse_residual },
    { OCT_OP_LINEAR,  OCT_OP_ADD,        fuse_residual },
    { OCT_OP_FLATTEN, OCT_OP_LINEAR,     fuse_flatten },
};

static oct_status fuse_once(oct_graph *g, oct_node *node, int *done)
{
    oct_node *user = node->dead ? NULL : oct_graph_sole_user(g, node->args.out);
    *done = 0;
    for (size_t i = 0; user && !*done && i < sizeof patterns / sizeof *patterns; i++)
        if (node->kind == patterns[i].first && user->kind == patterns[i].second)
            OCT_TRY(patterns[i].fuse(g, node, user, done));
    return OCT_OK;
}

oct_status oct_pass_fuse(oct_graph *g, int *changes)
{
    for (int i = 0; i < g->n_nodes; i++)
        for (int done = 1; done; *changes += done) /* conv, then add, then relu after it */
            OCT_TRY(fuse_once(g, &g->node[i], &done));
    return OCT_OK;
}
