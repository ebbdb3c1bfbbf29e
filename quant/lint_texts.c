#include "quant/lint_texts.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "quant/lint_private.h"

/* SST-2 with its own vocabulary: no [UNK] and 12 % of rests; docs/lint.md has others. */
static const double
    padding_share = 0.5,     /* of the texts: nothing in them */
    empty_share = 0.1,
    unknown_most = 0.1,      /* of the tokens */
    unknown_of_case = 0.01,
    rest_most = 0.5,         /* two pieces a word */
    capitals = 0.05,         /* of a vocabulary with capitals; bert-base-cased has a third */
    least_z = 3,             /* its own vocabulary: 5.5 of 15 sentences, 50 of 872, */
    least_off = 0.03,        /* with mean ranks of 0.67 to 0.72 */
    labelled_share = 0.95;

enum {
    ROUNDED = 128,           /* embeddings are padded up to a multiple of at most this */
    LEAST_TOKENS = 250       /* distinct: of 180, 1 of 400 clean sets is less than least_z off */
};

struct oct_lint_texts {
    oct_lint_texts_options o;
    lint_hashes hashes;
    int n, empty, labelled;
    long long tokens, own, unknown, rest; /* own: part of a text */
    int *labels;             /* [classes] */
    uint8_t *seen;           /* [tokens] */
};

static oct_status out_of_memory(void) { return oct_fail(OCT_ERR_MEMORY, "lint: out of memory"); }

oct_status oct_lint_texts_open(const oct_lint_texts_options *options, oct_lint_texts **out)
{
    oct_lint_texts *l = *out = calloc(1, sizeof *l);
    if (!l) return out_of_memory();
    l->o = *options;
    l->labels = calloc((size_t)options->classes, sizeof *l->labels);
    l->seen = calloc((size_t)options->tokens, 1);
    if (l->labels && l->seen) return OCT_OK;
    oct_lint_texts_free(l);
    *out = NULL;
    return out_of_memory();
}

void oct_lint_texts_free(oct_lint_texts *l)
{
    if (!l) return;
    free(l->hashes.v);
    free(l->labels);
    free(l->seen);
    free(l);
}

static int is_word(const oct_lint_texts *l, int id)
{
    return !(l->o.flags[id] & (OCT_LINT_SPECIAL | OCT_LINT_UNKNOWN));
}

oct_status oct_lint_texts_add(oct_lint_texts *l, const int32_t *ids, int n, int label)
{
    int own = 0;
    OCT_TRY(oct_lint_hash_room(&l->hashes, 1));
    l->hashes.v[l->hashes.n++] = oct_lint_hash(ids, (size_t)n);
    for (int i = 0; i < n && l->o.flags; i++) {
        const unsigned flags = l->o.flags[ids[i]];
        own += !(flags & OCT_LINT_SPECIAL);
        if (is_word(l, ids[i])) l->seen[ids[i]] = 1;
        l->unknown += (flags & OCT_LINT_UNKNOWN) != 0;
        l->rest += (flags & OCT_LINT_REST) != 0;
    }
    l->n++;
    l->tokens += n;
    l->own += own;
    l->empty += l->o.flags && !own;
    if (label < 0 || label >= l->o.classes) return OCT_OK;
    l->labels[label]++;
    l->labelled++;
    return OCT_OK;
}

static double share(long long part, long long of) { return of ? (double)part / (double)of : 0; }

/* ---- norms ---- */

static int rising(const void *a, const void *b)
{
    const double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* How many of sorted[0..n) are below x; or_equal: or equal to it. */
static int count_below(const double *sorted, int n, double x, int or_equal)
{
    int low = 0;
    while (low < n) {
        const int middle = low + (n - low) / 2;
        if (sorted[middle] < x || (or_equal && sorted[middle] == x)) low = middle + 1;
        else n = middle;
    }
    return low;
}

/* Of equals the middle of their ranks. */
static void rank(const oct_lint_texts *l, const double *sorted, int n, oct_lint_texts_report *r)
{
    double sum = 0, k = 0;
    for (int i = 0; i < l->o.tokens; i++)
        if (l->seen[i]) {
            const double norm = l->o.norm[i];
            sum += 0.5 * (count_below(sorted, n, norm, 0) + count_below(sorted, n, norm, 1)) / n;
            k++;
        }
    if (k < LEAST_TOKENS || 2 * k > n || sorted[n / 4] == sorted[n - 1 - n / 4]) return;
    r->norm_rank = sum / k;
    r->norm_z = (r->norm_rank - 0.5) / sqrt((1 - k / n) / (12 * k));
}

static oct_status rank_norms(const oct_lint_texts *l, oct_lint_texts_report *r)
{
    int n = 0;
    r->norm_rank = r->norm_z = NAN;
    if (!l->o.norm || !l->o.flags || l->o.tokens > l->o.rows) return OCT_OK;
    double *sorted = malloc((size_t)l->o.rows * sizeof *sorted);
    if (!sorted) return out_of_memory();
    for (int i = 0; i < l->o.tokens; i++)
        if (is_word(l, i)) sorted[n++] = l->o.norm[i];
    qsort(sorted, (size_t)n, sizeof *sorted, rising);
    rank(l, sorted, n, r);
    free(sorted);
    return OCT_OK;
}

static int is_by_chance(const oct_lint_texts_report *r)
{
    return fabs(r->norm_z) < least_z || fabs(r->norm_rank - 0.5) < least_off;
}

/* ---- the verdict ---- */

static void describe(oct_lint_texts *l, oct_lint_texts_report *r)
{
    const oct_lint_texts_options *o = &l->o;
    int most = 0, with_capital = 0;
    for (int i = 0; i < o->classes; i++) most = l->labels[i] > most ? l->labels[i] : most;
    for (int i = 0; i < o->tokens && o->flags; i++)
        with_capital += (o->flags[i] & OCT_LINT_CAPITAL) != 0;
    *r = (oct_lint_texts_report){
        .samples = l->n, .distinct = oct_lint_hash_distinct(&l->hashes), .empty = l->empty,
        .tokens = share(l->tokens, l->n), .unknown_share = share(l->unknown, l->own),
        .rest_share = share(l->rest, l->own), .capital_share = share(with_capital, o->tokens),
        .top_share = l->labelled == l->n ? share(most, l->n) : 0,
    };
}

static oct_lint_cause judge(const oct_lint_texts *l, const oct_lint_texts_report *r)
{
    const oct_lint_texts_options *o = &l->o;
    if (r->empty > padding_share * r->samples) return OCT_LINT_ALL_PADDING;
    if (r->empty > empty_share * r->samples) return OCT_LINT_EMPTY_TEXTS;
    if (r->samples < OCT_LINT_LEAST) return OCT_LINT_FEW_SAMPLES;
    if (o->flags && o->lowercase && r->capital_share >= capitals) return OCT_LINT_WRONG_CASE;
    if (o->flags && !o->lowercase && r->capital_share <= 0 &&
        r->unknown_share > unknown_of_case)
        return OCT_LINT_WRONG_CASE;
    if (o->rows - o->tokens >= ROUNDED || r->unknown_share > unknown_most ||
        r->rest_share > rest_most || is_by_chance(r))
        return OCT_LINT_OTHER_VOCABULARY; /* before duplicates: unknown words are alike */
    if (2 * r->distinct <= r->samples) return OCT_LINT_DUPLICATES;
    if (r->distinct < OCT_LINT_LEAST) return OCT_LINT_FEW_SAMPLES;
    if (o->classes > 1 && r->top_share >= labelled_share) return OCT_LINT_ONE_CLASS;
    return OCT_LINT_CLEAN;
}

static void write_evidence(const oct_lint_texts *l, const oct_lint_texts_report *r, char *to,
                           size_t size)
{
    const oct_lint_texts_options *o = &l->o;
    char norms[80] = "";
    if (!isnan(r->norm_z))
        snprintf(norms, sizeof norms, ", those read are of rank %.2f by norm, 0.5 by chance",
                 r->norm_rank);
    switch (r->cause) {
    case OCT_LINT_ALL_PADDING:
    case OCT_LINT_EMPTY_TEXTS:
        snprintf(to, size, "%d of %d texts", r->empty, r->samples);
        break;
    case OCT_LINT_FEW_SAMPLES:
    case OCT_LINT_DUPLICATES:
        oct_lint_say_distinct(r->samples, r->distinct, to, size);
        break;
    case OCT_LINT_WRONG_CASE:
        snprintf(to, size, "the tokenizer %s, %.0f %% of the vocabulary's tokens have capitals",
                 o->lowercase ? "lower-cases" : "keeps capitals", 100 * r->capital_share);
        break;
    case OCT_LINT_ONE_CLASS:
        snprintf(to, size, "%.0f %% of the labels are the same", 100 * r->top_share);
        break;
    default:
        snprintf(to, size, "%.1f tokens a text, %.1f %% of them unknown, %.1f %% rests of words; "
                 "the vocabulary has %d tokens, the embedding %d rows%s", r->tokens,
                 100 * r->unknown_share, 100 * r->rest_share, o->tokens, o->rows, norms);
    }
}

oct_status oct_lint_texts_judge(oct_lint_texts *l, oct_lint_texts_report *r)
{
    char evidence[240];
    describe(l, r);
    OCT_TRY(rank_norms(l, r));
    r->cause = judge(l, r);
    write_evidence(l, r, evidence, sizeof evidence);
    snprintf(r->sentence, sizeof r->sentence, "%s (%s); the model has no batch norm statistics: "
             "%s", oct_lint_phrase(r->cause), evidence, l->o.flags
             ? "rules on samples, tokenizer and vocabulary only" : "rules on samples only");
    return OCT_OK;
}
