#include "quant/pass_dynamic.h"

#include "quant/table.h"

static oct_status quantize(oct_node *node, oct_arena *arena, int *changed)
{
    if (node->kind == OCT_OP_EMBEDDING) return oct_quantize_tables(node, arena, changed);
    *changed = oct_quantize_can(node);
    if (!*changed) return OCT_OK;
    return oct_quantize_layer_run(&(oct_quantize_layer){ .node = node, .arena = arena });
}

oct_status oct_pass_dynamic(oct_graph *g, oct_keep keep, int *changes)
{
    OCT_TRY(oct_keep_check(keep, g));
    for (int i = 0; i < g->n_nodes; i++) {
        oct_node *node = &g->node[i];
        int changed;
        if (node->dead || oct_keep_has(keep, node->name)) continue;
        OCT_TRY(quantize(node, g->arena, &changed));
        *changes += changed;
    }
    return oct_graph_verify(g);
}
