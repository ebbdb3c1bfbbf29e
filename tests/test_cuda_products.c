/* Who multiplies: our kernel or cuBLAS, by the clock of the fake device (tests/cuda_device_fake.c);
 * on a real one, by its own. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "tests/cuda_case.h"
#include "tests/graph_case.h"

/* Products and layers that are none. */
static void build(net *t)
{
    net_open(t);
    test_seed = 5;
    oct_tensor *in = net_image(t, 2, 24, 5, 6);
    oct_tensor *a = net_conv(t, "first", in, 40, 1, 1, 1, 1);
    oct_tensor *b = net_conv(t, "again", in, 40, 1, 1, 1, 1);
    oct_tensor *x = net_add(t, "sum", a, net_conv(t, "wide", b, 40, 3, 1, 1, 1));
    x = net_add(t, "sum2", x, net_conv(t, "mix", x, 40, 1, 1, 1, 1));
    x = net_conv(t, "strided", x, 24, 1, 2, 1, 1);
    x = net_conv(t, "grouped", x, 24, 1, 1, 3, 1);
    x = net_linear(t, "fc", net_flatten(t, "flat", x), 9); /* fused: a kernel as large as x */
    net_output(t, net_linear(t, "last", x, 5));
    net_pass(t, oct_pass_fuse);
    net_pass(t, oct_pass_dce);
}

static oct_plan *make(const net *t, oct_library library, oct_dtype floats)
{
    const oct_plan_options o = { .threads = 1, .backend = &oct_backend_cuda, .floats = floats,
                                 .library = library };
    oct_plan *p;
    ck_assert_msg(oct_plan_build(&t->g, &o, &p) == OCT_OK, "%s", oct_last_error());
    return p;
}

/* How many steps are cuBLAS', how many products were timed both ways. */
static void count(const oct_plan *p, int *library, int *timed)
{
    *library = *timed = 0;
    for (int i = 0; i < p->n_steps; i++) {
        *library += strcmp(p->step[i].kernel, "conv2d_f16/cublas") == 0;
        *timed += p->step[i].library_ms > 0;
        ck_assert(p->step[i].ours_ms > 0 || !(p->step[i].library_ms > 0));
    }
}

static float *run(oct_plan *p)
{
    const size_t size = oct_tensor_size(&p->out[0]);
    float *x = p->in[0].data, *y = malloc(size);
    test_seed = 3;
    for (size_t i = 0; i < oct_tensor_count(&p->in[0]); i++)
        x[i] = (float)(int32_t)test_rand() * 0x1p-31f;
    ck_assert_msg(oct_plan_run_all(p, NULL, 2) == OCT_OK, "%s", oct_last_error());
    memcpy(y, p->out[0].data, size);
    return y;
}

/* The two plans of one network answer the same. */
static void same(oct_plan *a, oct_plan *b)
{
    float *x = run(a), *y = run(b);
    ck_assert(memcmp(x, y, oct_tensor_size(&a->out[0])) == 0);
    free(x);
    free(y);
}

enum { PRODUCTS = 4 }; /* first, again, mix with a residual, last */

START_TEST(who_is_pinned_is_not_timed)
{
    net t;
    int library, timed;
    build(&t);
    oct_plan *p = make(&t, OCT_LIBRARY_NEVER, OCT_F16);
    count(p, &library, &timed);
    ck_assert(!library && !timed);
    oct_plan_free(p);
    const oct_plan_options o = { .threads = 1, .backend = &oct_backend_cuda, .floats = OCT_F16,
                                 .library = OCT_LIBRARY_ALWAYS };
    const oct_status status = oct_plan_build(&t.g, &o, &p);
    if (status != OCT_ERR_UNSUPPORTED) { /* cuBLAS is there */
        ck_assert_msg(status == OCT_OK, "%s", oct_last_error());
        count(p, &library, &timed);
        ck_assert(library == PRODUCTS && !timed);
        ck_assert_str_eq(net_step(p, "strided")->kernel, "conv2d_f16_64x64/cuda");
        oct_plan_free(p);
    }
    net_close(&t);
}
END_TEST

/* Halves only: what is FP32 keeps the CPU's bits. */
START_TEST(fp32_has_no_choice)
{
    net t;
    int library, timed;
    net_open(&t);
    net_output(&t, net_linear(&t, "fc", net_rows(&t, 9, 40), 5));
    oct_plan *p = make(&t, OCT_LIBRARY_FASTER, OCT_F32);
    count(p, &library, &timed);
    ck_assert(!library && !timed);
    oct_plan_free(p);
    net_close(&t);
}
END_TEST

#ifdef OCT_CUDA_DEVICE
/* Whoever is chosen: all products were timed, or none where there is no cuBLAS. */
START_TEST(the_faster_one_is_chosen)
{
    net t;
    int library, timed;
    build(&t);
    oct_plan *p = make(&t, OCT_LIBRARY_FASTER, OCT_F16);
    count(p, &library, &timed);
    ck_assert(timed == PRODUCTS || (!timed && !library));
    for (int i = 0; i < p->n_steps; i++)
        if (p->step[i].ours_ms > 0)
            printf("%s: ours %g ms, cuBLAS %g ms: %s\n", p->step[i].node->name,
                   (double)p->step[i].ours_ms, (double)p->step[i].library_ms, p->step[i].kernel);
    if (!library || library == PRODUCTS) {
        oct_plan *pinned = make(&t, library ? OCT_LIBRARY_ALWAYS : OCT_LIBRARY_NEVER, OCT_F16);
        same(p, pinned);
        oct_plan_free(pinned);
    }
    oct_plan_free(p);
    net_close(&t);
}
END_TEST
#else
START_TEST(the_faster_one_is_chosen)
{
    static const struct { float ms; int products; } cases[] = {
        { 0.5f, PRODUCTS }, { 0.95f, 0 /* not clearly */ }, { 2, 0 },
    };
    net t;
    int library, timed;
    build(&t);
    cuda_library = (cuda_fake_library){ .ms = cases[_i].ms };
    oct_plan *p = make(&t, OCT_LIBRARY_FASTER, OCT_F16);
    count(p, &library, &timed);
    ck_assert_int_eq(timed, PRODUCTS);
    ck_assert_int_eq(library, cases[_i].products);
    /* "again" is "first" once more; of them, "mix", "last" and "strided" two tiles are timed, of
     * "fc", 7 steps of k, two parts, too, of "wide", 12 steps in 3 parts, these, one and six */
    ck_assert_int_eq(cuda_library.timed, 3 * (PRODUCTS - 1) + 2 + 3 + 3);
    ck_assert(net_step(p, "last")->ours_ms == 1 && net_step(p, "last")->library_ms == cases[_i].ms);
    oct_plan *pinned = make(&t, library ? OCT_LIBRARY_ALWAYS : OCT_LIBRARY_NEVER, OCT_F16);
    same(p, pinned);
    oct_plan_free(p);
    oct_plan_free(pinned);
    net_close(&t);
}
END_TEST

/* A library that is not there, or fails, is no error. */
START_TEST(without_cublas_all_is_ours)
{
    net t;
    int library, timed;
    build(&t);
    cuda_library = (cuda_fake_library){ .ms = 0.1f, .missing = !_i, .fails = _i };
    oct_plan *p = make(&t, OCT_LIBRARY_FASTER, OCT_F16);
    count(p, &library, &timed);
    ck_assert(!library && !timed);
    ck_assert_int_ge(cuda_library.timed, PRODUCTS - 1 + 3); /* ours, and those that failed */
    oct_plan *pinned = make(&t, OCT_LIBRARY_NEVER, OCT_F16);
    same(p, pinned);
    oct_plan_free(p);
    oct_plan_free(pinned);
    net_close(&t);
}
END_TEST

/* How many steps have kernels of that name, or of one that begins so. */
static int count_named(const oct_plan *p, const char *name)
{
    int n = 0;
    for (int i = 0; i < p->n_steps; i++)
        n += strncmp(p->step[i].kernel, name, strlen(name)) == 0;
    return n;
}

/* k is cut into as many parts as the clock says: half or twice those of the rule. */
START_TEST(parts_of_k_by_the_clock)
{
    static const struct { int splits; float others; const char *kernel; } cases[] = {
        { 0, 2, "conv2d_f16_64x64_k3/cuda" }, { 1, 2, "conv2d_f16_64x64/cuda" },
        { 6, 2, "conv2d_f16_64x64_k6/cuda" }, { 5, 2, "conv2d_f16_64x64_k3/cuda" },
        { 6, 1.05f, "conv2d_f16_64x64_k3/cuda" }, /* other sums, and not clearly faster */
    };
    net t;
    net_open(&t);
    test_seed = 5;
    net_output(&t, net_flatten(&t, "flat", net_conv(&t, "conv", net_image(&t, 2, 40, 5, 6), 40, 3,
                                                    1, 1, 1)));
    cuda_library = (cuda_fake_library){ .missing = 1, .splits = cases[_i].splits,
                                        .others = cases[_i].others };
    oct_plan *p = make(&t, OCT_LIBRARY_FASTER, OCT_F16);
    ck_assert_str_eq(net_step(p, "conv")->kernel, cases[_i].kernel);
    oct_plan *pinned = make(&t, OCT_LIBRARY_NEVER, OCT_F16);
    ck_assert_str_eq(net_step(pinned, "conv")->kernel, cases[0].kernel);
    float *x = run(p), *y = run(pinned);
    for (size_t i = 0; i < oct_tensor_count(&p->out[0]); i++)
        ck_assert_msg(fabsf(x[i] - y[i]) <= 0x1p-10f * (1 + fabsf(y[i])), "%zu: %g, %g", i,
                      (double)x[i], (double)y[i]);
    free(x);
    free(y);
    oct_plan_free(p);
    oct_plan_free(pinned);
    net_close(&t);
}
END_TEST

/* Large layers: every tile is used where the clock says so, and none changes a bit. */
START_TEST(tiles_have_the_same_bits)
{
    static const char *const names[] = { "conv2d_f16_64x64/", "conv2d_f16_128x64/",
                                         "conv2d_f16_128x128/" };
    net t;
    net_open(&t);
    test_seed = 7;
    oct_tensor *x = net_image(&t, 2, 20, 11, 12); /* parts of tiles; more steps than stages */
    oct_tensor *a = net_conv(&t, "first", x, 120, 3, 1, 1, 1);
    x = net_add(&t, "sum", net_conv(&t, "second", a, 120, 1, 1, 1, 1), a);
    net_output(&t, net_flatten(&t, "flat", net_act(&t, "relu", x, _i % 2 ? OCT_ACT_GELU
                                                                         : OCT_ACT_RELU)));
    net_pass(&t, oct_pass_fuse);
    net_pass(&t, oct_pass_dce);
    cuda_library = (cuda_fake_library){ .missing = 1, .tile = _i / 2 };
    oct_plan *p = make(&t, OCT_LIBRARY_FASTER, OCT_F16);
    ck_assert_int_eq(count_named(p, names[_i / 2]), 2);
    oct_plan *pinned = make(&t, OCT_LIBRARY_NEVER, OCT_F16);
    ck_assert_int_eq(count_named(pinned, names[0]), 2);
    same(p, pinned);
    oct_plan_free(p);
    oct_plan_free(pinned);
    net_close(&t);
}
END_TEST
#endif

int main(void)
{
    const suite_loop loops[] = {
        { who_is_pinned_is_not_timed, 1 },
        { fp32_has_no_choice, 1 },
#ifdef OCT_CUDA_DEVICE
        { the_faster_one_is_chosen, 1 },
#else
        { the_faster_one_is_chosen, 3 },
        { without_cublas_all_is_ours, 2 },
        { tiles_have_the_same_bits, 6 },
        { parts_of_k_by_the_clock, 5 },
#endif
    };
    if (cuda_case_skipped()) return TEST_SKIP;
    return suite_run_loops("cuda_products", loops, sizeof loops / sizeof *loops);
}
