/* Models of texts quantized on samples: what is counted is what the tokens' rows are, however texts
 * are packed; the file gives the bits of the graph it was made from, everywhere. */
#include <math.h>
#include <string.h>
#include <unistd.h>

#include "ops/attr.h"
#include "tests/header_change.h"
#include "tests/text_case.h"

/* ---- counting ---- */

static oct_model *load(const subject *s, int batch, int threads)
{
    oct_model *m;
    OK(oct_model_load(source_of(s), &(oct_options){ .batch = batch, .threads = threads }, &m));
    return m;
}

static oct_calibration *calibrate(const subject *s, int batch, int threads, int backwards)
{
    oct_model *m = load(s, batch, threads);
    oct_calibration *c;
    OK(oct_calibration_open(m->plan, m->pool, &(oct_calibrate_options){ 1, 1 }, &c));
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
        const size_t channels = (size_t)x->extremes.channels;
        ck_assert_int_eq(x->extremes.channels, y->extremes.channels);
        ck_assert(channels > 0 && !memcmp(x->extremes.lo, y->extremes.lo,
                                          2 * channels * sizeof *x->extremes.lo));
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
    float least[MAX_STEPS][MAX_WIDTH], most[MAX_STEPS][MAX_WIDTH];
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
        p->least[step][i % width] = fminf(p->least[step][i % width], x[i]);
        p->most[step][i % width] = fmaxf(p->most[step][i % width], x[i]);
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
            for (int ch = 0; ch < v->extremes.channels; ch++)
                ck_assert(v->extremes.lo[ch] == p.least[i][ch] &&
                          v->extremes.hi[ch] == p.most[i][ch]);
        }
        oct_calibration_close(c);
        oct_model_free(m);
    }
}
END_TEST

/* ---- files ---- */

START_TEST(a_file_gives_the_bits_it_was_made_with)
{
    for (int k = 0; k < N_SUBJECTS; k++) check_file(&subjects[k], "static", NULL);
}
END_TEST

START_TEST(the_same_texts_give_the_same_bytes)
{
    for (int k = 0; k < N_SUBJECTS; k++) check_same_bytes(&subjects[k], NULL);
}
END_TEST

/* Linear layers read bytes, each value is quantized once, all between is FP32. */
START_TEST(what_becomes_integers)
{
    oct_model *m;
    make(&subjects[0], (oct_options){ .batch = 8 }, NULL, made);
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

/* What octet.quant says of an activation is needed, and has to be possible. */
START_TEST(hostile_headers)
{
    static const change changes[] = {
        { "distilbert.embeddings\\\":{", "distilbert.embedding_\\\":{",
          "octet.quant: no scale for distilbert.embeddings" },
        { "layer.1.first\\\":{", "layer.1.last_\\\":{", "octet.quant: no scale for" },
        { "\\\"max\\\":255", "\\\"max\\\":200", "expected 0 to 127 or 255" },
        { "\\\"method\\\":\\\"mse\\\"", "\\\"method\\\":7", "'method'" },
    };
    size_t size;
    make(&subjects[0], (oct_options){ .batch = 8 }, NULL, made);
    char *file = (char *)file_read(made, &size);
    check_changes(file, size, changes, sizeof changes / sizeof *changes);
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
    return suite_run_in("text_static", tests, sizeof tests / sizeof *tests, text_case_setup,
                        text_case_teardown);
}
