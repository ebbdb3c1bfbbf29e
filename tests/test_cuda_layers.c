/* The CUDA backend as tests/test_cuda.c runs it, layer by layer: FP16 within its bound, groups,
 * Winograd. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "cuda/kernels.h"
#include "quant/calibrate.h"
#include "quant/pass_dynamic.h"
#include "quant/pass_quantize.h"
#include "tensor/cpu.h"
#include "tensor/f16.h"
#include "tests/cuda_case.h"
#include "tests/graph_case.h"

/* Samples like normalized images. */
static void fill(oct_tensor *x, uint64_t seed)
{
    float *v = x->data;
    test_seed = seed;
    for (size_t i = 0; i < oct_tensor_count(x); i++) v[i] = (float)(int32_t)test_rand() * 0x1p-30f;
}

/* ---- FP16 ---- */

typedef struct layer {
    int c, h, w, out, kernel, stride, n; /* out 0: a linear layer c -> h of w rows */
    int act, groups; /* oct_act */
} layer;

static const layer layers[] = {
    { 3, 9, 7, 5, 3, 2, 2, 1, 1 },      /* one chunk of channels a pixel, fewer than a tile */
    { 8, 6, 6, 64, 3, 1, 1, 0, 1 },     /* a whole block of channels */
    { 24, 11, 5, 70, 1, 1, 3, OCT_ACT_RELU6, 1 },   /* 165 pixels, 70 channels: parts of tiles both ways */
    { 64, 5, 5, 8, 5, 1, 1, 0, 1 },     /* 25 taps: 50 steps of k, in 12 parts */
    { 32, 6, 5, 32, 3, 2, 2, 1, 32 }, /* depthwise */
    { 12, 5, 6, 18, 3, 1, 1, 0, 3 }, { 140, 4, 4, 70, 1, 1, 2, 0, 7 },
    { 64, 6, 5, 64, 3, 2, 2, 1, 4 },    /* groups of 16 and 16 on tensor cores, */
    { 96, 5, 5, 160, 1, 1, 2, 0, 2 },   /* of 48 and 80: two tiles each, */
    { 128, 4, 4, 64, 3, 1, 1, 1, 2 },   /* of 64 and 32: 18 steps of k, in 4 parts */
    { 300, 77, 5, 0, 0, 0, 0, 0, 1 }, { 16, 10, 130, 0, 0, 0, 0, 1, 1 },
    { 12, 8448, 70, 0, 0, 0, 0, 0, 1 },  /* 132 blocks of 128 x 64 */
    { 12, 16896, 5, 0, 0, 0, 0, 0, 1 },  /* of 128 x 128 */
};
enum { N_LAYERS = sizeof layers / sizeof *layers };

static void build(net *t, const layer *l)
{
    net_open(t);
    test_seed = 5;
    oct_tensor *x = l->out ? net_image(t, l->n, l->c, l->h, l->w) : net_rows(t, l->w, l->c);
    x = l->out ? net_conv(t, "conv", x, l->out, l->kernel, l->stride,
                          l->groups, 1)
               : net_linear(t, "fc", x, l->h);
    if (l->act) x = net_act(t, "act", x, (oct_act)l->act);
    if (l->out) x = net_flatten(t, "flat", x);
    net_output(t, x);
    net_pass(t, oct_pass_fuse);
    net_pass(t, oct_pass_dce);
}

/* absolute: of its input, too */
static float *run(const net *t, oct_plan_options o, int absolute)
{
    oct_plan *p;
    o.threads = 1;
    ck_assert_msg(oct_plan_build(&t->g, &o, &p) == OCT_OK, "%s", oct_last_error());
    fill(&p->in[0], 3);
    float *x = p->in[0].data;
    for (size_t i = 0; i < oct_tensor_count(&p->in[0]); i++) {
        x[i] = oct_f32_of_f16(oct_f16_of_f32(x[i]));
        if (absolute) x[i] = fabsf(x[i]);
    }
    ck_assert_int_eq(oct_plan_run_all(p, net_pool(), oct_plan_batch(p)), OCT_OK);
    const size_t size = oct_tensor_size(&p->out[0]);
    float *y = malloc(size);
    memcpy(y, p->out[0].data, size);
    oct_plan_free(p);
    return y;
}

static float *run_net(const net *t, const oct_backend *backend, oct_dtype floats)
{
    return run(t, (oct_plan_options){ .backend = backend, .floats = floats }, 0);
}

/* All constants become their absolute values. */
static void make_absolute(const net *t)
{
    for (int i = 0; i < t->g.n_nodes; i++)
        for (int k = 0; k < OCT_MAX_IN; k++) {
            const oct_tensor *c = t->g.node[i].args.in[k];
            float *v = c ? c->data : NULL;
            for (size_t j = 0; v && j < oct_tensor_count(c); j++) v[j] = fabsf(v[j]);
        }
}

/* Weights, but for biases, that are halves: as inputs are. */
static void round_constants(const net *t)
{
    for (int i = 0; i < t->g.n_nodes; i++) {
        const oct_tensor *w = t->g.node[i].args.in[OCT_CONV2D_W];
        float *v = w && w->rank > 1 ? w->data : NULL;
        for (size_t j = 0; v && j < oct_tensor_count(w); j++)
            v[j] = oct_f32_of_f16(oct_f16_of_f32(v[j]));
    }
}

/* Groups that tensor cores do not do. */
static int are_small(int groups, int c, int out)
{
    return groups > 1 && (c / groups % 16 || out / groups % 16);
}

/* cuBLAS does the layers that are plain products, and those only; 0: it is not there. */
static int check_library(const net *t, const layer *l)
{
    const oct_plan_options o = { .backend = &oct_backend_cuda, .floats = OCT_F16,
                                 .library = OCT_LIBRARY_ALWAYS };
    const int product = !l->out || (l->kernel == 1 && l->groups == 1);
    const char *kernel = product ? "conv2d_f16/cublas"
                         : are_small(l->groups, l->c, l->out) ? "conv2d_groups_f16/cuda"
                         : "conv2d_f16_";
    oct_plan *p;
    const oct_status status = oct_plan_build(&t->g, &o, &p);
    if (status == OCT_ERR_UNSUPPORTED) return 0;
    ck_assert_msg(status == OCT_OK, "%s", oct_last_error());
    ck_assert(strncmp(p->step[l->out ? 1 : 0].kernel, kernel, strlen(kernel)) == 0);
    oct_plan_free(p);
    return 1;
}

/* docs/cuda.md, of rounded operands: sums within (K + 3) 2^-23, the CPU's within K 2^-24; the
 * store. */
START_TEST(fp16_is_within_its_bound)
{
    const layer *l = &layers[_i % N_LAYERS];
    const double k = l->out ? l->c / l->groups * l->kernel * l->kernel : l->c;
    const double of_sum = (k + 3) * (0x1p-23 + 0x1p-24);
    net t;
    build(&t, l);
    round_constants(&t);
    const size_t n = oct_tensor_count(t.g.out[0]);
    const oct_plan_options o = { .backend = &oct_backend_cuda, .floats = OCT_F16,
                                 .library = _i / N_LAYERS ? OCT_LIBRARY_ALWAYS
                                                          : OCT_LIBRARY_NEVER };
    if (o.library && !check_library(&t, l)) return;
    float *want = run_net(&t, NULL, OCT_F32), *got = run(&t, o, 0);
    make_absolute(&t);
    float *sum = run(&t, (oct_plan_options){ 0 }, 1);
    int exact = 0;
    for (size_t i = 0; i < n; i++) {
        const double most = of_sum * (double)sum[i] + 0x1p-11 * fabs((double)want[i]) +
                            0x1p-25; /* a half of less than 2^-14 */
        ck_assert_msg(fabs((double)got[i] - (double)want[i]) <= most, "%zu: %g, expected %g", i,
                      (double)got[i], (double)want[i]);
        exact += got[i] == want[i];
    }
    ck_assert_msg((size_t)exact < n, "FP16 that is FP32"); /* a test that can see the difference */
    free(want);
    free(got);
    free(sum);
    net_close(&t);
}
END_TEST

/* Sums of zero are answers, too, whoever of the warps that add the parts of k comes first. */
START_TEST(sums_of_zero_are_written)
{
    net t;
    net_open(&t);
    test_seed = 5;
    oct_tensor *fc = net_linear(&t, "fc", net_rows(&t, 64, 512), 64);
    net_output(&t, fc);
    const oct_tensor *w = net_node(&t, "fc")->args.in[OCT_LINEAR_W];
    memset(w->data, 0, oct_tensor_sample_count(w) * sizeof(float)); /* of the first output */
    float *want = run_net(&t, NULL, OCT_F32);
    cuda_emulate_order(_i);
    float *got = run_net(&t, &oct_backend_cuda, OCT_F16);
    cuda_emulate_order(0);
    for (int i = 0; i < 64 * 64; i++)
        ck_assert_msg(fabsf(got[i] - want[i]) < 0.1f, "%d: %g, expected %g", i, (double)got[i],
                      (double)want[i]);
    free(want);
    free(got);
    net_close(&t);
}
END_TEST

/* What half cannot hold is no answer. */
START_TEST(fp16_overflow_is_an_error)
{
    const oct_plan_options o = { .threads = 1, .backend = &oct_backend_cuda, .floats = OCT_F16 };
    static const struct { float x; oct_status status; } cases[] = {
        { 65519, OCT_OK }, { 65520, OCT_ERR_DEVICE }, { -1e9f, OCT_ERR_DEVICE }, { 1, OCT_OK },
        { NAN, OCT_OK }, /* the caller's own: it comes back */
    };
    oct_plan *p;
    net t;
    net_open(&t);
    net_output(&t, net_act(&t, "relu", net_rows(&t, 2, 3), OCT_ACT_RELU));
    ck_assert_msg(oct_plan_build(&t.g, &o, &p) == OCT_OK, "%s", oct_last_error());
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        ((float *)p->in[0].data)[4] = cases[i].x;
        ck_assert_int_eq(oct_plan_run_all(p, NULL, 2), cases[i].status);
        if (cases[i].status)
            ck_assert_msg(strstr(oct_last_error(), "beyond FP16") != NULL, "%s", oct_last_error());
    }
    oct_plan_free(p);
    net_close(&t);
}
END_TEST

/* Rows that a tile has beyond those there are, sums of nothing, are not counted. */
START_TEST(only_rows_there_overflow)
{
    const oct_plan_options o = { .threads = 1, .backend = &oct_backend_cuda, .floats = OCT_F16 };
    oct_plan *p;
    net t;
    net_open(&t);
    net_output(&t, net_linear(&t, "fc", net_rows(&t, 2, 3), 5));
    float *w = net_node(&t, "fc")->args.in[OCT_LINEAR_W]->data;
    float *bias = net_node(&t, "fc")->args.in[OCT_LINEAR_BIAS]->data;
    for (int i = 0; i < 5 * 3; i++) w[i] = -1000;
    for (int i = 0; i < 5; i++) bias[i] = 66000;
    ck_assert_msg(oct_plan_build(&t.g, &o, &p) == OCT_OK, "%s", oct_last_error());
    for (int i = 0; i < 2 * 3; i++) ((float *)p->in[0].data)[i] = 1;
    ck_assert_msg(oct_plan_run_all(p, NULL, 2) == OCT_OK, "%s", oct_last_error());
    for (int i = 0; i < 2 * 5; i++) ck_assert(((float *)p->out[0].data)[i] == 63008); /* a half */
    oct_plan_free(p);
    net_close(&t);
}
END_TEST

/* ---- FP16: attention ---- */

typedef struct heads { int d, heads; } heads;
static const heads attentions[] = { { 96, 3 }, { 64, 1 }, { 104, 1 }, { 48, 2 }, { 20, 2 } };
enum { N_ATTENTIONS = sizeof attentions / sizeof *attentions };

/* Row i of a text of n tokens, column c of the heads side by side, in double; *most bounds what the
 * device may be off. */
static double attend(const float *x, int d, int width, int n, int i, int c, double *most)
{
    double score[200], total[200], top = -INFINITY, e = 0, z = 0, y = 0, size = 0;
    const int head = c / width * width;
    for (int t = 0; t < n; t++) {
        score[t] = total[t] = 0;
        for (int k = head; k < head + width; k++) {
            const double p = (double)x[i * 3 * d + k] * (double)x[t * 3 * d + d + k];
            score[t] += p / sqrt(width);
            total[t] += fabs(p) / sqrt(width);
        }
        if (score[t] > top) top = score[t];
        if (total[t] > e) e = total[t];
    }
    for (int t = 0; t < n; t++) z += exp(score[t] - top);
    for (int t = 0; t < n; t++) {
        const double v = (double)x[t * 3 * d + 2 * d + c];
        y += exp(score[t] - top) / z * v;
        size += exp(score[t] - top) / z * fabs(v);
    }
    *most = (0x1p-10 + 2 * (width + 3) * 0x1p-23 * e + 0x1p-18) * size + 0x1p-24; /* denormals */
    return y;
}

enum { TEXTS = 3, TOKENS = 1 + 70 + 130 };

/* Of an input: what is per text does not import it itself. */
static oct_tensor *twice(net *t, const char *name, int d)
{
    oct_tensor *x = net_rows(t, TOKENS + 5, d);
    return net_add(t, name, x, x);
}

/* Queries, keys and values side by side; or, of one, a query for each text, the first's. */
static void build_attention(net *t, const heads *h, int one)
{
    const oct_attention_attr attr = { h->heads, 130 };
    const oct_tensor texts = { .dtype = OCT_S32, .rank = 1, .dim = { TEXTS + 2 } };
    oct_tensor *starts, *q = NULL, *y;
    net_open(t);
    oct_tensor *x = twice(t, "x", (one ? 2 : 3) * h->d);
    ck_assert_int_eq(oct_graph_input(&t->g, &texts, &starts), OCT_OK);
    t->g.starts = starts;
    if (one)
        ck_assert_int_eq(oct_graph_add(&t->g, OCT_OP_FIRST, "first", NULL, 0,
                                       (oct_tensor *[OCT_MAX_IN]){ twice(t, "q", h->d), starts },
                                       &q), OCT_OK);
    ck_assert_int_eq(oct_graph_add(&t->g, OCT_OP_ATTENTION, "attention", &attr, sizeof attr,
                                   (oct_tensor *[OCT_MAX_IN]){ x, starts, q }, &y), OCT_OK);
    net_output(t, y);
}

START_TEST(attention_is_within_fp16s_bound)
{
    static const int32_t begins[TEXTS + 1] = { 0, 1, 71, TOKENS };
    static float in[TOKENS * 3 * 128];
    const int one = _i / N_ATTENTIONS == 1, floats = _i / N_ATTENTIONS == 2;
    const heads *h = &attentions[_i % N_ATTENTIONS];
    const int d = h->d, width = d / h->heads;
    net t;
    build_attention(&t, h, one);
    const oct_plan_options o = { .threads = 1, .backend = &oct_backend_cuda,
                                 .floats = floats ? OCT_F32 : OCT_F16 };
    oct_plan *p;
    ck_assert_msg(oct_plan_build(&t.g, &o, &p) == OCT_OK, "%s", oct_last_error());
    ck_assert_str_eq(net_step(p, "attention")->kernel,
                     width % 8 || floats ? "attention/cuda" : "attention_f16/cuda");
    oct_tensor all = { .data = in, .dtype = OCT_F32, .rank = 2, .dim = { TOKENS, 3 * d } };
    fill(&all, 11);
    for (int i = 0; i < TOKENS; i++)
        for (int c = 0; c < 3 * d; c++) { /* of one query, that has an input of its own */
            const float half = oct_f32_of_f16(oct_f16_of_f32(in[i * 3 * d + c]));
            float *q = one ? p->in[2].data : NULL, *x = p->in[0].data;
            in[i * 3 * d + c] = 2 * half;
            if (one && c < d) q[i * d + c] = half;
            else x[i * (one ? 2 : 3) * d + c - one * d] = half;
        }
    memcpy(p->in[1].data, begins, sizeof begins);
    cuda_emulate_order(one);
    ck_assert_int_eq(oct_plan_run_all(p, NULL, TEXTS), OCT_OK);
    cuda_emulate_order(0);
    const float *got = p->out[0].data;
    for (int text = 0; text < TEXTS; text++) {
        const int n = begins[text + 1] - begins[text];
        for (int i = 0; i < (one ? 1 : n); i++)
            for (int c = 0; c < d; c++, got++) {
                double most;
                const double want = attend(in + begins[text] * 3 * d, d, width, n, i, c, &most);
                ck_assert_msg(fabs((double)*got - want) <= most, "text %d, row %d, %d: %g, "
                              "expected %g within %g", text, i, c, (double)*got, want, most);
            }
    }
    oct_plan_free(p);
    net_close(&t);
}
END_TEST

/* ---- groups ---- */

static const int grouped[][3] = { { 96, 96, 96 }, { 120, 60, 3 }, { 66, 33, 11 },
                                  { 64, 64, 4 }, { 96, 160, 2 }, { 128, 64, 2 } };
enum { N_GROUPED = sizeof grouped / sizeof *grouped, KINDS = 3 };

/* Two layers of images c x h x (h + 1), one of 3x3 and one of 1x1, and one that gives FP32. */
static void build_images(net *t, int c, int h, int out, int stride, int groups)
{
    net_open(t);
    test_seed = 9;
    oct_tensor *x = net_conv(t, "conv1", net_image(t, 2, c, h, h + 1), out, 3, stride, groups, 1);
    x = net_conv(t, "conv2", net_act(t, "relu", x, OCT_ACT_RELU), out, 1, 1, groups, 1);
    net_output(t, net_linear(t, "fc", net_flatten(t, "flat", x), 5));
    net_pass(t, oct_pass_fuse);
    net_pass(t, oct_pass_dce);
}

/* Integers: with ranges at run time, or from samples. */
static void quantize_net(net *t, int calibrated)
{
    const oct_quantize_options o = { .method = OCT_METHOD_MINMAX, .qmax = 255 };
    int changes = 0;
    if (!calibrated) {
        ck_assert_int_eq(oct_pass_dynamic(&t->g, (oct_keep){ NULL, 0 }, &changes), OCT_OK);
        return;
    }
    oct_calibration *c;
    oct_plan *p = net_plan(t, 1);
    fill(&p->in[0], 3);
    ck_assert_int_eq(oct_calibration_open(p, net_pool(), &(oct_calibrate_options){ .means = 1 },
                                          &c), OCT_OK);
    oct_calibration_run(c, p, net_pool(), 2);
    ck_assert_msg(oct_pass_quantize(&t->g, c, &o, NULL, &changes) == OCT_OK, "%s",
                  oct_last_error());
    ck_assert_int_eq(changes, 3);
    oct_calibration_close(c);
    oct_plan_free(p);
}

/* How many steps are of groups, plain. */
static void check_groups(const net *t, const int how[3])
{
    const oct_plan_options o = { .backend = &oct_backend_cuda, .floats = OCT_F32, .threads = 1 };
    oct_plan *p;
    int n = 0;
    ck_assert_msg(oct_plan_build(&t->g, &o, &p) == OCT_OK, "%s", oct_last_error());
    for (int i = 0; i < p->n_steps; i++)
        n += strncmp(p->step[i].kernel, "conv2d_groups_s8", strlen("conv2d_groups_s8")) == 0;
    ck_assert_int_eq(n, are_small(how[2], how[0], how[1]) ? 2 : 0);
    oct_plan_free(p);
}

/* Its answers on the device, in FP32, are the CPU's. */
static void check_bits(const net *t, oct_library library)
{
    const oct_plan_options o = { .backend = &oct_backend_cuda, .floats = OCT_F32,
                                 .library = library };
    const size_t n = oct_tensor_count(t->g.out[0]);
    float *want = run_net(t, NULL, OCT_F32), *got = run(t, o, 0);
    for (size_t i = 0; i < n; i++)
        ck_assert_msg(want[i] == got[i], "%zu: %a, expected %a", i, (double)got[i],
                      (double)want[i]);
    free(want);
    free(got);
}

START_TEST(groups_have_the_bits_of_the_cpu)
{
    const int *how = grouped[_i / KINDS];
    net t;
    build_images(&t, how[0], 5, how[1], 2, how[2]);
    if (_i % KINDS) quantize_net(&t, _i % KINDS == 2);
    if (_i % KINDS) check_groups(&t, how);
    check_bits(&t, OCT_LIBRARY_NEVER);
    net_close(&t);
}
END_TEST

/* Integers in any tile: of a device the clock says which. */
START_TEST(tiles_have_the_bits_of_the_cpu)
{
    net t;
    build_images(&t, 24, 9, 120, 1, 1);
    quantize_net(&t, _i % 2);
#ifndef OCT_CUDA_DEVICE
    cuda_library = (cuda_fake_library){ .missing = 1, .tile = _i / 2 };
#endif
    check_bits(&t, OCT_LIBRARY_FASTER);
    net_close(&t);
}
END_TEST

#ifndef OCT_CUDA_DEVICE
/* Columns that are only there for the pitch are zeros, though sigmoid(0) is none: in halves, and in
 * floats of integers. */
START_TEST(columns_beyond_are_zeros)
{
    const oct_plan_options o = { .threads = 1, .backend = &oct_backend_cuda,
                                 .floats = _i ? OCT_F32 : OCT_F16 };
    oct_plan *p;
    net t;
    net_open(&t);
    oct_tensor *x = net_linear(&t, "fc", net_rows(&t, 2, 3), 5);
    net_output(&t, net_act(&t, "sigmoid", x, OCT_ACT_SIGMOID));
    net_pass(&t, oct_pass_fuse);
    if (_i) quantize_net(&t, 0);
    ck_assert_msg(oct_plan_build(&t.g, &o, &p) == OCT_OK, "%s", oct_last_error());
    fill(&p->in[0], 3);
    ck_assert_int_eq(oct_plan_run_all(p, NULL, 2), OCT_OK);
    const void *y = net_step(p, "fc")->args.out->data; /* the fake device's memory */
    for (int i = 0; i < 2 * 8; i++) {
        const int zero = _i ? !(((const float *)y)[i] != 0) : !((const uint16_t *)y)[i];
        ck_assert_int_eq(zero, i % 8 >= 5);
    }
    oct_plan_free(p);
    net_close(&t);
}
END_TEST
#endif

/* ---- FP32: Winograd ---- */

static const struct { int c, h, w, out, m; } winograds[] = {
    { 70, 9, 7, 70, 4 },  /* more channels than a block has, both ways; parts of tiles */
    { 16, 13, 8, 9, 4 }, { 20, 5, 4, 24, 2 },
};
enum { N_WINOGRADS = sizeof winograds / sizeof *winograds };

/* With a residual and ReLU, as basic blocks have them. */
START_TEST(winograd_has_the_bits_of_the_cpu)
{
    const oct_plan_options o = { .threads = 1, .backend = &oct_backend_cuda, .floats = OCT_F32 };
    const int out = winograds[_i].out;
    oct_plan *p;
    net t;
    net_open(&t);
    test_seed = 11;
    oct_tensor *x = net_image(&t, 2, winograds[_i].c, winograds[_i].h, winograds[_i].w);
    x = net_conv(&t, "first", x, out, 3, 1, 1, 0);
    x = net_add(&t, "sum", net_conv(&t, "second", x, out, 3, 1, 1, 1), x);
    net_output(&t, net_flatten(&t, "flat", net_act(&t, "relu", x, OCT_ACT_RELU)));
    net_pass(&t, oct_pass_fuse);
    net_pass(&t, oct_pass_dce);
    ck_assert_msg(oct_plan_build(&t.g, &o, &p) == OCT_OK, "%s", oct_last_error());
    ck_assert_str_eq(p->step[1].kernel, winograds[_i].m == 4 ? "winograd4x4_f32/cuda"
                                                             : "winograd2x2_f32/cuda");
    oct_plan_free(p);
    check_bits(&t, OCT_LIBRARY_NEVER);
    net_close(&t);
}
END_TEST

int main(void)
{
    const suite_loop loops[] = {
        { fp16_is_within_its_bound, 2 * N_LAYERS }, /* then with cuBLAS */
        { sums_of_zero_are_written, 2 },
        { fp16_overflow_is_an_error, 1 },
        { only_rows_there_overflow, 1 },
#ifndef OCT_CUDA_DEVICE
        { columns_beyond_are_zeros, 2 },
#endif
        { attention_is_within_fp16s_bound, 3 * N_ATTENTIONS }, /* of one query; FP32 */
        { groups_have_the_bits_of_the_cpu, N_GROUPED * KINDS },
        { tiles_have_the_bits_of_the_cpu, 2 * OCT_CUDA_TILE_COUNT },
        { winograd_has_the_bits_of_the_cpu, N_WINOGRADS },
    };
    if (cuda_case_skipped()) return TEST_SKIP;
    return suite_run_loops("cuda_layers", loops, sizeof loops / sizeof *loops);
}
