/* octet compile: the same bits as the source, the same bytes of file, and what a hostile compiled
 * file may not do. */
#define _GNU_SOURCE /* memfd_create */
#include <string.h>
#include <unistd.h>

#include "models/compiled.h"
#include "ops/attr_table.h"
#include "tensor/cpu.h"
#include "tests/chain_case.h"
#include "tests/header_change.h"
#include "tests/starve.h"
#include "tests/suite.h"
#include "tests/weights_util.h"

static const char arch[] = CHAIN_ARCH;
enum { CLASSES = CHAIN_CLASSES, SAMPLE = CHAIN_SAMPLE, BATCH = CHAIN_BATCH };

static char source[64], compiled[64]; /* files beside the test, one pair a process */

static void make_source(void)
{
    snprintf(source, sizeof source, "test_compile-%ld.safetensors", (long)getpid());
    snprintf(compiled, sizeof compiled, "test_compile-%ld.octet", (long)getpid());
    chain_write(source);
}

static void remove_files(void)
{
    unlink(source);
    unlink(compiled);
}

static void compile(const char *isa, const char *passes, int threads)
{
    oct_model *m;
    const oct_options o = { .isa = isa, .passes = passes, .threads = threads };
    ck_assert_msg(oct_model_pack(source, &o, &m) == OCT_OK, "%s", oct_last_error());
    ck_assert_int_eq(oct_model_run(m, 1), OCT_ERR_UNSUPPORTED); /* perhaps not this CPU's */
    const oct_save_info info = { .label = m->label, .command = "octet compile" };
    ck_assert_msg(oct_compiled_save(m, compiled, &info) == OCT_OK, "%s", oct_last_error());
    oct_model_free(m);
}

static const char *const isas[] = { "ref", "avx2", "avxvnni", "avx512", "neon", "neondot" };
enum { N_ISAS = sizeof isas / sizeof *isas };

/* ---- what it promises ---- */

START_TEST(the_same_bits_as_the_source)
{
    static const char *const passes[] = { NULL, "none", "fold_bn" };
    for (int p = 0; p < 3; p++)
        for (int i = 0; i < N_ISAS; i++) {
            unsigned flags;
            if (oct_cpu_isa(isas[i], &flags) != OCT_OK || oct_compiled_built(flags)) continue;
            compile(isas[i], passes[p], 1);
            for (int batch = 1; batch <= 2; batch++) {
                float want[BATCH * CLASSES], got[BATCH * CLASSES];
                chain_run(source, (oct_options){ .passes = passes[p], .batch = batch }, want);
                chain_run(compiled, (oct_options){ .batch = batch, .threads = 2 }, got);
                ck_assert_msg(memcmp(want, got, sizeof want) == 0, "%s, batch %d", isas[i], batch);
                chain_run(compiled, (oct_options){ .batch = batch, .isa = isas[i],
                                                   .keep_values = 1 }, got);
                ck_assert_mem_eq(want, got, sizeof want);
            }
        }
}
END_TEST

START_TEST(the_file_says_what_it_is)
{
    oct_model *m;
    compile("ref", NULL, 1);
    ck_assert_int_eq(oct_model_describe(compiled, NULL, &m), OCT_OK);
    ck_assert_str_eq(m->isa, "ref");
    ck_assert_str_eq(m->kind, "cnn");
    ck_assert_str_eq(m->arch, arch);
    ck_assert_int_eq(m->classes, CLASSES);
    ck_assert_str_eq(m->label[4], "e");
    ck_assert_int_eq(m->n_passes, 3);
    ck_assert_int_eq(m->recipe_is_guess, 1);
    ck_assert_str_eq(oct_weights_meta(m->weights, "note"), "kept");
    const size_t parameters = m->n_parameters;
    oct_model_free(m);
    ck_assert_int_eq(oct_model_describe(source, NULL, &m), OCT_OK);
    ck_assert_uint_eq(m->n_parameters, parameters);
    oct_model_free(m);
}
END_TEST

START_TEST(the_same_bytes_every_time)
{
    for (int i = 0; i < N_ISAS; i++) {
        unsigned flags;
        size_t size[2];
        char *text[2];
        if (oct_cpu_isa_any(isas[i], &flags) || oct_compiled_built(flags)) continue;
        for (int threads = 1; threads <= 2; threads++) {
            compile(isas[i], NULL, threads);
            text[threads - 1] = slurp(compiled, &size[threads - 1]);
        }
        ck_assert_uint_eq(size[0], size[1]);
        ck_assert_mem_eq(text[0], text[1], size[0]);
        free(text[0]);
        free(text[1]);
    }
}
END_TEST

/* The packed weights of each ISA, as they have always been: if this fails, a layout has changed,
 * and files compiled before would be read wrongly.  Raise OCT_PACKING (ops/op.h), then these. */
START_TEST(layouts_have_not_changed)
{
    static const struct { const char *isa, *sha; } known[] = {
        { "neon", "2d1d73c83c6286b70196c621263198df72240b861f9a2405f591d102ed04a3a1" },
        { "ref", "2d1d73c83c6286b70196c621263198df72240b861f9a2405f591d102ed04a3a1" },
        { "avx2", "679f34f7110708bb13f4ac4aeb61b6669ccb1c842f3c8d5041477d5d4a794a4b" },
        { "avx512", "22ccc536b3a89ad59af23b9b19fc72e2630ed2bbadaf934b14d952660871509b" },
    };
    ck_assert_int_eq(OCT_PACKING, 5);
    for (size_t i = 0; i < sizeof known / sizeof *known; i++) {
        unsigned flags;
        if (oct_cpu_isa_any(known[i].isa, &flags) || oct_compiled_built(flags)) continue;
        compile(known[i].isa, NULL, 1);
        oct_weights *w;
        oct_sha256 sha;
        char hex[65];
        ck_assert_int_eq(oct_weights_open(compiled, &w), OCT_OK);
        oct_sha256_init(&sha);
        for (int k = 0; k < oct_weights_count(w); k++) {
            oct_tensor t;
            ck_assert_int_eq(oct_weights_require(w, oct_weights_at(w, k)->name, -1, NULL, &t),
                             OCT_OK);
            oct_sha256_add(&sha, t.data, oct_tensor_size(&t));
        }
        oct_weights_close(w);
        oct_sha256_hex(&sha, hex);
        ck_assert_msg(strcmp(hex, known[i].sha) == 0, "%s: %s", known[i].isa, hex);
    }
}
END_TEST

/* A field without a line in the table would be lost in the file. */
START_TEST(the_table_has_every_field)
{
    for (int op = 0; op < OCT_OP_COUNT; op++) {
        const oct_attr_table *t = &oct_attr_tables[op];
        size_t bytes = 0;
        for (int i = 0; i < t->n_fields; i++) {
            ck_assert_uint_eq(t->field[i].offset, bytes);
            bytes += 4 * (size_t)t->field[i].count;
        }
        ck_assert_msg(bytes == t->size && t->size <= OCT_ATTR_MAX_SIZE, "%s", oct_ops[op]->name);
        ck_assert_msg(t->operands && *t->operands, "%s", oct_ops[op]->name);
        ck_assert_uint_le(strlen(t->operands), OCT_MAX_IN);
    }
}
END_TEST

/* ---- what is refused ---- */

START_TEST(options_that_need_another_plan)
{
    oct_model *m;
    static const oct_options wrong[] = {
        { .arch = arch }, { .passes = "none" }, { .isa = "avx2" }, { .height = 64, .width = 64 },
    };
    compile("ref", NULL, 1);
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        const oct_status status = oct_model_load(compiled, &wrong[i], &m);
        ck_assert_msg(status == OCT_ERR_UNSUPPORTED || status == OCT_ERR_SHAPE, "%zu", i);
        ck_assert_ptr_null(m);
    }
    ck_assert_int_eq(oct_model_load(compiled, &(oct_options){ .height = 32, .width = 32 }, &m),
                     OCT_OK);
    oct_model_free(m);
    ck_assert_int_eq(oct_model_pack(compiled, NULL, &m), OCT_ERR_UNSUPPORTED);
}
END_TEST

START_TEST(a_cpu_without_the_isa)
{
    unsigned flags;
    oct_model *m;
    if (oct_cpu_isa_any("avx512", &flags) || oct_compiled_built(flags)) return;
    oct_cpu_set_mask(OCT_CPU_AVX2);
    compile("avx512", NULL, 1); /* needs no such CPU */
    ck_assert_int_eq(oct_model_load(compiled, NULL, &m), OCT_ERR_UNSUPPORTED);
    ck_assert_ptr_nonnull(strstr(oct_last_error(), "compiled for avx512, this CPU has"));
    ck_assert_int_eq(oct_model_describe(compiled, NULL, &m), OCT_OK); /* can be looked at */
    oct_model_free(m);
}
END_TEST

/* Loads whatever it is, and runs it if that worked. */
static oct_status try(const char *path)
{
    oct_model *m;
    const oct_status status = oct_model_load(path, &(oct_options){ .threads = 1 }, &m);
    if (status != OCT_OK) {
        ck_assert_ptr_null(m);
        ck_assert_uint_gt(strlen(oct_last_error()), 0);
        return status;
    }
    oct_tensor *x = oct_model_input(m, 0);
    memset(x->data, 0, oct_tensor_size(x));
    ck_assert_int_eq(oct_model_run(m, 1), OCT_OK);
    oct_model_free(m);
    return status;
}

START_TEST(cut_short)
{
    int fd = -1;
    size_t size = 0;
    compile("ref", NULL, 1);
    char *text = slurp(compiled, &size);
    for (size_t n = 1; n < size; n += n < 9000 ? 61 : 4099)
        ck_assert_msg(header_refused(try(memory_file(&fd, text, n))), "%zu bytes: %s", n,
                      oct_last_error());
    ck_assert(header_refused(try(memory_file(&fd, text, size - 1))));
    free(text);
}
END_TEST

START_TEST(changed_plans)
{
    static const char *const change[][2] = {
        { "\\\"isa\\\":\\\"ref\\\"", "\\\"isa\\\":\\\"rex\\\"" },
        { "\\\"isa\\\":\\\"ref\\\"", "\\\"isa\\\":\\\"avx2\\\"" }, /* wider panels: sizes differ */
        { "\\\"packing\\\":5", "\\\"packing\\\":1" },
        { "\\\"packing\\\":5", "\\\"packing\\\":[]" },
        { "\\\"parameters\\\":", "\\\"parameters\\\":-" },
        { "\\\"op\\\":\\\"conv2d\\\"", "\\\"op\\\":\\\"conv3d\\\"" },
        { "\\\"op\\\":\\\"conv2d\\\"", "\\\"op\\\":\\\"linear\\\"" },
        { "\\\"op\\\":\\\"pool\\\"", "\\\"op\\\":\\\"flatten\\\"" },
        { "\\\"act\\\":\\\"relu\\\"", "\\\"act\\\":\\\"rulu\\\"" },
        { "\\\"act\\\":\\\"relu\\\"", "\\\"act\\\":\\\"gelu\\\"" },
        { "\\\"act\\\":\\\"relu\\\"", "\\\"act\\\":1" },
        { "\\\"stride\\\":[1,1]", "\\\"stride\\\":[0,1]" },
        { "\\\"stride\\\":[1,1]", "\\\"stride\\\":[1]" },
        { "\\\"stride\\\":[1,1]", "\\\"strike\\\":[1,1]" },
        { "\\\"stride\\\":[1,1]", "\\\"stride\\\":[1,9999999999]" },
        { "\\\"pad\\\":[1,1],\\\"quant.max\\\":0,\\\"quant.scale\\\":0.0,\\\"quant.zero\\\":0,"
          "\\\"sparse\\\":0,\\\"stride\\\":[1,1]",
          "\\\"pad\\\":[25000,25000],\\\"quant.max\\\":0,\\\"quant.scale\\\":0.0,"
          "\\\"quant.zero\\\":0,\\\"sparse\\\":0,\\\"stride\\\":[9999,9999]" },
        { "\\\"quant.scale\\\":0.0", "\\\"quant.scale\\\":0.5" },
        { "\\\"groups\\\":1", "\\\"groups\\\":2" },
        { "\\\"groups\\\":1", "\\\"groups\\\":0" },
        { "\\\"groups\\\":4", "\\\"groups\\\":5" },
        { "\\\"shape\\\":[16,3,3,3]", "\\\"shape\\\":[17,3,3,3]" },
        { "\\\"shape\\\":[16,3,3,3]", "\\\"shape\\\":[16,3,3,3,0]" },
        { "\\\"shape\\\":[16,3,3,3]", "\\\"shape\\\":[2147483647,2147483647,3,3]" },
        { "\\\"shape\\\":[16,3,3,3]", "\\\"shape\\\":[2147483647,3,3,3]" },
        { "\\\"shape\\\":[16,3,3,3]", "\\\"shape\\\":[]" },
        { "\\\"shape\\\":[16]", "\\\"shape\\\":[15]" },
        { "\\\"shape\\\":[37,320]", "\\\"shape\\\":[320,37]" },
        { "\\\"dtype\\\":\\\"F32\\\"", "\\\"dtype\\\":\\\"F33\\\"" },
        { "\\\"dtype\\\":\\\"F32\\\"", "\\\"dtype\\\":\\\"I64\\\"" },
        { "\\\"in\\\":[0]", "\\\"in\\\":[1]" },
        { "\\\"in\\\":[0]", "\\\"in\\\":[-1]" },
        { "\\\"in\\\":[0]", "\\\"in\\\":[null]" },
        { "\\\"in\\\":[0]", "\\\"in\\\":[]" },
        { "\\\"in\\\":[0]", "\\\"in\\\":[0,0]" },
        { "\\\"in\\\":[0]", "\\\"in\\\":[{}]" },
        { "\\\"in\\\":[1,{", "\\\"in\\\":[9,{" },
        { "\\\"in\\\":[1,{", "\\\"in\\\":[1,1,{" },
        { "\\\"input\\\":[3,32,32],\\\"isa", "\\\"input\\\":[4,32,32],\\\"isa" },
        { "\\\"input\\\":[3,32,32],\\\"isa", "\\\"input\\\":[3,16,16],\\\"isa" },
        { "\\\"input\\\":[3,32,32],\\\"isa", "\\\"input\\\":[3,65536,65536],\\\"isa" },
        { "\\\"input\\\":[3,32,32],\\\"isa", "\\\"input\\\":[],\\\"isa" },
        { "\\\"outputs\\\":[", "\\\"outputs\\\":[1" },
        { "\\\"outputs\\\":[", "\\\"outputs\\\":[0," },
        { "\\\"passes\\\":[\\\"fold_bn", "\\\"passes\\\":[\\\"fold_bm" },
        { "octet.packed.0001", "octet.packed.0009" },
        { "octet.packed.0001", "octet.pocket.0001" },
        { "octet.arch", "octet.orch" },
        { "\"octet.labels\":\"[\\\"a\\\",", "\"octet.labels\":\"[" },
    };
    int fd = -1;
    size_t size = 0;
    compile("ref", NULL, 1);
    char *text = slurp(compiled, &size);
    ck_assert_int_eq(try(memory_file(&fd, text, size)), OCT_OK);
    for (size_t i = 0; i < sizeof change / sizeof *change; i++) {
        size_t bad_size;
        char *bad = header_changed(text, size, change[i][0], change[i][1], &bad_size);
        ck_assert_msg(bad != NULL, "%s is not in the file", change[i][0]);
        const oct_status status = try(memory_file(&fd, bad, bad_size));
        ck_assert_msg(header_refused(status), "%s: status %d, %s", change[i][1], (int)status,
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
    compile("ref", NULL, 1);
    char *text = slurp(compiled, &size);
    header_shake(text, size, test_emulated() ? 200 : 1500, 5, try);
    free(text);
}
END_TEST

/* Every allocation of loading and of writing fails once.  A few may: qsort does without. */
START_TEST(out_of_memory)
{
    if (!fail_alloc_works()) return;
    oct_model *m = NULL;
    oct_status status;
    compile("ref", NULL, 1);
    starve(1, starve_load, compiled);
    ck_assert_int_eq(oct_model_pack(source, &(oct_options){ .isa = "ref", .threads = 1 }, &m),
                     OCT_OK);
    const oct_save_info info = { .label = m->label, .command = "octet compile" };
    for (long n = 1, more = 1; more; n++) {
        const long live = fail_alloc_live();
        unlink(compiled);
        fail_alloc_begin(n, 0);
        status = oct_compiled_save(m, compiled, &info);
        more = fail_alloc_end() >= n;
        ck_assert_int_eq(fail_alloc_live(), live);
        ck_assert_int_eq(access(compiled, F_OK) == 0, status == OCT_OK);
        if (status == OCT_OK) /* whole, not less */
            ck_assert_msg(try(compiled) == OCT_OK, "save %ld: %s", n, oct_last_error());
    }
    ck_assert_int_eq(status, OCT_OK);
    oct_model_free(m);
}
END_TEST

int main(void)
{
    const TTest *const tests[] = {
        the_same_bits_as_the_source, the_file_says_what_it_is, the_same_bytes_every_time,
        layouts_have_not_changed, the_table_has_every_field, options_that_need_another_plan,
        a_cpu_without_the_isa, cut_short, changed_plans, random_bytes, out_of_memory,
    };
    return suite_run_in("compile", tests, sizeof tests / sizeof *tests, make_source, remove_files);
}
