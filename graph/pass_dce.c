/* Sweep nodes that other passes left dead, and nodes whose output nobody reads, neither a later
 * node nor the caller; then nobody reads their operands either, so from the last to the first.
 * The nodes that stay keep their order and move together: pointers to nodes do not outlive it. */
#include "graph/pass.h"

static int read_later(const oct_graph *g, int i)
{
    const oct_tensor *value = g->node[i].args.out;
    for (int k = 0; k < g->n_outs; k++)
        if (g->out[k] == value) return 1;
    for (int j = i + 1; j < g->n_nodes; j++)
        for (int k = 0; k < OCT_MAX_IN && !g->node[j].dead; k++)
            if (g->node[j].args.in[k] == value) return 1;
    return 0;
}

oct_status oct_pass_dce(oct_graph *g, int *changes)
{
    for (int i = g->n_nodes - 1; i >= 0; i--)
        if (!g->node[i].dead && !read_later(g, i)) g->node[i].dead = 1;
    int kept = 0;
    for (int i = 0; i < g->n_nodes; i++)
        if (!g->node[i].dead) g->node[kept++] = g->node[i];
    *changes += g->n_nodes - kept;
    g->n_nodes = kept;
    return OCT_OK;
}
