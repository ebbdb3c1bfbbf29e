/* graph/plan.c, plan_memory.c, plan_dump.c, run.c: places by lifetime, constants let go, runs. */
#include <string.h>

#include "tests/fail_alloc.h"
#include "tests/graph_case.h"
#include "tests/suite.h"

enum { MAX = 40 };

static size_t footprint(size_t size) { return (size + 63) / 64 * 64 + 64; }

/* At every step, what lives then and its tails must fit: no plan can be smaller. */
static size_t lower_bound(const oct_lifetime *v, int n, int steps)
{
    size_t most = 0;
    for (int s = 0; s <= steps; s++) {
        size_t sum = 0;
        for (int i = 0; i < n; i++)
            if (v[i].first <= s && s <= v[i].last) sum += footprint(v[i].size);
        if (most < sum) most = sum;
    }
    return most;
}

static void check_places(const oct_lifetime *v, int n, size_t size)
{
    for (int i = 0; i < n; i++) {
        ck_assert_uint_eq(v[i].offset % 64, 0);
        ck_assert_uint_le(v[i].offset + v[i].size + 64, size);
        for (int k = 0; k < i; k++) {
            const int meet = v[i].first <= v[k].last && v[k].first <= v[i].last;
            const int apart = v[i].offset + v[i].size + 64 <= v[k].offset ||
                              v[k].offset + v[k].size + 64 <= v[i].offset;
            ck_assert_msg(!meet || apart, "%d [%zu, +%zu) and %d [%zu, +%zu) overlap", i,
                          v[i].offset, v[i].size, k, v[k].offset, v[k].size);
        }
    }
}

START_TEST(random_lifetimes_never_overlap)
{
    for (int round = 0; round < 2000; round++) {
        oct_lifetime v[MAX];
        const int n = 1 + (int)(test_rand() % MAX), steps = 1 + (int)(test_rand() % 30);
        size_t all = 0;
        for (int i = 0; i < n; i++) {
            const int a = (int)(test_rand() % (unsigned)steps);
            const int last = a + (int)(test_rand() % 6);
            const size_t any = test_rand() % 1000, lines = 64 * ((size_t)i % 3);
            v[i] = (oct_lifetime){ .size = test_rand() % 3 ? any : lines, .first = a,
                                   .last = last < steps ? last : steps,
                                   .offset = test_rand() };
            all += footprint(v[i].size);
        }
        const size_t size = oct_plan_offsets(v, n);
        check_places(v, n, size);
        ck_assert_uint_ge(size, lower_bound(v, n, steps));
        ck_assert_uint_le(size, all);
    }
}
END_TEST

/* In a chain two values live at a time.  Where they grow smaller, as in most networks, each is
 * placed below or above the one before: the lower bound is reached. */
START_TEST(a_shrinking_chain_takes_its_first_two)
{
    for (int round = 0; round < 500; round++) {
        oct_lifetime v[MAX];
        size_t size_of = 50000;
        for (int i = 0; i < MAX; i++, size_of -= test_rand() % 1000)
            v[i] = (oct_lifetime){ .size = size_of, .first = i, .last = i + 1 };
        const size_t size = oct_plan_offsets(v, MAX);
        check_places(v, MAX, size);
        ck_assert_uint_eq(size, lower_bound(v, MAX, MAX));
    }
}
END_TEST

START_TEST(places_repeat_and_nothing_is_nothing)
{
    oct_lifetime a[MAX], b[MAX];
    for (int i = 0; i < MAX; i++)
        a[i] = (oct_lifetime){ .size = 100 * ((size_t)i % 4), .first = i / 3, .last = i / 2 };
    memcpy(b, a, sizeof b);
    ck_assert_uint_eq(oct_plan_offsets(a, MAX), oct_plan_offsets(b, MAX));
    ck_assert_int_eq(memcmp(a, b, sizeof a), 0);
    ck_assert_uint_eq(oct_plan_offsets(a, 0), 0);
}
END_TEST

static net t;

/* Two branches, a residual that lives long, an odd batch. */
static void open_net(int batch)
{
    net_open(&t);
    oct_tensor *x = net_image(&t, batch, 3, 9, 8), *r;
    x = net_bn(&t, "bn1", net_conv(&t, "conv1", x, 20, 3, 1, 1, 0));
    r = x = net_act(&t, "relu1", x, OCT_ACT_RELU);
    x = net_act(&t, "relu2", net_conv(&t, "conv2", x, 70, 3, 1, 2, 1), OCT_ACT_RELU);
    x = net_add(&t, "add", net_conv(&t, "conv3", x, 20, 1, 1, 1, 1), r);
    x = net_maxpool(&t, "pool", net_act(&t, "relu3", x, OCT_ACT_RELU), 2);
    net_output(&t, net_linear(&t, "fc", net_flatten(&t, "flat", x), 10));
}

START_TEST(kept_values_change_nothing)
{
    for (int fused = 0; fused <= 1; fused++) {
        open_net(5);
        if (fused) {
            ck_assert_int_eq(net_pass(&t, oct_pass_fold_bn), 1);
            ck_assert_int_eq(net_pass(&t, oct_pass_fuse), 5);
        }
        float *reused = net_run(&t, 5, 0), *kept = net_run(&t, 5, 1), *three = net_run(&t, 3, 0);
        const size_t row = net_run_size(&t, 1) * sizeof(float);
        ck_assert_int_eq(memcmp(reused, kept, 5 * row), 0);
        ck_assert_int_eq(memcmp(reused, three, 3 * row), 0);
        oct_plan *p = net_plan(&t, 0), *q = net_plan(&t, 1);
        ck_assert_int_eq(p->n_steps, fused ? 6 : 12);
        ck_assert_uint_lt(p->value_size, q->value_size);
        oct_plan_free(p);
        oct_plan_free(q);
        free(reused);
        free(kept);
        free(three);
        net_close(&t);
    }
}
END_TEST

static int apart(const oct_tensor *a, const oct_tensor *b)
{
    const char *p = a->data, *q = b->data;
    return p + oct_tensor_size(a) + 64 <= q || q + oct_tensor_size(b) + 64 <= p;
}

START_TEST(outputs_are_apart_from_operands)
{
    open_net(2);
    ck_assert_int_eq(net_pass(&t, oct_pass_fuse), 5 - 1); /* without fold_bn, relu1 stays */
    oct_plan *p = net_plan(&t, 0);
    for (int i = 0; i < p->n_steps; i++)
        for (int k = 0; k < OCT_MAX_IN; k++) {
            const oct_tensor *in = p->step[i].args.in[k], *graph = p->step[i].node->args.in[k];
            ck_assert(!in == !graph);
            if (!in) continue;
            ck_assert_msg(!graph->data == !!in->data, "a value has a place, a constant is gone");
            if (in->data) ck_assert(apart(in, p->step[i].args.out));
        }
    oct_plan_free(p);
    net_close(&t);
}
END_TEST

START_TEST(inputs_survive_a_run)
{
    open_net(2);
    oct_plan *p = net_plan(&t, 0);
    float *x = p->in[0].data, first[10];
    const size_t n = oct_tensor_count(&p->in[0]);
    for (size_t i = 0; i < n; i++) x[i] = (float)i / (float)n;
    oct_plan_run(p, net_pool(), 1, NULL, NULL);
    memcpy(first, p->out[0].data, sizeof first);
    for (size_t i = 0; i < n; i++) ck_assert(x[i] == (float)i / (float)n);
    memset(p->out[0].data, 0x7f, sizeof first);
    oct_plan_run(p, net_pool(), 2, NULL, NULL);
    ck_assert_int_eq(memcmp(first, p->out[0].data, sizeof first), 0);
    oct_plan_free(p);
    net_close(&t);
}
END_TEST

/* An output that is written early has its value at the end; those after it need its room. */
START_TEST(outputs_live_to_the_end)
{
    net_open(&t);
    oct_tensor *x = net_act(&t, "first", net_rows(&t, 1, 40), OCT_ACT_RELU);
    net_output(&t, x);
    for (int i = 0; i < 4; i++) x = net_linear(&t, "fc", x, 40);
    net_output(&t, x);
    oct_plan *p = net_plan(&t, 0);
    for (int i = 0; i < 40; i++) ((float *)p->in[0].data)[i] = (float)(i - 20);
    oct_plan_run(p, net_pool(), 1, NULL, NULL);
    for (int i = 0; i < 40; i++)
        ck_assert(((const float *)p->out[0].data)[i] == (float)(i < 20 ? 0 : i - 20));
    oct_plan_free(p);
    net_close(&t);
}
END_TEST

/* A graph without a node: the output is the input. */
START_TEST(nothing_to_do)
{
    net_open(&t);
    oct_tensor *x = net_rows(&t, 2, 3);
    net_output(&t, x);
    oct_plan *p = net_plan(&t, 0);
    ck_assert_int_eq(p->n_steps, 0);
    ck_assert_ptr_eq(p->in[0].data, p->out[0].data);
    oct_plan_run(p, net_pool(), 2, NULL, NULL);
    oct_plan_free(p);
    net_close(&t);
}
END_TEST

/* 24 samples of 16 x 48 x 48: groups of slices 2, 8 and 24; b, the largest value, is read by the
 * first step of the second group.  The same bits as all at once, for a whole batch and for parts. */
START_TEST(slices_change_nothing)
{
    enum { BATCH = 24, OUT = 7 };
    net_open(&t);
    oct_tensor *x = net_image(&t, BATCH, 16, 48, 48);
    oct_tensor *a = net_conv(&t, "a", x, 64, 3, 1, 1, 1);
    oct_tensor *b = net_add(&t, "b", net_conv(&t, "c", a, 64, 1, 1, 1, 1), a);
    oct_tensor *d = net_conv(&t, "d", b, 16, 1, 1, 1, 0);
    oct_tensor *h = net_conv(&t, "h", net_conv(&t, "i", d, 16, 3, 1, 1, 0), 16, 1, 1, 1, 1);
    oct_tensor *e = net_add(&t, "e", h, d);
    oct_tensor *y = net_maxpool(&t, "q", e, 8);
    net_output(&t, net_linear(&t, "f", net_flatten(&t, "g", net_maxpool(&t, "r", y, 2)), OUT));
    oct_plan *p = net_plan(&t, 0), *q = net_plan(&t, 1);
    static const int slices[] = { 2, 8, BATCH };
    ck_assert_int_eq(p->n_groups, 3);
    for (int i = 0; i < 3; i++) ck_assert_int_eq(p->group[i].slice, slices[i]);
    ck_assert_int_eq(q->n_groups, 1);
    ck_assert_uint_lt(p->value_size, q->value_size / 2);
    const size_t in = oct_tensor_count(&p->in[0]);
    for (size_t i = 0; i < in; i++)
        ((float *)p->in[0].data)[i] = ((float *)q->in[0].data)[i] = (float)(i % 101) / 50 - 1;
    for (int n = BATCH; n > 0; n -= 7) {
        oct_plan_run(p, net_pool(), n, NULL, NULL);
        oct_plan_run(q, net_pool(), n, NULL, NULL);
        ck_assert_mem_eq(p->out[0].data, q->out[0].data, (size_t)n * OUT * sizeof(float));
        ck_assert_mem_eq(p->in[0].data, q->in[0].data, in * sizeof(float));
    }
    oct_plan_free(p);
    oct_plan_free(q);
    net_close(&t);
}
END_TEST

typedef struct gone {
    const void *data[8];
    int n;
} gone;

static void remember(void *arg, const oct_tensor *constant)
{
    gone *g = arg;
    ck_assert_int_lt(g->n, 8);
    g->data[g->n++] = constant->data;
}

/* fc1 and fc3 read the same weights, in two descriptions: they go after fc3 is packed. */
START_TEST(constants_are_let_go_once_after_their_last_step)
{
    net_open(&t);
    oct_tensor *x = net_rows(&t, 1, 4);
    x = net_linear(&t, "fc3", net_linear(&t, "fc2", net_linear(&t, "fc1", x, 4), 4), 4);
    net_output(&t, x);
    oct_args *a = &t.g.node[0].args, *b = &t.g.node[1].args, *c = &t.g.node[2].args;
    oct_tensor again = *a->in[OCT_LINEAR_W];
    c->in[OCT_LINEAR_W] = &again;
    gone g = { .n = 0 };
    const oct_plan_options options = { .threads = 2, .packed = remember, .arg = &g };
    oct_plan *p;
    ck_assert_int_eq(oct_plan_build(&t.g, &options, &p), OCT_OK);
    const void *want[] = { a->in[OCT_LINEAR_BIAS]->data, b->in[OCT_LINEAR_W]->data,
                           b->in[OCT_LINEAR_BIAS]->data, again.data,
                           c->in[OCT_LINEAR_BIAS]->data };
    ck_assert_int_eq(g.n, 5);
    ck_assert_int_eq(memcmp(g.data, want, sizeof want), 0);
    memset(again.data, 0x7f, 16 * sizeof(float)); /* a run must not look */
    oct_plan_run(p, net_pool(), 1, NULL, NULL);
    ck_assert(*(float *)p->out[0].data < 1000);
    oct_plan_free(p);
    net_close(&t);
}
END_TEST

static void look(void *arg, const oct_plan *plan, int step, int n)
{
    int *steps = arg;
    ck_assert(step == (*steps)++ && n == 1 && plan->step[step].args.out->data);
}

START_TEST(the_hook_sees_every_step)
{
    int steps = 0;
    open_net(1);
    oct_plan *p = net_plan(&t, 1);
    oct_plan_run(p, net_pool(), 1, look, &steps);
    ck_assert_int_eq(steps, p->n_steps);
    oct_plan_free(p);
    net_close(&t);
}
END_TEST

START_TEST(dump_is_one_line_a_step)
{
    char *text = NULL;
    size_t size;
    open_net(2);
    oct_plan *p = net_plan(&t, 0);
    FILE *to = open_memstream(&text, &size);
    oct_plan_dump(p, to);
    fclose(to);
    int lines = 0;
    size_t weights = 0;
    for (const char *at = text; *at; at++) lines += *at == '\n';
    for (int i = 0; i < p->n_steps; i++) weights += p->step[i].weight_size;
    ck_assert_int_eq(lines, p->n_steps + 2);
    ck_assert_uint_eq(weights, p->weight_size);
    ck_assert_uint_ge(weights, 4 * (20 * 27 + 70 * 90 + 20 * 70 + 10 * 320));
    ck_assert(strstr(text, "conv2d 3x3 p1 g2") && strstr(text, "[2, 9, 8, 20] -> [2, 9, 8, 70]"));
    ck_assert(strstr(text, "gemm_f32/") != NULL);
    ck_assert_msg(strstr(text, " 0.454 ") != NULL, "conv2: 9 * 8 * 70 * 10 * 9 = 453,600");
    ck_assert(strstr(text, "\ntotal: 12 steps, ") != NULL);
    free(text);
    oct_plan_free(p);
    net_close(&t);
}
END_TEST

static oct_status optimize_and_plan(void)
{
    static const oct_pass passes[] = { { "fold_bn", oct_pass_fold_bn }, { "fuse", oct_pass_fuse },
                                       { "dce", oct_pass_dce } };
    const oct_plan_options options = { .threads = 1 };
    oct_plan *plan;
    OCT_TRY(oct_passes_run(&t.g, passes, 3, NULL));
    const oct_status status = oct_plan_build(&t.g, &options, &plan);
    oct_plan_free(plan);
    return status;
}

/* Allocation 1, 2, 3 ... fails: ERR_MEMORY, and nothing is left behind. */
START_TEST(no_memory_is_an_answer)
{
    if (!fail_alloc_works()) return;
    for (long n = 1;; n++) {
        open_net(2);
        oct_arena_alloc(&t.arena, 1 << 20); /* a new chunk begins, passes will need another */
        const long before = fail_alloc_live();
        const size_t chunks = t.arena.size;
        fail_alloc_begin(n, 0);
        const oct_status status = optimize_and_plan();
        const long used = fail_alloc_end();
        ck_assert_int_le(fail_alloc_live() - before, t.arena.size > chunks);
        net_close(&t);
        if (used < n) {
            ck_assert_msg(status == OCT_OK && n > 4, "%ld allocations", n);
            return;
        }
        ck_assert_msg(status == OCT_ERR_MEMORY, "allocation %ld: %s", n, oct_last_error());
    }
}
END_TEST

int main(void)
{
    const TTest *const tests[] = {
        random_lifetimes_never_overlap, a_shrinking_chain_takes_its_first_two,
        places_repeat_and_nothing_is_nothing, kept_values_change_nothing, slices_change_nothing,
        outputs_are_apart_from_operands, inputs_survive_a_run,
        outputs_live_to_the_end, nothing_to_do,
        constants_are_let_go_once_after_their_last_step, the_hook_sees_every_step,
        dump_is_one_line_a_step, no_memory_is_an_answer,
    };
    return suite_run("plan", tests, sizeof tests / sizeof *tests);
}
