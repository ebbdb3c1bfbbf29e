/* The CUDA backend as tests/test_cuda.c runs it: FP32 islands among halves, and what it tells of a
 * run. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "models/ranges.h"
#include "tests/cuda_case.h"
#include "tests/graph_case.h"

enum { MAX_WIDE = 16 };

static void fill(oct_tensor *x)
{
    float *v = x->data;
    test_seed = 3;
    for (size_t i = 0; i < oct_tensor_count(x); i++) v[i] = (float)(int32_t)test_rand() * 0x1p-30f;
}

/* The weights and the bias of a node times x. */
static void scale(const net *t, const char *name, float x)
{
    const oct_node *node = net_node(t, name);
    for (int k = OCT_CONV2D_W; k <= OCT_CONV2D_BIAS; k++) {
        float *v = node->args.in[k]->data;
        for (size_t i = 0; i < oct_tensor_count(node->args.in[k]); i++) v[i] *= x;
    }
}

/* Large values in the middle: a sum of one and one that is not, and two ways out of it. */
static void build_images(net *t, int fused)
{
    net_open(t);
    test_seed = 5;
    oct_tensor *in = net_image(t, 2, 5, 9, 8);
    oct_tensor *a = net_conv(t, "big", in, 70, 3, 1, 1, 1);
    oct_tensor *b = net_conv(t, "small", in, 70, 1, 1, 1, 1);
    oct_tensor *x = net_act(t, "relu", net_add(t, "sum", a, b), OCT_ACT_RELU);
    x = net_conv(t, "back", net_maxpool(t, "pool", x, 2), 12, 3, 1, 1, 1);
    x = net_add(t, "join", x, net_conv(t, "skip", net_maxpool(t, "pool2", b, 2), 12, 1, 1, 1, 1));
    net_output(t, net_linear(t, "fc", net_flatten(t, "flat", x), 6));
    scale(t, "big", 0x1p14f);
    scale(t, "back", 0x1p-16f);
    if (fused) net_pass(t, oct_pass_fuse);
    if (fused) net_pass(t, oct_pass_dce);
}

/* Attention among large values: qkv, what comes of it, and a way back. */
static void build_texts(net *t, int per_text)
{
    enum { TOKENS = 40, D = 16 };
    const oct_tensor texts = { .dtype = OCT_S32, .rank = 1, .dim = { 4 } };
    const oct_attention_attr attr = { 2, TOKENS };
    oct_tensor *starts, *q = NULL, *x, *y;
    net_open(t);
    test_seed = 6;
    x = net_linear(t, "first", net_rows(t, TOKENS, 3 * D), 3 * D);
    ck_assert_int_eq(oct_graph_input(&t->g, &texts, &starts), OCT_OK);
    t->g.starts = starts;
    x = net_linear(t, "qkv", x, per_text ? 2 * D : 3 * D);
    if (per_text) {
        ck_assert_int_eq(oct_graph_add(&t->g, OCT_OP_FIRST, "one", NULL, 0,
                                       (oct_tensor *[OCT_MAX_IN]){ x, starts }, &q), OCT_OK);
        q = net_linear(t, "q", q, D);
    }
    ck_assert_msg(oct_graph_add(&t->g, OCT_OP_ATTENTION, "attention", &attr, sizeof attr,
                                (oct_tensor *[OCT_MAX_IN]){ x, starts, q }, &y) == OCT_OK, "%s",
                  oct_last_error());
    y = net_linear(t, "proj", y, D);
    net_output(t, net_linear(t, "last", y, 5));
    scale(t, "qkv", 0x1p13f);
    if (per_text) scale(t, "q", 0x1p-10f);
    scale(t, "proj", 0x1p-13f);
}

static oct_plan *make(const net *t, oct_plan_options o)
{
    static const int32_t starts[] = { 0, 1, 20, 40 };
    oct_plan *p;
    o.threads = 1;
    ck_assert_msg(oct_plan_build(&t->g, &o, &p) == OCT_OK, "%s", oct_last_error());
    fill(&p->in[0]);
    if (p->starts) memcpy(p->in[1].data, starts, sizeof starts);
    return p;
}

/* The nodes that FP32 on the CPU says are wide; its output stays in p. */
static int find_wide(oct_plan *p, const char *wide[MAX_WIDE])
{
    int n = 0;
    ck_assert_int_eq(oct_plan_run_all(p, net_pool(), oct_plan_batch(p)), OCT_OK);
    for (int i = 0; i < p->n_steps; i++) {
        ck_assert(!p->watched[i].nan && !p->watched[i].infinite && p->watched[i].most > 0);
        if (p->watched[i].most >= OCT_RANGES_WIDE) wide[n++] = p->step[i].node->name;
    }
    return n;
}

/* Each step rounds twice: weights, values. */
static void compare(const oct_plan *cpu, const oct_plan *gpu)
{
    const float *want = cpu->out[0].data, *got = gpu->out[0].data;
    const size_t n = (size_t)oct_plan_batch(cpu) * oct_tensor_sample_count(&cpu->out[0]);
    float most = 0, off = 0;
    for (size_t i = 0; i < n; i++) {
        most = fmaxf(most, fabsf(want[i]));
        off = fmaxf(off, fabsf(want[i] - got[i]));
        ck_assert(isfinite(got[i]));
    }
    ck_assert_msg(off > 0 && off <= most * (float)cpu->n_steps * 0x1p-10f, "%g of %g", (double)off,
                  (double)most);
}

static const oct_plan_options on_gpu = { .backend = &oct_backend_cuda, .floats = OCT_F16 };

static void check_islands(const net *t, int expected)
{
    const char *wide[MAX_WIDE];
    oct_plan_options o = on_gpu;
    oct_plan *cpu = make(t, (oct_plan_options){ .watch = 1 });
    const int n = find_wide(cpu, wide);
    ck_assert_int_eq(n, expected);
    oct_plan *gpu = make(t, o);
    ck_assert_int_eq(oct_plan_run_all(gpu, NULL, oct_plan_batch(gpu)), OCT_ERR_DEVICE);
    oct_plan_free(gpu);
    o.wide = wide;
    o.n_wide = n;
    gpu = make(t, o);
    ck_assert_msg(oct_plan_run_all(gpu, NULL, oct_plan_batch(gpu)) == OCT_OK, "%s",
                  oct_last_error());
    compare(cpu, gpu);
    for (int i = 0; i < n; i++) {
        const oct_step *s = net_step(gpu, wide[i]);
        if (s->macs > 0 && s->node->kind != OCT_OP_ATTENTION)
            ck_assert_str_eq(s->kernel, "conv2d_f32/cuda");
    }
    oct_plan_free(gpu);
    o.watch = 1; /* all are finite */
    gpu = make(t, o);
    ck_assert_int_eq(oct_plan_run_all(gpu, NULL, oct_plan_batch(gpu)), OCT_OK);
    for (int i = 0; i < gpu->n_steps; i++)
        ck_assert(!gpu->watched[i].nan && !gpu->watched[i].infinite);
    oct_plan_free(gpu);
    oct_plan_free(cpu);
}

START_TEST(large_values_of_images_are_islands)
{
    net t;
    build_images(&t, _i);
    const oct_plan_options o = on_gpu;
    oct_plan *gpu = make(&t, o);
    ck_assert_str_eq(net_step(gpu, "skip")->kernel, "conv2d_f16_64x64/cuda");
    oct_plan_free(gpu);
    check_islands(&t, _i ? 3 : 4); /* big, sum, relu, pool; or big, small, pool */
    net_close(&t);
}
END_TEST

START_TEST(large_values_of_texts_are_islands)
{
    net t;
    build_texts(&t, _i);
    check_islands(&t, _i ? 3 : 2); /* qkv, attention; one */
    net_close(&t);
}
END_TEST

/* NaN and what is infinite, or becomes so as half. */
START_TEST(what_is_not_finite_is_counted)
{
    static const struct { oct_plan_options o; long long infinite; } cases[] = {
        { { .watch = 1 }, 1 },
        { { .watch = 1, .backend = &oct_backend_cuda, .floats = OCT_F32 }, 1 },
        { { .watch = 1, .backend = &oct_backend_cuda, .floats = OCT_F16 }, 2 },
    };
    net t;
    net_open(&t);
    oct_tensor *x = net_act(&t, "relu", net_rows(&t, 3, 5), OCT_ACT_RELU);
    net_output(&t, net_act(&t, "again", x, OCT_ACT_RELU));
    oct_plan *p = make(&t, cases[_i].o);
    float *in = p->in[0].data;
    for (int i = 0; i < 15; i++) in[i] = 1;
    in[3] = NAN;
    in[7] = INFINITY;
    in[8] = 1e6f;
    in[9] = -1e9f;
    in[14] = NAN; /* of a sample that is not run */
    for (int run = 1; run <= 2; run++) {
        ck_assert_int_eq(oct_plan_run_all(p, net_pool(), 2), OCT_OK);
        for (int i = 0; i < 2; i++) {
            ck_assert_int_eq(p->watched[i].nan, run);
            ck_assert_int_eq(p->watched[i].infinite, run * cases[_i].infinite);
            if (!cases[_i].o.backend) ck_assert(p->watched[i].most == 1e6f);
        }
    }
    oct_plan_free(p);
    net_close(&t);
}
END_TEST

/* Every launch belongs to the step that made it, but for those that give the outputs back. */
START_TEST(time_is_told_step_by_step)
{
    net t;
    build_images(&t, 1);
    const char *wide[] = { "pool" }; /* read by one */
    oct_plan_options o = on_gpu;
    o.wide = wide;
    o.n_wide = 1;
    oct_plan *p = make(&t, o);
    float *ms = calloc((size_t)p->n_steps, sizeof *ms), all = 0;
    ck_assert_int_eq(p->backend->time(p->device, 2, 0, ms), OCT_OK);
    for (int i = 0; i < p->n_steps; i++) {
        ck_assert(ms[i] > 0);
        all += ms[i];
    }
#ifndef OCT_CUDA_DEVICE
    /* launch i of the fake device takes i + 1 ms; what pool reads and what back writes is
     * converted, and the last launch, which gives the output back, is no step of the plan */
    int launches = 0;
    while (all > 0) all -= (float)++launches;
    ck_assert_msg(all == 0 && launches == p->n_steps + 2, "%d launches of %d steps", launches,
                  p->n_steps);
#endif
    ck_assert(p->backend->peaks(p->device).fp16 > 0);
    free(ms);
    oct_plan_free(p);
    net_close(&t);
}
END_TEST

int main(void)
{
    const suite_loop loops[] = {
        { large_values_of_images_are_islands, 2 },
        { large_values_of_texts_are_islands, 2 },
        { what_is_not_finite_is_counted, 3 },
        { time_is_told_step_by_step, 1 },
    };
    if (cuda_case_skipped()) return TEST_SKIP;
    return suite_run_loops("cuda_islands", loops, sizeof loops / sizeof *loops);
}
