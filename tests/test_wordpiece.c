/* BERT's tokenizer against Hugging Face's own ids; its vocabularies; its limits. */
#include "input/unicode_bert.h"
#include "tests/wordpiece_case.h"

enum { LONGEST = 512, COLUMNS = 6 };

/* %XX back to bytes, in place. */
static size_t unescape(char *s)
{
    char *to = s;
    for (const char *p = s; *p; p++) {
        if (*p == '%') {
            unsigned byte;
            ck_assert_int_eq(sscanf(p + 1, "%2x", &byte), 1);
            *to++ = (char)byte;
            p += 2;
        } else {
            *to++ = *p;
        }
    }
    return (size_t)(to - s);
}

static void check_row(const oct_wordpiece *w, char **column, int row)
{
    oct_wordpiece_text t = { .text = column[2], .pair = column[3] };
    t.size = unescape(column[2]);
    t.pair_size = unescape(column[3]);
    const int longest = atoi(column[1]), ones_from = atoi(column[4]);
    int32_t ids[LONGEST + 1], types[LONGEST + 1];
    int n, again, truncated;
    for (int i = 0; i <= LONGEST; i++) ids[i] = types[i] = -7; /* rubbish, and what is beyond */
    ck_assert_msg(oct_wordpiece_encode(w, &t, longest, ids, types, &n, &truncated) == OCT_OK,
                  "row %d: %s", row, oct_last_error());
    char *p = column[5];
    for (int i = 0; i < n; i++) {
        ck_assert_msg(*p && strtol(p, &p, 10) == ids[i], "row %d: id %d is %d", row, i, ids[i]);
        ck_assert_msg(types[i] == (i >= ones_from), "row %d: type %d", row, i);
    }
    ck_assert_msg(!*p, "row %d: %d ids, more are due", row, n);
    ck_assert_int_eq(ids[longest], -7);
    ck_assert_int_eq(types[longest], -7);
    if (n < longest) ck_assert_msg(!truncated, "row %d", row);
    int32_t *all = malloc(4096 * sizeof *all);
    ck_assert_int_eq(oct_wordpiece_encode(w, &t, 4096, all, NULL, &again, NULL), OCT_OK);
    ck_assert_msg((again > n) == truncated, "row %d: truncated is %d", row, truncated);
    free(all);
}

START_TEST(golden)
{
    size_t size, rows_size;
    uint8_t *vocab = file_read(file_of("golden/wordpiece/vocab.txt"), &size);
    uint8_t *rows = file_read(file_of("golden/wordpiece/ids.tsv"), &rows_size);
    char rules[4] = "";
    oct_wordpiece *w = NULL;
    int row = 0;
    for (char *line = (char *)rows, *end = line + rows_size; line < end; row++) {
        char *column[COLUMNS], *next = memchr(line, '\n', (size_t)(end - line));
        ck_assert_ptr_nonnull(next);
        ck_assert_int_eq(cut_columns(line, column, COLUMNS), COLUMNS);
        if (strcmp(rules, column[0]) != 0) {
            snprintf(rules, sizeof rules, "%s", column[0]);
            const oct_recipe r = { .text = 1, .lowercase = rules[0] == '1',
                                   .strip_accents = rules[1] == '2' ? -1 : rules[1] == '1',
                                   .tokenize_chinese_chars = rules[2] == '1' };
            oct_wordpiece_close(w);
            ck_assert_int_eq(oct_wordpiece_open(vocab, size, &r, &w), OCT_OK);
        }
        check_row(w, column, row);
        line = next + 1;
    }
    ck_assert_int_gt(row, 1000);
    oct_wordpiece_close(w);
    free(vocab);
    free(rows);
}
END_TEST

static uLong block_sum(int32_t first)
{
    uLong crc = 0;
    for (int32_t c = first; c < first + 0x1000; c++) {
        if (c >= 0xd800 && c < 0xe000) continue;
        int32_t part[OCT_BERT_NFD];
        char line[128];
        const int n = oct_bert_decompose(c, part);
        int used = snprintf(line, sizeof line, "%d %x", (int)oct_bert_class_of(c),
                            (unsigned)oct_bert_lower(c));
        for (int i = 0; i < n; i++)
            used += snprintf(line + used, sizeof line - (size_t)used, " %x:%d", (unsigned)part[i],
                             oct_bert_combining(part[i]));
        line[used++] = '\n';
        crc = crc32(crc, (const Bytef *)line, (uInt)used);
    }
    return crc;
}

/* Every code point, whatever version of Unicode this machine's utf8proc has. */
START_TEST(every_code_point)
{
    FILE *f = fopen(file_of("golden/unicode_bert.tsv"), "r");
    ck_assert_ptr_nonnull(f);
    unsigned first;
    unsigned long want;
    int blocks = 0;
    for (; fscanf(f, "%x\t%lx", &first, &want) == 2; blocks++)
        if (!test_emulated() || blocks % 8 == 0)
            ck_assert_msg(block_sum((int32_t)first) == want, "code points from U+%04X", first);
    ck_assert_int_eq(blocks, 0x110);
    fclose(f);
}
END_TEST

/* What Python decodes with errors="replace": U+FFFD, which vanishes, and is no blank. */
START_TEST(not_utf8)
{
    oct_wordpiece *w = open_vocab(FIVE "a\nab\n[\n]\ncls\n", sizeof FIVE - 1 + 13);
    static const struct { const char *text, *ids; } cases[] = {
        { "a\xff" "b", "6" },           { "\xff", "" },
        { "a\x80\xbf" "b", "6" },       { "a\xc3" "b", "6" },           /* cut short */
        { "a\xe2\x82" "b", "6" },       { "a\xf0\x9f\x98" "b", "6" },
        { "a\xc0\x80" "b", "6" },       { "a\xed\xa0\x80" "b", "6" },   /* overlong, surrogate */
        { "a\xf4\x90\x80\x80" "b", "6" }, { "a\xf8\x88\x80\x80\x80" "b", "6" },
        { "a \xe2\x82 a\xe2", "5 5" },  { "[CLS]\xff[CLS]", "2 2" },
        { "[CL\xffS]", "7 9 8" },        { "\xf0[CLS]", "2" },
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        encodes(w, cases[i].text, cases[i].ids);
    ck_assert_str_eq(ids_of(w, "a\0b", 3), "6");
    oct_wordpiece_close(w);
}
END_TEST

START_TEST(max_length)
{
    oct_wordpiece *w = open_vocab(FIVE "a\n", sizeof FIVE + 1);
    oct_wordpiece_text t = { .text = "a a a", .size = 5 };
    int32_t ids[8];
    int n, truncated;
    ck_assert_int_eq(oct_wordpiece_encode(w, &t, 1, ids, NULL, &n, NULL), OCT_ERR_SHAPE);
    ck_assert_int_eq(oct_wordpiece_encode(w, &t, 2, ids, NULL, &n, &truncated), OCT_OK);
    ck_assert(n == 2 && truncated && ids[0] == 2 && ids[1] == 3);
    ck_assert_int_eq(oct_wordpiece_encode(w, &t, 5, ids, NULL, &n, &truncated), OCT_OK);
    ck_assert(n == 5 && !truncated);
    t.pair = "a";
    t.pair_size = 1;
    ck_assert_int_eq(oct_wordpiece_encode(w, &t, 2, ids, NULL, &n, NULL), OCT_ERR_SHAPE);
    ck_assert_int_eq(oct_wordpiece_encode(w, &t, 3, ids, NULL, &n, &truncated), OCT_OK);
    ck_assert(n == 3 && truncated && ids[1] == 3 && ids[2] == 3);
    t.pair_size = 0; /* as if there were none */
    ck_assert_int_eq(oct_wordpiece_encode(w, &t, 8, ids, NULL, &n, NULL), OCT_OK);
    ck_assert_int_eq(n, 5);
    oct_wordpiece_close(w);
}
END_TEST

/* A megabyte of each part, read to its end as a pair's must be: were anything quadratic, the test
 * would run out of its time. */
START_TEST(linear)
{
    static const char *const parts[] = {
        "a", "a ", "[", "[CLS", "[CLS]", "\xcc\x81", "\xe3\x80\xae", "\xff", "\xe4\xb8\xad", ".",
        "ab", "\xe1\xad\x84\xe3\x80\xae", "\xf0", " ",
    };
    oct_wordpiece *w = open_vocab(FIVE "a\n##a\n##ab\n", sizeof FIVE + 11);
    const size_t size = test_emulated() ? 1 << 17 : 1 << 20;
    char *text = malloc(size);
    for (size_t i = 0; i < sizeof parts / sizeof *parts; i++) {
        const size_t m = strlen(parts[i]);
        for (size_t k = 0; k < size; k++) text[k] = parts[i][k % m];
        const oct_wordpiece_text t = { .text = text, .size = size, .pair = text,
                                       .pair_size = size };
        int32_t ids[512];
        int n;
        ck_assert_int_eq(oct_wordpiece_encode(w, &t, 512, ids, NULL, &n, NULL), OCT_OK);
    }
    memset(text, 'a', size);
    ck_assert_str_eq(ids_of(w, text, size), "1");
    free(text);
    oct_wordpiece_close(w);
}
END_TEST

int main(void)
{
    const TTest *const tests[] = { golden, every_code_point, not_utf8, max_length, linear };
    return suite_run("wordpiece", tests, sizeof tests / sizeof *tests);
}
