/* Models quantized in memory on their own data: accuracy, one SHA-256 on every ISA for any threads
 * and batch; and what pass_quantize makes of small graphs. */
#include <math.h>
#include <string.h>
#include <unistd.h>

#include "graph/boundary.h"
#include "quant/table.h"
#include "tensor/cpu.h"
#include "tests/golden_sha256.h"
#include "tests/graph_case.h"
#include "tests/quantize_case.h"
#include "tests/suite.h"

typedef struct subject {
    const char *name, *path, *data;
    int calibration, n;      /* samples to calibrate on, to evaluate on, evenly */
    int layers, steps_u8;    /* conv2d and linear; steps whose output is U8 */
    int drop;                /* of n, at most so many fewer are right than in FP32 */
} subject;

/* MNIST: issue C allows 2 of 10,000; here every fifth image.  CIFAR: 0.3 points of 256 is 1. */
static const subject subjects[] = {
    { "mnist_cnn", "weights/pretrained/mnist_cnn.safetensors",
      "tests/data/mnist/t10k-images-idx3-ubyte.gz", 100, 2000, 4, 6, 2 },
    { "cifar_cnn", "weights/pretrained/cifar_cnn.safetensors", "tests/data/cifar/test_256.bin", 100,
      256, 8, 11, 1 },
    { "resnet20", "../shared/weights/resnet20-12fca82f.th", "tests/data/cifar/test_256.bin", 100,
      256, 20, 0, 1 },       /* not everywhere */
};
enum { N_ALL = sizeof subjects / sizeof *subjects, N_SUBJECTS = N_ALL - 1, SAMPLES = 7,
       CLASSES = 10 };

static const char *at_source(const char *path, char full[512])
{
    const char *folder = getenv("srcdir");
    snprintf(full, 512, "%s/%s", folder ? folder : ".", path);
    return full;
}

static int count_u8(const oct_plan *p)
{
    int n = 0;
    for (int i = 0; i < p->n_steps; i++) n += p->step[i].args.out->dtype == OCT_U8;
    return n;
}

START_TEST(accuracy_is_kept)
{
    const subject *s = &subjects[_i];
    char path[512], data[512];
    samples calib, eval;
    at_source(s->path, path);
    at_source(s->data, data);
    samples_read(path, data, 0, s->calibration, &calib);
    samples_read(path, data, 0, test_brief() ? 16 : s->n, &eval);
    oct_calibration *c = quantize_calibrate(path, &calib, 2);
    quantized q;
    quantized_open(path, NULL, NULL, oct_cpu_flags(), 2, 16, &q);
    const int want = quantized_run(&q, &eval, NULL);
    quantized_close(&q);
    for (int k = 0; k < 4; k += test_brief() ? 4 : 1) {
        const oct_quantize_options o = { .method = OCT_METHOD_MSE, .qmax = k & 1 ? 255 : 127,
                                         .bias_correction = k >> 1 };
        quantized_open(path, c, &o, oct_cpu_flags(), 2, 16, &q);
        const int got = quantized_run(&q, &eval, NULL);
        ck_assert_int_eq(q.layers, s->layers);
        ck_assert_int_eq(count_u8(q.plan), s->steps_u8);
        ck_assert_int_eq(q.plan->out[0].dtype, OCT_F32);
        ck_assert_msg(got >= want - s->drop, "qmax %d, bias correction %d: %d of %d right, FP32 "
                      "has %d", o.qmax, o.bias_correction, got, eval.n, want);
        quantized_close(&q);
    }
    oct_calibration_close(c);
    samples_free(&calib);
    samples_free(&eval);
}
END_TEST

static const oct_quantize_options at_run_time = { .keep = NULL };

START_TEST(accuracy_is_kept_at_run_time)
{
    const subject *s = &subjects[_i];
    char path[512], data[512];
    samples eval;
    int right[2];
    if (access(at_source(s->path, path), R_OK) != 0) return;
    samples_read(path, at_source(s->data, data), 0, test_brief() ? 16 : s->n, &eval);
    for (int dynamic = 0; dynamic < 2; dynamic++) {
        quantized q;
        quantized_open(path, NULL, dynamic ? &at_run_time : NULL, oct_cpu_flags(), 2, 16, &q);
        right[dynamic] = quantized_run(&q, &eval, NULL);
        ck_assert_int_eq(q.layers, dynamic ? s->layers : 0);
        ck_assert_int_eq(count_u8(q.plan), 0);
        quantized_close(&q);
    }
    ck_assert_msg(right[1] >= right[0] - s->drop, "%d of %d right, FP32 has %d", right[1], eval.n,
                  right[0]);
    samples_free(&eval);
}
END_TEST

/* One SHA-256 of the logits of calib on every ISA, for any threads and batch. */
static void same_bits(const subject *s, const char *suffix, const samples *calib,
                      const oct_calibration *c, const oct_quantize_options *o)
{
    static const char *const isas[] = { "ref", "avx2", "avxvnni", "avx512", "neon", "neondot",
                                        "neoni8mm" };
    char path[512], name[64], want[65], got[65];
    float logits[SAMPLES * CLASSES];
    at_source(s->path, path);
    snprintf(name, sizeof name, "%s_%s", s->name, suffix);
    golden_sha256(name, want);
    for (size_t a = 0; a < sizeof isas / sizeof *isas; a++) {
        unsigned flags;
        if (oct_cpu_isa(isas[a], &flags) != OCT_OK) continue;
        for (int threads = 1; threads <= 3; threads++)
            for (int batch = 1; batch <= 3; batch += 2) {
                quantized q;
                if (test_brief() && (threads != 2 || batch != 3)) continue;
                quantized_open(path, c, o, flags, threads, batch, &q);
                quantized_run(&q, calib, logits);
                quantized_close(&q);
                sha256_of(logits, sizeof logits, got);
                ck_assert_msg(strcmp(got, want) == 0, "%s, %s, %d threads, batch %d: %s, expected "
                              "%s", name, isas[a], threads, batch, got, want);
            }
    }
}

START_TEST(the_same_bits_everywhere)
{
    const subject *s = &subjects[_i / 3];
    const int qmax = (int[]){ 127, 255, 0 }[_i % 3]; /* 0: at run time */
    const oct_quantize_options o = { .qmax = qmax, .bias_correction = 1 };
    char path[512], data[512], suffix[16] = "int8_dynamic";
    samples calib;
    at_source(s->path, path);
    samples_read(path, at_source(s->data, data), 0, SAMPLES, &calib);
    oct_calibration *c = qmax ? quantize_calibrate(path, &calib, 1) : NULL;
    if (qmax) snprintf(suffix, sizeof suffix, "int8_%d", qmax);
    same_bits(s, suffix, &calib, c, &o);
    oct_calibration_close(c);
    samples_free(&calib);
}
END_TEST

/* ---- small graphs ---- */

static net t;

/* A block of a ResNet with a shortcut by convolution, between a stem with a pool and a head. */
static void open_block(void)
{
    const oct_pool_attr average = { .kind = OCT_POOL_ADAPTIVE_AVG, .out = { 1, 1 } };
    net_open(&t);
    oct_tensor *x = net_conv(&t, "stem", net_image(&t, 2, 3, 12, 12), 20, 3, 1, 1, 1);
    x = net_maxpool(&t, "pool", net_act(&t, "relu0", x, OCT_ACT_RELU), 2);
    oct_tensor *y = net_act(&t, "relu1", net_conv(&t, "conv1", x, 24, 3, 1, 1, 1), OCT_ACT_RELU);
    y = net_conv(&t, "conv2", y, 70, 3, 1, 1, 1);
    y = net_add(&t, "add", y, net_conv(&t, "down", x, 70, 1, 1, 1, 0));
    y = net_act(&t, "relu2", y, OCT_ACT_RELU);
    ck_assert_int_eq(oct_graph_add(&t.g, OCT_OP_POOL, "avg", &average, sizeof average,
                                   (oct_tensor *[OCT_MAX_IN]){ y }, &y), OCT_OK);
    net_output(&t, net_linear(&t, "fc", net_flatten(&t, "flat", y), 5));
    net_pass(&t, oct_pass_fuse);
    net_pass(&t, oct_pass_dce);
}

static oct_calibration *seen_block(void)
{
    const oct_calibrate_options means = { .means = 1 };
    oct_calibration *c;
    oct_plan *p = net_plan(&t, 0);
    float *x = p->in[0].data;
    for (size_t i = 0; i < oct_tensor_count(&p->in[0]); i++)
        x[i] = (float)((int)(test_rand() % 2001) - 1000) / 1000;
    ck_assert_int_eq(oct_calibration_open(p, net_pool(), &means, &c), OCT_OK);
    oct_calibration_run(c, p, net_pool(), 2);
    oct_plan_free(p);
    return c;
}

static int is_u8(const char *name)
{
    ck_assert_msg(net_node(&t, name) != NULL, "%s", name);
    return net_node(&t, name)->args.out->dtype == OCT_U8;
}

/* The error of a chain of roundings to 255 steps, far from that of a wrong scale or operand. */
static double distance(const float *a, const float *b, size_t n)
{
    double most = 0, size = 0;
    for (size_t i = 0; i < n; i++) {
        most = fmax(most, fabs((double)a[i] - (double)b[i]));
        size = fmax(size, fabs((double)a[i]));
    }
    return most / size;
}

static oct_status quantize(const oct_calibration *c, const char *const *keep, int n, int *changes)
{
    const oct_quantize_options o = { .qmax = 255, .keep = keep, .n_keep = n };
    *changes = 0;
    return oct_pass_quantize(&t.g, c, &o, NULL, changes);
}

START_TEST(a_block_stays_in_integers)
{
    int changes;
    open_block();
    oct_calibration *c = seen_block();
    float *before = net_run(&t, 2, 0);
    ck_assert_msg(quantize(c, NULL, 0, &changes) == OCT_OK, "%s", oct_last_error());
    ck_assert_int_eq(changes, 5);
    ck_assert(is_u8("input:quantize") && is_u8("stem") && is_u8("pool") && is_u8("conv1"));
    ck_assert(is_u8("conv2") && is_u8("down") && is_u8("avg") && !is_u8("fc"));
    ck_assert_int_eq(t.g.n_nodes, 9);
    ck_assert(net_node(&t, "pool")->args.out->scale == net_node(&t, "stem")->args.out->scale);
    float *after = net_run(&t, 2, 0);
    ck_assert_msg(distance(before, after, 10) < .1, "%g", distance(before, after, 10));
    free(before);
    free(after);
    oct_calibration_close(c);
    net_close(&t);
}
END_TEST

/* What is kept is FP32, and its neighbours meet it through quantize and dequantize. */
START_TEST(kept_layers_stay_fp32)
{
    static const char *const layers[] = { "stem", "conv1", "conv2", "down", "fc" };
    for (unsigned set = 0; set < 32; set++) {
        const char *keep[5];
        int n = 0, changes;
        for (int i = 0; i < 5; i++)
            if (set >> i & 1) keep[n++] = layers[i];
        open_block();
        oct_calibration *c = seen_block();
        float *before = net_run(&t, 2, 0);
        ck_assert_msg(quantize(c, keep, n, &changes) == OCT_OK, "%s", oct_last_error());
        ck_assert_int_eq(changes, 5 - n);
        for (int i = 0; i < 5; i++) {
            const oct_node *node = net_node(&t, layers[i]);
            ck_assert_int_eq(node->args.in[1]->dtype, set >> i & 1 ? OCT_F32 : OCT_S8);
        }
        float *after = net_run(&t, 2, 0);
        const double d = distance(before, after, 10);
        ck_assert_msg(d < .1 && (set == 31) == (d == 0), "set %u: %g", set, d);
        free(before);
        free(after);
        oct_calibration_close(c);
        net_close(&t);
    }
}
END_TEST

START_TEST(run_time_layers_keep_their_neighbours)
{
    static const char *const keep[] = { "conv1", "fc" };
    int changes = 0;
    open_block();
    float *before = net_run(&t, 2, 0);
    ck_assert_int_eq(oct_pass_dynamic(&t.g, (oct_keep){ keep, 2 }, &changes), OCT_OK);
    ck_assert_int_eq(changes, 3);
    ck_assert_int_eq(net_node(&t, "conv1")->args.in[1]->dtype, OCT_F32);
    const oct_node *stem = net_node(&t, "stem");
    const oct_tensor *w = stem->args.in[1];
    ck_assert(w->dtype == OCT_S8 && stem->args.in[2]->dtype == OCT_F32 && !is_u8("stem"));
    for (int o = 0; o < 20; o++) { /* a row's largest is 127 steps */
        const int8_t *row = (const int8_t *)w->data + o * 27;
        int most = 0;
        for (int k = 0; k < 27; k++) most = abs(row[k]) > most ? abs(row[k]) : most;
        ck_assert_int_eq(most, 127);
    }
    float *after = net_run(&t, 2, 0);
    const double d = distance(before, after, 10);
    ck_assert_msg(d > 0 && d < .05, "%g", d);
    ck_assert_int_eq(oct_pass_dynamic(&t.g, (oct_keep){ keep, 0 }, &changes), OCT_OK);
    ck_assert_int_eq(changes, 5); /* the two that were left */
    free(before);
    free(after);
    net_close(&t);
}
END_TEST

START_TEST(what_cannot_be_quantized_is_said)
{
    static const char *const nobody = "conv9";
    int changes;
    open_block();
    oct_calibration *c = seen_block();
    ck_assert_int_eq(quantize(c, &nobody, 1, &changes), OCT_ERR_UNSUPPORTED);
    ck_assert_str_eq(oct_last_error(), "quantize: there is no layer 'conv9' to keep");
    const oct_quantize_options o = { .qmax = 100 };
    ck_assert_int_eq(oct_pass_quantize(&t.g, c, &o, NULL, &changes), OCT_ERR_UNSUPPORTED);
    ((oct_node *)(uintptr_t)net_node(&t, "conv1"))->name = "conv7";
    ck_assert_int_eq(quantize(c, NULL, 0, &changes), OCT_ERR_FORMAT);
    ck_assert_str_eq(oct_last_error(), "quantize: conv7 was not calibrated");
    changes = 0;
    ck_assert_int_eq(oct_pass_dynamic(&t.g, (oct_keep){ &nobody, 1 }, &changes),
                     OCT_ERR_UNSUPPORTED);
    ck_assert_str_eq(oct_last_error(), "quantize: there is no layer 'conv9' to keep");
    ((float *)net_node(&t, "down")->args.in[1]->data)[7] = NAN;
    ck_assert_int_eq(oct_pass_dynamic(&t.g, (oct_keep){ NULL, 0 }, &changes),
                     OCT_ERR_UNSUPPORTED);
    ck_assert_str_eq(oct_last_error(), "down: a weight or bias is not finite");
    oct_calibration_close(c);
    net_close(&t);
}
END_TEST

/* A linear that applies a curve gives FP32 and is quantized all the same; the next one reads it
 * through quantize. */
START_TEST(curves_are_applied_in_fp32)
{
    int changes;
    net_open(&t);
    oct_tensor *x = net_linear(&t, "up", net_rows(&t, 2, 40), 70);
    net_output(&t, net_linear(&t, "down", net_act(&t, "gelu", x, OCT_ACT_GELU), 9));
    ck_assert_int_eq(net_pass(&t, oct_pass_fuse), 1);
    oct_calibration *c = seen_block();
    float *before = net_run(&t, 2, 0);
    ck_assert_msg(quantize(c, NULL, 0, &changes) == OCT_OK, "%s", oct_last_error());
    ck_assert_int_eq(changes, 2);
    ck_assert(is_u8("input:quantize") && !is_u8("up") && is_u8("up:quantize") && !is_u8("down"));
    float *after = net_run(&t, 2, 0);
    ck_assert_msg(distance(before, after, 18) < .1, "%g", distance(before, after, 18));
    free(before);
    free(after);
    oct_calibration_close(c);
    net_close(&t);
}
END_TEST

/* An FP32 operator after a quantized one: pass_boundary alone puts dequantize between. */
START_TEST(boundary_inserts_dequantize_once)
{
    const oct_quantize_attr attr = { { .01f, 100, 255 } };
    net_open(&t);
    oct_tensor *x = net_rows(&t, 2, 6), *y;
    oct_tensor *a = net_act(&t, "a", x, OCT_ACT_TANH), *b = net_act(&t, "b", x, OCT_ACT_SIGMOID);
    net_output(&t, net_add(&t, "add", a, b));
    ck_assert_int_eq(oct_graph_add(&t.g, OCT_OP_QUANTIZE, "q", &attr, sizeof attr,
                                   (oct_tensor *[OCT_MAX_IN]){ x }, &y), OCT_OK);
    const oct_node last = t.g.node[3]; /* first now, and read by both */
    memmove(t.g.node + 1, t.g.node, 3 * sizeof last);
    t.g.node[0] = last;
    t.g.node[1].args.in[0] = t.g.node[2].args.in[0] = y;
    ck_assert_int_eq(oct_graph_verify(&t.g), OCT_ERR_UNSUPPORTED);
    ck_assert_int_eq(net_pass(&t, oct_pass_boundary), 1);
    ck_assert(net_node(&t, "q:dequantize") && t.g.n_nodes == 5);
    ck_assert_int_eq(net_pass(&t, oct_pass_boundary), 0);
    free(net_run(&t, 2, 0));
    net_close(&t);
}
END_TEST

/* S8 weights and nobody to ask: the layer stays as it is and quantizes x itself. */
START_TEST(boundary_leaves_run_time_layers)
{
    static int8_t weights[4 * 6];
    static const float scale[4] = { 1, 1, 1, 1 };
    const oct_linear_attr attr = { .act = OCT_ACT_NONE };
    oct_tensor w = { .dtype = OCT_S8, .rank = 2, .dim = { 4, 6 }, .data = weights, .scale = scale };
    oct_tensor *y;
    net_open(&t);
    oct_tensor *x = net_act(&t, "a", net_rows(&t, 2, 6), OCT_ACT_TANH);
    ck_assert_int_eq(oct_graph_add(&t.g, OCT_OP_LINEAR, "fc", &attr, sizeof attr,
                                   (oct_tensor *[OCT_MAX_IN]){ x, &w }, &y), OCT_OK);
    net_output(&t, y);
    ck_assert_int_eq(net_pass(&t, oct_pass_boundary), 0);
    ck_assert(net_node(&t, "fc")->args.in[0] == x && y->dtype == OCT_F32);
    net_close(&t);
}
END_TEST

/* Tables of an embedding: rows of their own, and left alone where that takes no fewer bytes. */
START_TEST(tables_become_bytes_by_rows)
{
    float word[3][6] = { { 0.5f, -1.27f, 0 }, { 0 }, { 0.1f, 0.2f, 0.3f, -0.4f, 0.5f, 12.7f } };
    float position[5][1] = { { 1 }, { 2 } };
    uint16_t type[2][4] = { { 0 } }; /* F16: 8 bytes a row, as many as 4 and a scale */
    oct_arena arena = { 0 };
    oct_tensor w = { .rank = 2, .dim = { 3, 6 }, .data = word }, none = { .rank = 2 };
    oct_tensor p = { .rank = 2, .dim = { 5, 1 }, .data = position };
    oct_tensor k = { .dtype = OCT_F16, .rank = 2, .dim = { 2, 4 }, .data = type };
    oct_node node = { .kind = OCT_OP_EMBEDDING, .name = "words" };
    node.args.in[OCT_EMBEDDING_WORD] = &w;
    node.args.in[OCT_EMBEDDING_POSITION] = &p;
    node.args.in[OCT_EMBEDDING_TYPE] = &k;
    node.args.in[OCT_EMBEDDING_GAMMA] = &none;
    int changed;
    ck_assert_int_eq(oct_quantize_tables(&node, &arena, &changed), OCT_OK);
    ck_assert(changed && w.dtype == OCT_S8 && p.dtype == OCT_F32 && k.dtype == OCT_F16);
    static const int8_t want[18] = { 50, -127, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 2, 3, -4, 5, 127 };
    ck_assert_mem_eq(w.data, want, sizeof want);
    ck_assert(w.scale[0] == 1.27f / 127 && w.scale[1] == 1 && w.scale[2] == 12.7f / 127);
    ck_assert_int_eq(oct_quantize_tables(&node, &arena, &changed), OCT_OK);
    ck_assert_int_eq(changed, 0);
    w = (oct_tensor){ .rank = 2, .dim = { 3, 6 }, .data = word };
    word[2][5] = INFINITY;
    ck_assert_int_eq(oct_quantize_tables(&node, &arena, &changed), OCT_ERR_UNSUPPORTED);
    ck_assert_str_eq(oct_last_error(), "words: row 2 of a table is not finite");
    oct_arena_free(&arena);
}
END_TEST

int main(void)
{
    const suite_loop loops[] = {
        { accuracy_is_kept, N_SUBJECTS }, { accuracy_is_kept_at_run_time, N_ALL },
        { the_same_bits_everywhere, 3 * N_SUBJECTS }, { a_block_stays_in_integers, 1 },
        { kept_layers_stay_fp32, 1 }, { run_time_layers_keep_their_neighbours, 1 },
        { what_cannot_be_quantized_is_said, 1 }, { curves_are_applied_in_fp32, 1 },
        { boundary_inserts_dequantize_once, 1 }, { boundary_leaves_run_time_layers, 1 },
        { tables_become_bytes_by_rows, 1 },
    };
    return suite_run_loops("quantize", loops, sizeof loops / sizeof *loops);
}
