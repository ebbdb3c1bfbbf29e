/* The CUDA backend with its kernels run on a CPU, thread by thread (tests/cuda_emulate.h): whole
 * models in FP32 and INT8 to the bit, single layers in FP16 within their bound. */
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cuda/cuda.h"
#include "models/model.h"
#include "tensor/f16.h"
#include "tests/graph_case.h"
#include "tests/suite.h"

void cuda_emulate_order(int down);

static const char *source(const char *name)
{
    static char full[512];
    const char *src = getenv("srcdir");
    snprintf(full, sizeof full, "%s/%s", src ? src : ".", name);
    return full;
}

static oct_model *load(const char *path, oct_options o)
{
    oct_model *m;
    ck_assert_msg(oct_model_load(path, &o, &m) == OCT_OK, "%s: %s", path, oct_last_error());
    return m;
}

/* Samples like normalized images. */
static void fill(oct_tensor *x, uint64_t seed)
{
    float *v = x->data;
    test_seed = seed;
    for (size_t i = 0; i < oct_tensor_count(x); i++) v[i] = (float)(int32_t)test_rand() * 0x1p-30f;
}

/* n samples of m; logits [n, classes], to be freed. */
static float *run_images(oct_model *m, int n)
{
    const size_t size = (size_t)(n * m->classes) * sizeof(float);
    float *logits = malloc(size);
    fill(oct_model_input(m, 0), 7);
    ck_assert_msg(oct_model_run(m, n) == OCT_OK, "%s", oct_last_error());
    memcpy(logits, oct_model_output(m, 0)->data, size);
    return logits;
}

/* The same file on the CPU and on the device, n of `batch` samples, threads in both orders. */
static void same_images(const char *path, const char *precision, int batch, int n, int orders)
{
    oct_options o = { .batch = batch, .precision = precision, .height = 48, .width = 64 };
    if (strstr(path, "_cnn") || strstr(path, "test_cuda")) o.height = o.width = 0;
    oct_model *cpu = load(path, o), *gpu;
    o.device = "cuda";
    gpu = load(path, o);
    float *want = run_images(cpu, n);
    for (int down = 0; down < orders; down++) {
        cuda_emulate_order(down);
        float *got = run_images(gpu, n);
        ck_assert_msg(!memcmp(want, got, (size_t)(n * cpu->classes) * sizeof *got),
                      "%s: %g %g, expected %g %g", path, (double)got[0], (double)got[1],
                      (double)want[0], (double)want[1]);
        free(got);
    }
    cuda_emulate_order(0);
    free(want);
    oct_model_free(cpu);
    oct_model_free(gpu);
}

START_TEST(fp32_has_the_bits_of_the_cpu)
{
    same_images(source("weights/pretrained/mnist_cnn.safetensors"), "fp32", 2, 2, 2);
    same_images(source("weights/pretrained/mnist_cnn.safetensors"), "fp32", 3, 1, 1);
}
END_TEST

START_TEST(int8_at_run_time_has_the_bits_of_the_cpu)
{
    same_images(source("weights/pretrained/mnist_cnn.safetensors"), "int8", 3, 2, 1);
}
END_TEST

/* A model of the tree, calibrated on random samples. */
static void quantize(const char *from, const char *to)
{
    oct_quantizer *q;
    ck_assert_msg(oct_quantizer_open(from, NULL, NULL, &q) == OCT_OK, "%s", oct_last_error());
    for (int i = 0; i < 8; i++) {
        fill(oct_quantizer_input(q, 0), (uint64_t)i);
        ck_assert_int_eq(oct_quantizer_add(q, 1), OCT_OK);
    }
    ck_assert_msg(oct_quantizer_save(q, to) == OCT_OK, "%s", oct_last_error());
    oct_quantizer_free(q);
}

START_TEST(int8_has_the_bits_of_the_cpu)
{
    const char *out = "test_cuda-int8.safetensors";
    quantize(source("weights/pretrained/mnist_cnn.safetensors"), out);
    same_images(out, NULL, 2, 2, 2);
    unlink(out);
}
END_TEST

/* Residual blocks, in networks that PyTorch quantized. */
START_TEST(pytorchs_int8_has_the_bits_of_the_cpu)
{
    same_images(source(_i ? "tests/golden/quantized/resnet50.pth"
                          : "tests/golden/quantized/resnet18.pth"), NULL, 1, 1, 1);
}
END_TEST

/* ---- texts ---- */

static const int lengths[] = { 1, 2, 16, 45 };
enum { TEXTS = sizeof lengths / sizeof *lengths };

static float *run_texts(oct_model *m)
{
    const size_t size = (size_t)(TEXTS * m->classes) * sizeof(float);
    int32_t *ids = oct_model_input(m, 0)->data, *starts = oct_model_input(m, 1)->data;
    int32_t *types = oct_model_input(m, 2) ? oct_model_input(m, 2)->data : NULL;
    starts[0] = 0;
    for (int t = 0, at = 0; t < TEXTS; t++) {
        for (int i = 0; i < lengths[t]; i++, at++) {
            ids[at] = (i * i * 7 + 31 * i + 101 * t + 5) % 333;
            if (types) types[at] = 2 * i > lengths[t];
        }
        starts[t + 1] = at;
    }
    float *logits = malloc(size);
    ck_assert_msg(oct_model_run(m, TEXTS) == OCT_OK, "%s", oct_last_error());
    memcpy(logits, oct_model_output(m, 0)->data, size);
    return logits;
}

static void same_texts(const char *path, const char *precision)
{
    const oct_options o = { .batch = TEXTS + 1, .sequence = 80, .precision = precision };
    oct_options on_gpu = o;
    on_gpu.device = "cuda";
    oct_model *cpu = load(path, o), *gpu = load(path, on_gpu);
    float *want = run_texts(cpu), *got = run_texts(gpu);
    ck_assert_msg(!memcmp(want, got, (size_t)(TEXTS * cpu->classes) * sizeof *got),
                  "%s: %g %g, expected %g %g", path, (double)got[0], (double)got[1],
                  (double)want[0], (double)want[1]);
    free(want);
    free(got);
    oct_model_free(cpu);
    oct_model_free(gpu);
}

START_TEST(texts_have_the_bits_of_the_cpu)
{
    same_texts(source(_i % 2 ? "tests/golden/encoders/bert" : "tests/golden/encoders/distilbert"),
               _i / 2 ? "int8" : "fp32");
}
END_TEST

/* ---- FP16: models ---- */

/* docs/numerics.md: of L layers far below L roundings of the largest logit; two a layer here, of
 * weights and of values. */
static void near(oct_model *m, const float *want, const float *got, int n)
{
    const int layers = m->plan->n_steps;
    float most = 0, off = 0;
    ck_assert_str_eq(m->precision, "fp16");
    for (int i = 0; i < n * m->classes; i++) {
        most = fmaxf(most, fabsf(want[i]));
        off = fmaxf(off, fabsf(got[i] - want[i]));
    }
    ck_assert_msg(off > 0 && off <= most * (float)layers * 0x1p-10f, "%g of %g", (double)off,
                  (double)most);
}

START_TEST(fp16_models_are_near_fp32)
{
    const char *path = source("weights/pretrained/mnist_cnn.safetensors");
    oct_model *cpu = load(path, (oct_options){ .batch = 2 });
    oct_model *gpu = load(path, (oct_options){ .batch = 2, .device = "cuda" });
    float *want = run_images(cpu, 2), *got = run_images(gpu, 2);
    near(gpu, want, got, 2);
    free(want);
    free(got);
    oct_model_free(cpu);
    oct_model_free(gpu);
}
END_TEST

START_TEST(fp16_texts_are_near_fp32)
{
    const char *path = source(_i ? "tests/golden/encoders/bert"
                                 : "tests/golden/encoders/distilbert");
    const oct_options o = { .batch = TEXTS, .sequence = 80 };
    oct_options on_gpu = o;
    on_gpu.device = "cuda";
    oct_model *cpu = load(path, o), *gpu = load(path, on_gpu);
    float *want = run_texts(cpu), *got = run_texts(gpu);
    near(gpu, want, got, TEXTS);
    free(want);
    free(got);
    oct_model_free(cpu);
    oct_model_free(gpu);
}
END_TEST

/* ---- FP16: one layer ---- */

typedef struct layer {
    int c, h, w, out, kernel, stride, n; /* out 0: a linear layer c -> h of w rows */
    int relu;
} layer;

static const layer layers[] = {
    { 3, 9, 7, 5, 3, 2, 2, 1 },      /* one chunk of channels a pixel, fewer than a tile */
    { 8, 6, 6, 64, 3, 1, 1, 0 },     /* a whole block of channels */
    { 24, 11, 5, 70, 1, 1, 3, 1 },   /* 165 pixels, 70 channels: parts of tiles both ways */
    { 64, 5, 5, 8, 5, 1, 1, 0 },     /* 25 taps: 50 steps of k, in 12 parts */
    { 300, 77, 5, 0, 0, 0, 0, 0 }, { 16, 10, 130, 0, 0, 0, 0, 1 },
    { 12, 8448, 70, 0, 0, 0, 0, 0 }, /* 132 blocks: the large tile */
};
enum { N_LAYERS = sizeof layers / sizeof *layers };

static void build(net *t, const layer *l)
{
    net_open(t);
    test_seed = 5;
    oct_tensor *x = l->out ? net_image(t, l->n, l->c, l->h, l->w) : net_rows(t, l->w, l->c);
    x = l->out ? net_conv(t, "conv", x, l->out, l->kernel, l->stride, 1, 1)
               : net_linear(t, "fc", x, l->h);
    if (l->relu) x = net_act(t, "relu", x, OCT_ACT_RELU);
    if (l->out) x = net_flatten(t, "flat", x);
    net_output(t, x);
    net_pass(t, oct_pass_fuse);
    net_pass(t, oct_pass_dce);
}

static float *run_net(const net *t, const oct_backend *backend, int absolute)
{
    const oct_plan_options o = { .cpu = 0, .threads = 1, .backend = backend, .floats = OCT_F16 };
    oct_plan *p;
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

/* docs/cuda.md, of rounded operands: sums within (K + 3) 2^-23, the CPU's within K 2^-24; the
 * store. */
START_TEST(fp16_is_within_its_bound)
{
    const layer *l = &layers[_i];
    const double k = l->out ? l->c * l->kernel * l->kernel : l->c;
    const double of_sum = (k + 3) * (0x1p-23 + 0x1p-24);
    net t;
    build(&t, l);
    round_constants(&t);
    const size_t n = oct_tensor_count(t.g.out[0]);
    float *want = run_net(&t, NULL, 0), *got = run_net(&t, &oct_backend_cuda, 0);
    make_absolute(&t);
    float *sum = run_net(&t, NULL, 1);
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
    *most = (0x1p-10 + 2 * (width + 3) * 0x1p-23 * e + 0x1p-18) * size + 0x1p-24;
    return y;
}

START_TEST(fp16_attention_is_within_its_bound)
{
    enum { N = 3, TOKENS = 1 + 70 + 130 };
    static const int32_t begins[N + 1] = { 0, 1, 71, TOKENS };
    const int d = attentions[_i].d, width = d / attentions[_i].heads;
    const oct_attention_attr attr = { attentions[_i].heads, 130 };
    const oct_tensor rows = { .dtype = OCT_F32, .rank = 2, .dim = { TOKENS + 5, 3 * d } };
    const oct_tensor texts = { .dtype = OCT_S32, .rank = 1, .dim = { N + 2 } };
    oct_tensor *x, *starts, *y;
    net t;
    net_open(&t);
    ck_assert_int_eq(oct_graph_input(&t.g, &rows, &x), OCT_OK);
    ck_assert_int_eq(oct_graph_input(&t.g, &texts, &starts), OCT_OK);
    t.g.starts = starts;
    ck_assert_int_eq(oct_graph_add(&t.g, OCT_OP_ATTENTION, "attention", &attr, sizeof attr,
                                   (oct_tensor *[OCT_MAX_IN]){ x, starts }, &y), OCT_OK);
    net_output(&t, y);
    const oct_plan_options o = { .threads = 1, .backend = &oct_backend_cuda, .floats = OCT_F16 };
    oct_plan *p;
    ck_assert_msg(oct_plan_build(&t.g, &o, &p) == OCT_OK, "%s", oct_last_error());
    ck_assert_str_eq(p->step[0].kernel, width % 8 ? "attention/cuda" : "attention_f16/cuda");
    fill(&p->in[0], 11);
    float *in = p->in[0].data;
    for (int i = 0; i < TOKENS * 3 * d; i++) in[i] = oct_f32_of_f16(oct_f16_of_f32(in[i]));
    memcpy(p->in[1].data, begins, sizeof begins);
    ck_assert_int_eq(oct_plan_run_all(p, NULL, N), OCT_OK);
    const float *got = p->out[0].data;
    for (int text = 0; text < N; text++)
        for (int i = begins[text]; i < begins[text + 1]; i++)
            for (int c = 0; c < d; c++) {
                double most;
                const int n = begins[text + 1] - begins[text];
                const double want = attend(in + begins[text] * 3 * d, d, width, n,
                                           i - begins[text], c, &most);
                ck_assert_msg(fabs((double)got[i * d + c] - want) <= most, "row %d, %d: %g, "
                              "expected %g within %g", i, c, (double)got[i * d + c], want, most);
            }
    oct_plan_free(p);
    net_close(&t);
}
END_TEST

int main(void)
{
    const suite_loop loops[] = {
        { fp16_is_within_its_bound, N_LAYERS },
        { fp16_overflow_is_an_error, 1 },
        { fp16_attention_is_within_its_bound, N_ATTENTIONS },
        { fp32_has_the_bits_of_the_cpu, 1 },
        { int8_has_the_bits_of_the_cpu, 1 },
        { pytorchs_int8_has_the_bits_of_the_cpu, 2 },
        { int8_at_run_time_has_the_bits_of_the_cpu, 1 },
        { texts_have_the_bits_of_the_cpu, 4 },
        { fp16_models_are_near_fp32, 1 },
        { fp16_texts_are_near_fp32, 2 },
    };
    return suite_run_loops("cuda", loops, sizeof loops / sizeof *loops);
}
