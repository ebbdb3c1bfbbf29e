#ifndef OCT_INPUT_WORDPIECE_H
#define OCT_INPUT_WORDPIECE_H

#include <stddef.h>
#include <stdint.h>

#include "input/recipe.h"

/* BERT's tokenizer: text -> token ids, those of Hugging Face's fast BertTokenizer for every text.
 *
 *     oct_recipe r;
 *     oct_wordpiece *w;
 *     int32_t ids[512], types[512];
 *     OCT_TRY(oct_wordpiece_open_folder("distilbert", &r, &w));
 *     const oct_wordpiece_text text = { .text = "I love this", .size = 11 };
 *     int n, truncated;
 *     OCT_TRY(oct_wordpiece_encode(w, &text, r.max_length, ids, types, &n, &truncated));
 *                                              ids = 101 1045 2293 2023 102, n = 5
 *     oct_wordpiece_close(w);
 *
 *   special   [PAD] [UNK] [CLS] [SEP] [MASK], those of them that the vocabulary has, and what
 *             tokenizer.json adds to them, are found in the text as it is, the longest at the
 *             leftmost place, inside words too; what is between them is tokenized by itself
 *   clean     control, format and private-use characters, U+0000 and U+FFFD vanish; any white
 *             space is a blank
 *   cjk       an ideograph is a word by itself                  (tokenize_chinese_chars)
 *   accents   canonical decomposition; category Mn vanishes     (strip_accents; as lowercase)
 *   lower     each character for itself                         (lowercase)
 *   words     between blanks; a punctuation character is a word by itself
 *   pieces    the longest token that the word begins with, then the longest "##" token that the
 *             rest begins with, and so on; [UNK] for the whole word if that fails or it has more
 *             than 100 characters
 *   result    [CLS] text [SEP], of type 0, or [CLS] text [SEP] pair [SEP], with pair [SEP] of
 *             type 1
 *   truncated to max_length, special tokens included, from the end; of a pair from the longer
 *             text first (longest_first)
 *
 * Characters are classified as that tokenizer does (input/unicode_bert.h).  Text is any bytes:
 * what is not UTF-8 is U+FFFD, as Python decodes with errors="replace", and so vanishes.
 *
 * Limits: 600,000 tokens, 2^24 bytes of vocabulary file; one costs about 72 bytes a token while it
 * is read, so never more than 64 MB and twice its size.  Time is linear in the text, and does not
 * depend on it otherwise but for at most 100 characters' greed a word; a single text is read no
 * further than it is needed.  Nothing is allocated, nothing is kept: one tokenizer, any number of
 * threads. */
typedef struct oct_wordpiece oct_wordpiece;

typedef struct oct_wordpiece_text {
    const char *text;
    size_t size;
    const char *pair;          /* NULL or empty: none */
    size_t pair_size;
} oct_wordpiece_text;

enum { OCT_WORDPIECE_TOKENS = 600000, OCT_WORDPIECE_BYTES = 1 << 24 };

/* From the bytes of a vocab.txt, or of the tensor octet.vocab: a token a line, its id the number of
 * the line from 0, white space at the end of a line (CR, too) left out; of two equal lines the
 * later one counts.  The rules are r's.  *out is the caller's; on failure it is NULL.
 * ERR_FORMAT: not UTF-8, too large, or one of [UNK] [CLS] [SEP] is missing. */
OCT_MUST_CHECK oct_status oct_wordpiece_open(const void *vocab, size_t size, const oct_recipe *r,
                                             oct_wordpiece **out);

/* A Hugging Face folder: tokenizer.json, or vocab.txt if there is none, and tokenizer_config.json
 * if there is one.  *r is the recipe they make.  Rules are taken from tokenizer_config.json, those
 * it does not name from tokenizer.json's normalizer, else they are BERT's: lower case, accents
 * stripped, ideographs apart.  ERR_FORMAT, with the file's name, for what is malformed;
 * ERR_UNSUPPORTED for what is no BERT tokenizer. */
OCT_MUST_CHECK oct_status oct_wordpiece_open_folder(const char *path, oct_recipe *r,
                                                    oct_wordpiece **out);
void oct_wordpiece_close(oct_wordpiece *w); /* NULL is fine */

/* Every id is below it; the model's embedding must have as many rows. */
int oct_wordpiece_count(const oct_wordpiece *w);

/* The same vocabulary for oct_wordpiece_open, to travel in a model file; w's.  What can never
 * match (an id without a token, a token with a blank in it) is an empty line.  NULL: it cannot
 * be written so, because tokenizer.json has special tokens of its own. */
const char *oct_wordpiece_vocab(const oct_wordpiece *w, size_t *size);

/* ids[0..*n) and types[0..*n), *n <= max_length; *truncated: 1 if tokens were left out.  types and
 * truncated may be NULL.  ERR_SHAPE: max_length is below 2, of a pair 3. */
OCT_MUST_CHECK oct_status oct_wordpiece_encode(const oct_wordpiece *w,
                                               const oct_wordpiece_text *text, int max_length,
                                               int32_t *ids, int32_t *types, int *n,
                                               int *truncated);

#endif
