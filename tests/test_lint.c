/* octet lint: a good set, mutated in its pixels, is refused by the right name; clean sets pass.
 *
 * The model file carries no recipe and the pixels come from .npy files, fed as they are: what is
 * found is found in the network. */
#include <math.h>

#include "programs/lint_data.h"
#include "tests/files.h"
#include "weights/weights.h"

enum { SIDE = 32, MAP = SIDE * SIDE, SAMPLE = 3 * MAP, RECORD = 1 + SAMPLE, IMAGES = 128,
       PATH = 5000 };

static const float mean[] = { .4914f, .4822f, .4465f }, std[] = { .2470f, .2435f, .2616f };
static char folder[64], bare[100], bare255[100], untrained[100];

typedef enum variant { BARE, BYTES, UNTRAINED } variant;

/* ---- files ---- */

/* A copy of the CIFAR network without its recipe.  BYTES: its first layer takes 0..255 instead of
 * (p - m) / s: conv1' = conv1 / (255 s), and what the mean would add comes off the batch norm's.
 * UNTRAINED: its batch norms are as they were made. */
static void save_bare(const char *path, variant v)
{
    oct_weights *w;
    char name[PATH];
    snprintf(name, sizeof name, "%s", file_of("../weights/pretrained/cifar_cnn.safetensors"));
    ck_assert_int_eq(oct_weights_open(name, &w), OCT_OK);
    const int n = oct_weights_count(w);
    oct_tensor *t = calloc((size_t)n, sizeof *t);
    oct_save_tensor *list = calloc((size_t)n, sizeof *list);
    oct_tensor *kernel = NULL;
    float *weight = NULL, *running = NULL;
    for (int i = 0; i < n; i++) {
        list[i] = (oct_save_tensor){ oct_weights_at(w, i)->name, &t[i] };
        ck_assert_int_eq(oct_weights_require(w, list[i].name, -1, NULL, &t[i]), OCT_OK);
        if (!strcmp(list[i].name, "conv1.weight")) kernel = &t[i];
        if (!strcmp(list[i].name, "bn1.running_mean")) running = t[i].data;
        const int var = strstr(list[i].name, "running_var") != NULL;
        for (int c = 0; v == UNTRAINED && c < t[i].dim[0]; c++)
            if (var || strstr(list[i].name, "running_mean")) ((float *)t[i].data)[c] = (float)var;
    }
    ck_assert(kernel && running);
    if (v == BYTES) {
        weight = malloc(oct_tensor_count(kernel) * sizeof *weight);
        oct_tensor_read_f32(kernel, 0, oct_tensor_count(kernel), weight);
        kernel->dtype = OCT_F32;
        kernel->data = weight;
    }
    for (int o = 0; v == BYTES && o < kernel->dim[0]; o++)
        for (int c = 0; c < 3; c++)
            for (int k = 0; k < 9; k++) {
                float *at = &weight[(o * 3 + c) * 9 + k];
                running[o] += *at * mean[c] / std[c];
                *at /= 255 * std[c];
            }
    oct_save_meta meta[8];
    int m = 0;
    const char *key, *value;
    for (int i = 0; (key = oct_weights_meta_at(w, i, &value)) != NULL; i++)
        if (strcmp(key, "octet.input")) meta[m++] = (oct_save_meta){ key, value };
    ck_assert_int_eq(oct_weights_save(path, list, n, meta, m), OCT_OK);
    free(weight);
    free(list);
    free(t);
    oct_weights_close(w);
}

static const char *write_npy(const float *x, int n, int c, int h, int w)
{
    static char path[100];
    char head[129];
    snprintf(path, sizeof path, "%s/data.npy", folder);
    memcpy(head, "\x93NUMPY\x01\x00\x76\x00", 10);
    char text[118];
    snprintf(text, sizeof text, "{'descr': '<f4', 'fortran_order': False, 'shape': (%d, %d, %d, "
             "%d), }", n, c, h, w);
    snprintf(head + 10, sizeof head - 10, "%-117s\n", text);
    FILE *f = fopen(path, "wb");
    const size_t count = (size_t)n * (size_t)c * (size_t)h * (size_t)w;
    ck_assert(f && fwrite(head, 1, 128, f) == 128 && fwrite(x, sizeof *x, count, f) == count);
    fclose(f);
    return path;
}

/* Pixels 0..1 of the first n records of a CIFAR file from record `first` on; class < 0: any. */
static float *cifar(const char *path, int first, int n, int class)
{
    size_t size;
    uint8_t *bytes = file_read(path, &size);
    float *out = calloc((size_t)n * SAMPLE, sizeof *out);
    int found = 0;
    for (size_t i = (size_t)first; i < size / RECORD && found < n; i++) {
        const uint8_t *r = bytes + i * RECORD;
        if (class >= 0 && r[0] != class) continue;
        for (int k = 0; k < SAMPLE; k++) out[found * SAMPLE + k] = (float)r[1 + k] / 255;
        found++;
    }
    ck_assert_int_eq(found, n);
    free(bytes);
    return out;
}

static float *images(int first, int n, int class)
{
    return cifar(file_of("data/cifar/test_256.bin"), first, n, class);
}

/* ---- mutations: pixels p in 0..1 to what is fed ---- */

static int channel(size_t i) { return (int)(i / MAP % 3); }

static void normalize(float *x, int n)
{
    for (size_t i = 0; i < (size_t)n * SAMPLE; i++)
        x[i] = (x[i] - mean[channel(i)]) / std[channel(i)];
}
static void times(float *x, int n, float by)
{
    for (size_t i = 0; i < (size_t)n * SAMPLE; i++) x[i] *= by;
}

static void clean(float *x, int n) { normalize(x, n); }
static void raw255(float *x, int n) { times(x, n, 255); }
static void normed255(float *x, int n) { times(x, n, 255), normalize(x, n); }
static void normed1(float *x, int n) { times(x, n, 1.0f / 255), normalize(x, n); }
static void raw(float *x, int n) { times(x, n, 1); }
static void half(float *x, int n)
{
    for (size_t i = 0; i < (size_t)n * SAMPLE; i++) x[i] = 2 * x[i] - 1;
}
static void swap_colours(float *x, int n)
{
    for (int i = 0; i < n; i++, x += SAMPLE)
        for (int k = 0; k < MAP; k++) {
            const float red = x[k];
            x[k] = x[2 * MAP + k];
            x[2 * MAP + k] = red;
        }
}
static void bgr(float *x, int n) { swap_colours(x, n), normalize(x, n); }
static void bgr_after(float *x, int n) { normalize(x, n), swap_colours(x, n); }
static void hwc(float *x, int n)
{
    float sample[SAMPLE];
    normalize(x, n);
    for (int i = 0; i < n; i++, x += SAMPLE) {
        memcpy(sample, x, sizeof sample);
        for (int k = 0; k < SAMPLE; k++) x[k] = sample[k % 3 * MAP + k / 3];
    }
}
static void noise(float *x, int n)
{
    for (size_t i = 0; i < (size_t)n * SAMPLE; i++) x[i] = (float)(test_rand() >> 8) * 0x1p-24f;
}
static void normed_noise(float *x, int n) { noise(x, n), normalize(x, n); }
static void constant(float *x, int n)
{
    for (size_t i = 0; i < (size_t)n * SAMPLE; i++) x[i] = (float)(i / SAMPLE) / (float)n;
    normalize(x, n);
}
static void duplicates(float *x, int n)
{
    for (int i = 12; i < n; i++) memcpy(x + i * SAMPLE, x + i % 12 * SAMPLE, SAMPLE * sizeof *x);
    normalize(x, n);
}
static void some_duplicates(float *x, int n)
{
    memcpy(x, x + n / 2 * SAMPLE, (size_t)(n / 4 * SAMPLE) * sizeof *x);
    normalize(x, n);
}
static void inverted(float *x, int n)
{
    for (size_t i = 0; i < (size_t)n * SAMPLE; i++) x[i] = 1 - x[i];
    normalize(x, n);
}
/* The middle of each image, twice as large. */
static void large(float *x, int n)
{
    float plane[MAP];
    for (int i = 0; i < 3 * n; i++, x += MAP) {
        memcpy(plane, x, sizeof plane);
        for (int k = 0; k < MAP; k++) {
            const float y = 7.75f + (float)(k / SIDE) / 2, u = 7.75f + (float)(k % SIDE) / 2;
            const float fy = y - floorf(y), fx = u - floorf(u);
            const float *p = plane + (int)y * SIDE + (int)u;
            x[k] = (1 - fy) * ((1 - fx) * p[0] + fx * p[1])
                   + fy * ((1 - fx) * p[SIDE] + fx * p[SIDE + 1]);
        }
    }
    normalize(x - 3 * n * MAP, n);
}
static void digits(float *x, int n)
{
    oct_source *s;
    oct_recipe r;
    float digit[28 * 28];
    memset(x, 0, (size_t)n * SAMPLE * sizeof *x);
    ck_assert_int_eq(oct_recipe_parse("{\"type\":\"image\",\"channels\":\"L\"}", &r), OCT_OK);
    ck_assert_int_eq(oct_source_open(file_of("data/mnist/t10k-images-idx3-ubyte.gz"), &s), OCT_OK);
    for (int i = 0; i < n; i++) {
        ck_assert_int_eq(oct_source_read(s, i, &r, 28, 28, digit), OCT_OK);
        for (int c = 0; c < 3; c++)
            for (int y = 0; y < 28; y++)
                memcpy(x + i * SAMPLE + c * MAP + (y + 2) * SIDE + 2, digit + y * 28,
                       28 * sizeof *x);
    }
    oct_source_close(s);
    normalize(x, n);
}
static void nan_pixel(float *x, int n) { normalize(x, n), x[5] = NAN; }

/* ---- judging ---- */

static const cli_command command = { .program = "test_lint", .name = "lint" };

static oct_lint_report lint_with(const char *model, const char *data, int batch, int threads)
{
    lint_data d;
    oct_source *s;
    char path[PATH];
    snprintf(path, sizeof path, "%s", data);
    const cli_args a = { .command = &command, .calib = path, .quiet = 1, .batch = { 1, { batch } },
                         .threads = { threads > 0, { threads } } };
    ck_assert_msg(oct_source_open(path, &s) == OCT_OK, "%s: %s", path, oct_last_error());
    const int code = lint_data_run(&a, model, path, s, &d);
    ck_assert_msg(code == 0, "%s: code %d, %s", path, code, oct_last_error());
    oct_lint_report r = d.report;
    r.layer = NULL;
    lint_data_close(&d);
    oct_source_close(s);
    return r;
}

static void expect(const char *what, const char *model, const char *data, oct_lint_cause cause)
{
    const oct_lint_report r = lint_with(model, data, 16, 0);
    printf("%-16s %-13s distance %8.3f of %.3f, corrected %6.3f, clearer %5.1f\n", what,
           oct_lint_cause_name(r.cause), r.distance, r.threshold, r.corrected, r.clearer);
    ck_assert_msg(r.cause == cause, "%s: %s, expected %s: %s", what, oct_lint_cause_name(r.cause),
                  oct_lint_cause_name(cause), r.sentence);
    ck_assert_uint_gt(strlen(r.sentence), 20);
}

typedef struct mutation {
    const char *name;
    void (*change)(float *x, int n);
    int first, n, class;
    oct_lint_cause cause;
} mutation;

static const mutation mutations[] = {
    { "clean", clean, 0, IMAGES, -1, OCT_LINT_CLEAN },
    { "clean 2", clean, 128, IMAGES, -1, OCT_LINT_CLEAN },
    { "clean 10", clean, 20, 10, -1, OCT_LINT_CLEAN },
    { "some duplicates", some_duplicates, 0, IMAGES, -1, OCT_LINT_CLEAN },
    { "0-255", raw255, 0, IMAGES, -1, OCT_LINT_SCALE_255 },
    { "0-255 normed", normed255, 0, IMAGES, -1, OCT_LINT_SCALE_255 },
    { "0-1/255 normed", normed1, 0, IMAGES, -1, OCT_LINT_SCALE_1 },
    { "no mean, std", raw, 0, IMAGES, -1, OCT_LINT_NO_MEAN_STD },
    { "-1..1", half, 0, IMAGES, -1, OCT_LINT_MEAN_STD },
    { "BGR", bgr, 0, IMAGES, -1, OCT_LINT_BGR },
    { "BGR, normed RGB", bgr_after, 128, IMAGES, -1, OCT_LINT_BGR },
    { "NHWC", hwc, 0, IMAGES, -1, OCT_LINT_NHWC },
    { "noise", normed_noise, 0, IMAGES, -1, OCT_LINT_NOISE },
    { "torch.rand", noise, 0, IMAGES, -1, OCT_LINT_NOISE },
    { "constant", constant, 0, IMAGES, -1, OCT_LINT_CONSTANT },
    { "duplicates", duplicates, 0, IMAGES, -1, OCT_LINT_DUPLICATES },
    { "one class", clean, 0, 20, 1, OCT_LINT_ONE_CLASS },
    { "one class 2", clean, 0, 20, 8, OCT_LINT_ONE_CLASS },
    { "3 images", clean, 0, 3, -1, OCT_LINT_FEW_SAMPLES },
    { "inverted", inverted, 0, IMAGES, -1, OCT_LINT_INVERTED },
    { "twice as large", large, 0, 2 * IMAGES, -1, OCT_LINT_WRONG_SIZE },
    { "digits", digits, 0, IMAGES, -1, OCT_LINT_WRONG_DATASET },
    { "NaN", nan_pixel, 0, 16, -1, OCT_LINT_NOT_FINITE },
};

START_TEST(mutated)
{
    const mutation *m = &mutations[_i];
    if (test_brief() && m->n > 10) return;
    float *x = images(m->first, m->n, m->class);
    m->change(x, m->n);
    expect(m->name, bare, write_npy(x, m->n, 3, SIDE, SIDE), m->cause);
    free(x);
}
END_TEST

/* A network whose training images were 0-255: the failure that dummy data caused. */
START_TEST(expects_bytes)
{
    const int n = IMAGES;
    if (test_brief()) return;
    float *x = images(0, n, -1);
    expect("bytes: 0-1", bare255, write_npy(x, n, 3, SIDE, SIDE), OCT_LINT_SCALE_1);
    raw255(x, n);
    expect("bytes: clean", bare255, write_npy(x, n, 3, SIDE, SIDE), OCT_LINT_CLEAN);
    noise(x, n);
    expect("bytes: rand", bare255, write_npy(x, n, 3, SIDE, SIDE), OCT_LINT_NOISE);
    free(x);
}
END_TEST

/* Batch norms that recorded nothing say nothing. */
START_TEST(nothing_recorded)
{
    float *x = images(0, 16, -1);
    const oct_lint_report r = lint_with(untrained, write_npy(x, 16, 3, SIDE, SIDE), 16, 0);
    ck_assert_msg(r.cause == OCT_LINT_CLEAN && r.n_layers == 0, "%s", r.sentence);
    free(x);
}
END_TEST

START_TEST(other_shapes)
{
    float *x = calloc(16 * 4 * SAMPLE, sizeof *x);
    expect("[16, 16]", bare, write_npy(x, 16, 3, 16, 16), OCT_LINT_WRONG_SIZE);
    expect("[64, 64]", bare, write_npy(x, 16, 3, 64, 64), OCT_LINT_WRONG_SIZE);
    expect("[32, 32, 3]", bare, write_npy(x, 16, 32, 32, 3), OCT_LINT_NHWC);
    free(x);
}
END_TEST

/* Through the recipe, with labels; a network without batch norm. */
START_TEST(with_recipe)
{
    char model[PATH];
    snprintf(model, sizeof model, "%s", file_of("../weights/pretrained/mnist_cnn.safetensors"));
    float *x = calloc(16 * 28 * 28, sizeof *x);
    noise(x, 16 * 28 * 28 / SAMPLE);
    expect("mnist: noise", model, write_npy(x, 16, 1, 28, 28), OCT_LINT_NOISE);
    free(x);
    const oct_lint_report r = lint_with(model, file_of("data/digits"), 4, 1);
    ck_assert_msg(r.cause == OCT_LINT_CLEAN, "%s", r.sentence);
    ck_assert_int_eq(r.n_layers, 0);
    ck_assert_ptr_nonnull(strstr(r.sentence, "no batch norm statistics"));
    if (test_brief()) return;
    snprintf(model, sizeof model, "%s", file_of("../weights/pretrained/cifar_cnn.safetensors"));
    expect("test_256.bin", model, file_of("data/cifar/test_256.bin"), OCT_LINT_CLEAN);
}
END_TEST

/* Any batch, any number of threads: the same report to the last bit. */
START_TEST(same_report)
{
    const int n = test_brief() ? 8 : 40;
    float *x = images(0, n, -1);
    swap_colours(x, n);
    normalize(x, n);
    const char *data = write_npy(x, n, 3, SIDE, SIDE);
    const oct_lint_report a = lint_with(bare, data, 1, 1), b = lint_with(bare, data, 7, 2),
                          c = lint_with(bare, data, 64, 3);
    ck_assert_str_eq(a.sentence, b.sentence);
    ck_assert(a.distance == b.distance && a.corrected == b.corrected && a.clearer == b.clearer);
    ck_assert(a.distance == c.distance && a.corrected == c.corrected && a.clearer == c.clearer);
    ck_assert(a.correlation == c.correlation && a.mean[1] == c.mean[1] && a.std[2] == b.std[2]);
    free(x);
}
END_TEST

/* ---- models and data of ../shared ---- */

static const char *shared(const char *path) /* static buffer */
{
    static char full[PATH];
    snprintf(full, sizeof full, "%s", file_of("../../shared/"));
    snprintf(full + strlen(full), sizeof full - strlen(full), "%s", path);
    return full;
}

START_TEST(shared_cifar)
{
    char model[PATH], data[PATH];
    snprintf(model, sizeof model, "%s", shared("weights/resnet20-12fca82f.th"));
    snprintf(data, sizeof data, "%s", shared("data/cifar10/calib_500.bin"));
    if (test_brief() || access(model, R_OK) || access(data, R_OK)) return;
    expect("resnet20", model, data, OCT_LINT_CLEAN);
    expect("cifar_cnn", bare, data, OCT_LINT_NO_MEAN_STD); /* no recipe: bytes become 0..1 */
    float *x = cifar(data, 0, IMAGES, -1);
    swap_colours(x, IMAGES);
    normalize(x, IMAGES);
    expect("resnet20: BGR", model, write_npy(x, IMAGES, 3, SIDE, SIDE), OCT_LINT_BGR);
    free(x);
}
END_TEST

/* n photographs of 0-255 as ResNet-50 takes them, every step-th of a folder; to be freed. */
static float *photographs(const char *path, int n, int step)
{
    oct_source *s;
    oct_recipe r;
    const size_t sample = 3 * 224 * 224;
    float *x = malloc((size_t)n * sample * sizeof *x);
    ck_assert_int_eq(oct_recipe_parse("{\"type\":\"image\",\"resize\":256,\"crop\":224,"
                                      "\"scale\":1}", &r), OCT_OK);
    ck_assert_int_eq(oct_source_open(path, &s), OCT_OK);
    for (int i = 0; i < n; i++)
        ck_assert_int_eq(oct_source_read(s, i * step, &r, 224, 224, x + (size_t)i * sample),
                         OCT_OK);
    oct_source_close(s);
    return x;
}

START_TEST(shared_resnet50)
{
    static const float m[] = { .485f, .456f, .406f }, s[] = { .229f, .224f, .225f };
    enum { N = 24, PIXELS = 224 * 224 };
    char model[PATH];
    snprintf(model, sizeof model, "%s", shared("weights/resnet50_imagenette.safetensors"));
    if (test_brief() || access(model, R_OK)) return;
    for (int val = 0; val < 2; val++) {
        const char *set = val ? "data/imagenette/val" : "data/imagenette/calib";
        if (access(shared(set), R_OK)) return;
        float *x = photographs(shared(set), N, val ? 20 : 8);
        if (!val)
            expect("resnet50: 0-255", model, write_npy(x, N, 3, 224, 224), OCT_LINT_SCALE_255);
        for (size_t i = 0; i < (size_t)N * 3 * PIXELS; i++)
            x[i] = (x[i] / 255 - m[i / PIXELS % 3]) / s[i / PIXELS % 3];
        expect(set, model, write_npy(x, N, 3, 224, 224), OCT_LINT_CLEAN);
        free(x);
    }
}
END_TEST

/* ---- the suite ---- */

static void remove_files(void)
{
    char path[100];
    snprintf(path, sizeof path, "%s/data.npy", folder);
    remove(path);
    remove(bare);
    remove(bare255);
    remove(untrained);
    rmdir(folder);
}

static void make_files(void) /* once, before all tests */
{
    snprintf(folder, sizeof folder, "%s", scratch_folder());
    snprintf(bare, sizeof bare, "%s/bare.safetensors", folder);
    snprintf(bare255, sizeof bare255, "%s/bare255.safetensors", folder);
    snprintf(untrained, sizeof untrained, "%s/untrained.safetensors", folder);
    save_bare(bare, BARE);
    save_bare(bare255, BYTES);
    save_bare(untrained, UNTRAINED);
}

int main(void)
{
    Suite *suite = suite_create("lint");
    TCase *tcase = tcase_create("lint");
    tcase_add_loop_test(tcase, mutated, 0, (int)(sizeof mutations / sizeof *mutations));
    tcase_add_test(tcase, expects_bytes);
    tcase_add_test(tcase, nothing_recorded);
    tcase_add_test(tcase, other_shapes);
    tcase_add_test(tcase, with_recipe);
    tcase_add_test(tcase, same_report);
    tcase_add_test(tcase, shared_cifar);
    tcase_add_test(tcase, shared_resnet50);
    suite_add_tcase(suite, tcase);
    tcase_add_unchecked_fixture(tcase, make_files, remove_files);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    const int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? TEST_FAIL : TEST_PASS;
}
