/* The CUDA backend with its kernels run on a CPU, thread by thread (tests/cuda_emulate.h): whole
 * models, in FP32 and INT8 to the bit. */
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "models/model.h"
#include "tensor/f16.h"
#include "tests/cuda_case.h"

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
    same_images(source("weights/pretrained/cifar_cnn.safetensors"), "fp32", 1, 1, 1); /* Winograd */
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

static void fill_texts(oct_tensor *to_ids, oct_tensor *to_starts, oct_tensor *to_types)
{
    int32_t *ids = to_ids->data, *starts = to_starts->data;
    int32_t *types = to_types ? to_types->data : NULL;
    starts[0] = 0;
    for (int t = 0, at = 0; t < TEXTS; t++) {
        for (int i = 0; i < lengths[t]; i++, at++) {
            ids[at] = (i * i * 7 + 31 * i + 101 * t + 5) % 333;
            if (types) types[at] = 2 * i > lengths[t];
        }
        starts[t + 1] = at;
    }
}

static float *run_texts(oct_model *m)
{
    const size_t size = (size_t)(TEXTS * m->classes) * sizeof(float);
    fill_texts(oct_model_input(m, 0), oct_model_input(m, 1), oct_model_input(m, 2));
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

/* Ranges of samples, with SmoothQuant's factors or without. */
static void quantize_texts(const char *from, double strength, const char *to)
{
    const oct_options o = { .batch = TEXTS + 1, .sequence = 80 };
    const oct_quantizer_options how = { .smooth = { strength, strength } };
    oct_quantizer *q;
    ck_assert_msg(oct_quantizer_open(from, &o, &how, &q) == OCT_OK, "%s", oct_last_error());
    fill_texts(oct_quantizer_input(q, 0), oct_quantizer_input(q, 1), oct_quantizer_input(q, 2));
    ck_assert_msg(oct_quantizer_add(q, TEXTS) == OCT_OK, "%s", oct_last_error());
    ck_assert_msg(oct_quantizer_save(q, to) == OCT_OK, "%s", oct_last_error());
    oct_quantizer_free(q);
}

START_TEST(calibrated_texts_have_the_bits_of_the_cpu)
{
    static const struct { const char *model; double strength; } cases[] = {
        { "tests/golden/encoders/distilbert", 0.5 }, { "tests/golden/encoders/bert", 0 },
    };
    char out[64];
    snprintf(out, sizeof out, "test_cuda-texts%d.safetensors", _i);
    quantize_texts(source(cases[_i].model), cases[_i].strength, out);
    same_texts(out, NULL);
    unlink(out);
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

/* ---- files ---- */

/* mnist_cnn with every weight and bias as `type`, conv1 times `times`, conv2's weights over it, and
 * octet.ranges, if any. */
static void save_as(const char *to, oct_dtype type, float times, const char *ranges)
{
    enum { MOST = 16 };
    oct_weights *w;
    oct_arena arena = { 0 };
    oct_save_tensor list[MOST];
    oct_save_meta meta[] = { { "octet.arch", NULL }, { "octet.format", "1" },
                             { "octet.ranges", ranges } };
    oct_tensor t[MOST];
    ck_assert_int_eq(oct_weights_open(source("weights/pretrained/mnist_cnn.safetensors"), &w),
                     OCT_OK);
    const int n = oct_weights_count(w);
    meta[0].value = oct_weights_meta(w, "octet.arch");
    for (int i = 0; i < n; i++) {
        const char *name = oct_weights_at(w, i)->name;
        ck_assert_int_eq(oct_weights_require(w, name, -1, NULL, &t[i]), OCT_OK);
        const float by = strncmp(name, "conv1.", 6) == 0 ? times
                         : strcmp(name, "conv2.weight") == 0 ? 1 / times : 1;
        const float *from = t[i].data;
        const size_t count = oct_tensor_count(&t[i]);
        void *room = oct_arena_alloc(&arena, count * sizeof(float));
        for (size_t k = 0; k < count; k++)
            if (type == OCT_BF16) ((uint16_t *)room)[k] = oct_bf16_of_f32(from[k] * by);
            else ((float *)room)[k] = from[k] * by;
        t[i].data = room;
        t[i].dtype = type;
        list[i] = (oct_save_tensor){ name, &t[i] };
    }
    ck_assert_msg(oct_weights_save(to, list, n, meta, ranges ? 3 : 2) == OCT_OK, "%s",
                  oct_last_error());
    oct_arena_free(&arena);
    oct_weights_close(w);
}

/* Weights in bfloat16 are weights: halves on the device, or the CPU's FP32. */
START_TEST(bfloat16_files_run)
{
    const char *path = "test_cuda-bf16.safetensors";
    save_as(path, OCT_BF16, 1, NULL);
    same_images(path, "fp32", 1, 1, 1);
    oct_model *cpu = load(path, (oct_options){ .batch = 1 });
    oct_model *gpu = load(path, (oct_options){ .batch = 1, .device = "cuda" });
    float *want = run_images(cpu, 1), *got = run_images(gpu, 1);
    near(gpu, want, got, 1);
    free(want);
    free(got);
    oct_model_free(cpu);
    oct_model_free(gpu);
    unlink(path);
}
END_TEST

/* What octet.ranges says of conv1 and its pool keeps them in FP32. */
START_TEST(ranges_in_the_file_make_islands)
{
    static const char ranges[] = "{\"samples\":2,\"sha256\":\"\",\"values\":{\"conv1\":200000,"
                                 "\"maxpool:2@3\":16376,\"conv2\":16375,\"gone\":1e9}}";
    const char *path = "test_cuda-ranges.safetensors";
    const oct_options o = { .batch = 1, .device = "cuda" };
    save_as(path, OCT_F32, 65536, NULL);
    oct_model *cpu = load(path, (oct_options){ .batch = 1 }), *gpu = load(path, o);
    float *want = run_images(cpu, 1);
    fill(oct_model_input(gpu, 0), 7);
    ck_assert_int_eq(oct_model_run(gpu, 1), OCT_ERR_DEVICE);
    oct_model_free(gpu);
    save_as(path, OCT_F32, 65536, ranges);
    gpu = load(path, o);
    float *got = run_images(gpu, 1);
    near(gpu, want, got, 1);
    ck_assert_str_eq(gpu->plan->step[1].kernel, "conv2d_f32/cuda");
    ck_assert_str_eq(gpu->plan->step[3].kernel, "conv2d_f32/cuda"); /* reads what is wide */
    ck_assert_str_eq(gpu->plan->step[5].kernel, "conv2d_f16_64x64_k7/cuda");
    free(want);
    free(got);
    oct_model_free(cpu);
    oct_model_free(gpu);
    unlink(path);
}
END_TEST

START_TEST(ranges_that_are_none_are_refused)
{
    static const char *const bad[] = {
        "[]", "{}", "{\"values\":[]}", "{\"values\":{\"conv1\":-1}}",
        "{\"values\":{\"conv1\":\"1\"}}", "{\"values\":{},\"value\":{}}", "{\"values\":{",
    };
    const char *path = "test_cuda-bad.safetensors";
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        oct_model *m;
        save_as(path, OCT_F32, 1, bad[i]);
        ck_assert_int_eq(oct_model_load(path, &(oct_options){ .device = "cuda" }, &m),
                         OCT_ERR_FORMAT);
        ck_assert_msg(strstr(oct_last_error(), "octet.ranges") != NULL, "%s", oct_last_error());
    }
    unlink(path);
}
END_TEST

int main(void)
{
    const suite_loop loops[] = {
        { fp32_has_the_bits_of_the_cpu, 1 },
        { int8_has_the_bits_of_the_cpu, 1 },
        { pytorchs_int8_has_the_bits_of_the_cpu, 2 },
        { int8_at_run_time_has_the_bits_of_the_cpu, 1 },
        { texts_have_the_bits_of_the_cpu, 4 },
        { calibrated_texts_have_the_bits_of_the_cpu, 2 },
        { fp16_models_are_near_fp32, 1 },
        { bfloat16_files_run, 1 },
        { ranges_in_the_file_make_islands, 1 },
        { ranges_that_are_none_are_refused, 1 },
        { fp16_texts_are_near_fp32, 2 },
    };
    if (cuda_case_skipped()) return TEST_SKIP;
    return suite_run_loops("cuda", loops, sizeof loops / sizeof *loops);
}
