/* What the programs share: the error line, strict numbers, statistics, .npy. */
#include <math.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <unistd.h>

#include "programs/cli.h"
#include "programs/evaluate.h"
#include "programs/npy.h"
#include "programs/report.h"
#include "programs/scores.h"
#include "tests/suite.h"

static void check_escape(const char *s, const char *want)
{
    char out[100];
    ck_assert_uint_eq(cli_escape(s, out, sizeof out), strlen(want));
    ck_assert_str_eq(out, want);
}

START_TEST(escapes)
{
    const char *plain = "plain \xc3\xa9 \xe2\x82\xac \xf0\x9f\x98\x80";
    check_escape(plain, plain);
    check_escape("a\nb\tc\rd\x1b[31m\x7f", "a\\nb\\tc\\rd\\x1b[31m\\x7f");
    check_escape("\xc2\x9b", "\\xc2\\x9b");         /* U+009B is a control character, too */
    check_escape("a\xe2\x80\xae" "b", "a\\xe2\\x80\\xae" "b"); /* the rest would run backwards */
    check_escape("\xe2\x81\xa6\xe2\x80\xaf", "\\xe2\\x81\\xa6\xe2\x80\xaf"); /* a blank is none */
    check_escape("\xff\xc3", "\\xff\\xc3");         /* no UTF-8; cut short */
    check_escape("\xc0\xaf", "\\xc0\\xaf");         /* overlong */
    check_escape("\xed\xa0\x80", "\\xed\\xa0\\x80"); /* a surrogate */
    check_escape("\xf4\x90\x80\x80", "\\xf4\\x90\\x80\\x80"); /* beyond U+10FFFF */
}
END_TEST

START_TEST(escapes_within_bounds)
{
    char out[40], in[64];
    for (int fill = 0; fill < 3; fill++)
        for (size_t length = 0; length < sizeof in; length++)
            for (size_t size = 4; size < sizeof out; size++) {
                memset(in, "a\n\xff"[fill], length);
                in[length] = 0;
                memset(out, '?', sizeof out);
                const size_t n = cli_escape(in, out, size);
                ck_assert_uint_lt(n, size);
                ck_assert_uint_eq(strlen(out), n);
                ck_assert_int_eq(out[size], '?');
                const size_t full = length * (size_t[]){ 1, 2, 4 }[fill];
                if (full < size) ck_assert_uint_eq(n, full);
                else ck_assert_str_eq(out + n - 3, "...");
            }
}
END_TEST

START_TEST(numbers_are_strict)
{
    int i = -7;
    double d = -7;
    static const char *const bad[] = { "", " 1", "1 ", "+1", "1x", "0x1", "1e2x", "--1", "-", "." };
    for (size_t k = 0; k < sizeof bad / sizeof *bad; k++) {
        ck_assert(!cli_int(bad[k], -100, 100, &i));
        ck_assert(!cli_number(bad[k], -100, 100, &d));
    }
    ck_assert(!cli_int("1.5", 0, 9, &i) && !cli_int("10", 0, 9, &i) && !cli_int("-1", 0, 9, &i));
    ck_assert(!cli_int("18446744073709551617", 0, 9, &i));
    ck_assert(!cli_number("nan", -1, 1, &d) && !cli_number("inf", -1, 1e308, &d));
    ck_assert(!cli_number("1e999", -1, INFINITY, &d) && !cli_number("0x1p1", 0, 9, &d));
    ck_assert(i == -7 && d == -7);
    ck_assert(cli_int("-12", -12, 9, &i) && i == -12);
    ck_assert(cli_number("-.5e1", -5, 9, &d) && d == -5);
}
END_TEST

START_TEST(statistics)
{
    double v[] = { 5, 1, 4, 2, 3 }, low, high;
    report_sort(v, 5);
    ck_assert(v[0] == 1 && v[4] == 5);
    ck_assert(report_percentile(v, 5, 0.5) == 3 && report_percentile(v, 5, 0.99) == 5);
    ck_assert(report_percentile(v, 5, 0.2) == 1 && report_percentile(v, 5, 0.21) == 2);
    ck_assert(report_percentile(v, 1, 0.99) == 1);
    /* 5 of 10 as statsmodels' proportion_confint has it; at the end it is n / (n + z^2) */
    scores_wilson(5, 10, &low, &high);
    ck_assert_double_eq_tol(low, 0.236593090512564, 1e-12);
    ck_assert_double_eq_tol(high, 0.763406909487436, 1e-12);
    scores_wilson(10, 10, &low, &high);
    ck_assert(high == 1);
    ck_assert_double_eq_tol(low, 10 / (10 + 3.841458820694124), 1e-12);

    double *list = NULL;
    for (int i = 0; i < 1000; i++) ck_assert(report_push(&list, i, i));
    for (int i = 0; i < 1000; i++) ck_assert(list[i] == i);
    free(list);
}
END_TEST

START_TEST(answers)
{
    const float tie[] = { 1, 3, 3, 2 }, odd[] = { NAN, 1, NAN, 0 }, far[] = { 1000, -1000, 0, 0 };
    double p[4];
    int order[4];
    ck_assert_int_eq(scores_argmax(tie, 4), 1);
    ck_assert_int_eq(scores_argmax(odd, 4), 1);
    scores_softmax(tie, 4, 0, p);
    ck_assert_double_eq_tol(p[0] + p[1] + p[2] + p[3], 1, 1e-15);
    ck_assert_double_eq_tol(p[0] / p[1], exp(-2), 1e-15);
    ck_assert_double_eq_tol(scores_loss(tie, 4, 0, 3), -log(p[3]), 1e-15);
    scores_top(p, 4, 4, order);
    ck_assert(order[0] == 1 && order[1] == 2 && order[2] == 3 && order[3] == 0);
    ck_assert_double_eq_tol(scores_loss(far, 4, 0, 1), 2000, 1e-9); /* no overflow, no log(0) */
    const float share[] = { 0.25f, 0.75f };
    scores_softmax(share, 2, 1, p);
    ck_assert(p[0] == 0.25 && p[1] == 0.75);
    ck_assert_double_eq_tol(scores_loss(share, 2, 1, 0), log(4), 1e-15);
}
END_TEST

static long peak_kib(void)
{
    struct rusage u;
    return getrusage(RUSAGE_SELF, &u) ? 0 : u.ru_maxrss;
}

START_TEST(forgets_the_peak)
{
    enum { SIZE = 64 << 20 };
    void *block = mmap(NULL, SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    ck_assert(block != MAP_FAILED);
    memset(block, 1, SIZE);
    const long before = peak_kib();
    ck_assert_int_gt(before, SIZE / 1024);
    munmap(block, SIZE);
    if (test_emulated() || !eval_forget_peak()) return; /* an emulator's memory is not ours */
    ck_assert_int_lt(peak_kib(), before - SIZE / 2048);
}
END_TEST

static void write_file(const char *path, const void *bytes, size_t size)
{
    FILE *f = fopen(path, "wb");
    ck_assert(f && fwrite(bytes, 1, size, f) == size);
    ck_assert(!fclose(f));
}

START_TEST(npy)
{
    char path[] = "test_programs.XXXXXX";
    const float row[2][3] = { { 1, 2, 3 }, { 4, 5, -6 } };
    float got[6];
    npy_writer *w;
    npy_reader r;
    ck_assert_int_ge(close(mkstemp(path)), 0);
    ck_assert_int_eq(npy_create(path, 3, &w), OCT_OK);
    ck_assert_int_eq(npy_append(w, row[0]), OCT_OK);
    npy_drop(w);
    ck_assert_int_eq(npy_open(path, &r), OCT_ERR_FORMAT); /* still empty */

    ck_assert_int_eq(npy_create(path, 3, &w), OCT_OK);
    for (int i = 0; i < 2; i++) ck_assert_int_eq(npy_append(w, row[i]), OCT_OK);
    ck_assert_int_eq(npy_commit(w), OCT_OK);
    ck_assert_int_eq(npy_open(path, &r), OCT_OK);
    ck_assert(r.rank == 2 && r.dim[0] == 2 && r.dim[1] == 3 && r.row == 3);
    ck_assert_int_eq(npy_read(&r, 0, 2, got), OCT_OK);
    ck_assert(!memcmp(got, row, sizeof row));
    ck_assert_int_eq(npy_read(&r, 1, 1, got), OCT_OK);
    ck_assert(!memcmp(got, row[1], sizeof row[1]));
    npy_close(&r);
    unlink(path);
}
END_TEST

START_TEST(npy_refuses)
{
    static const char *const dict[] = {
        "{'descr': '<f4', 'fortran_order': False, 'shape': (2, 3), }",  /* good: 24 bytes of data */
        "{'descr': '<f4', 'fortran_order': False, 'shape': (2, 4), }",  /* more than the file has */
        "{'descr': '<f4', 'fortran_order': False, 'shape': (2, 2), }",  /* less */
        "{'descr': '<f8', 'fortran_order': False, 'shape': (3,), }",
        "{'descr': '<f4', 'fortran_order': True, 'shape': (2, 3), }",
        "{'descr': '<f4', 'fortran_order': False, 'shape': (), }",
        "{'descr': '<f4', 'fortran_order': False, 'shape': (-6,), }",
        "{'descr': '<f4', 'fortran_order': False, 'shape': (0, 3), }",
        "{'descr': '<f4', 'fortran_order': False, 'shape': (6",
        "{'descr': '<f4', 'fortran_order': False, 'shape': (4294967298, 3), }",
        "{'descr': '<f4', 'fortran_order': False, 'shape': (2147483647,2147483647,2147483647,6), }",
        "{'descr': '<f4', 'fortran_order': False, 'shape': (1,1,1,1,1,1,1,1,6), }",
        "{'fortran_order': False, 'shape': (6,), }",
    };
    char path[] = "test_programs.XXXXXX", bytes[200] = "\x93NUMPY\x01";
    npy_reader r;
    ck_assert_int_ge(close(mkstemp(path)), 0);
    for (size_t i = 0; i < sizeof dict / sizeof *dict; i++) {
        const size_t size = strlen(dict[i]);
        bytes[8] = (char)size;
        memcpy(bytes + 10, dict[i], size);
        memset(bytes + 10 + size, 0, 24);
        write_file(path, bytes, 10 + size + 24);
        ck_assert_int_eq(npy_open(path, &r), i ? OCT_ERR_FORMAT : OCT_OK);
        npy_close(&r);
        for (size_t cut = 0; !i && cut < 10 + size + 24; cut++) {
            write_file(path, bytes, cut);
            ck_assert_int_ne(npy_open(path, &r), OCT_OK);
        }
    }
    unlink(path);
}
END_TEST

int main(void)
{
    const TTest *const tests[] = { escapes, escapes_within_bounds, numbers_are_strict, statistics,
                                   answers, forgets_the_peak, npy, npy_refuses };
    return suite_run("programs", tests, sizeof tests / sizeof *tests);
}
