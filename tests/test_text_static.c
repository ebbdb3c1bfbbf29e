/* Models of texts quantized on samples: what is counted is what the tokens' rows are, however texts
 * are packed; the file gives the bits of the graph it was made from, everywhere. */
#include <math.h>
#include <string.h>
#include <unistd.h>

#include "models/quantizer.h"
#include "ops/attr.h"
#include "tensor/cpu.h"
#include "tests/files.h"
#include "tests/golden_sha256.h"
#include "tests/header_change.h"

enum { TEXTS = 40, LONGEST = 25, MAX_CLASSES = 3, N_LOGITS = TEXTS * MAX_CLASSES };

typedef struct subject {
    const char *name;
    int tokens;
} subject;

static const subject subjects[] = { { "distilbert", 999 }, { "bert", 333 } };
enum { N_SUBJECTS = sizeof subjects / sizeof *subjects };

#define OK(call) ck_assert_msg((call) == OCT_OK, "%s", oct_last_error())

static char folder[64], made[96], other[96];

static void setup(void)
{
    snprintf(folder, sizeof folder, "%s", scratch_folder());
    snprintf(made, sizeof made, "%s/made", folder);
    snprintf(other, sizeof other, "%s/other", folder);
}

static void teardown(void)
{
    unlink(made);
    unlink(other);
    rmdir(folder);
}

static const char *source_of(const subject *s)
{
    char name[64];
    snprintf(name, sizeof name, "golden/encoders/%s", s->name);
    return file_of(name);
}

/* Text t as the n-th of a batch; ids, starts, types are the model's inputs, types may be NULL. */
static void put_text(const subject *s, oct_tensor *const in[3], int t, int n)
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

/* ---- counting ---- */

static oct_model *load(const subject *s, int batch, int threads)
{
    oct_model *m;
    OK(oct_model_load(source_of(s), &(oct_options){ .batch = batch, .threads = threads }, &m));
    return m;
}

/* Texts from the last to the first if backwards. */
static int fill(const subject *s, oct_model *m, int first, int batch, int backwards)
{
    oct_tensor *in[3] = { oct_model_input(m, 0), oct_model_input(m, 1), oct_model_input(m, 2) };
    int n = 0;
    for (; n < batch && first + n < TEXTS; n++)
        put_text(s, in, backwards ? TEXTS - 1 - first - n : first + n, n);
    return n;
}

static oct_calibration *calibrate(const subject *s, int batch, int threads, int backwards)
{
    oct_model *m = load(s, batch, threads);
    oct_calibration *c;
    OK(oct_calibration_open(m->plan, m->pool, &(oct_calibrate_options){ .means = 1 }, &c));
    for (int i = 0; i < m->plan->n_steps; i++) { /* rows that no text has count for nothing */
        const oct_tensor *y = m->plan->step[i].args.out;
        memset(y->data, 0xff, oct_tensor_size(y));
    }
    for (int i = 0, n; i < TEXTS; i += n) {
        n = fill(s, m, i, batch, backwards);
        oct_calibration_run(c, m->plan, m->pool, n);
    }
    OK(oct_calibration_check(c));
    oct_model_free(m);
    return c;
}

static void check_equal(const oct_calibration *a, const oct_calibration *b)
{
    ck_assert_int_eq(oct_calibration_count(a), oct_calibration_count(b));
    ck_assert_int_eq(oct_calibration_samples(a), TEXTS);
    ck_assert_int_eq(oct_calibration_samples(b), TEXTS);
    for (int i = 0; i < oct_calibration_count(a); i++) {
        const oct_observed *x = oct_calibration_at(a, i), *y = oct_calibration_at(b, i);
        ck_assert_msg(!memcmp(x->observer, y->observer, sizeof *x->observer), "%s", x->name);
        ck_assert_int_eq(x->means.channels, y->means.channels);
        ck_assert_int_eq(x->means.samples, y->means.samples);
        const size_t size = 2 * (size_t)x->means.channels * sizeof *x->means.whole;
        ck_assert_msg(!size || !memcmp(x->means.whole, y->means.whole, size), "%s", x->name);
    }
}

START_TEST(batch_and_threads_and_order_do_not_matter)
{
    static const struct { int batch, threads, backwards; } how[] = {
        { 1, 1, 0 }, { 7, 3, 1 }, { 32, 1, 1 }, { 32, 3, 0 },
    };
    for (int k = 0; k < N_SUBJECTS; k++) {
        oct_calibration *first = calibrate(&subjects[k], how[0].batch, how[0].threads, 0);
        for (size_t i = 1; i < sizeof how / sizeof *how; i++) {
            oct_calibration *c = calibrate(&subjects[k], how[i].batch, how[i].threads,
                                           how[i].backwards);
            check_equal(first, c);
            oct_calibration_close(c);
        }
        oct_calibration_close(first);
    }
}
END_TEST

/* Extremes, counts and means of one text after the other, by plain loops. */
enum { MAX_STEPS = 64, MAX_WIDTH = 400 };
typedef struct plain {
    float lo[MAX_STEPS], hi[MAX_STEPS];
    uint64_t count[MAX_STEPS];
    double mean[MAX_STEPS][MAX_WIDTH];
} plain;

static void look(void *arg, const oct_plan *plan, int step, int n)
{
    plain *p = arg;
    const oct_tensor *t = plan->step[step].args.out;
    const int width = t->dim[1], rows = plan->step[step].per_text
                                            ? 1 : ((int32_t *)plan->starts->data)[1];
    const float *x = t->data;
    ck_assert_int_eq(n, rows);
    ck_assert(step < MAX_STEPS && width <= MAX_WIDTH);
    p->count[step] += (uint64_t)(rows * width);
    for (int i = 0; i < rows * width; i++) {
        p->lo[step] = fminf(p->lo[step], x[i]);
        p->hi[step] = fmaxf(p->hi[step], x[i]);
        p->mean[step][i % width] += (double)x[i] / rows / TEXTS;
    }
}

START_TEST(counts_what_the_tokens_give)
{
    static plain p;
    for (int k = 0; k < N_SUBJECTS; k++) {
        oct_model *m = load(&subjects[k], 1, 1);
        oct_calibration *c = calibrate(&subjects[k], 16, 2, 0);
        memset(&p, 0, sizeof p);
        for (int i = 0; i < TEXTS; i++) {
            fill(&subjects[k], m, i, 1, 0);
            oct_plan_run(m->plan, m->pool, 1, look, &p);
        }
        ck_assert_int_eq(oct_calibration_count(c), m->plan->n_steps);
        for (int i = 0; i < m->plan->n_steps; i++) {
            const oct_observed *v = oct_calibration_step(c, i);
            const oct_range r = oct_observer_minmax(v->observer);
            ck_assert_msg(r.lo == p.lo[i] && r.hi == p.hi[i], "%s", v->name);
            ck_assert_uint_eq(v->observer->total, p.count[i]);
            ck_assert_int_eq(v->means.samples, TEXTS);
            for (int ch = 0; ch < v->means.channels; ch++)
                ck_assert_double_eq_tol(oct_means_get(&v->means, ch), p.mean[i][ch], 1e-9);
        }
        oct_calibration_close(c);
        oct_model_free(m);
    }
}
END_TEST

/* ---- files ---- */

static oct_quantizer *open_fed(const subject *s, oct_options o, const oct_quantizer_options *how)
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

static void make(const subject *s, oct_options o, const char *path)
{
    oct_quantizer *q = open_fed(s, o, NULL);
    OK(oct_quantizer_save(q, path));
    oct_quantizer_free(q);
}

static void answer(const subject *s, oct_model *m, int batch, float logits[N_LOGITS])
{
    ck_assert_str_eq(m->precision, "int8");
    for (int i = 0, n; i < TEXTS; i += n) {
        n = fill(s, m, i, batch, 0);
        OK(oct_model_run(m, n));
        memcpy(logits + i * m->classes, oct_model_output(m, 0)->data,
               (size_t)(n * m->classes) * sizeof *logits);
    }
}

/* Calibration included, for every machine. */
static void check_golden(const subject *s, const float *logits, size_t size)
{
    char name[64], stored[65], hex[65];
    snprintf(name, sizeof name, "%s_static", s->name);
    golden_sha256(name, stored);
    sha256_of(logits, size, hex);
    ck_assert_msg(!strcmp(hex, stored), "%s: %s, expected %s", name, hex, stored);
}

START_TEST(a_file_gives_the_bits_it_was_made_with)
{
    static const char *const isas[] = { "ref", "avx2", "avxvnni", "avx512", "neon", "neondot",
                                        "neoni8mm" };
    static float want[N_LOGITS], got[N_LOGITS];
    unsigned flags;
    for (int k = 0; k < N_SUBJECTS; k++) {
        const subject *s = &subjects[k];
        oct_quantizer *q = open_fed(s, (oct_options){ .batch = 3 }, NULL);
        oct_model *m;
        OK(oct_quantizer_build(q, NULL, 0, 0, &m, NULL));
        OK(oct_model_plan(m, &(oct_options){ .batch = 3 }));
        answer(s, m, 3, want);
        check_golden(s, want, (size_t)(TEXTS * m->classes) * sizeof *want);
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
}
END_TEST

START_TEST(the_same_texts_give_the_same_bytes)
{
    for (int k = 0; k < N_SUBJECTS; k++) {
        size_t m, n;
        make(&subjects[k], (oct_options){ .batch = 1, .threads = 1 }, made);
        make(&subjects[k], (oct_options){ .batch = 16, .threads = 3, .isa = "ref" }, other);
        uint8_t *x = file_read(made, &m), *y = file_read(other, &n);
        ck_assert(m == n && !memcmp(x, y, m));
        free(x);
        free(y);
    }
}
END_TEST

/* Linear layers read bytes, each value is quantized once, all between is FP32. */
START_TEST(what_becomes_integers)
{
    oct_model *m;
    make(&subjects[0], (oct_options){ .batch = 8 }, made);
    OK(oct_model_load(made, NULL, &m));
    int linears = 0, quantized = 0;
    for (int i = 0; i < m->plan->n_steps; i++) {
        const oct_step *step = &m->plan->step[i];
        const oct_tensor *x = step->args.in[0];
        switch (step->node->kind) {
        case OCT_OP_LINEAR:
            linears++;
            ck_assert_msg(x->dtype == OCT_U8, "%s", step->node->name);
            ck_assert_int_eq(step->args.in[OCT_LINEAR_W]->dtype, OCT_S8);
            break;
        case OCT_OP_QUANTIZE:
            quantized++;
            break;
        case OCT_OP_EMBEDDING:
            ck_assert_int_eq(step->args.in[OCT_EMBEDDING_WORD]->dtype, OCT_S8);
            break;
        default:
            ck_assert_int_eq(x->dtype, OCT_F32);
            ck_assert_int_eq(step->args.out->dtype, OCT_F32);
        }
    }
    /* qkv, out, up, down of a layer; the last has kv and q; two after it, the second of which reads
     * what the first wrote */
    ck_assert_int_eq(linears, 4 + 5 + 2);
    ck_assert_int_eq(quantized, linears - 1);
    oct_model_free(m);
}
END_TEST

/* ---- refusals ---- */

START_TEST(refuses)
{
    const subject *s = &subjects[0];
    oct_quantizer *q;
    OK(oct_quantizer_open(source_of(s), &(oct_options){ .batch = 2 }, NULL, &q));
    ck_assert_int_eq(oct_quantizer_save(q, made), OCT_ERR_FORMAT);
    ck_assert_str_eq(oct_last_error(), "quantize: no samples: a static quantization needs some of "
                                       "your own");
    ck_assert_int_eq(access(made, F_OK), -1);
    oct_tensor *in[3] = { oct_quantizer_input(q, 0), oct_quantizer_input(q, 1), NULL };
    put_text(s, in, 3, 0);
    ck_assert_int_eq(oct_quantizer_add(q, 3), OCT_ERR_SHAPE);
    ck_assert_str_eq(oct_last_error(), "run: 3 samples, the plan is made for 1 to 2");
    ((int32_t *)in[0]->data)[1] = s->tokens;
    ck_assert_int_eq(oct_quantizer_add(q, 1), OCT_ERR_SHAPE);
    ck_assert_str_eq(oct_last_error(), "run: id 999 of token 1, the model has 0 to 998");
    oct_quantizer_free(q);
}
END_TEST

static oct_status try(const char *path)
{
    oct_model *m;
    const oct_status status = oct_model_load(path, &(oct_options){ .threads = 1 }, &m);
    if (status == OCT_OK) oct_model_free(m);
    return status;
}

/* What octet.quant says of an activation is needed, and has to be possible. */
START_TEST(hostile_headers)
{
    static const char *const change[][3] = { /* from, to, what is said */
        { "distilbert.embeddings\\\":{", "distilbert.embedding_\\\":{",
          "octet.quant: no scale for distilbert.embeddings" },
        { "layer.1.first\\\":{", "layer.1.last_\\\":{", "octet.quant: no scale for" },
        { "\\\"max\\\":255", "\\\"max\\\":200", "expected 0 to 127 or 255" },
        { "\\\"method\\\":\\\"mse\\\"", "\\\"method\\\":7", "'method'" },
    };
    size_t size, bad_size;
    make(&subjects[0], (oct_options){ .batch = 8 }, made);
    char *file = (char *)file_read(made, &size);
    for (size_t i = 0; i < sizeof change / sizeof *change; i++) {
        char *bad = header_changed(file, size, change[i][0], change[i][1], &bad_size);
        ck_assert_msg(bad != NULL, "%s", change[i][0]);
        file_write(other, bad, bad_size);
        ck_assert_msg(header_refused(try(other)), "%s", change[i][1]);
        ck_assert_msg(strstr(oct_last_error(), change[i][2]) != NULL, "%s", oct_last_error());
        free(bad);
    }
    header_shake(file, size, test_emulated() ? 20 : 200, 7, try);
    free(file);
}
END_TEST

int main(void)
{
    const TTest *const tests[] = {
        batch_and_threads_and_order_do_not_matter, counts_what_the_tokens_give,
        a_file_gives_the_bits_it_was_made_with, the_same_texts_give_the_same_bytes,
        what_becomes_integers, refuses, hostile_headers,
    };
    return suite_run_in("text_static", tests, sizeof tests / sizeof *tests, setup, teardown);
}
