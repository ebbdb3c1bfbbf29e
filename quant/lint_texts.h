#ifndef OCT_QUANT_LINT_TEXTS_H
#define OCT_QUANT_LINT_TEXTS_H

#include "quant/lint.h"

/* Do these texts look like what a model of texts was trained on?  Such a model has no batch norm
 * that recorded what came in: there are rules on the samples, on the tokenizer's rules and on the
 * vocabulary, and one that looks inside.  Training leaves rows of the embedding the longer or the
 * shorter the more often it read them; so the rows that a language's texts read differ from the
 * others in norm, unless their ids come from another vocabulary.  Of N rows ranked by norm, 0 to 1,
 * k at random have a mean rank of
 *
 *     1/2 +- sqrt((1 - k/N) / 12 k)
 *
 * docs/lint.md has what was measured. */
typedef enum oct_lint_token {
    OCT_LINT_SPECIAL = 1,    /* [PAD] [CLS] [SEP] [MASK] [unused7]: no part of a text */
    OCT_LINT_UNKNOWN = 2,    /* [UNK] */
    OCT_LINT_REST = 4,       /* "##ing": goes on with a word */
    OCT_LINT_CAPITAL = 8     /* holds a capital of A .. Z */
} oct_lint_token;

typedef struct oct_lint_texts_options {
    int classes;
    int rows;                /* of the model's embedding */
    int tokens;              /* of the tokenizer */
    const uint8_t *flags;    /* [tokens] oct_lint_token; NULL: rules on samples only */
    int lowercase;           /* the tokenizer's rule */
    const double *norm;      /* [rows] of the embedding; NULL: not known */
} oct_lint_texts_options;

typedef struct oct_lint_texts_report {
    oct_lint_cause cause;    /* the first that fits */
    char sentence[400];
    int samples, distinct, empty; /* empty: nothing but special tokens */
    double tokens;           /* mean of a text, special ones included */
    double unknown_share;    /* of the tokens that are part of a text */
    double rest_share;       /* the same */
    double capital_share;    /* of the vocabulary */
    double norm_rank;        /* mean of the rows that are read, special ones left out; NaN: not */
    double norm_z;           /* known, or of too few tokens.  z: its standard errors from 1/2 */
    double top_share;        /* of the most frequent label; 0: not all are labelled */
} oct_lint_texts_report;

typedef struct oct_lint_texts oct_lint_texts;

/* What options point at must live as long as *out.  Memory: 8 bytes a text. */
OCT_MUST_CHECK oct_status oct_lint_texts_open(const oct_lint_texts_options *options,
                                              oct_lint_texts **out);
/* ids[0..n) of a text, each below tokens; label -1: none. */
OCT_MUST_CHECK oct_status oct_lint_texts_add(oct_lint_texts *l, const int32_t *ids, int n,
                                             int label);
/* After the last, of at least one. */
OCT_MUST_CHECK oct_status oct_lint_texts_judge(oct_lint_texts *l, oct_lint_texts_report *report);
void oct_lint_texts_free(oct_lint_texts *l); /* NULL is fine */

#endif
