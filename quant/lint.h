#ifndef OCT_QUANT_LINT_H
#define OCT_QUANT_LINT_H

#include "graph/plan.h"

/* Do these samples look like what the model was trained on?
 *
 * The running statistics of a checkpoint's batch norms say what came in during training: mean and
 * variance of every channel.  Samples go through the network as it was built (batch norms not
 * folded); the distance of a layer, with M, V what came in now and mu, var what is recorded, is
 *
 *     mean over channels of  ln(1 + KL),   KL = ((M - mu)^2 / var + V / var - 1 - ln(V / var)) / 2
 *
 * and that of the data the mean over the first OCT_LINT_SHALLOW batch norms.  Where it departs, the
 * cause is found by trying: samples are read in another way (bytes as 0..1, mean and std, channels
 * last, another size ...), and the reading that brings the statistics back names the cause.
 * Swapped or inverted colours hardly change means and variances; there the reading that makes the
 * network's answers clearer, sample by sample, is the right one.  docs/lint.md has what was
 * measured.
 *
 * Every number is a sum over samples in their order of what one sample gives: the same for any
 * batch and any number of threads. */

/* enum, short name */
#define OCT_LINT_LIST(X)                 \
    X(CLEAN, "clean")                    \
    X(NOT_FINITE, "not_finite")          \
    X(CONSTANT, "constant")              \
    X(FEW_SAMPLES, "few_samples")        \
    X(DUPLICATES, "duplicates")          \
    X(WRONG_SIZE, "wrong_size")          \
    X(NHWC, "nhwc")                      \
    X(SCALE_255, "scale_255")            \
    X(SCALE_1, "scale_1")                \
    X(NO_MEAN_STD, "no_mean_std")        \
    X(MEAN_STD, "mean_std")              \
    X(NOISE, "noise")                    \
    X(ONE_CLASS, "one_class")            \
    X(BGR, "bgr")                        \
    X(INVERTED, "inverted")              \
    X(WRONG_DATASET, "wrong_dataset")    \
    X(ALL_PADDING, "all_padding")        \
    X(EMPTY_TEXTS, "empty_texts")        \
    X(WRONG_CASE, "wrong_case")          \
    X(OTHER_VOCABULARY, "other_vocabulary")

typedef enum oct_lint_cause {
#define X(KIND, name) OCT_LINT_##KIND,
    OCT_LINT_LIST(X)
#undef X
    OCT_LINT_COUNT
} oct_lint_cause;

const char *oct_lint_cause_name(oct_lint_cause cause);

enum { OCT_LINT_SHALLOW = 4, OCT_LINT_MAX_CHANNELS = 4 };

typedef struct oct_lint_options {
    oct_plan *plan;          /* of a graph without passes; takes images, gives [n, classes] */
    oct_pool *pool;
    int samples;             /* that will be added: which ones are kept for trials */
    int is_probability;      /* the network ends in a softmax */
    int own_height, own_width; /* of the images the model was made for; 0: not known */
    double low, high;        /* range of input the recipe makes of black and white; equal: not */
} oct_lint_options;          /* known.  Used where there is no batch norm */

typedef struct oct_lint_layer {
    const char *name;        /* of the batch norm */
    double distance;
    double shift;            /* mean over channels of (M - mu) / sqrt(var) */
    double log_ratio;        /* mean over channels of ln(V / var) */
} oct_lint_layer;

typedef struct oct_lint_report {
    oct_lint_cause cause;    /* the first of the list that fits */
    char sentence[400];      /* the verdict, and on what it rests */
    int samples, distinct, constant;
    int channels;
    double low, high;        /* of the input */
    double mean[OCT_LINT_MAX_CHANNELS], std[OCT_LINT_MAX_CHANNELS]; /* of the first channels */
    double correlation;      /* of neighbouring pixels, mean over samples; 0 where undefined */
    double top_share;        /* of the most frequent label, or answer if there are no labels */
    int n_layers;            /* batch norms; 0: range rules only */
    const oct_lint_layer *layer;
    double distance, threshold;   /* of the first layers; beyond it the data departs */
    double corrected;        /* distance in the reading that named the cause; else distance */
    double clearer;          /* standard errors by which the answers would be clearer with colours
                              * swapped or inverted, the larger of the two; 0: not tried */
} oct_lint_report;

typedef struct oct_lint oct_lint;

/* The batch norms of the plan's graph still have their data.  *out is the caller's; NULL on
 * failure.  Memory does not grow with the number of samples but for 8 bytes each. */
OCT_MUST_CHECK oct_status oct_lint_open(const oct_lint_options *options, oct_lint **out);

/* n <= the plan's batch samples [n, c, h, w] and their labels (-1: none; NULL: none at all). */
OCT_MUST_CHECK oct_status oct_lint_add(oct_lint *l, const float *x, const int *label, int n);

/* After the last sample; runs the trials.  What report points at lives as long as l. */
OCT_MUST_CHECK oct_status oct_lint_judge(oct_lint *l, oct_lint_report *report);

void oct_lint_free(oct_lint *l); /* NULL is fine */

#endif
