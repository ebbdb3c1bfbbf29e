#ifndef OCT_TESTS_WORDPIECE_CASE_H
#define OCT_TESTS_WORDPIECE_CASE_H

#include "input/wordpiece.h"
#include "tests/files.h"

/* What the tests of the tokenizer share: small vocabularies and their ids as text. */
#define FIVE "[PAD]\n[UNK]\n[CLS]\n[SEP]\n[MASK]\n"

static const oct_recipe plain_rules = { .text = 1, .lowercase = 1, .strip_accents = -1,
                                        .tokenize_chinese_chars = 1 };

static inline oct_wordpiece *open_vocab(const char *vocab, size_t size)
{
    oct_wordpiece *w = NULL;
    ck_assert_msg(oct_wordpiece_open(vocab, size, &plain_rules, &w) == OCT_OK, "%s",
                  oct_last_error());
    return w;
}

/* "5 6", [CLS] and [SEP] left out; static buffer. */
static inline const char *ids_of(const oct_wordpiece *w, const char *s, size_t size)
{
    static char text[4096];
    int32_t ids[512];
    int n;
    const oct_wordpiece_text t = { .text = s, .size = size };
    ck_assert_int_eq(oct_wordpiece_encode(w, &t, 512, ids, NULL, &n, NULL), OCT_OK);
    char *to = text;
    *to = 0;
    for (int i = 1; i < n - 1; i++) to += sprintf(to, i > 1 ? " %d" : "%d", ids[i]);
    return text;
}

static inline void encodes(const oct_wordpiece *w, const char *s, const char *ids)
{
    ck_assert_str_eq(ids_of(w, s, strlen(s)), ids);
}

#endif
