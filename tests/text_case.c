#include "tests/text_case.h"

#include "tensor/cpu.h"
#include "tests/golden_sha256.h"
#include "tests/header_change.h"

const subject subjects[N_SUBJECTS] = { { "distilbert", 999 }, { "bert", 333 } };

static char folder[64];
char made[96], other[96];

void text_case_setup(void)
{
    snprintf(folder, sizeof folder, "%s", scratch_folder());
    snprintf(made, sizeof made, "%s/made", folder);
    snprintf(other, sizeof other, "%s/other", folder);
}

void text_case_teardown(void)
{
    unlink(made);
    unlink(other);
    rmdir(folder);
}

const char *source_of(const subject *s)
{
    char name[64];
    snprintf(name, sizeof name, "golden/encoders/%s", s->name);
    return file_of(name);
}

/* Text t as the n-th of a batch; ids, starts, types are the model's inputs, types may be NULL. */
void put_text(const subject *s, oct_tensor *const in[3], int t, int n)
{
    int32_t *ids = in[0]->data, *starts = in[1]->data, *types = in[2] ? in[2]->data : NULL;
    const int begin = n ? starts[n] : 0, length = 1 + t * 7 % LONGEST;
    for (int i = 0; i < length; i++) {
        ids[begin + i] = (i * i * 13 + 31 * i + 101 * t + 5) % s->tokens;
        if (types) types[begin + i] = 2 * i > length;
    }
    starts[0] = 0;
    starts[n + 1] = begin + length;
}

/* Texts from the last to the first if backwards. */
int fill(const subject *s, oct_model *m, int first, int batch, int backwards)
{
    oct_tensor *in[3] = { oct_model_input(m, 0), oct_model_input(m, 1), oct_model_input(m, 2) };
    int n = 0;
    for (; n < batch && first + n < TEXTS; n++)
        put_text(s, in, backwards ? TEXTS - 1 - first - n : first + n, n);
    return n;
}

oct_quantizer *open_fed(const subject *s, oct_options o, const oct_quantizer_options *how)
{
    oct_quantizer *q;
    OK(oct_quantizer_open(source_of(s), &o, how, &q));
    for (int i = 0; i < TEXTS;) {
        oct_tensor *in[3] = { oct_quantizer_input(q, 0), oct_quantizer_input(q, 1),
                              oct_quantizer_input(q, 2) };
        int n = 0;
        while (n < o.batch && i < TEXTS) put_text(s, in, i++, n), n++;
        OK(oct_quantizer_add(q, n));
    }
    return q;
}

void make(const subject *s, oct_options o, const oct_quantizer_options *how,
          const char *path)
{
    oct_quantizer *q = open_fed(s, o, how);
    OK(oct_quantizer_save(q, path));
    oct_quantizer_free(q);
}

void answer(const subject *s, oct_model *m, int batch, float logits[N_LOGITS])
{
    ck_assert_str_eq(m->precision, "int8");
    for (int i = 0, n; i < TEXTS; i += n) {
        n = fill(s, m, i, batch, 0);
        OK(oct_model_run(m, n));
        memcpy(logits + i * m->classes, oct_model_output(m, 0)->data,
               (size_t)(n * m->classes) * sizeof *logits);
    }
}

static void check_golden(const subject *s, const char *how, const float *logits, size_t size)
{
    char name[64], stored[65], hex[65];
    snprintf(name, sizeof name, "%s_%s", s->name, how);
    golden_sha256(name, stored);
    sha256_of(logits, size, hex);
    ck_assert_msg(!strcmp(hex, stored), "%s: %s, expected %s", name, hex, stored);
}

void check_file(const subject *s, const char *name, const oct_quantizer_options *how)
{
    static const char *const isas[] = { "ref", "avx2", "avxvnni", "avx512", "neon", "neondot",
                                        "neoni8mm" };
    static float want[N_LOGITS], got[N_LOGITS];
    unsigned flags;
    oct_quantizer *q = open_fed(s, (oct_options){ .batch = 3 }, how);
    oct_model *m;
    OK(oct_quantizer_build(q, NULL, 0, 0, &m, NULL));
    OK(oct_model_plan(m, &(oct_options){ .batch = 3 }));
    answer(s, m, 3, want);
    check_golden(s, name, want, (size_t)(TEXTS * m->classes) * sizeof *want);
    oct_model_free(m);
    OK(oct_quantizer_save(q, made));
    oct_quantizer_free(q);
    for (size_t i = 0; i < sizeof isas / sizeof *isas; i++) {
        if (oct_cpu_isa(isas[i], &flags) != OCT_OK) continue;
        for (int batch = 1; batch <= 32; batch += 31) {
            const oct_options o = { .batch = batch, .isa = isas[i], .threads = 1 + batch % 3 };
            OK(oct_model_load(made, &o, &m));
            answer(s, m, batch, got);
            ck_assert_msg(!memcmp(want, got, (size_t)(TEXTS * m->classes) * sizeof *got),
                          "%s, %s, batch %d", s->name, isas[i], batch);
            oct_model_free(m);
        }
    }
}

void check_same_bytes(const subject *s, const oct_quantizer_options *how)
{
    size_t m, n;
    make(s, (oct_options){ .batch = 1, .threads = 1 }, how, made);
    make(s, (oct_options){ .batch = 16, .threads = 3, .isa = "ref" }, how, other);
    uint8_t *x = file_read(made, &m), *y = file_read(other, &n);
    ck_assert(m == n && !memcmp(x, y, m));
    free(x);
    free(y);
}

oct_status try(const char *path)
{
    oct_model *m;
    const oct_status status = oct_model_load(path, &(oct_options){ .threads = 1 }, &m);
    if (status == OCT_OK) oct_model_free(m);
    return status;
}

void check_changes(const char *file, size_t size, const change *c, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        size_t bad_size;
        char *bad = header_changed(file, size, c[i][0], c[i][1], &bad_size);
        ck_assert_msg(bad != NULL, "%s", c[i][0]);
        file_write(other, bad, bad_size);
        ck_assert_msg(header_refused(try(other)), "%s", c[i][1]);
        ck_assert_msg(strstr(oct_last_error(), c[i][2]) != NULL, "%s", oct_last_error());
        free(bad);
    }
}
