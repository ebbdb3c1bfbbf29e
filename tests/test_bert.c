/* DistilBERT and BERT with seeded weights, as Hugging Face saves them (tests/golden/encoders): the
 * logits of transformers, the same bits however texts are packed, what is refused. */
#define _GNU_SOURCE /* realpath, symlink */
#include <math.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "models/model.h"
#include "tensor/cpu.h"
#include "tests/golden_sha256.h"
#include "tests/starve.h"
#include "tests/suite.h"

enum { TEXTS = 7, MAX_CLASSES = 3 };

static const int lengths[TEXTS] = { 1, 2, 16, 77, 128, 511, 512 };

typedef struct subject {
    const char *name;
    int vocabulary, classes, texts; /* texts: the longer ones do not fit its positions */
} subject;

static const subject distilbert = { "distilbert", 999, 3, 7 }, bert = { "bert", 333, 2, 5 };

static const char *at_golden(const char *name, const char *end)
{
    static char full[512];
    const char *src = getenv("srcdir");
    snprintf(full, sizeof full, "%s/tests/golden/%s%s", src ? src : ".", name, end);
    return full;
}

static oct_model *load(const subject *s, oct_options o)
{
    char folder[64];
    oct_model *m;
    snprintf(folder, sizeof folder, "encoders/%s", s->name);
    ck_assert_msg(oct_model_load(at_golden(folder, ""), &o, &m) == OCT_OK, "%s", oct_last_error());
    ck_assert_str_eq(m->kind, s->name);
    ck_assert_int_eq(m->classes, s->classes);
    return m;
}

/* Text t behind those that are there; ids and types as make_encoders.py has them. */
static void append(oct_model *m, const subject *s, int t, int *n)
{
    int32_t *ids = oct_model_input(m, 0)->data, *starts = oct_model_input(m, 1)->data;
    int32_t *types = oct_model_input(m, 2) ? oct_model_input(m, 2)->data : NULL;
    const int begin = *n ? starts[*n] : 0, length = lengths[t];
    for (int i = 0; i < length; i++) {
        ids[begin + i] = (i * i * 7 + 31 * i + 101 * t + 5) % s->vocabulary;
        if (types) types[begin + i] = 2 * i > length;
    }
    starts[0] = 0;
    starts[++*n] = begin + length;
}

/* logits [texts, classes], `batch` texts a run. */
static void run(oct_model *m, const subject *s, int texts, int batch, float *logits)
{
    for (int t = 0; t < texts;) {
        int n = 0;
        const int first = t;
        while (n < batch && t < texts) append(m, s, t++, &n);
        ck_assert_msg(oct_model_run(m, n) == OCT_OK, "%s", oct_last_error());
        memcpy(logits + first * s->classes, oct_model_output(m, 0)->data,
               (size_t)(n * s->classes) * sizeof *logits);
    }
}

static void read_golden(const subject *s, float *out)
{
    unsigned char head[10];
    char name[64];
    const size_t n = (size_t)(s->texts * s->classes);
    snprintf(name, sizeof name, "encoders/%s", s->name);
    FILE *f = fopen(at_golden(name, ".npy"), "rb");
    ck_assert_msg(f && fread(head, 1, 10, f) == 10, "%s", name);
    ck_assert_int_eq(fseek(f, head[8] | head[9] << 8, SEEK_CUR), 0);
    ck_assert_uint_eq(fread(out, sizeof *out, n, f), n);
    ck_assert_int_eq(fgetc(f), EOF);
    fclose(f);
}

/* SPEC.md asks for 1e-4 of the largest logit; the issue for 1e-4, which is less here. */
static void compare(const subject *s, oct_options o)
{
    float got[TEXTS * MAX_CLASSES], want[TEXTS * MAX_CLASSES];
    oct_model *m = load(s, o);
    read_golden(s, want);
    run(m, s, s->texts, 1, got);
    oct_model_free(m);
    double most = 0;
    for (int i = 0; i < s->texts * s->classes; i++)
        most = fmax(most, fabs((double)got[i] - (double)want[i]));
    printf("%s: logits within %.2g\n", s->name, most);
    ck_assert_msg(most <= 1e-4, "%s: %g", s->name, most);
}

START_TEST(logits_are_transformers)
{
    compare(&distilbert, (oct_options){ 0 });
    compare(&bert, (oct_options){ 0 });
    compare(&distilbert, (oct_options){ .passes = "none" });
    compare(&bert, (oct_options){ .passes = "none" });
}
END_TEST

/* One text, one answer: alone, with others before or behind it, on every ISA, for any threads. */
static void check_bits(const subject *s)
{
    static const char *const isas[] = { "ref", "avx2", "avx512", "neon" };
    static const int threads[] = { 1, 2, 3, 7 }, batches[] = { 1, 2, 3, TEXTS };
    char want[65], got[65];
    float logits[TEXTS * MAX_CLASSES];
    golden_sha256(s->name, want);
    for (size_t a = 0; a < sizeof isas / sizeof *isas; a++)
        for (int c = 0; c < 16; c++) {
            unsigned flags;
            const oct_options o = { .isa = isas[a], .threads = threads[c / 4],
                                    .batch = batches[c % 4] };
            const int plain = strcmp(isas[a], "ref") == 0;
            if (oct_cpu_isa(isas[a], &flags) != OCT_OK) continue;
            if ((plain || test_emulated()) && c % 5) continue; /* each once: they are slow */
            oct_model *m = load(s, o);
            run(m, s, s->texts, o.batch, logits);
            oct_model_free(m);
            sha256_of(logits, (size_t)(s->texts * s->classes) * sizeof *logits, got);
            ck_assert_msg(strcmp(got, want) == 0, "%s, %s, %d threads, batch %d: %s, expected %s",
                          s->name, isas[a], o.threads, o.batch, got, want);
        }
}

START_TEST(the_same_bits_everywhere)
{
    check_bits(&distilbert);
    check_bits(&bert);
}
END_TEST

/* The shortest text after the longest, in a plan that has room for just these. */
START_TEST(order_and_room_change_nothing)
{
    float alone[TEXTS * MAX_CLASSES], got[MAX_CLASSES];
    const subject *s = &distilbert;
    oct_model *m = load(s, (oct_options){ .threads = 2 });
    run(m, s, s->texts, 1, alone);
    oct_model_free(m);
    m = load(s, (oct_options){ .threads = 2, .batch = 3, .tokens = 512 + 16 + 1 });
    int n = 0;
    append(m, s, 6, &n);
    append(m, s, 2, &n);
    append(m, s, 0, &n);
    ck_assert_int_eq(oct_model_run(m, 3), OCT_OK);
    const int order[] = { 6, 2, 0 };
    for (int i = 0; i < 3; i++) {
        memcpy(got, (const float *)oct_model_output(m, 0)->data + 3 * i, sizeof got);
        ck_assert_mem_eq(got, alone + 3 * order[i], sizeof got);
    }
    oct_model_free(m);
}
END_TEST

START_TEST(files_tell_what_they_are)
{
    oct_model *m = load(&distilbert, (oct_options){ .threads = 1 });
    ck_assert_str_eq(m->arch, "{\"classes\":3,\"depth\":2,\"heads\":5,\"kind\":\"distilbert\"}");
    ck_assert_str_eq(m->recipe, "{\"lowercase\":true,\"max_length\":512,\"type\":\"text\"}");
    ck_assert_str_eq(m->label[1], "so so");
    ck_assert_int_eq(m->max_length, 512);
    ck_assert_ptr_null(oct_model_input(m, 2));
    oct_model_free(m);
    m = load(&bert, (oct_options){ .threads = 1, .batch = 4, .sequence = 100 });
    ck_assert_str_eq(m->arch, "{\"activation\":\"relu\",\"classes\":2,\"depth\":2,"
                     "\"eps\":9.99999974737875e-6,\"heads\":3,\"kind\":\"bert\"}");
    ck_assert(!m->label && m->max_length == 100 && m->token_types == 2);
    ck_assert_int_eq(oct_model_input(m, 0)->dim[0], 400);
    ck_assert_int_eq(oct_model_input(m, 1)->dim[0], 5);
    oct_model_free(m);
}
END_TEST

/* The weights alone need heads from the caller, and then give the folder's bits. */
START_TEST(weights_without_a_config)
{
    char file[512];
    float want[TEXTS * MAX_CLASSES], got[TEXTS * MAX_CLASSES];
    oct_model *m;
    snprintf(file, sizeof file, "%s", at_golden("encoders/distilbert", "/model.safetensors"));
    ck_assert_int_eq(oct_model_load(file, NULL, &m), OCT_ERR_UNSUPPORTED);
    ck_assert_str_eq(oct_last_error(), "the tensors do not tell the number of attention heads: "
                     "give the folder with config.json, or octet.arch with 'heads'");
    const oct_options o = { .arch = "{\"kind\":\"distilbert\",\"heads\":5}" };
    ck_assert_msg(oct_model_load(file, &o, &m) == OCT_OK, "%s", oct_last_error());
    run(m, &distilbert, 4, 1, got);
    oct_model_free(m);
    m = load(&distilbert, (oct_options){ 0 });
    run(m, &distilbert, 4, 1, want);
    oct_model_free(m);
    ck_assert_mem_eq(got, want, 4 * 3 * sizeof *got);
}
END_TEST

static void refused_run(oct_model *m, int n, const char *why)
{
    ck_assert_int_eq(oct_model_run(m, n), OCT_ERR_SHAPE);
    ck_assert_str_eq(oct_last_error(), why);
}

START_TEST(refuses_what_a_caller_must_not_write)
{
    oct_model *m = load(&bert, (oct_options){ .batch = 2, .tokens = 140 });
    int32_t *ids = oct_model_input(m, 0)->data, *starts = oct_model_input(m, 1)->data;
    int32_t *types = oct_model_input(m, 2)->data;
    int n = 0;
    append(m, &bert, 2, &n);
    append(m, &bert, 2, &n);
    ck_assert_int_eq(oct_model_run(m, 2), OCT_OK);
    refused_run(m, 0, "run: 0 samples, the plan is made for 1 to 2");
    refused_run(m, 3, "run: 3 samples, the plan is made for 1 to 2");
    starts[0] = 1;
    refused_run(m, 2, "run: text 0 begins at 1");
    starts[0] = 0, starts[1] = 32;
    refused_run(m, 2, "run: text 1 has 0 tokens, the model takes 1 to 130");
    starts[1] = 131;
    refused_run(m, 1, "run: text 0 has 131 tokens, the model takes 1 to 130");
    starts[1] = INT32_MIN;
    refused_run(m, 1, "run: text 0 has -2147483648 tokens, the model takes 1 to 130");
    starts[1] = 16, starts[2] = 141;
    refused_run(m, 2, "run: 141 tokens, the plan is made for 1 to 140");
    starts[2] = 32;
    ids[31] = 333;
    refused_run(m, 2, "run: id 333 of token 31, the model has 0 to 332");
    ids[31] = -1;
    refused_run(m, 2, "run: id -1 of token 31, the model has 0 to 332");
    ids[31] = 332, types[0] = 2;
    refused_run(m, 2, "run: type 2 of token 0, the model has 0 to 1");
    types[0] = 1;
    ck_assert_int_eq(oct_model_run(m, 2), OCT_OK);
    oct_model_free(m);
}
END_TEST

START_TEST(refuses_plans_without_room)
{
    static const struct { oct_options o; const char *why; } t[] = {
        { { .sequence = 513 }, "texts of 513 tokens, the model takes 1 to 512" },
        { { .sequence = -1 }, "texts of -1 tokens, the model takes 1 to 512" },
        { { .tokens = 511 }, "511 tokens for up to 1 texts of up to 512" },
        { { .tokens = 1025, .batch = 2 }, "1025 tokens for up to 2 texts of up to 512" },
        { { .sequence = 1, .batch = 4, .tokens = 3 }, "3 tokens for up to 4 texts of up to 1" },
    };
    char folder[512];
    oct_model *m;
    snprintf(folder, sizeof folder, "%s", at_golden("encoders/distilbert", ""));
    for (size_t i = 0; i < sizeof t / sizeof *t; i++) {
        ck_assert_int_eq(oct_model_load(folder, &t[i].o, &m), OCT_ERR_UNSUPPORTED);
        ck_assert_str_eq(oct_last_error(), t[i].why);
    }
}
END_TEST

/* The weights of distilbert beside a config.json of the test's own. */
static char made[64];

static void setup(void)
{
    char link[128];
    char *target = realpath(at_golden("encoders/distilbert", "/model.safetensors"), NULL);
    ck_assert_ptr_nonnull(target);
    snprintf(made, sizeof made, "test_bert_%ld", (long)getpid());
    snprintf(link, sizeof link, "%s/model.safetensors", made);
    ck_assert(mkdir(made, 0700) == 0 && symlink(target, link) == 0);
    free(target);
}

static void teardown(void)
{
    static const char *const files[] = { "model.safetensors", "config.json" };
    char path[128];
    for (int i = 0; i < 2; i++) {
        snprintf(path, sizeof path, "%s/%s", made, files[i]);
        unlink(path);
    }
    ck_assert_int_eq(rmdir(made), 0);
}

static oct_status load_with(const char *config, size_t size, oct_model **m)
{
    char path[128];
    snprintf(path, sizeof path, "%s/config.json", made);
    FILE *f = fopen(path, "w");
    ck_assert(f && fwrite(config, 1, size, f) == size && fclose(f) == 0);
    return oct_model_load(made, &(oct_options){ .threads = 1 }, m);
}

START_TEST(a_config_is_hostile)
{
#define HEADS "\"n_heads\":5"
    static const struct { const char *config, *why; } t[] = {
        { "{}", "the tensors do not tell the number of attention heads: give the folder with "
          "config.json, or octet.arch with 'heads'" },
        { "{" HEADS, "config.json: '}' expected near end of file (byte 12)" },
        { "[]", "config.json: not a JSON object" },
        { "{\"n_heads\":0}", "config.json: 'n_heads' is not an integer from 1 to 65536" },
        { "{\"n_heads\":\"5\"}", "config.json: 'n_heads' is not an integer from 1 to 65536" },
        { "{\"n_heads\":7}", "7 attention heads do not divide 60 dimensions" },
        { "{" HEADS ",\"dim\":64}", "config.json: dim 64, the tensors have 60" },
        { "{" HEADS ",\"hidden_dim\":64}", "config.json: hidden_dim 64, the tensors have 130" },
        { "{" HEADS ",\"n_layers\":3}", "config.json: n_layers 3, the tensors have 2" },
        { "{" HEADS ",\"model_type\":\"bert\"}", "config.json: model_type 'bert', the tensors are "
          "named as those of distilbert" },
        { "{" HEADS ",\"activation\":\"gelu_new\"}", "config.json: activation 'gelu_new', this "
          "octet has gelu (the exact one) and relu" },
        { "{" HEADS ",\"is_decoder\":true}", "config.json: is_decoder, expected an encoder" },
        { "{" HEADS ",\"position_embedding_type\":\"relative_key\"}", "config.json: "
          "position_embedding_type 'relative_key', expected 'absolute'" },
        { "{" HEADS ",\"id2label\":{\"0\":\"a\",\"1\":\"b\"}}",
          "config.json: 'id2label' has no 3 labels, as the classifier has" },
        { "{" HEADS ",\"id2label\":{\"0\":\"a\",\"1\":\"b\",\"3\":\"c\"}}",
          "config.json: 'id2label' has no label 2" },
        { "{" HEADS ",\"id2label\":{\"0\":\"a\",\"1\":\"b\",\"2\":3}}",
          "config.json: '2' is not a string" },
    };
    oct_model *m;
    for (size_t i = 0; i < sizeof t / sizeof *t; i++) {
        ck_assert_int_ne(load_with(t[i].config, strlen(t[i].config), &m), OCT_OK);
        ck_assert_str_eq(oct_last_error(), t[i].why);
    }
    ck_assert_int_eq(load_with("{" HEADS "}\0", strlen(HEADS) + 3, &m), OCT_ERR_FORMAT);
    ck_assert_str_eq(oct_last_error(), "config.json: a NUL byte in it");
    ck_assert_int_eq(load_with("{" HEADS "}", strlen(HEADS) + 2, &m), OCT_OK);
    ck_assert_ptr_null(m->label);
    oct_model_free(m);
}
END_TEST

START_TEST(a_config_of_more_than_a_megabyte)
{
    enum { SIZE = (1 << 20) + 1 };
    char *text = calloc(1, SIZE);
    oct_model *m;
    ck_assert_ptr_nonnull(text);
    memset(text, ' ', SIZE);
    ck_assert_int_eq(load_with(text, SIZE, &m), OCT_ERR_FORMAT);
    ck_assert_str_eq(oct_last_error(), "config.json: more than 1048576 bytes");
    free(text);
}
END_TEST

START_TEST(runs_do_not_allocate)
{
    if (!fail_alloc_works()) return;
    oct_model *m = load(&distilbert, (oct_options){ .threads = 2, .batch = 2 });
    int n = 0;
    append(m, &distilbert, 3, &n);
    append(m, &distilbert, 2, &n);
    fail_alloc_begin(0, 0);
    const oct_status first = oct_model_run(m, 2), second = oct_model_run(m, 1);
    ck_assert_int_eq(fail_alloc_end(), 0);
    ck_assert(first == OCT_OK && second == OCT_OK);
    oct_model_free(m);
}
END_TEST

START_TEST(every_failed_allocation_is_told)
{
    char folder[512];
    snprintf(folder, sizeof folder, "%s", at_golden("encoders/distilbert", ""));
    starve(1, starve_load, folder);
}
END_TEST

int main(void)
{
    const TTest *const tests[] = {
        logits_are_transformers, the_same_bits_everywhere, order_and_room_change_nothing,
        files_tell_what_they_are, weights_without_a_config, refuses_what_a_caller_must_not_write,
        refuses_plans_without_room, a_config_is_hostile, a_config_of_more_than_a_megabyte,
        runs_do_not_allocate, every_failed_allocation_is_told,
    };
    return suite_run_in("bert", tests, sizeof tests / sizeof *tests, setup, teardown);
}
