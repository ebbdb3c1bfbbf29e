#include "graph/graph.h"


#include "ops/attr.h"
#include "tensor/text.h"

/* " s2", " p1x0": two numbers, once if they are equal, not at all if both are the usual one */
static void put_pair(oct_text *t, char letter, const int *pair, int usual)
{
    if (pair[0] == usual && pair[1] == usual) return;
    oct_text_put(t, " %c%d", letter, pair[0]);
    if (pair[1] != pair[0]) oct_text_put(t, "x%d", pair[1]);
}

static void put_act(oct_text *t, oct_act act)
{
    if (act != OCT_ACT_NONE) oct_text_put(t, " +%s", oct_act_name(act));
}

static void put_conv2d(oct_text *t, const oct_args *args)
{
    const oct_conv2d_attr *a = args->attr;
    const oct_tensor *w = args->in[OCT_CONV2D_W];
    oct_text_put(t, "conv2d %dx%d", w->dim[2], w->dim[3]);
    put_pair(t, 's', a->stride, 1);
    put_pair(t, 'p', a->pad, 0);
    put_pair(t, 'd', a->dilation, 1);
    if (a->groups != 1) oct_text_put(t, " g%d", a->groups);
    if (args->in[OCT_CONV2D_RESIDUAL]) oct_text_put(t, " +add");
    put_act(t, a->act);
}

static void put_linear(oct_text *t, const oct_args *args)
{
    oct_text_put(t, "linear%s", args->in[OCT_LINEAR_RESIDUAL] ? " +add" : "");
    put_act(t, ((const oct_linear_attr *)args->attr)->act);
}

static void put_pool(oct_text *t, const oct_args *args)
{
    const oct_pool_attr *a = args->attr;
    if (a->kind == OCT_POOL_ADAPTIVE_AVG) {
        oct_text_put(t, "avgpool to %dx%d", a->out[0], a->out[1]);
        return;
    }
    oct_text_put(t, "%s %dx%d", a->kind == OCT_POOL_MAX ? "maxpool" : "avgpool", a->kernel[0],
                 a->kernel[1]);
    put_pair(t, 's', a->stride, 0);
    put_pair(t, 'p', a->pad, 0);
    put_pair(t, 'd', a->dilation, 1);
}

static void put_pad(oct_text *t, const oct_args *args)
{
    const oct_pad_attr *a = args->attr;
    oct_text_put(t, "pad");
    put_pair(t, 's', a->stride, 1);
    oct_text_put(t, " c%d+%d", a->before, a->after);
}

const char *oct_node_text(const oct_node *node, char *buf, size_t size)
{
    oct_text t = { buf, size };
    switch (node->kind) {
    case OCT_OP_CONV2D: put_conv2d(&t, &node->args); break;
    case OCT_OP_LINEAR: put_linear(&t, &node->args); break;
    case OCT_OP_POOL:   put_pool(&t, &node->args); break;
    case OCT_OP_PAD:    put_pad(&t, &node->args); break;
    case OCT_OP_ACTIVATION:
        oct_text_put(&t, "%s", oct_act_name(((const oct_activation_attr *)node->args.attr)->act));
        break;
    case OCT_OP_ADD:
        oct_text_put(&t, "add");
        put_act(&t, ((const oct_add_attr *)node->args.attr)->act);
        break;
    case OCT_OP_ATTENTION:
        oct_text_put(&t, "attention %d heads%s",
                     ((const oct_attention_attr *)node->args.attr)->heads,
                     node->args.in[OCT_ATTENTION_Q] ? " 1 query" : "");
        break;
    default: oct_text_put(&t, "%s", oct_ops[node->kind]->name); break;
    }
    return buf;
}

static void dump_node(const oct_node *node, FILE *to)
{
    char shape[96], what[96];
    fprintf(to, "%.80s: %s", node->name, oct_node_text(node, what, sizeof what));
    for (int k = 0; k < OCT_MAX_IN; k++) {
        const oct_tensor *in = node->args.in[k];
        if (!in) continue;
        fprintf(to, " %s%s", in->data ? "const" : "", oct_tensor_shape(in, shape, sizeof shape));
    }
    fprintf(to, " -> %s%s\n", oct_tensor_shape(node->args.out, shape, sizeof shape),
            node->dead ? " (dead)" : "");
}

void oct_graph_dump(const oct_graph *g, FILE *to)
{
    for (int i = 0; i < g->n_nodes; i++) dump_node(&g->node[i], to);
}
