#include "quant/pass_dynamic.h"

oct_status oct_pass_dynamic(oct_graph *g, oct_keep keep, int *changes)
{
    OCT_TRY(oct_keep_check(keep, g));
    for (int i = 0; i < g->n_nodes; i++) {
        oct_node *node = &g->node[i];
        if (!oct_quantize_can(node) || oct_keep_has(keep, node->name)) continue;
        OCT_TRY(oct_quantize_layer_run(&(oct_quantize_layer){ .node = node, .arena = g->arena }));
        ++*changes;
    }
    return oct_graph_verify(g);
}
