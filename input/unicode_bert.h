#ifndef OCT_INPUT_UNICODE_BERT_H
#define OCT_INPUT_UNICODE_BERT_H

#include <stdint.h>

/* Unicode as Hugging Face's fast BertTokenizer sees it.  Private to input/.
 *
 * That tokenizer mixes the categories of Unicode 8, the decompositions of Unicode 9 and the lower
 * case of Unicode 17, and utf8proc is of whatever version the system has.  So categories and lower
 * case are tables made from the tokenizer's own answers (tests/golden/make_unicode.py), and
 * utf8proc, of any version from 2.0 on, is asked only about code points whose decomposition and
 * combining class Unicode has promised never to change.
 *
 * Every function takes any code point up to U+10FFFF and is constant in time but for a binary
 * search. */
typedef enum oct_bert_class {
    OCT_BERT_PLAIN,
    OCT_BERT_DROP,   /* control, format, private use, U+FFFD: removed before anything else */
    OCT_BERT_SPACE,
    OCT_BERT_CJK,    /* an ideograph: a word by itself, if the tokenizer is told so */
    OCT_BERT_PUNCT,  /* a word by itself */
    OCT_BERT_MARK    /* an accent (category Mn): stripped after decomposition, if at all */
} oct_bert_class;

oct_bert_class oct_bert_class_of(int32_t c);

/* Lower case of c.  Only U+0130 becomes two: 'i', which is returned, and U+0307. */
int32_t oct_bert_lower(int32_t c);

/* The canonical decomposition of c, in full: *out [n], n from 1 to OCT_BERT_NFD, is returned. */
enum { OCT_BERT_NFD = 4 };
int oct_bert_decompose(int32_t c, int32_t out[OCT_BERT_NFD]);

/* Canonical combining class: 0 begins anew, others are sorted by it within a run. */
int oct_bert_combining(int32_t c);

#endif
