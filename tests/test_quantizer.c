/* octet.h's quantizer and the files it writes: the same bits read back as in memory, the same bytes
 * every time, and what a hostile octet.quant may not do. */
#define _GNU_SOURCE /* memfd_create */
#include <math.h>
#include <string.h>
#include <unistd.h>

#include "models/compiled.h"
#include "models/quantizer.h"
#include "ops/attr.h"
#include "tensor/cpu.h"
#include "tests/chain_case.h"
#include "tests/suite.h"
#include "tests/weights_util.h"

enum { N_LOGITS = CHAIN_BATCH * CHAIN_CLASSES, SAMPLES = 6 };

static char source[64], made[64], other[64];

static void setup(void)
{
    snprintf(source, sizeof source, "test_quantizer-%ld.a", (long)getpid());
    snprintf(made, sizeof made, "test_quantizer-%ld.b", (long)getpid());
    snprintf(other, sizeof other, "test_quantizer-%ld.c", (long)getpid());
    chain_write(source);
}

static void teardown(void)
{
    unlink(source);
    unlink(made);
    unlink(other);
}

#define OK(call) ck_assert_msg((call) == OCT_OK, "%s", oct_last_error())

/* A quantizer that has seen SAMPLES samples, `batch` at a time. */
static oct_quantizer *open_fed(oct_options o, const oct_quantizer_options *how)
{
    oct_quantizer *q;
    if (!o.batch) o.batch = 1;
    OK(oct_quantizer_open(source, &o, how, &q));
    for (int i = 0, n; i < SAMPLES; i += n) {
        float *x = oct_quantizer_input(q, 0)->data;
        n = SAMPLES - i < o.batch ? SAMPLES - i : o.batch;
        for (int k = 0; k < n; k++) chain_sample(i + k, x + k * CHAIN_SAMPLE);
        OK(oct_quantizer_add(q, n));
    }
    return q;
}

static void make(oct_options o, const oct_quantizer_options *how, const char *path)
{
    oct_quantizer *q = open_fed(o, how);
    OK(oct_quantizer_save(q, path));
    oct_quantizer_free(q);
}

static void same_files(const char *a, const char *b)
{
    size_t m, n;
    char *x = slurp(a, &m), *y = slurp(b, &n);
    ck_assert_uint_eq(m, n);
    ck_assert_mem_eq(x, y, m);
    free(x);
    free(y);
}

/* ---- what it promises ---- */

START_TEST(a_file_gives_the_bits_it_was_made_with)
{
    float want[N_LOGITS], got[N_LOGITS];
    oct_quantizer *q = open_fed((oct_options){ .batch = 2 }, NULL);
    oct_model *m;
    const oct_options o = { .batch = CHAIN_BATCH };
    OK(oct_quantizer_build(q, NULL, 0, 0, &m, NULL));
    OK(oct_model_plan(m, &o)); /* made for a batch of 2 */
    for (int i = 0; i < CHAIN_BATCH; i++) {
        chain_sample(i, oct_model_input(m, 0)->data);
        OK(oct_model_run(m, 1));
        memcpy(want + i * CHAIN_CLASSES, oct_model_output(m, 0)->data,
               CHAIN_CLASSES * sizeof *want);
    }
    ck_assert_str_eq(m->precision, "int8");
    oct_model_free(m);
    OK(oct_quantizer_save(q, made));
    oct_quantizer_free(q);

    static const char *const isas[] = { "ref", "avx2", "avxvnni", "avx512", "neon", "neondot",
                                        "neoni8mm" };
    unsigned flags;
    for (size_t i = 0; i < sizeof isas / sizeof *isas; i++) {
        if (oct_cpu_isa(isas[i], &flags) != OCT_OK) continue;
        for (int batch = 1; batch <= 2; batch++) {
            chain_run(made, (oct_options){ .batch = batch, .isa = isas[i], .threads = batch + 1 },
                      got);
            ck_assert_msg(memcmp(want, got, sizeof want) == 0, "%s, batch %d", isas[i], batch);
        }
    }
    chain_run(source, (oct_options){ .batch = 1 }, got); /* FP32: near, and not the same */
    ck_assert_mem_ne(want, got, sizeof want);
    double largest = 0, difference = 0;
    for (int i = 0; i < N_LOGITS; i++) {
        largest = fmax(largest, fabs((double)got[i]));
        difference = fmax(difference, fabs((double)got[i] - (double)want[i]));
    }
    ck_assert_double_lt(difference, 0.1 * largest);
}
END_TEST

START_TEST(the_same_samples_give_the_same_bytes)
{
    make((oct_options){ .batch = 1, .threads = 1 }, NULL, made);
    make((oct_options){ .batch = 4, .threads = 3, .isa = "ref" }, NULL, other);
    same_files(made, other);
}
END_TEST

static const oct_weights_entry *entry(const oct_model *m, const char *name)
{
    const oct_weights_entry *e = oct_weights_find(m->weights, name);
    ck_assert_msg(e != NULL, "%s", name);
    return e;
}

START_TEST(the_file_is_as_the_format_says)
{
    const char *const keep[] = { "fc1" };
    oct_model *m;
    oct_quant_info info;
    make((oct_options){ .batch = 2 }, &(oct_quantizer_options){ .keep = keep, .n_keep = 1 }, made);
    OK(oct_model_describe(made, NULL, &m));
    ck_assert_str_eq(m->precision, "int8");
    ck_assert_int_eq(entry(m, "conv1.weight")->dtype, OCT_S8);
    ck_assert_int_eq(entry(m, "conv1.weight.scale")->dtype, OCT_F32);
    ck_assert_int_eq(entry(m, "conv1.weight.scale")->dim[0], 16);
    ck_assert_int_eq(entry(m, "conv1.bias")->dtype, OCT_S32);
    ck_assert_int_eq(entry(m, "fc2.bias")->dtype, OCT_S32);
    ck_assert_int_eq(entry(m, "fc1.weight")->dtype, OCT_F32);
    ck_assert_int_eq(entry(m, "fc1.bias")->dtype, OCT_F32);
    ck_assert_ptr_null(oct_weights_find(m->weights, "fc1.weight.scale"));
    ck_assert_ptr_null(oct_weights_find(m->weights, "bn1.weight"));
    ck_assert_ptr_nonnull(strstr(m->arch, "conv1:p1 identity relu maxpool:2 conv2:p1 identity "));
    ck_assert_str_eq(oct_weights_meta(m->weights, "note"), "kept");
    OK(oct_quant_info_parse(oct_weights_meta(m->weights, "octet.quant"), &m->arena, &info));
    ck_assert_str_eq(info.method, "kl");
    ck_assert_int_eq(info.bits, 7);
    ck_assert_int_eq(info.samples, SAMPLES);
    ck_assert_uint_eq(strlen(info.sha256), 64);
    ck_assert_int_eq(info.n_kept, 1);
    ck_assert_str_eq(info.kept[0].layer, "fc1");
    oct_model_free(m);
}
END_TEST

START_TEST(methods_and_bits)
{
    static const oct_quantizer_options hows[] = {
        { .method = "minmax" }, { .method = "kl", .bits = 8 }, { .method = "mse" },
        { .method = "percentile", .percentile = 99.99, .no_bias_correction = 1 },
    };
    float want[N_LOGITS], got[N_LOGITS];
    chain_run(source, (oct_options){ .batch = 1 }, want);
    for (size_t k = 0; k < sizeof hows / sizeof *hows; k++) {
        oct_model *m;
        oct_quant_info info;
        make((oct_options){ .batch = 3 }, &hows[k], made);
        OK(oct_model_describe(made, NULL, &m));
        OK(oct_quant_info_parse(oct_weights_meta(m->weights, "octet.quant"), &m->arena, &info));
        ck_assert_str_eq(info.method, hows[k].method);
        ck_assert_int_eq(info.bias_correction, !hows[k].no_bias_correction);
        ck_assert_int_eq(info.table.entry[0].quant.max, hows[k].bits == 8 ? 255 : 127);
        oct_model_free(m);
        chain_run(made, (oct_options){ .batch = 1 }, got);
        for (int i = 0; i < N_LOGITS; i++) ck_assert_float_eq_tol(want[i], got[i], 0.3f);
    }
}
END_TEST

START_TEST(what_is_refused)
{
    static const struct {
        oct_options o;
        oct_quantizer_options how;
        const char *why;
    } cases[] = {
        { { 0 }, { .method = "magic" }, "magic" },
        { { 0 }, { .bits = 6 }, "quantize: 6 bits, expected 7 or 8" },
        { { 0 }, { .percentile = 101 }, "quantize: percentile 101, expected 50 to 100" },
        { { .precision = "bf16" }, { .bits = 0 }, "quantize: precision 'bf16', expected fp32" },
    };
    oct_quantizer *q;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        ck_assert_int_ne(oct_quantizer_open(source, &cases[i].o, &cases[i].how, &q), OCT_OK);
        ck_assert_ptr_null(q);
        ck_assert_msg(strstr(oct_last_error(), cases[i].why), "%s", oct_last_error());
    }
    OK(oct_quantizer_open(source, NULL, NULL, &q));
    ck_assert_int_eq(oct_quantizer_save(q, made), OCT_ERR_FORMAT);
    ck_assert_msg(strstr(oct_last_error(), "no samples"), "%s", oct_last_error());
    ck_assert_int_eq(oct_quantizer_add(q, 2), OCT_ERR_SHAPE);
    ((float *)oct_quantizer_input(q, 0)->data)[5] = NAN;
    OK(oct_quantizer_add(q, 1));
    ck_assert_int_eq(oct_quantizer_save(q, made), OCT_ERR_FORMAT);
    ck_assert_msg(strstr(oct_last_error(), "NaN"), "%s", oct_last_error());
    oct_quantizer_free(q);
    ck_assert_int_ne(access(made, F_OK), 0);

    make((oct_options){ .batch = 2 }, NULL, made);
    ck_assert_int_eq(oct_quantizer_open(made, NULL, NULL, &q), OCT_ERR_UNSUPPORTED);
    ck_assert_msg(strstr(oct_last_error(), "quantized already"), "%s", oct_last_error());
    oct_model *m;
    ck_assert_int_eq(oct_model_load(made, &(oct_options){ .precision = "fp32" }, &m),
                     OCT_ERR_UNSUPPORTED);
    ck_assert_int_eq(oct_model_load(made, &(oct_options){ .passes = "none" }, &m),
                     OCT_ERR_UNSUPPORTED);
    OK(oct_model_load(made, &(oct_options){ .precision = "int8" }, &m));
    oct_model_free(m);
}
END_TEST

/* ---- hostile files ---- */

/* made with octet.quant or a tensor replaced, to other. */
static void tamper(const char *quant, const char *name, const oct_tensor *with)
{
    oct_weights *w;
    OK(oct_weights_open(made, &w));
    const int n = oct_weights_count(w);
    oct_save_tensor list[64];
    oct_tensor tensor[64];
    oct_save_meta meta[16];
    int n_meta = 0;
    ck_assert_int_le(n, 64);
    for (int i = 0; i < n; i++) {
        const char *own = oct_weights_at(w, i)->name;
        OK(oct_weights_require(w, own, -1, NULL, &tensor[i]));
        list[i] = (oct_save_tensor){ own, name && strcmp(name, own) == 0 ? with : &tensor[i] };
    }
    for (const char *key, *value; (key = oct_weights_meta_at(w, n_meta, &value)); n_meta++)
        meta[n_meta] = (oct_save_meta){ key, quant && !strcmp(key, "octet.quant") ? quant : value };
    OK(oct_weights_save(other, list, n, meta, n_meta));
    oct_weights_close(w);
}

static void refused(const char *why)
{
    oct_model *m;
    ck_assert_msg(oct_model_load(other, NULL, &m) != OCT_OK, "%s: loaded", why);
    ck_assert_ptr_null(m);
    ck_assert_msg(strstr(oct_last_error(), why), "%s: %s", why, oct_last_error());
}

START_TEST(hostile_metadata)
{
#define WITH(text) "{\"activations\":{\"input\":" text "},\"method\":\"mse\"}"
    static const char *const cases[][2] = {
        { "[]", "octet.quant: not a JSON object" },
        { "{\"method\":\"mse\",\"more\":1}", "octet.quant: unknown key 'more'" },
        { "{}", "octet.quant: 'method' is missing" },
        { "{\"method\":\"mse\"}", "octet.quant: no scale for" },
        { "{\"method\":\"mse\",\"activations\":[]}", "'activations' is not an object" },
        { "{\"method\":\"mse\",\"fp32\":{}}", "'fp32' is not an array" },
        { "{\"method\":\"mse\",\"fp32\":[1]}", "entry 0 of 'fp32' names no layer" },
        { "{\"method\":\"mse\",\"fp32\":[{\"layer\":\"x\"}]}", "no layer 'x'" },
        { "{\"method\":\"mse\",\"bits\":9}", "'bits' is not an integer from 7 to 8" },
        { WITH("1"), "'input' is not an object" },
        { WITH("{\"max\":127,\"scale\":0,\"zero\":0}"), "'input' has no scale" },
        { WITH("{\"max\":127,\"scale\":-1,\"zero\":0}"), "'input' has no scale" },
        { WITH("{\"max\":127,\"scale\":1e300,\"zero\":0}"), "'input' has no scale" },
        { WITH("{\"max\":127,\"scale\":\"1\",\"zero\":0}"), "'input' has no scale" },
        { WITH("{\"max\":127,\"scale\":1,\"zero\":256}"), "'zero' is not an integer" },
        { WITH("{\"max\":500,\"scale\":1,\"zero\":0}"), "'max' is not an integer" },
        { WITH("{\"max\":127,\"scale\":1,\"zero\":200}"), "has zero point 200 of 0 to 127" },
        { WITH("{\"max\":200,\"scale\":1,\"zero\":0}"), "'input' has zero point 0 of 0 to 200" },
        { WITH("{\"scale\":1}"), "'input' has zero point 0 of 0 to 0" },
    };
    make((oct_options){ .batch = 2 }, NULL, made);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        tamper(cases[i][0], NULL, NULL);
        refused(cases[i][1]);
    }
}
END_TEST

START_TEST(hostile_tensors)
{
    float scale[16];
    int32_t bias[16];
    for (int i = 0; i < 16; i++) scale[i] = 1, bias[i] = 0;
    oct_tensor s = { .dtype = OCT_F32, .rank = 1, .dim = { 16 }, .data = scale };
    oct_tensor b = { .dtype = OCT_S32, .rank = 1, .dim = { 16 }, .data = bias };
    make((oct_options){ .batch = 2 }, NULL, made);
    static const float bad[] = { 0, -1, NAN, INFINITY };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        scale[3] = bad[i];
        tamper(NULL, "conv1.weight.scale", &s);
        refused("conv1.weight.scale: entry 3 is");
    }
    scale[3] = 1;
    s.dim[0] = 15;
    tamper(NULL, "conv1.weight.scale", &s);
    refused("conv1.weight.scale: shape [15], expected [16]");
    b.dim[0] = 15;
    tamper(NULL, "conv1.bias", &b);
    refused("conv1.bias: shape [15], expected [16]");
    b.dim[0] = 16;
    bias[2] = INT32_MIN;
    tamper(NULL, "conv1.bias", &b);
    refused("bias 2 is -2147483648");
}
END_TEST

/* AVX2's panels hold where in x each group of weights lies: a compiled file may not send it
 * elsewhere. */
START_TEST(hostile_tables)
{
    static const int32_t bad[] = { 0x40000000, -64, 3, INT32_MIN };
    oct_model *m;
    unsigned flags;
    size_t size;
    const oct_options o = { .isa = "avx2" };
    if (oct_cpu_isa("avx2", &flags) != OCT_OK) return;
    make((oct_options){ .batch = 2 }, NULL, made);
    OK(oct_model_pack(made, &o, &m));
    OK(oct_compiled_save(m, other, &(oct_save_info){ .command = "octet compile" }));
    oct_model_free(m);
    char *bytes = slurp(other, &size);
    test_seed = 3;
    int refusals = 0;
    for (int i = 0; i < (test_emulated() ? 20 : 600); i++) {
        const size_t at = size / 4 + test_rand() % (size * 3 / 4 - 4) / 4 * 4;
        int32_t old;
        memcpy(&old, bytes + at, 4);
        memcpy(bytes + at, &bad[i % 4], 4);
        FILE *f = fopen(other, "wb");
        ck_assert_uint_eq(fwrite(bytes, 1, size, f), size);
        fclose(f);
        memcpy(bytes + at, &old, 4);
        if (oct_model_load(other, NULL, &m) != OCT_OK) {
            refusals++;
            continue;
        }
        chain_sample(0, oct_model_input(m, 0)->data);
        OK(oct_model_run(m, 1));
        oct_model_free(m);
    }
    ck_assert_int_gt(refusals, 0);
    free(bytes);
}
END_TEST

int main(void)
{
    const TTest *const tests[] = {
        a_file_gives_the_bits_it_was_made_with, the_same_samples_give_the_same_bytes,
        the_file_is_as_the_format_says, methods_and_bits, what_is_refused, hostile_metadata,
        hostile_tensors, hostile_tables,
    };
    return suite_run_in("quantizer", tests, sizeof tests / sizeof *tests, setup, teardown);
}
