/* SmoothQuant: the factors against numpy's; which layers of a model of texts get them, what their
 * files say, and that they give the same bits everywhere. */
#include <math.h>

#include "ops/attr.h"
#include "quant/bias.h"
#include "quant/smooth.h"
#include "tests/golden/smooth.h"
#include "tests/header_change.h"
#include "tests/text_case.h"

static const oct_quantizer_options smooth = { .smooth = { 0.5, 0.75 } };

/* Weights of two rows, x of one sign or both. */
START_TEST(factors_of_numpy)
{
    enum { N = sizeof smooth_cases / sizeof *smooth_cases };
    for (int i = 0; i < N; i++) {
        const smooth_case *c = &smooth_cases[i];
        oct_arena arena = { 0 };
        float lo[2] = { -c->x, i % 2 ? -c->x / 2 : 0 }, hi[2] = { i % 2 ? 0 : c->x / 4, c->x };
        float weight[4] = { c->w / 3, -c->w, -c->w, c->w / 5 };
        const oct_extremes x = { 2, lo, hi };
        const oct_tensor w = { .dtype = OCT_F32, .rank = 2, .dim = { 2, 2 }, .data = weight };
        oct_tensor *by;
        OK(oct_smooth_factors(&x, &w, c->strength, &arena, &by));
        const float *b = by->data, want = ldexpf(1, -c->exponent);
        ck_assert_msg(b[0] == want && b[1] == want, "case %d: %a %a", i, (double)b[0],
                      (double)b[1]);
        const oct_range r = oct_smooth_range(&x, b);
        ck_assert(r.lo == -c->x * want && r.hi == c->x * want);
        oct_arena_free(&arena);
    }
}
END_TEST

/* E[x] by times is the same as E[x by]. */
START_TEST(bias_correction_knows)
{
    enum { IN = 3, OUT = 2 };
    static const float by[IN] = { .5f, 4, 1 }, w[OUT * IN] = { .3f, -.7f, 1.1f, .01f, .2f, -.9f };
    static const float scale[OUT] = { .01f, .02f };
    static const int8_t q[OUT * IN] = { 31, -70, 109, 1, 9, -44 };
    int64_t whole[2][IN] = { { 6, -3, 2 }, { 3, -12, 2 } }, part[IN] = { 0 };
    oct_bias_layer l = { .out = OUT, .in = IN, .groups = 1, .taps = 1, .w = w, .q = q,
                         .scale = scale };
    const oct_means times = { IN, 1, whole[1], part }, plain = { IN, 1, whole[0], part };
    float want[OUT] = { 1, -2 }, got[OUT] = { 1, -2 };
    oct_bias_correct(&l, &times, want);
    l.by = by;
    oct_bias_correct(&l, &plain, got);
    ck_assert(want[0] != 1 && got[0] == want[0] && got[1] == want[1]);
}
END_TEST

START_TEST(a_file_gives_the_bits_it_was_made_with)
{
    check_file(&subjects[DISTILBERT], "smooth", &smooth);
}
END_TEST

START_TEST(the_same_texts_give_the_same_bytes)
{
    check_same_bytes(&subjects[DISTILBERT], &smooth);
}
END_TEST

/* The linear layers around a GELU, and only they: x times by is what is quantized, and their
 * weights are those of the source over by, a power of two for each column. */
START_TEST(what_is_smoothed)
{
    oct_quantizer *q = open_fed(&subjects[0], (oct_options){ .batch = 8 }, &smooth);
    oct_model *m, *source;
    OK(oct_quantizer_build(q, NULL, 0, 0, &m, NULL));
    OK(oct_model_describe(source_of(&subjects[0]), NULL, &source));
    int smoothed = 0, other_than_one = 0;
    for (int i = 0; i < m->graph.n_nodes; i++) {
        const oct_node *node = &m->graph.node[i], *before;
        if (node->dead || node->kind != OCT_OP_LINEAR) continue;
        before = oct_graph_writer(&m->graph, node->args.in[OCT_LINEAR_X]);
        const oct_tensor *by = before->kind == OCT_OP_QUANTIZE ? before->args.in[OCT_QUANTIZE_BY]
                                                               : NULL;
        const oct_tensor *w = node->args.in[OCT_LINEAR_W], *from;
        ck_assert_int_eq(by != NULL, strstr(node->name, "ffn.lin") != NULL);
        if (!by) continue;
        int k = 0;
        while (strcmp(source->graph.node[k].name, node->name) != 0) k++;
        from = source->graph.node[k].args.in[OCT_LINEAR_W];
        smoothed++;
        for (size_t j = 0; j < oct_tensor_count(w); j++) {
            float want, got, b = ((float *)by->data)[j % (size_t)by->dim[0]];
            int e;
            oct_tensor_read_f32(from, j, 1, &want);
            oct_tensor_read_f32(w, j, 1, &got);
            ck_assert(frexpf(b, &e) == 0.5f);
            other_than_one += b != 1;
            ck_assert_double_eq_tol(got, want / b, 0.5001 * w->scale[j / (size_t)by->dim[0]]);
        }
    }
    ck_assert_int_eq(smoothed, 4);
    ck_assert_int_gt(other_than_one, 1000);
    oct_model_free(m);
    oct_model_free(source);
    oct_quantizer_free(q);
}
END_TEST

/* ---- refusals ---- */

START_TEST(refuses_to_smooth)
{
    static const struct { int subject; oct_quantizer_options how; const char *why; } cases[] = {
        { 0, { .smooth = { 1.5, 0 } }, "quantize: smooth 1.5, expected 0 to 1" },
        { 0, { .smooth = { 0, NAN } }, "expected 0 to 1" },
        { 0, { .method = "dynamic", .smooth = { 0, 1 } }, "ranges at run time have none" },
        { 1, { .smooth = { 0.5, 0.5 } }, "no quantized linear layer before or after a GELU" },
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        oct_quantizer *q;
        const subject *s = &subjects[cases[i].subject];
        oct_status status = oct_quantizer_open(source_of(s), NULL, &cases[i].how, &q);
        if (status == OCT_OK) {
            oct_quantizer_free(q);
            q = open_fed(s, (oct_options){ .batch = 8 }, &cases[i].how);
            status = oct_quantizer_save(q, made);
            oct_quantizer_free(q);
        }
        ck_assert_int_eq(status, OCT_ERR_UNSUPPORTED);
        ck_assert_msg(strstr(oct_last_error(), cases[i].why) != NULL, "%s", oct_last_error());
        ck_assert_int_eq(access(made, F_OK), -1);
    }
}
END_TEST

#define LIN1 "distilbert.transformer.layer.0.ffn.lin1"

/* Where the data of the tensor of that name, quote included, lie in a file. */
static char *data_of(char *file, const char *name)
{
    static const char key[] = "\"data_offsets\":[";
    uint64_t header;
    memcpy(&header, file, sizeof header);
    const char *entry = strstr(file + sizeof header, name);
    ck_assert_ptr_nonnull(entry);
    const char *offsets = strstr(entry, key);
    ck_assert_ptr_nonnull(offsets);
    return file + sizeof header + header + strtoull(offsets + sizeof key - 1, NULL, 10);
}

/* Factors are there, fit and are sane; none where bytes are written. */
START_TEST(hostile_factors)
{
    static const change changes[] = {
        { LIN1 ".smooth\"", LIN1 ".smoot_\"", LIN1 ".smooth: no such tensor" },
        { LIN1 ".smooth\":{\"dtype\":\"F32\",\"shape\":[130]",
          LIN1 ".smooth\":{\"dtype\":\"F32\",\"shape\":[65,2]", LIN1 ".smooth: shape" },
        { LIN1 ".smooth\":{\"dtype\":\"F32\",\"shape\":[130]",
          LIN1 ".smooth\":{\"dtype\":\"I32\",\"shape\":[130]", LIN1 ".smooth: dtype I32" },
        { "\\\"smooth\\\":[0.5,", "\\\"smooth\\\":[-1,", "no two numbers from 0 to 1" },
        { "\\\"smooth\\\":[0.5,", "\\\"smooth\\\":[0.5,1,", "no two numbers from 0 to 1" },
    };
    size_t size;
    make(&subjects[0], (oct_options){ .batch = 8 }, &smooth, made);
    char *file = (char *)file_read(made, &size);
    check_changes(file, size, changes, sizeof changes / sizeof *changes);
    memset(data_of(file, LIN1 ".smooth\"") + 8, 0, 4);
    file_write(other, file, size);
    ck_assert(header_refused(try(other)));
    ck_assert_msg(strstr(oct_last_error(), LIN1 ".smooth: entry 2 is 0, expected 2^-24 to 2^24"),
                  "%s", oct_last_error());
    free(file);
}
END_TEST

int main(void)
{
    const TTest *const tests[] = {
        factors_of_numpy, bias_correction_knows, a_file_gives_the_bits_it_was_made_with,
        the_same_texts_give_the_same_bytes, what_is_smoothed, refuses_to_smooth, hostile_factors,
    };
    return suite_run_in("smooth", tests, sizeof tests / sizeof *tests, text_case_setup,
                        text_case_teardown);
}
