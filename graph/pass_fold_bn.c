/* Fold a batch normalization into the convolution or linear layer before it.
 *
 *   y = gamma (Wx + b - mean) / sqrt(var + eps) + beta
 *     = (g W) x + g (b - mean) + beta             g = gamma / sqrt(var + eps)
 *
 * Exact in real numbers; runs in fp32, before quantization.  Weights are [out, ...], so row o is
 * scaled by g[o] whatever the operator and its groups.  Loaded weights are read-only: the node gets
 * another description of the same data with scale[o] = g[o], which the packer multiplies in, and a
 * new bias.  g and the bias are computed in double and rounded to float once.
 * Nothing else may read Wx + b, and no activation or residual may stand between. */
#include <math.h>

#include "graph/pass.h"
#include "ops/attr.h"

/* Both operators have the same operands. */
enum { X = OCT_CONV2D_X, W = OCT_CONV2D_W, BIAS = OCT_CONV2D_BIAS, RESIDUAL = OCT_CONV2D_RESIDUAL };
_Static_assert(X == (int)OCT_LINEAR_X && W == (int)OCT_LINEAR_W && BIAS == (int)OCT_LINEAR_BIAS &&
               RESIDUAL == (int)OCT_LINEAR_RESIDUAL, "operands of linear");

static oct_act act_of(const oct_node *node)
{
    return node->kind == OCT_OP_CONV2D ? ((const oct_conv2d_attr *)node->args.attr)->act
                                       : ((const oct_linear_attr *)node->args.attr)->act;
}

static int producer(const oct_node *node)
{
    if (node->dead || (node->kind != OCT_OP_CONV2D && node->kind != OCT_OP_LINEAR)) return 0;
    return node->args.in[W]->data && !node->args.in[RESIDUAL] && act_of(node) == OCT_ACT_NONE;
}

static float entry(const oct_tensor *t, int o, float absent)
{
    if (t) oct_tensor_read_f32(t, (size_t)o, 1, &absent);
    return absent;
}

/* scale[o], bias[o] of the rows; ERR_FORMAT for a variance that has no square root */
static oct_status fold_rows(const oct_args *lin, const oct_node *bn, float *scale, float *bias)
{
    const oct_tensor *w = lin->in[W];
    oct_tensor *const *in = bn->args.in;
    const double eps = (double)((const oct_batchnorm_attr *)bn->args.attr)->eps;
    for (int o = 0; o < w->dim[0]; o++) {
        const double var = (double)entry(in[OCT_BATCHNORM_VAR], o, 1);
        if (!(var + eps > 0))
            return oct_fail(OCT_ERR_FORMAT, "%.80s: variance %d is %g", bn->name, o, var);
        const double g = (double)entry(in[OCT_BATCHNORM_GAMMA], o, 1) / sqrt(var + eps);
        const double b = (double)entry(lin->in[BIAS], o, 0);
        const double shifted = b - (double)entry(in[OCT_BATCHNORM_MEAN], o, 0);
        scale[o] = (float)(w->scale ? g * (double)w->scale[o] : g);
        bias[o] = (float)(g * shifted + (double)entry(in[OCT_BATCHNORM_BETA], o, 0));
    }
    return OCT_OK;
}

static oct_status fold(oct_graph *g, oct_node *lin, const oct_node *bn)
{
    const oct_tensor *w = lin->args.in[W];
    const int n = w->dim[0];
    oct_tensor *w2 = oct_arena_alloc(g->arena, sizeof *w2);
    oct_tensor *b2 = oct_arena_alloc(g->arena, sizeof *b2);
    float *scale = oct_arena_alloc(g->arena, (size_t)n * sizeof *scale);
    float *bias = oct_arena_alloc(g->arena, (size_t)n * sizeof *bias);
    if (!w2 || !b2 || !scale || !bias)
        return oct_fail(OCT_ERR_MEMORY, "%.80s: out of memory", bn->name);

    OCT_TRY(fold_rows(&lin->args, bn, scale, bias));
    *w2 = *w;
    w2->scale = scale;
    *b2 = (oct_tensor){ .dtype = OCT_F32, .rank = 1, .dim = { n }, .data = bias };
    lin->args.in[W] = w2;
    lin->args.in[BIAS] = b2;
    return OCT_OK;
}

/* The batch norm that alone reads lin, or NULL. */
static oct_node *follower(const oct_graph *g, const oct_node *lin)
{
    oct_node *bn = producer(lin) ? oct_graph_sole_user(g, lin->args.out) : NULL;
    if (!bn || bn->kind != OCT_OP_BATCHNORM) return NULL;
    return bn->args.in[OCT_BATCHNORM_X] == lin->args.out ? bn : NULL;
}

oct_status oct_pass_fold_bn(oct_graph *g, int *changes)
{
    for (int i = 0; i < g->n_nodes; i++)
        for (oct_node *bn; (bn = follower(g, &g->node[i])); ++*changes) {
            OCT_TRY(fold(g, &g->node[i], bn));
            oct_graph_bypass(g, bn, OCT_BATCHNORM_X);
        }
    return OCT_OK;
}
