/* octet compile on models of texts: the same bits as the source, and what a hostile compiled file
 * may not do; the vocabulary as a tensor. */
#define _GNU_SOURCE /* memfd_create */
#include <string.h>
#include <unistd.h>

#include "models/compiled.h"
#include "models/vocab_tensor.h"
#include "tensor/cpu.h"
#include "tests/header_change.h"
#include "tests/starve.h"
#include "tests/suite.h"
#include "tests/weights_util.h"

static const char vocab[] = "[PAD]\n[UNK]\n[CLS]\n[SEP]\nso\n";
static const char *const kinds[] = { "tests/golden/encoders/distilbert",
                                     "tests/golden/encoders/bert" };
enum { TEXTS = 3, MAX_CLASSES = 3 };

static char compiled[64]; /* a file beside the test, one a process */

static void set_name(void)
{
    snprintf(compiled, sizeof compiled, "test_compile-texts-%ld.octet", (long)getpid());
}

static void remove_file(void) { unlink(compiled); }

static void compile(const char *kind, const char *isa, const char *precision)
{
    oct_model *m;
    const oct_options o = { .isa = isa, .precision = precision, .threads = 1 };
    ck_assert_msg(oct_model_pack(source_path(kind), &o, &m) == OCT_OK, "%s", oct_last_error());
    const oct_save_info info = { .label = m->label, .recipe = "{\"type\":\"text\"}",
                                 .command = "octet compile", .vocab = vocab,
                                 .vocab_size = sizeof vocab - 1 };
    ck_assert_msg(oct_compiled_save(m, compiled, &info) == OCT_OK, "%s", oct_last_error());
    oct_model_free(m);
}

/* TEXTS texts of 1, 14, 27 tokens. */
static void write_texts(oct_model *m)
{
    int32_t *ids = oct_model_input(m, 0)->data, *starts = oct_model_input(m, 1)->data;
    oct_tensor *types = oct_model_input(m, 2);
    starts[0] = 0;
    for (int t = 0; t < TEXTS; t++) {
        starts[t + 1] = starts[t] + 1 + 13 * t;
        for (int i = starts[t]; i < starts[t + 1]; i++) {
            ids[i] = (i * i * 7 + 31 * i + 5) % m->vocabulary;
            if (types) ((int32_t *)types->data)[i] = i % m->token_types;
        }
    }
}

static int logits(const char *path, oct_options o, float out[TEXTS * MAX_CLASSES])
{
    oct_model *m;
    o.batch = TEXTS;
    ck_assert_msg(oct_model_load(path, &o, &m) == OCT_OK, "%s", oct_last_error());
    write_texts(m);
    ck_assert_msg(oct_model_run(m, TEXTS) == OCT_OK, "%s", oct_last_error());
    const int n = TEXTS * m->classes;
    memcpy(out, oct_model_output(m, 0)->data, (size_t)n * sizeof *out);
    oct_model_free(m);
    return n;
}

START_TEST(the_same_bits_as_the_source)
{
    static const char *const isas[] = { "ref", "avx2", "avxvnni", "avx512", "neon", "neondot" };
    static const char *const precisions[] = { "fp32", "fp16", "int8" };
    for (size_t i = 0; i < sizeof isas / sizeof *isas; i++)
        for (int p = 0; p < 3; p++) {
            unsigned flags;
            float want[TEXTS * MAX_CLASSES], got[TEXTS * MAX_CLASSES];
            if (oct_cpu_isa(isas[i], &flags) != OCT_OK || oct_compiled_built(flags)) continue;
            compile(kinds[_i], isas[i], precisions[p]);
            const int n = logits(source_path(kinds[_i]),
                                 (oct_options){ .precision = precisions[p] }, want);
            for (int sequence = 0; sequence <= 27; sequence += 27) { /* room for less, too */
                ck_assert_int_eq(logits(compiled, (oct_options){ .sequence = sequence,
                                                                 .threads = 2 }, got), n);
                ck_assert_mem_eq(got, want, (size_t)n * sizeof *got);
            }
        }
}
END_TEST

START_TEST(the_file_says_what_it_is)
{
    oct_model *m, *source;
    const char *text;
    size_t size;
    compile(kinds[_i], "ref", NULL);
    ck_assert_int_eq(oct_model_load(compiled, NULL, &m), OCT_OK);
    ck_assert_int_eq(oct_model_load(source_path(kinds[_i]), NULL, &source), OCT_OK);
    ck_assert_str_eq(m->kind, source->kind);
    ck_assert_int_eq(m->max_length, source->max_length);
    ck_assert_int_eq(m->vocabulary, source->vocabulary);
    ck_assert_int_eq(m->token_types, source->token_types);
    ck_assert_uint_eq(m->n_parameters, source->n_parameters);
    ck_assert_int_eq(oct_vocab_tensor_read(m->weights, &text, &size), OCT_OK);
    ck_assert_uint_eq(size, sizeof vocab - 1);
    ck_assert_mem_eq(text, vocab, size);
    ck_assert_int_eq(oct_model_run(m, 2), OCT_ERR_SHAPE); /* a text, an id, a length too many */
    int32_t *ids = oct_model_input(m, 0)->data, *starts = oct_model_input(m, 1)->data;
    starts[0] = 0;
    starts[1] = 1;
    ids[0] = m->vocabulary;
    ck_assert_int_eq(oct_model_run(m, 1), OCT_ERR_SHAPE);
    ids[0] = 0;
    starts[1] = m->max_length + 1;
    ck_assert_int_eq(oct_model_run(m, 1), OCT_ERR_SHAPE);
    oct_model_free(source);
    oct_model_free(m);
    ck_assert_int_eq(oct_model_load(compiled, &(oct_options){ .sequence = 513 }, &m),
                     OCT_ERR_UNSUPPORTED);
}
END_TEST

START_TEST(the_same_bytes_every_time)
{
    size_t one, two;
    compile(kinds[0], "ref", NULL);
    char *first = slurp(compiled, &one);
    compile(kinds[0], "ref", NULL);
    char *second = slurp(compiled, &two);
    ck_assert_uint_eq(one, two);
    ck_assert_mem_eq(first, second, one);
    free(first);
    free(second);
}
END_TEST

/* ---- hostile files ---- */

/* Loads whatever it is, and runs three texts of the greatest ids if that worked. */
static oct_status try(const char *path)
{
    oct_model *m;
    const oct_options o = { .threads = 1, .batch = TEXTS };
    const oct_status status = oct_model_load(path, &o, &m);
    if (status != OCT_OK) {
        ck_assert_uint_gt(strlen(oct_last_error()), 0);
        return status;
    }
    int32_t *ids = oct_model_input(m, 0)->data, *starts = oct_model_input(m, 1)->data;
    starts[0] = 0;
    for (int t = 0; t < TEXTS; t++) {
        starts[t + 1] = starts[t] + (t ? m->max_length : 1);
        for (int i = starts[t]; i < starts[t + 1]; i++) {
            ids[i] = m->vocabulary - 1;
            if (oct_model_input(m, 2))
                ((int32_t *)oct_model_input(m, 2)->data)[i] = m->token_types - 1;
        }
    }
    /* A model without an embedding takes no id. */
    ck_assert_int_eq(oct_model_run(m, TEXTS), m->vocabulary ? OCT_OK : OCT_ERR_SHAPE);
    oct_model_free(m);
    return status;
}

#define EMBEDDING "\\\"in\\\":[0,1,2,{"       /* bert's */
#define ATTENTION ",\\\"in\\\":[4,1],"        /* of layer 0: q, k, v are value 4 */

START_TEST(changed_plans)
{
    static const char *const change[][2] = {
        { "\\\"length\\\":130", "\\\"length\\\":131" }, /* of attention, which is ignored */
        { "\\\"texts\\\":{\\\"length\\\":130", "\\\"texts\\\":{\\\"length\\\":131" },
        { "\\\"texts\\\":{\\\"length\\\":130", "\\\"texts\\\":{\\\"length\\\":0" },
        { "\\\"texts\\\":{\\\"length\\\":130", "\\\"texts\\\":{\\\"length\\\":2147483647" },
        { "\\\"texts\\\":{\\\"length\\\":130", "\\\"texts\\\":{\\\"size\\\":130" },
        { "\\\"texts\\\":{\\\"length\\\":130", "\\\"texts\\\":{\\\"length\\\":[]" },
        { "\\\"types\\\":true", "\\\"types\\\":false" },
        { "\\\"types\\\":true", "\\\"types\\\":1" },
        { "\\\"texts\\\":{", "\\\"taxts\\\":{" },
        { EMBEDDING, "\\\"in\\\":[1,1,2,{" },
        { EMBEDDING, "\\\"in\\\":[2,1,2,{" },
        { EMBEDDING, "\\\"in\\\":[0,0,2,{" },
        { EMBEDDING, "\\\"in\\\":[0,2,2,{" },
        { EMBEDDING, "\\\"in\\\":[0,1,0,{" },
        { EMBEDDING, "\\\"in\\\":[0,1,1,{" },
        { EMBEDDING, "\\\"in\\\":[0,1,null,{" },
        { "\\\"in\\\":[3,{", "\\\"in\\\":[0,{" },
        { "\\\"in\\\":[3,{", "\\\"in\\\":[1,{" },
        { ATTENTION, ",\\\"in\\\":[4,0]," },
        { ATTENTION, ",\\\"in\\\":[4,2]," },
        { ATTENTION, ",\\\"in\\\":[4,4]," },
        { ATTENTION, ",\\\"in\\\":[0,1]," },
        { ATTENTION, ",\\\"in\\\":[4,1,0]," },
        { "\\\"shape\\\":[333,39]", "\\\"shape\\\":[332,39]" },
        { "\\\"shape\\\":[333,39]", "\\\"shape\\\":[334,39]" },
        { "\\\"shape\\\":[130,39]", "\\\"shape\\\":[129,39]" },
        { "\\\"shape\\\":[130,39]", "\\\"shape\\\":[131,39]" },
        { "\\\"shape\\\":[2,39]", "\\\"shape\\\":[39,2]" },
        { "\\\"heads\\\":3,\\\"length", "\\\"heads\\\":2,\\\"length" },
        { "\\\"op\\\":\\\"first\\\"", "\\\"op\\\":\\\"softmax\\\"" },
        { "\\\"outputs\\\":[", "\\\"outputs\\\":[3,"},
        { "octet.packed.0001", "octet.packed.0009" },
    };
    int fd = -1;
    size_t size = 0, bad_size;
    compile(kinds[1], "ref", NULL);
    char *text = slurp(compiled, &size);
    ck_assert_int_eq(try(memory_file(&fd, text, size)), OCT_OK);
    for (size_t i = 0; i < sizeof change / sizeof *change; i++) {
        char *bad = header_changed(text, size, change[i][0], change[i][1], &bad_size);
        ck_assert_msg(bad != NULL, "%s is not in the file", change[i][0]);
        const oct_status status = try(memory_file(&fd, bad, bad_size));
        if (i == 0) ck_assert_msg(status == OCT_OK, "%s", oct_last_error());
        else ck_assert_msg(header_refused(status), "%s: status %d, %s", change[i][1], (int)status,
                           oct_last_error());
        free(bad);
    }
    free(text);
}
END_TEST

/* One byte of the header is another one: refused, or a model that runs.  Never more. */
START_TEST(random_bytes)
{
    size_t size = 0;
    compile(kinds[1], "ref", NULL);
    char *text = slurp(compiled, &size);
    header_shake(text, size, test_emulated() ? 100 : 1000, 7, try);
    free(text);
}
END_TEST

/* Every allocation of loading fails once.  A few may: qsort does without. */
START_TEST(out_of_memory)
{
    if (!fail_alloc_works()) return;
    compile(kinds[1], "ref", "int8");
    starve(1, starve_load, compiled);
}
END_TEST

/* ---- octet.vocab ---- */

START_TEST(a_vocabulary_of_another_type)
{
    oct_weights *w;
    const char *text;
    size_t size;
    const float numbers[4] = { 0 };
    const oct_tensor wrong[] = {
        { .dtype = OCT_F32, .rank = 1, .dim = { 4 }, .data = (void *)(uintptr_t)numbers },
        { .dtype = OCT_U8, .rank = 2, .dim = { 4, 4 }, .data = (void *)(uintptr_t)numbers },
    };
    for (int i = 0; i < 2; i++) {
        const oct_save_tensor list = { OCT_MODEL_VOCAB, &wrong[i] };
        ck_assert_int_eq(oct_weights_save(compiled, &list, 1, NULL, 0), OCT_OK);
        ck_assert_int_eq(oct_weights_open(compiled, &w), OCT_OK);
        ck_assert(header_refused(oct_vocab_tensor_read(w, &text, &size)));
        oct_weights_close(w);
    }
    ck_assert_int_eq(oct_weights_open(source_path("tests/golden/encoders/distilbert"), &w), OCT_OK);
    ck_assert_int_eq(oct_vocab_tensor_read(w, &text, &size), OCT_OK);
    ck_assert_ptr_null(text);
    oct_weights_close(w);
    oct_tensor t;
    ck_assert_int_eq(oct_vocab_tensor_make("", 0, &t), OCT_ERR_FORMAT);
    ck_assert_int_eq(oct_vocab_tensor_make("", (size_t)1 << 31, &t), OCT_ERR_FORMAT);
}
END_TEST

int main(void)
{
    const suite_loop loops[] = {
        { the_same_bits_as_the_source, 2 }, { the_file_says_what_it_is, 2 },
        { the_same_bytes_every_time, 1 }, { changed_plans, 1 }, { random_bytes, 1 },
        { out_of_memory, 1 }, { a_vocabulary_of_another_type, 1 },
    };
    set_name();
    const int result = suite_run_loops("compile texts", loops, sizeof loops / sizeof *loops);
    remove_file();
    return result;
}
