/* lint on models of texts: each rule at its bound, in a made-up vocabulary of 1000 tokens. */
#include <math.h>
#include <string.h>

#include "quant/lint_texts.h"
#include "tests/suite.h"

enum { PAD, UNK, CLS, SEP, FIRST = 4, TOKENS = 1000, CLASSES = 3, LENGTH = 12 };

static uint8_t flags[TOKENS];
static double norm[TOKENS];

/* A third of the tokens are rests; the first half of the words is read, and has longer rows. */
static void make_vocabulary(void)
{
    memset(flags, 0, sizeof flags);
    flags[PAD] = flags[CLS] = flags[SEP] = OCT_LINT_SPECIAL;
    flags[UNK] = OCT_LINT_UNKNOWN;
    for (int i = TOKENS * 2 / 3; i < TOKENS; i++) flags[i] = OCT_LINT_REST;
    for (int i = 0; i < TOKENS; i++) norm[i] = 1 + (double)(i * 37 % TOKENS) / TOKENS;
}

static oct_lint_texts_options usual(void)
{
    return (oct_lint_texts_options){ .classes = CLASSES, .rows = TOKENS, .tokens = TOKENS,
                                     .flags = flags, .lowercase = 1 };
}

static oct_lint_texts *open(oct_lint_texts_options o)
{
    oct_lint_texts *l;
    ck_assert_int_eq(oct_lint_texts_open(&o, &l), OCT_OK);
    return l;
}

/* [CLS] and [SEP] around LENGTH words from word number `first` on, `step` apart; `of` of them are
 * another token. */
static void add(oct_lint_texts *l, int first, int step, int of, int other, int label)
{
    int32_t ids[LENGTH + 2] = { CLS };
    for (int i = 0; i < LENGTH; i++)
        ids[1 + i] = i < of ? other : FIRST + (first + i * step) % (TOKENS / 2);
    ids[LENGTH + 1] = SEP;
    ck_assert_int_eq(oct_lint_texts_add(l, ids, LENGTH + 2, label), OCT_OK);
}

static void add_empty(oct_lint_texts *l, int label)
{
    ck_assert_int_eq(oct_lint_texts_add(l, (int32_t[]){ CLS, SEP }, 2, label), OCT_OK);
}

static oct_lint_texts_report judge(oct_lint_texts *l, oct_lint_cause cause)
{
    oct_lint_texts_report r;
    ck_assert_int_eq(oct_lint_texts_judge(l, &r), OCT_OK);
    ck_assert_msg(r.cause == cause, "%s: %s", oct_lint_cause_name(r.cause), r.sentence);
    ck_assert_ptr_nonnull(strstr(r.sentence, "no batch norm"));
    oct_lint_texts_free(l);
    return r;
}

START_TEST(a_clean_set)
{
    oct_lint_texts *l = open(usual());
    for (int i = 0; i < 20; i++) add(l, 7 * i, 1, 0, 0, i % CLASSES);
    add_empty(l, 0);
    const oct_lint_texts_report r = judge(l, OCT_LINT_CLEAN);
    ck_assert_int_eq(r.samples, 21);
    ck_assert_int_eq(r.distinct, 21);
    ck_assert_int_eq(r.empty, 1);
    ck_assert_double_eq_tol(r.tokens, (20 * (LENGTH + 2) + 2) / 21., 1e-12);
    ck_assert_double_eq(r.unknown_share, 0);
    ck_assert_double_eq_tol(r.top_share, 8. / 21, 1e-12);
    ck_assert(isnan(r.norm_rank) && isnan(r.norm_z));
}
END_TEST

START_TEST(empty_texts)
{
    for (int empty = 0; empty <= 20; empty++) {
        oct_lint_texts *l = open(usual());
        for (int i = 0; i < 20; i++)
            if (i < empty) add_empty(l, -1);
            else add(l, i, 3, 0, 0, -1);
        const oct_lint_cause cause = empty > 10 ? OCT_LINT_ALL_PADDING
                                   : empty > 2  ? OCT_LINT_EMPTY_TEXTS : OCT_LINT_CLEAN;
        ck_assert_int_eq(judge(l, cause).empty, empty);
    }
}
END_TEST

START_TEST(few_and_repeated)
{
    for (int n = 1; n <= 9; n++) {
        oct_lint_texts *l = open(usual());
        for (int i = 0; i < n; i++) add(l, i, 1, 0, 0, -1);
        judge(l, n < 8 ? OCT_LINT_FEW_SAMPLES : OCT_LINT_CLEAN);
    }
    for (int twice = 0; twice < 2; twice++) {
        oct_lint_texts *l = open(usual());
        for (int i = 0; i < 41 - twice; i++) add(l, i % (21 - twice), 1, 0, 0, -1);
        judge(l, twice ? OCT_LINT_DUPLICATES : OCT_LINT_CLEAN);
    }
}
END_TEST

START_TEST(one_class)
{
    for (int others = 0; others <= 2; others++)
        for (int labelled = 0; labelled < 2; labelled++) {
            oct_lint_texts *l = open(usual());
            for (int i = 0; i < 20; i++)
                add(l, i, 1, 0, 0, i < others ? 0 : i == 19 && !labelled ? -1 : 1);
            judge(l, labelled && others <= 1 ? OCT_LINT_ONE_CLASS : OCT_LINT_CLEAN);
        }
}
END_TEST

START_TEST(another_vocabulary)
{
    for (int unknown = 0; unknown <= 2; unknown++) { /* of twelve tokens: 8 %, 17 % */
        oct_lint_texts *l = open(usual());
        for (int i = 0; i < 20; i++) add(l, i, 1, unknown, UNK, -1);
        judge(l, unknown > 1 ? OCT_LINT_OTHER_VOCABULARY : OCT_LINT_CLEAN);
    }
    for (int rests = 6; rests <= 7; rests++) {
        oct_lint_texts *l = open(usual());
        for (int i = 0; i < 20; i++) add(l, i, 1, rests, TOKENS - 1, -1);
        judge(l, rests > 6 ? OCT_LINT_OTHER_VOCABULARY : OCT_LINT_CLEAN);
    }
    for (int more = 127; more <= 128; more++) {
        oct_lint_texts_options o = usual();
        o.rows += more;
        oct_lint_texts *l = open(o);
        for (int i = 0; i < 20; i++) add(l, i, 1, 0, 0, -1);
        judge(l, more > 127 ? OCT_LINT_OTHER_VOCABULARY : OCT_LINT_CLEAN);
    }
}
END_TEST

START_TEST(another_case)
{
    for (int capitals = 49; capitals <= 50; capitals++) {
        oct_lint_texts *l = open(usual());
        for (int i = 0; i < capitals; i++) flags[TOKENS - 1 - i] |= OCT_LINT_CAPITAL;
        for (int i = 0; i < 20; i++) add(l, i, 1, 0, 0, -1);
        judge(l, capitals == 50 ? OCT_LINT_WRONG_CASE : OCT_LINT_CLEAN);
    }
    for (int capital = 0; capital < 2; capital++) { /* words with capitals are unknown, or not */
        oct_lint_texts_options o = usual();
        o.lowercase = 0;
        make_vocabulary();
        if (capital) flags[TOKENS - 1] |= OCT_LINT_CAPITAL;
        oct_lint_texts *l = open(o);
        for (int i = 0; i < 20; i++) add(l, i, 1, 1, UNK, -1);
        judge(l, capital ? OCT_LINT_CLEAN : OCT_LINT_WRONG_CASE);
    }
}
END_TEST

/* 300 words are read: rows of any norm, then longer and shorter ones. */
START_TEST(norms_of_rows)
{
    for (int how = 0; how < 3; how++) {
        oct_lint_texts_options o = usual();
        o.norm = norm;
        for (int i = FIRST; how && i < FIRST + TOKENS / 2; i++) norm[i] += how == 1 ? .15 : -.15;
        oct_lint_texts *l = open(o);
        for (int i = 0; i < 25; i++) add(l, 12 * i, 1, 0, 0, -1);
        const oct_lint_texts_report r = judge(l, how ? OCT_LINT_CLEAN : OCT_LINT_OTHER_VOCABULARY);
        ck_assert_double_eq_tol(r.norm_rank, how == 0 ? .5 : how == 1 ? .58 : .42, .03);
        ck_assert_double_eq_tol(r.norm_z, (r.norm_rank - .5)
                                / sqrt((1 - 300. / (TOKENS - 4)) / (12 * 300)), 1e-9);
        make_vocabulary();
    }
    oct_lint_texts_options o = usual();
    o.norm = norm;
    oct_lint_texts *l = open(o);
    for (int i = 0; i < 20; i++) add(l, 12 * i, 1, 0, 0, -1); /* 240: too few to tell */
    ck_assert(isnan(judge(l, OCT_LINT_CLEAN).norm_z));
    for (int i = 0; i < TOKENS; i++) norm[i] = 1;
    l = open(o);
    for (int i = 0; i < 25; i++) add(l, 12 * i, 1, 0, 0, -1);
    ck_assert(isnan(judge(l, OCT_LINT_CLEAN).norm_z)); /* all equal: nothing to rank */
}
END_TEST

START_TEST(a_vocabulary_that_is_not_known)
{
    oct_lint_texts_options o = usual();
    o.flags = NULL;
    oct_lint_texts *l = open(o);
    for (int i = 0; i < 20; i++) add_empty(l, -1);
    judge(l, OCT_LINT_DUPLICATES);
    l = open(usual()); /* known, they are no duplicates: all words are unknown alike */
    for (int i = 0; i < 20; i++) add(l, i, 1, 12, UNK, -1);
    judge(l, OCT_LINT_OTHER_VOCABULARY);
    l = open(o);
    for (int i = 0; i < 20; i++) add(l, i, 1, 11, UNK, -1);
    const oct_lint_texts_report r = judge(l, OCT_LINT_CLEAN);
    ck_assert_ptr_nonnull(strstr(r.sentence, "rules on samples only"));
}
END_TEST

int main(void)
{
    const TTest *const tests[] = {
        a_clean_set, empty_texts, few_and_repeated, one_class, another_vocabulary, another_case,
        norms_of_rows, a_vocabulary_that_is_not_known,
    };
    return suite_run_in("lint of texts", tests, sizeof tests / sizeof *tests, make_vocabulary,
                        NULL);
}
