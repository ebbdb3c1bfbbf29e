#ifndef OCT_QUANT_LINT_PRIVATE_H
#define OCT_QUANT_LINT_PRIVATE_H

#include "quant/lint.h"

/* What lint's files share.  Private to quant/.
 *
 *   lint.c            samples through the network, moments of the batch norms' inputs
 *   lint_input.c      what can be told from the samples alone
 *   lint_readings.c   other ways to read the samples
 *   lint_judge.c      distances, trials, the verdict
 *   lint_sentence.c   the verdict in words
 *   lint_hash.c       how many samples are distinct
 *   lint_texts.c      models of texts */

enum { OCT_LINT_LEAST = 8 };   /* distinct samples: fewer say nothing of a distribution */

/* A hash of each sample: 8 bytes are all that is kept of it. */
typedef struct lint_hashes {
    uint64_t *v;               /* [n], malloc'd */
    int n;
    size_t max;
} lint_hashes;

/* ---- lint_hash.c ---- */
OCT_MUST_CHECK oct_status oct_lint_hash_room(lint_hashes *h, int more); /* behind v[n] */
uint64_t oct_lint_hash(const void *words, size_t n);                    /* of 32 bits */
int oct_lint_hash_distinct(lint_hashes *h);                             /* sorts them */

typedef struct lint_bn {
    const char *name;
    int step;                  /* of the plan */
    int c;                     /* channels */
    size_t at;                 /* of its channels among those of all batch norms */
    double floor;              /* added to variances: a dead channel weighs nothing */
} lint_bn;

/* Sums over samples of each channel's mean and mean square, [channels of all batch norms] each. */
typedef struct lint_sums {
    double *mean, *square;
    int n;
} lint_sums;

typedef struct lint_input {
    double low[OCT_LINT_MAX_CHANNELS], high[OCT_LINT_MAX_CHANNELS]; /* the last: and beyond */
    double mean[OCT_LINT_MAX_CHANNELS], square[OCT_LINT_MAX_CHANNELS]; /* sums over samples */
    double correlation;        /* sum over samples that have one */
    int correlated;            /* how many */
    int constant, not_finite;
    lint_hashes hashes;
} lint_input;

struct oct_lint {
    oct_lint_options o;
    oct_arena arena;
    int c, h, w, classes, batch;
    size_t sample;             /* floats */
    lint_bn *bn;
    int n_bn;
    int *bn_of_step;           /* -1: none */
    size_t channels;           /* of all batch norms */
    double *run_mean, *run_var;  /* [channels] */
    double *moments;           /* [batch][2][channels], of the samples that run */
    lint_sums all, trial;
    lint_input input;
    int n;                     /* samples added */
    int *answers, *labels;     /* [classes] */
    int labelled;
    float *kept;               /* [max_kept, sample], spread over the data */
    double *margin;          /* [max_kept] of their answers */
    int n_kept, max_kept;
    oct_lint_layer *layer;
};

/* ---- lint_input.c ---- */
OCT_MUST_CHECK oct_status oct_lint_input_add(oct_lint *l, const float *x, int n);
/* Of a sample [c, h, w] with its right and lower neighbours; 0 if it is constant. */
double oct_lint_correlation(const oct_lint *l, const float *x);

/* ---- lint.c ---- */
/* Runs the n samples in the plan's input up to the end of `steps`, adding to sums. */
void oct_lint_run(oct_lint *l, int n, int steps, lint_sums *sums);
/* Of sample i of the last run: how far the largest logit is above the second; its class. */
double oct_lint_margin(const oct_lint *l, int i, int *answer);

/* ---- lint_readings.c ---- */
typedef enum lint_kind {
    LINT_AFFINE, LINT_SWAP, LINT_HWC, LINT_SHRINK, LINT_ENLARGE
} lint_kind;

/* y = a[c] x + b[c]; of SWAP, x is the opposite channel's. */
typedef struct lint_reading {
    lint_kind kind;
    oct_lint_cause cause;      /* what is wrong if this is right */
    float a[OCT_LINT_MAX_CHANNELS], b[OCT_LINT_MAX_CHANNELS];
    int factor;                /* of SHRINK and ENLARGE */
} lint_reading;

enum { LINT_MAX_READINGS = 160 };

/* Readings that the range of the data allows, and those that always are; their number. */
int oct_lint_readings(const oct_lint *l, lint_reading out[LINT_MAX_READINGS]);
/* Red and blue swapped: as they are, or with another mean and std for each taken into account. */
int oct_lint_swaps(const oct_lint *l, lint_reading out[LINT_MAX_READINGS]);
/* Black for white, channel by channel. */
lint_reading oct_lint_inverted(const oct_lint *l);
/* Kept sample i, read so, to out [c, h, w]. */
void oct_lint_read(const oct_lint *l, const lint_reading *r, int i, float *out);

/* ---- lint_sentence.c ---- */
const char *oct_lint_phrase(oct_lint_cause cause); /* "is mostly duplicates" */
void oct_lint_say_distinct(int samples, int distinct, char *to, size_t size); /* how few they are */
void oct_lint_say(const oct_lint *l, oct_lint_report *r); /* fills r->sentence */

#endif
