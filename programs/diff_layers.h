#ifndef OCT_PROGRAMS_DIFF_LAYERS_H
#define OCT_PROGRAMS_DIFF_LAYERS_H

#include "models/model.h"
#include "programs/npy.h"

/* Values of two networks that mean the same, compared layer by layer.
 *
 * Nodes are paired by name.  A pass may have drawn what follows a node into it, so a pair's values
 * are those after everything that either of the two has drawn in:
 *
 *     fused     conv1 [bn, relu]                     the value of conv1
 *     as built  conv1 -> bn1 -> relu@2               the value of relu@2
 *
 * Images are compared in PyTorch's order, [n, c, h, w], integers by what they stand for; of texts
 * the rows of all their tokens. */
typedef struct diff_layer {
    const char *name, *op;
    const oct_tensor *a, *b;      /* values of the plans; b NULL: dump */
    int per_text;                 /* of texts: a row for each, not for each token */
    npy_reader dump;
    double difference;            /* max |a - b| so far; infinite where only one is a NaN */
    double largest;               /* max |a| so far */
    double signal, noise;         /* sums of a^2, of (a - b)^2, so far */
} diff_layer;

typedef struct diff_set {
    diff_layer *layer;            /* in the order of a's run; the last is the output, "logits" */
    int n;
    int skipped;                  /* live nodes of a without a partner */
    int samples;                  /* of the dumps; 0: no dumps */
    const oct_tensor *logits;     /* a's output */
    const int32_t *starts;        /* where a's texts begin; NULL: no texts */
    float *x, *y;                 /* room for one batch of the largest value, each */
} diff_set;

/* Models loaded with keep_values, for the same batch. */
OCT_MUST_CHECK oct_status diff_pair_models(const oct_model *a, const oct_model *b, diff_set *out);

/* NAME.npy of a's nodes, float32 [n, c, h, w] or [n, k], of texts also [n, tokens, k], padded
 * behind a text's end, and logits.npy of its output. */
OCT_MUST_CHECK oct_status diff_pair_dumps(const oct_model *a, const char *folder, diff_set *out);

/* Both have run n samples, the first of which is number `first` of the dumps. */
OCT_MUST_CHECK oct_status diff_add(diff_set *s, int first, int n);

/* max |a - b| / max |a| */
double diff_relative(const diff_layer *layer);
/* Signal-to-noise ratio of b, dB; infinite where they are equal. */
double diff_sqnr(const diff_layer *layer);

void diff_free(diff_set *s);

#endif
