/* The report of quantize from a made-up result: text and JSON as expected, HTML well-formed
 * whatever names and numbers are. */
#include <float.h>
#include <math.h>
#include <string.h>

#include "programs/html_plot.h"
#include "programs/quant_report.h"
#include "programs/report.h"
#include "programs/show.h"
#include "tests/fail_alloc.h"
#include "tests/suite.h"
#include "tests/xml.h"

/* ---- a made-up result ---- */

enum { SAMPLES = 10, CLASSES = 3, LAYERS = 4, BATCHES = 3 };

typedef struct made_up {
    int label[SAMPLES], before[SAMPLES], after[SAMPLES];
    double ms_before[BATCHES], ms_after[BATCHES];
    char *name[CLASSES];
    const char *note[2];
    layer_report layer[LAYERS];
    quant_report r;
} made_up;

static made_up *make(const char *text)
{
    static char lion[] = "lion", tiger[] = "tiger", own[200];
    static made_up m;
    snprintf(own, sizeof own, "%s", text ? text : "house cat");
    m = (made_up){
        .label = { 0, 0, 0, 0, 1, 1, 1, 2, 2, 2 }, .before = { 0, 0, 0, 1, 1, 1, 1, 2, 2, 2 },
        .after = { 0, 0, 1, 1, 1, 1, 1, 2, 2, 0 }, .ms_before = { 4, 4.5, 5 },
        .ms_after = { 1, 1.25, 2 }, .name = { lion, tiger, own },
        .note = { "99 % of the multiply-adds run in INT8.", "Another sentence." },
    };
    m.layer[0] = (layer_report){ "conv1", "conv2d", "[8, 28, 28]", "int8", NULL, 56448, 38.25, 1e-3,
                                 0, 6.5, 0, 7.25, 0.0255, 0, 0.125, 0.0625 };
    m.layer[1] = (layer_report){ "layer1.0.downsample.convolution", "conv2d", "[8, 14, 14]", "int8",
                                 NULL, 4090e6, -1.5, 0, -0.0123, 0.0456, -0.0123, 0.0456, 2.2e-4,
                                 54, 12.5, 3.25 };
    m.layer[2] = (layer_report){ "fc", "linear", "[3]", "fp32", "INT8 loses 1.2 points", 300, 50,
                                 NAN, NAN, NAN, -9, 12, NAN, 0, 0.01, 0.01 };
    m.layer[3] = (layer_report){ .name = text ? text : "odd", .op = "linear", .shape = "[3]",
                                 .precision = "int8", .why = text, .macs = 1e3, .sqnr_db = NAN,
                                 .clipped = 1e-7, .low = -100, .high = 100, .seen_low = -1e6,
                                 .seen_high = 1e6, .ms_before = NAN, .ms_after = NAN };
    const eval_result run = {
        .samples = SAMPLES, .batch = 4, .threads = 2, .isa = "avx2", .label = m.label,
        .n_batches = BATCHES,
    };
    m.r = (quant_report){
        .model = text ? text : "cats/model.pth", .output = text ? text : "cats_int8.safetensors",
        .command = text ? text : "octet quantize --bits 7", .version = "0.1",
        .source_sha256 = "aa11", .method = "percentile", .bits = 7, .bias_correction = 1,
        .calib = text ? text : "cats/calib", .calib_samples = 200, .calib_sha256 = "bb22",
        .lint = text ? text : "looks like the training data", .has_eval = 1,
        .eval_data = "cats/val", .eval_sha256 = "cc33", .before = run, .after = run,
        .bytes_before = 4000000, .bytes_after = 1040000, .parameters = 1e6, .classes = CLASSES,
        .label = m.name, .n_layers = LAYERS, .layer = m.layer, .n_notes = 2, .note = m.note,
    };
    eval_result *b = &m.r.before, *a = &m.r.after;
    b->correct = 9, b->accuracy = 0.9, b->accuracy_low = 0.6, b->accuracy_high = 0.98;
    b->loss = 0.25, b->ms_total = 13.5, b->ms_p50 = 4.5, b->ms_p99 = 5, b->precision = "fp32";
    b->model_bytes = 4000000, b->peak_bytes = 24e6, b->answer = m.before, b->batch_ms = m.ms_before;
    a->correct = 7, a->accuracy = 0.7, a->accuracy_low = 0.4, a->accuracy_high = 0.89;
    a->loss = 0.5, a->ms_total = 4.25, a->ms_p50 = 1.25, a->ms_p99 = 2, a->precision = "int8";
    a->model_bytes = 1040000, a->peak_bytes = 12e6, a->answer = m.after, a->batch_ms = m.ms_after;
    if (text) m.note[0] = text;
    return &m;
}

typedef enum form { TEXT, HTML, JSON } form;

static char *print(const quant_report *r, form f)
{
    char *text;
    size_t size;
    FILE *to = open_memstream(&text, &size);
    ck_assert_ptr_nonnull(to);
    if (f == TEXT) quant_report_text(to, r);
    else ck_assert_int_eq(quant_report_write(to, f == HTML ? "x.html" : "x.json", r), OCT_OK);
    ck_assert(!fclose(to));
    ck_assert_uint_eq(strlen(text), size); /* no zero bytes */
    return text;
}

/* ---- numbers ---- */

START_TEST(numbers)
{
    ck_assert_str_eq(show_bytes(999).s, "999 B");
    ck_assert_str_eq(show_bytes(999.6).s, "1.00 kB");
    ck_assert_str_eq(show_bytes(24312000).s, "24.3 MB");
    ck_assert_str_eq(show_bytes(999600000).s, "1.00 GB");
    ck_assert_str_eq(show_bytes(NAN).s, "-");
    ck_assert_str_eq(show_count(12).s, "12");
    ck_assert_str_eq(show_count(4.09e9).s, "4.09 G");
    ck_assert_str_eq(show_percent(0.9966, 2).s, "99.66 %");
    ck_assert_str_eq(show_clipped(0).s, "0 %");
    ck_assert_str_eq(show_clipped(1e-6).s, "< 0.001 %");
    ck_assert_str_eq(show_clipped(1e-3).s, "0.100 %");
    ck_assert_str_eq(show_change(-0.0001, 2).s, "0.00");
    ck_assert_str_eq(show_change(0.5, 2).s, "+0.50");
    ck_assert_str_eq(show_fixed(-0.001, 2).s, "0.00");
    ck_assert_str_eq(show_ms(0.01234).s, "0.0123");
    ck_assert_str_eq(show_ms(123.456).s, "123.5");
    ck_assert_str_eq(show_ms(99.996).s, "100.0");
    ck_assert_str_eq(show_ratio(3.8449).s, "3.84x");
    ck_assert_str_eq(show_ratio(INFINITY).s, "-");
    ck_assert_str_eq(show_range(-0.0123, 45.61).s, "-0.0123 .. 45.6");
    ck_assert_str_eq(show_range(NAN, 1).s, "-");
}
END_TEST

static void check_name(const char *s, int width, show_cut cut, const char *want, int characters)
{
    const shown_name name = show_name(s, width, cut);
    ck_assert_str_eq(name.s, want);
    ck_assert_int_eq(name.width, characters);
}

START_TEST(names)
{
    char lengthy[3000];
    check_name("conv1", 5, SHOW_CUT_FRONT, "conv1", 5);
    check_name("abcdefgh", 7, SHOW_CUT_FRONT, "...efgh", 7);
    check_name("abcdefgh", 7, SHOW_CUT_BACK, "abcd...", 7);
    check_name("layer1.0.attention.q", 16, SHOW_CUT_FRONT, "...attention.q", 14);
    check_name("\xc3\xa9\xc3\xa9\xc3\xa9\xc3\xa9\xc3\xa9", 4, SHOW_CUT_FRONT, "...\xc3\xa9", 4);
    check_name("\xc3\xa9\xc3\xa9\xc3\xa9\xc3\xa9\xc3\xa9", 4, SHOW_CUT_BACK, "\xc3\xa9...", 4);
    check_name("a\nb", 9, SHOW_CUT_BACK, "a\\nb", 4);
    check_name("", 9, SHOW_CUT_FRONT, "", 0);
    /* any bytes, any length, any width: whole characters within it */
    for (int fill = 0; fill < 4; fill++)
        for (size_t length = 0; length < sizeof lengthy; length += length < 300 ? 1 : 97)
            for (int width = 4; width <= SHOW_MAX; width += 7)
                for (int cut = 0; cut < 2; cut++) {
                    static const char *const unit[] = { "\xf0\x9f\x98\x80", "a", "\x80", ".\n" };
                    for (size_t i = 0; i < length; i++)
                        lengthy[i] = unit[fill][i % strlen(unit[fill])];
                    lengthy[length] = 0;
                    const shown_name name = show_name(lengthy, width, (show_cut)cut);
                    ck_assert_int_le(name.width, width);
                    json_t *utf8 = json_string(name.s);
                    ck_assert_ptr_nonnull(utf8);
                    json_decref(utf8);
                }
}
END_TEST

START_TEST(derived)
{
    made_up *m = make(NULL);
    quant_report *r = &m->r;
    ck_assert_double_eq(quant_speedup(r), 3.6);
    ck_assert_double_eq_tol(quant_compression(r), 4 / 1.04, 1e-12);
    ck_assert_double_eq(quant_of_four_bytes(r), 0.26);
    ck_assert_double_eq(quant_agreement(r), 0.8);
    ck_assert_double_eq(quant_int8_share(r), (56448 + 4090e6 + 1e3) / (56448 + 4090e6 + 1e3 + 300));
    r->after.samples = 9;
    ck_assert(isnan(quant_agreement(r)));
    r->has_eval = 0;
    ck_assert(isnan(quant_speedup(r)) && isnan(quant_agreement(r)));
    r->n_layers = 0, r->parameters = 0, r->bytes_after = 0;
    ck_assert(isnan(quant_int8_share(r)) && isnan(quant_of_four_bytes(r)));
    ck_assert(isnan(quant_compression(r)));
    ck_assert(quant_report_can_write("a.html") && quant_report_can_write("x/b.json"));
    ck_assert(!quant_report_can_write("html") && !quant_report_can_write(".html"));
    ck_assert(!quant_report_can_write("a.html.txt") && !quant_report_can_write(""));
}
END_TEST

/* ---- text ---- */

static void check_text(const quant_report *r, const char *name)
{
    char path[4096], want[8192];
    const char *folder = getenv("srcdir");
    snprintf(path, sizeof path, "%s/tests/golden/%s", folder ? folder : ".", name);
    FILE *f = fopen(path, "r");
    ck_assert_msg(f != NULL, "%s", path);
    want[fread(want, 1, sizeof want - 1, f)] = 0;
    fclose(f);
    char *got = print(r, TEXT);
    ck_assert_str_eq(got, want);
    free(got);
}

START_TEST(as_text)
{
    made_up *m = make(NULL);
    check_text(&m->r, "quant_report.txt");
    m->r.has_eval = 0;
    m->r.forced = 1;
    m->r.n_layers = m->r.n_notes = 0;
    check_text(&m->r, "quant_report_bare.txt");
}
END_TEST

START_TEST(text_keeps_to_its_lines)
{
    char *plain = print(&make("plain")->r, TEXT), *odd = print(&make("o\nd\x1b[2J\xff\r")->r, TEXT);
    int lines[2] = { 0, 0 };
    for (const char *s = plain; *s; s++) lines[0] += *s == '\n';
    for (const char *s = odd; *s; s++) {
        lines[1] += *s == '\n';
        ck_assert(*s == '\n' || (*s >= 0x20 && *s < 0x7f));
    }
    ck_assert_int_eq(lines[0], lines[1]);
    ck_assert(strstr(odd, "o\\nd\\x1b[2J\\xff\\r"));
    free(plain);
    free(odd);
}
END_TEST

/* ---- JSON ---- */

static void check_fields(const json_t *object, const char *const *name, size_t n)
{
    for (size_t i = 0; i < n; i++)
        ck_assert_msg(json_object_get(object, name[i]) != NULL, "no %s", name[i]);
    ck_assert_uint_eq(json_object_size(object), n);
}
#define CHECK_FIELDS(object, ...) do {                                                  \
        static const char *const names_[] = { __VA_ARGS__ };                            \
        check_fields(object, names_, sizeof names_ / sizeof *names_);                   \
    } while (0)

static json_t *parse(const quant_report *r)
{
    char *text = print(r, JSON);
    json_t *root = json_loads(text, JSON_REJECT_DUPLICATES, NULL);
    ck_assert_ptr_nonnull(root);
    free(text);
    return root;
}

static double number(const json_t *object, const char *name)
{
    const json_t *value = json_object_get(object, name);
    ck_assert_msg(json_is_number(value), "%s", name);
    return json_number_value(value);
}

START_TEST(json)
{
    made_up *m = make(NULL);
    json_t *root = parse(&m->r);
    CHECK_FIELDS(root, "model", "output", "command", "version", "source_sha256", "method", "bits",
                 "bias_correction", "dynamic", "calib", "calib_samples", "calib_sha256", "lint",
                 "forced", "eval", "eval_sha256", "before", "after", "agreement", "speedup",
                 "bytes_before", "bytes_after", "compression", "of_four_bytes", "parameters",
                 "int8_share", "classes", "layers", "notes");
    const json_t *before = json_object_get(root, "before");
    const json_t *layers = json_object_get(root, "layers");
    CHECK_FIELDS(before, "samples", "correct", "accuracy", "accuracy_low", "accuracy_high", "loss",
                 "ms_total", "ms_p50", "ms_p99", "batch", "threads", "isa", "precision",
                 "model_bytes", "peak_bytes");
    CHECK_FIELDS(json_array_get(layers, 0), "name", "op", "shape", "precision", "why", "macs",
                 "sqnr_db", "clipped", "low", "high", "seen_low", "seen_high", "scale", "zero",
                 "ms_before", "ms_after");
    ck_assert_uint_eq(json_array_size(layers), LAYERS);
    ck_assert_uint_eq(json_array_size(json_object_get(root, "notes")), 2);
    ck_assert(number(root, "agreement") == 0.8 && number(root, "speedup") == 3.6);
    ck_assert(number(before, "correct") == 9);
    ck_assert(number(json_object_get(root, "after"), "ms_p99") == 2);
    ck_assert(number(json_array_get(layers, 1), "macs") == 4090e6);
    ck_assert(number(json_array_get(layers, 1), "zero") == 54);
    ck_assert(json_is_null(json_object_get(json_array_get(layers, 2), "scale")));
    ck_assert(json_is_null(json_object_get(json_array_get(layers, 3), "ms_after")));
    json_decref(root);
    m->r.has_eval = 0;
    root = parse(&m->r);
    ck_assert(json_is_null(json_object_get(root, "before")));
    ck_assert(json_is_null(json_object_get(root, "agreement")));
    json_decref(root);
    root = parse(&make("\xff\"\n")->r);
    ck_assert_str_eq(json_string_value(json_object_get(root, "model")), "\\xff\"\\n");
    json_decref(root);
}
END_TEST

/* With any one allocation failing: NULL, or all of it (a string is tried twice). */
START_TEST(json_without_memory)
{
    if (!fail_alloc_works()) return;
    made_up *m = make(NULL);
    json_t *whole = quant_report_json(&m->r);
    const long live = fail_alloc_live();
    int failed = 0;
    for (long n = 1, made = n; made >= n - 1; n++) {
        fail_alloc_begin(n, 0);
        json_t *object = quant_report_json(&m->r);
        made = fail_alloc_end();
        ck_assert_msg(!object || json_equal(object, whole), "without allocation %ld", n);
        failed += !object;
        json_decref(object);
        ck_assert_int_eq(fail_alloc_live(), live);
    }
    ck_assert_int_gt(failed, 200);
    json_decref(whole);
}
END_TEST

START_TEST(json_file_without_memory)
{
    if (!fail_alloc_works()) return;
    static char got[16384], buffer[BUFSIZ];
    made_up *m = make(NULL);
    char *want = print(&m->r, JSON);
    int failed = 0;
    for (long n = 1, made = n; made >= n - 1; n++) {
        FILE *to = fmemopen(got, sizeof got, "w");
        ck_assert(to && !setvbuf(to, buffer, _IOFBF, sizeof buffer));
        fail_alloc_begin(n, 0);
        const oct_status status = quant_report_write(to, "x.json", &m->r);
        made = fail_alloc_end();
        fclose(to);
        ck_assert_msg(status || !strcmp(got, want), "part of it, without allocation %ld", n);
        ck_assert(!status || status == OCT_ERR_MEMORY);
        failed += status != OCT_OK;
    }
    ck_assert_int_gt(failed, 200);
    free(want);
}
END_TEST

/* ---- HTML ---- */

static xml_count check_html(const quant_report *r)
{
    char *page = print(r, HTML), *again = print(r, HTML);
    ck_assert_str_eq(page, again);
    const xml_count count = xml_check(page);
    static const char *const never[] = {
        "<script", "http:", "https:", " src=", " href=", "url(", "@import", "nan", "inf ", "inf\"",
        "inf.", ">-0<",
    };
    for (size_t i = 0; i < sizeof never / sizeof *never; i++)
        ck_assert_msg(!strstr(page, never[i]), "%s in the page", never[i]);
    free(page);
    free(again);
    return count;
}

START_TEST(html)
{
    made_up *m = make(NULL);
    check_html(&m->r);
    char *page = print(&m->r, HTML);
    static const char *const said[] = {
        "70.00 %", "80.00 %", "3.60x", "1.04 MB", "house cat", "looks like the training data",
        "bb22", "octet quantize --bits 7", "Another sentence.", "INT8 loses 1.2 points",
        "Signal to quantization noise", "Ranges and clipping", "Time in each layer", "Latency",
        "Most frequent mistakes", ">2</text>", "prefers-color-scheme:dark", "@media print",
        "lion</td><td class=\"l n\">tiger</td><td>1</td><td>2</td>",
    };
    for (size_t i = 0; i < sizeof said / sizeof *said; i++)
        ck_assert_msg(strstr(page, said[i]) != NULL, "no %s", said[i]);
    free(page);
    m->r.label = NULL;
    check_html(&m->r);
    m->r.has_eval = 0;
    check_html(&m->r);
    m->r.classes = 51; /* no heat maps, the table of mistakes only */
    m->r.has_eval = 1;
    check_html(&m->r);
}
END_TEST

/* Whatever a name is, the page has the same elements. */
START_TEST(html_of_hostile_names)
{
    static const char *const name[] = {
        "<script>alert(1)</script>", "\"'><b onload=x>", "]]>--></style></title></svg></table>",
        "&lt;&#60;&amp", "\x01\x02\n\t\r\x7f", "\xff\xfe\xc0\x80\xed\xa0\x80", "%s%n%1$s",
        "\xe2\x80\xaeopposite", "", "/", "a/",
    };
    made_up *m = make("plain");
    const xml_count want = check_html(&m->r);
    for (size_t i = 0; i < sizeof name / sizeof *name; i++) {
        const xml_count got = check_html(&make(name[i])->r);
        ck_assert_int_eq(got.elements, want.elements);
        ck_assert_int_eq(got.attributes, want.attributes);
    }
}
END_TEST

static void fill(made_up *m, double v)
{
    eval_result *both[] = { &m->r.before, &m->r.after };
    for (int i = 0; i < 2; i++) {
        eval_result *e = both[i];
        e->accuracy = e->accuracy_low = e->accuracy_high = e->loss = e->ms_total = v;
        e->ms_p50 = e->ms_p99 = e->model_bytes = e->peak_bytes = v;
    }
    for (int i = 0; i < BATCHES; i++) m->ms_before[i] = m->ms_after[i] = v;
    for (int i = 0; i < LAYERS; i++) {
        layer_report *l = &m->layer[i];
        l->macs = l->sqnr_db = l->clipped = l->high = l->seen_high = l->scale = v;
        l->low = l->seen_low = -v;
        l->ms_before = l->ms_after = v;
    }
    m->r.bytes_before = m->r.bytes_after = m->r.parameters = v;
}

START_TEST(odd_numbers)
{
    static const double odd[] = { NAN, INFINITY, -INFINITY, DBL_MAX, -DBL_MAX, DBL_TRUE_MIN, 0,
                                  -0.0, -1, 1e-300, 1e18, 1e30 };
    for (size_t i = 0; i < sizeof odd / sizeof *odd; i++) {
        made_up *m = make(NULL);
        fill(m, odd[i]);
        check_html(&m->r);
        json_decref(parse(&m->r));
        char *text = print(&m->r, TEXT);
        ck_assert(!strstr(text, "nan") && !strstr(text, "inf"));
        free(text);
        m->layer[0].seen_high = 1; /* far from the others */
        m->layer[1].ms_before = 1;
        m->r.before.ms_p99 = 1;
        check_html(&m->r);
    }
}
END_TEST

START_TEST(nothing_to_show)
{
    const quant_report none = { 0 };
    made_up *m = make(NULL);
    check_html(&none);
    json_decref(parse(&none));
    free(print(&none, TEXT));
    m->r.n_layers = m->r.n_notes = m->r.classes = 0;
    m->r.before = m->r.after = (eval_result){ 0 };
    check_html(&m->r);
    json_decref(parse(&m->r));
    free(print(&m->r, TEXT));
}
END_TEST

/* ---- pieces ---- */

START_TEST(pieces)
{
    char *out;
    size_t size;
    FILE *to = open_memstream(&out, &size);
    html_text(to, "<a b=\"c\" d='e'>&amp;</a>\x01");
    fclose(to);
    ck_assert_str_eq(out, "&lt;a b=&quot;c&quot; d=&#39;e&#39;&gt;&amp;amp;&lt;/a&gt;\\x01");
    free(out);

    plot_axis a = { .linear = 0 }, log = { .linear = 1 };
    const double v[] = { -999, 999, NAN, INFINITY };
    for (int i = 0; i < 4; i++) {
        plot_include(&a, v[i]);
        plot_include(&log, v[i]);
    }
    ck_assert_int_eq(a.n, 2);
    plot_fit(&a, 10, 20);
    plot_fit(&log, 10, 20);
    ck_assert(plot_x(&a, -999) == 10 && plot_x(&a, 0) == 15 && plot_x(&a, 1e9) == 20);
    ck_assert(plot_x(&a, NAN) == 10 && plot_x(&a, -INFINITY) == 10);
    ck_assert_double_eq(plot_x(&log, 0), 15);
    ck_assert_double_eq_tol(plot_x(&log, 99), 15 + 10 / 3.0, 1e-9); /* 2 of 3 decades */
    ck_assert_double_eq_tol(plot_x(&log, -9), 15 - 5 / 3.0, 1e-9);
    plot_axis none = { .from = 7, .to = 7, .n = 1 };
    plot_fit(&none, 0, 1);
    ck_assert(none.to > none.from && plot_x(&none, 7) == 0);
}
END_TEST

int main(void)
{
    const TTest *const tests[] = {
        numbers, names, derived, as_text, text_keeps_to_its_lines, json, json_without_memory,
        json_file_without_memory, html, html_of_hostile_names, odd_numbers, nothing_to_show,
        pieces,
    };
    return suite_run("quant_report", tests, sizeof tests / sizeof *tests);
}
