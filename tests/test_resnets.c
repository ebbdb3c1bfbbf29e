/* ResNets with seeded weights on real photographs: torchvision's logits, what the passes leave of
 * the graph, the same answer without them, no allocation in a run. */
#include <math.h>
#include <string.h>
#include <unistd.h>

#include "input/input.h"
#include "models/model.h"
#include "tensor/cpu.h"
#include "tests/fail_alloc.h"
#include "tests/seeded_resnet.h"
#include "tests/suite.h"
#include "weights/sha256.h"

enum { PHOTOS = 3, MAX_CLASSES = 1000 };

#define RECIPE(resize, crop)                                                                     \
    "{\"channels\":\"RGB\",\"crop\":" #crop ",\"mean\":[0.485,0.456,0.406],\"resize\":" #resize  \
    ",\"scale\":0.00392156862745098,\"std\":[0.229,0.224,0.225],\"type\":\"image\"}"

/* name, blocks, bottleneck, groups, their width, classes, dtype, recipe */
static const seeded_resnet
    resnet18 = { "resnet18", { 2, 2, 2, 2 }, 0, 1, 64, 1000, OCT_F32, NULL },
    resnet18_small = { "resnet18_small", { 2, 2, 2, 2 }, 0, 1, 64, 3, OCT_F32, RECIPE(72, 64) },
    resnet34 = { "resnet34", { 3, 4, 6, 3 }, 0, 1, 64, 1000, OCT_F32, RECIPE(110, 96) },
    resnet50 = { "resnet50", { 3, 4, 6, 3 }, 1, 1, 64, 1000, OCT_F32, NULL },
    resnet101 = { "resnet101", { 3, 4, 23, 3 }, 1, 1, 64, 1000, OCT_F32, RECIPE(110, 96) },
    slim152 = { "slim152", { 3, 8, 36, 3 }, 1, 1, 16, 10, OCT_F32, RECIPE(110, 96) },
    resnext = { "resnext", { 1, 2, 1, 1 }, 1, 8, 8, 10, OCT_F32, RECIPE(110, 96) },
    wide = { "wide", { 1, 1, 1, 1 }, 1, 1, 128, 10, OCT_F32, RECIPE(110, 96) },
    half = { "half", { 1, 1, 1, 1 }, 0, 1, 64, 3, OCT_F16, RECIPE(320, 288) },
    bfloat = { "bfloat", { 1, 1, 1, 1 }, 0, 1, 64, 3, OCT_BF16, RECIPE(110, 96) };

static char path[64];       /* of the file that a test made */

static void setup(void)
{
    snprintf(path, sizeof path, "test_resnets_%ld.safetensors", (long)getpid());
}

static void teardown(void) { unlink(path); }

static const char *at_source(const char *folder, const char *name, const char *end)
{
    static char full[512];
    const char *src = getenv("srcdir");
    snprintf(full, sizeof full, "%s/tests/%s/%s%s", src ? src : ".", folder, name, end);
    return full;
}

static oct_model *load(const char *file, oct_options o)
{
    oct_model *m;
    ck_assert_msg(oct_model_load(file, &o, &m) == OCT_OK, "%s: %s", file, oct_last_error());
    ck_assert_str_eq(m->kind, "resnet");
    return m;
}

static oct_model *load_seeded(const seeded_resnet *r, oct_options o)
{
    ck_assert(seeded_resnet_save(r, path));
    oct_model *m = load(path, o);
    ck_assert_int_eq(m->classes, r->classes);
    return m;
}

/* The photographs by the model's recipe, as many at once as the plan takes; their logits. */
static void run(oct_model *m, float *logits)
{
    oct_recipe recipe;
    oct_source *source;
    const oct_tensor *x = oct_model_input(m, 0);
    const size_t sample = oct_tensor_sample_count(x), classes = (size_t)m->classes;
    ck_assert_int_eq(oct_recipe_parse(m->recipe, &recipe), OCT_OK);
    ck_assert_int_eq(oct_source_open(at_source("data", "photos", ""), &source), OCT_OK);
    ck_assert_int_eq(oct_source_count(source), PHOTOS);
    for (int i = 0, n; i < PHOTOS; i += n) {
        for (n = 0; n < x->dim[0] && i + n < PHOTOS; n++) {
            float *to = (float *)x->data + (size_t)n * sample;
            ck_assert_int_eq(oct_source_read(source, i + n, &recipe, x->dim[2], x->dim[3], to),
                             OCT_OK);
        }
        ck_assert_int_eq(oct_model_run(m, n), OCT_OK);
        memcpy(logits + (size_t)i * classes, oct_model_output(m, 0)->data,
               (size_t)n * classes * sizeof *logits);
    }
    oct_source_close(source);
}

/* [PHOTOS, classes] of torchvision */
static void read_golden(const char *name, int classes, float *out)
{
    unsigned char head[10];
    FILE *f = fopen(at_source("golden/resnets", name, ".npy"), "rb");
    ck_assert_msg(f && fread(head, 1, 10, f) == 10, "%s", name);
    ck_assert_int_eq(fseek(f, head[8] | head[9] << 8, SEEK_CUR), 0);
    const size_t n = (size_t)(PHOTOS * classes);
    ck_assert_uint_eq(fread(out, sizeof *out, n, f), n);
    ck_assert_int_eq(fgetc(f), EOF);
    fclose(f);
}

static double largest(const float *x, const float *minus, int n)
{
    double most = 0;
    for (int i = 0; i < n; i++) {
        const double d = fabs((double)x[i] - (minus ? (double)minus[i] : 0));
        most = d > most || d != d ? d : most;
    }
    return most;
}

static int best(const float *logits, int n)
{
    int top = 0;
    for (int i = 1; i < n; i++) top = logits[i] > logits[top] ? i : top;
    return top;
}

static float got[PHOTOS * MAX_CLASSES], want[PHOTOS * MAX_CLASSES];

/* SPEC.md, Numbers: within 1e-4 of the largest logit, the same answers. */
static void compare(oct_model *m, const char *name)
{
    const int n = PHOTOS * m->classes;
    run(m, got);
    read_golden(name, m->classes, want);
    const double difference = largest(got, want, n), size = largest(want, NULL, n);
    printf("%s: logits within %.2g of the largest\n", name, difference / size);
    ck_assert_msg(difference <= 1e-4 * size, "%s: difference %g, largest %g", name, difference,
                  size);
    for (int i = 0; i < n; i += m->classes)
        ck_assert_int_eq(best(got + i, m->classes), best(want + i, m->classes));
}

static void check(const seeded_resnet *r)
{
    oct_model *m = load_seeded(r, (oct_options){ 0 });
    compare(m, r->name);
    oct_model_free(m);
}

START_TEST(resnet18_at_64) { check(&resnet18_small); }
END_TEST

/* One network, one answer: the SHA-256 of its logits in golden/logits.sha256, on every ISA, for any
 * threads and batch. */
START_TEST(the_same_bits_everywhere)
{
    static const char *const isas[] = { "ref", "avx2", "avx512", "neon" };
    char want_hex[65] = "", hex[65], line[160];
    FILE *f = fopen(at_source("golden", "logits", ".sha256"), "r");
    ck_assert_ptr_nonnull(f);
    while (fgets(line, sizeof line, f))
        if (strcmp(line + 64, "  resnet18_small\n") == 0) snprintf(want_hex, 65, "%.64s", line);
    fclose(f);
    ck_assert(seeded_resnet_save(&resnet18_small, path));
    for (size_t i = 0; i < sizeof isas / sizeof *isas; i++)
        for (int threads = 1; threads <= 3; threads++) {
            unsigned flags;
            if (oct_cpu_isa(isas[i], &flags) != OCT_OK) continue;
            if (test_emulated() && threads != 2) continue;
            oct_model *m = load(path, (oct_options){ .isa = isas[i], .threads = threads,
                                                     .batch = threads });
            run(m, got);
            oct_model_free(m);
            oct_sha256 sha;
            oct_sha256_init(&sha);
            oct_sha256_add(&sha, got, (size_t)(PHOTOS * resnet18_small.classes) * sizeof *got);
            oct_sha256_hex(&sha, hex);
            ck_assert_msg(strcmp(hex, want_hex) == 0, "%s, %d threads: %s, expected %s", isas[i],
                          threads, hex, want_hex);
        }
}
END_TEST

START_TEST(resnet18_and_34)
{
    check(&resnet18);
    check(&resnet34);
}
END_TEST

START_TEST(resnet101_and_152)
{
    check(&resnet101);
    check(&slim152);
}
END_TEST

START_TEST(groups_and_widths)
{
    check(&resnext);
    check(&wide);
}
END_TEST

START_TEST(stored_in_16_bits)
{
    check(&half);
    check(&bfloat);
}
END_TEST

/* As torch.save wrote it, under "state_dict" and "module."; and at a size of the caller's. */
START_TEST(a_pth_file)
{
    char file[512];
    snprintf(file, sizeof file, "%s", at_source("golden/resnets", "narrow", ".pth"));
    oct_model *m = load(file, (oct_options){ 0 });
    ck_assert_str_eq(m->arch, "{\"classes\":3,\"depth\":12,\"kind\":\"resnet\"}");
    compare(m, "narrow");
    oct_model_free(m);
    m = load(file, (oct_options){ .height = 288, .width = 288 });
    m->recipe = RECIPE(320, 288);
    compare(m, "narrow288");
    oct_model_free(m);
}
END_TEST

static int count_steps(const oct_model *m, oct_op_kind kind)
{
    int n = 0;
    for (int i = 0; i < m->plan->n_steps; i++) n += m->plan->step[i].node->kind == kind;
    return n;
}

/* Issue: 53 convolutions, none of the 53 batch norms, no lone ReLU, no lone add.  As built: all of
 * them.  Both are within 1e-4 of PyTorch's largest logit, so within 2e-4 of each other. */
START_TEST(resnet50_fused_and_not)
{
    static float plain[PHOTOS * MAX_CLASSES];
    oct_model *m = load_seeded(&resnet50, (oct_options){ 0 });
    ck_assert_int_eq(count_steps(m, OCT_OP_CONV2D), 53);
    ck_assert_int_eq(count_steps(m, OCT_OP_BATCHNORM), 0);
    ck_assert_int_eq(count_steps(m, OCT_OP_ACTIVATION), 0);
    ck_assert_int_eq(count_steps(m, OCT_OP_ADD), 0);
    ck_assert_int_eq(m->plan->n_steps, 57); /* and layout, two pools, linear */
    compare(m, "resnet50");
    if (fail_alloc_works()) {
        fail_alloc_begin(0, 0);
        const oct_status status = oct_model_run(m, 1);
        ck_assert_int_eq(fail_alloc_end(), 0);
        ck_assert_int_eq(status, OCT_OK);
    }
    oct_model_free(m);

    m = load(path, (oct_options){ .passes = "none" });
    ck_assert_int_eq(count_steps(m, OCT_OP_CONV2D), 53);
    ck_assert_int_eq(count_steps(m, OCT_OP_BATCHNORM), 53);
    ck_assert_int_eq(count_steps(m, OCT_OP_ACTIVATION), 49);
    ck_assert_int_eq(count_steps(m, OCT_OP_ADD), 16);
    run(m, plain);
    oct_model_free(m);
    const int n = PHOTOS * resnet50.classes;
    const double limit = 1e-4 * largest(want, NULL, n), between = largest(plain, got, n);
    printf("resnet50 without passes: within %.2g of the largest\n", between / limit * 1e-4);
    ck_assert(largest(plain, want, n) <= limit && between <= 2 * limit);
}
END_TEST

int main(void)
{
    const TTest *const tests[] = {
        resnet18_at_64, the_same_bits_everywhere, a_pth_file, stored_in_16_bits, groups_and_widths,
        resnet18_and_34, resnet101_and_152, resnet50_fused_and_not,
    };
    const size_t n = test_emulated() ? 2 : sizeof tests / sizeof *tests;
    return suite_run_in("resnets", tests, n, setup, teardown);
}
