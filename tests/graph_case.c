#include "tests/graph_case.h"

#include <string.h>

#include "tensor/cpu.h"
#include "tests/suite.h"

static float any(void) { return (float)((int)(test_rand() % 2001) - 1000) / 1000; }

static void ok(oct_status status)
{
    ck_assert_msg(status == OCT_OK, "%s", oct_last_error());
}

void net_open(net *t)
{
    memset(t, 0, sizeof *t);
    t->g.arena = &t->arena;
}

void net_close(net *t) { oct_arena_free(&t->arena); }

oct_tensor *net_rows(net *t, int m, int k)
{
    const oct_tensor shape = { .dtype = OCT_F32, .rank = 2, .dim = { m, k } };
    oct_tensor *x;
    ok(oct_graph_input(&t->g, &shape, &x));
    return x;
}

static oct_tensor *add(net *t, oct_op_kind kind, const char *name, const void *attr, size_t size,
                       oct_tensor *const in[OCT_MAX_IN])
{
    oct_tensor *out = NULL;
    ok(oct_graph_add(&t->g, kind, name, attr, size, in, &out));
    return out;
}

oct_tensor *net_image(net *t, int n, int c, int h, int w)
{
    const oct_tensor shape = { .dtype = OCT_F32, .rank = 4, .dim = { n, c, h, w } };
    oct_tensor *x;
    ok(oct_graph_input(&t->g, &shape, &x));
    return add(t, OCT_OP_LAYOUT, "input", NULL, 0, (oct_tensor *[OCT_MAX_IN]){ x });
}

oct_tensor *net_constant(net *t, int rank, const int *dim)
{
    oct_tensor *c = oct_arena_zalloc(&t->arena, sizeof *c);
    ck_assert(c);
    *c = (oct_tensor){ .dtype = OCT_F32, .rank = rank };
    memcpy(c->dim, dim, (size_t)rank * sizeof *dim);
    float *data = oct_arena_alloc(&t->arena, oct_tensor_size(c));
    ck_assert(data);
    for (size_t i = 0; i < oct_tensor_count(c); i++) data[i] = any();
    c->data = data;
    return c;
}

oct_tensor *net_conv(net *t, const char *name, oct_tensor *x, int out, int k, int stride,
                     int groups, int bias)
{
    const oct_conv2d_attr attr = { .stride = { stride, stride }, .pad = { k / 2, k / 2 },
                                   .dilation = { 1, 1 }, .groups = groups };
    oct_tensor *w = net_constant(t, 4, (int[]){ out, x->dim[3] / groups, k, k });
    oct_tensor *b = bias ? net_constant(t, 1, &out) : NULL;
    return add(t, OCT_OP_CONV2D, name, &attr, sizeof attr, (oct_tensor *[OCT_MAX_IN]){ x, w, b });
}

oct_tensor *net_linear(net *t, const char *name, oct_tensor *x, int out)
{
    const oct_linear_attr attr = { .act = OCT_ACT_NONE };
    const int k = (int)oct_tensor_sample_count(x);
    oct_tensor *w = net_constant(t, 2, (int[]){ out, k }), *b = net_constant(t, 1, &out);
    return add(t, OCT_OP_LINEAR, name, &attr, sizeof attr, (oct_tensor *[OCT_MAX_IN]){ x, w, b });
}

oct_tensor *net_bn(net *t, const char *name, oct_tensor *x)
{
    const oct_batchnorm_attr attr = { .eps = 1e-5f };
    const int c = x->dim[x->rank - 1];
    oct_tensor *p[4];
    for (int i = 0; i < 4; i++) p[i] = net_constant(t, 1, &c);
    for (int i = 0; i < c; i++) ((float *)p[3]->data)[i] = .5f + (float)(test_rand() % 100) / 100;
    return add(t, OCT_OP_BATCHNORM, name, &attr, sizeof attr,
               (oct_tensor *[OCT_MAX_IN]){ x, p[0], p[1], p[2], p[3] });
}

oct_tensor *net_act(net *t, const char *name, oct_tensor *x, oct_act act)
{
    const oct_activation_attr attr = { .act = act };
    return add(t, OCT_OP_ACTIVATION, name, &attr, sizeof attr, (oct_tensor *[OCT_MAX_IN]){ x });
}

oct_tensor *net_add(net *t, const char *name, oct_tensor *a, oct_tensor *b)
{
    const oct_add_attr attr = { .act = OCT_ACT_NONE };
    return add(t, OCT_OP_ADD, name, &attr, sizeof attr, (oct_tensor *[OCT_MAX_IN]){ a, b });
}

oct_tensor *net_flatten(net *t, const char *name, oct_tensor *x)
{
    return add(t, OCT_OP_FLATTEN, name, NULL, 0, (oct_tensor *[OCT_MAX_IN]){ x });
}

oct_tensor *net_maxpool(net *t, const char *name, oct_tensor *x, int k)
{
    const oct_pool_attr attr = { .kind = OCT_POOL_MAX, .kernel = { k, k }, .stride = { k, k },
                                 .dilation = { 1, 1 }, .count_include_pad = 1 };
    return add(t, OCT_OP_POOL, name, &attr, sizeof attr, (oct_tensor *[OCT_MAX_IN]){ x });
}

void net_output(net *t, oct_tensor *value) { ok(oct_graph_output(&t->g, value)); }

const oct_node *net_node(const net *t, const char *name)
{
    for (int i = 0; i < t->g.n_nodes; i++)
        if (!t->g.node[i].dead && strcmp(t->g.node[i].name, name) == 0) return &t->g.node[i];
    return NULL;
}

int net_pass(net *t, oct_pass_fn *pass)
{
    int changes = 0;
    ok(pass(&t->g, &changes));
    ok(oct_graph_verify(&t->g));
    return changes;
}

static void alone(oct_pool *self, int n, oct_body *body, void *arg)
{
    (void)self;
    for (int i = n - 1; i >= 0; i--) body(arg, i, 0); /* backwards: any order must do */
}

const oct_step *net_step(const oct_plan *p, const char *name)
{
    for (int i = 0; i < p->n_steps; i++)
        if (strcmp(p->step[i].node->name, name) == 0) return &p->step[i];
    ck_abort_msg("no step %s", name);
    return NULL;
}

oct_pool *net_pool(void)
{
    static oct_pool pool = { 1, alone };
    return &pool;
}

oct_plan *net_plan(const net *t, int keep_values)
{
    const oct_plan_options options = { .cpu = oct_cpu_flags(), .threads = 1,
                                       .keep_values = keep_values };
    oct_plan *plan;
    ok(oct_plan_build(&t->g, &options, &plan));
    return plan;
}

size_t net_run_size(const net *t, int n)
{
    return (size_t)n * oct_tensor_sample_count(t->g.out[0]);
}

float *net_run(const net *t, int n, int keep_values)
{
    oct_plan *plan = net_plan(t, keep_values);
    const uint64_t seed = test_seed;
    test_seed = 1;
    for (int i = 0; i < plan->n_ins; i++)
        for (size_t k = 0; k < oct_tensor_count(&plan->in[i]); k++)
            ((float *)plan->in[i].data)[k] = any();
    test_seed = seed;
    oct_plan_run(plan, net_pool(), n, NULL, NULL);
    const size_t size = net_run_size(t, n) * sizeof(float);
    float *out = malloc(size);
    ck_assert(out);
    memcpy(out, plan->out[0].data, size);
    oct_plan_free(plan);
    return out;
}
