/* lint: the verdict in words, and on what it rests. */
#include <stdio.h>

#include "quant/lint_private.h"

static const char *const phrases[] = {
    [OCT_LINT_CLEAN] = "looks like what the model was trained on",
    [OCT_LINT_NOT_FINITE] = "holds NaN or infinite values",
    [OCT_LINT_CONSTANT] = "holds constant images: all pixels of one value",
    [OCT_LINT_FEW_SAMPLES] = "has too few samples to stand for what the model will see",
    [OCT_LINT_DUPLICATES] = "is mostly duplicates",
    [OCT_LINT_WRONG_SIZE] = "shows things at another size than the model was trained on",
    [OCT_LINT_NHWC] = "is NHWC (channels last) where NCHW was expected",
    [OCT_LINT_SCALE_255] = "has values 0-255 where 0-1 was expected",
    [OCT_LINT_SCALE_1] = "has values 0-1 where 0-255 was expected",
    [OCT_LINT_NO_MEAN_STD] = "has no mean and std applied",
    [OCT_LINT_MEAN_STD] = "has another mean and std applied than in training",
    [OCT_LINT_NOISE] = "is random noise: neighbouring pixels have nothing in common",
    [OCT_LINT_ONE_CLASS] = "is of one class only",
    [OCT_LINT_BGR] = "has red and blue swapped (BGR for RGB, or RGB for BGR)",
    [OCT_LINT_INVERTED] = "is inverted: dark for light",
    [OCT_LINT_WRONG_DATASET] = "is nothing like the model's training data, however it is read",
    [OCT_LINT_ALL_PADDING] = "is all padding: texts without a token of their own",
    [OCT_LINT_EMPTY_TEXTS] = "holds empty texts",
    [OCT_LINT_WRONG_CASE] = "is read in another case than the vocabulary has",
    [OCT_LINT_OTHER_VOCABULARY] = "becomes token ids of another vocabulary than the model's",
};

const char *oct_lint_phrase(oct_lint_cause cause) { return phrases[cause]; }

void oct_lint_say_distinct(int samples, int distinct, char *to, size_t size)
{
    snprintf(to, size, "%d samples, %d of them distinct, at least %d expected", samples, distinct,
             OCT_LINT_LEAST);
}

static void write_evidence(const oct_lint *l, const oct_lint_report *r, char *to, size_t size)
{
    switch (r->cause) {
    case OCT_LINT_NOT_FINITE:
        snprintf(to, size, "%d of %d samples", l->input.not_finite, r->samples);
        break;
    case OCT_LINT_CONSTANT:
        snprintf(to, size, "%d of %d samples", r->constant, r->samples);
        break;
    case OCT_LINT_FEW_SAMPLES:
    case OCT_LINT_DUPLICATES:
        oct_lint_say_distinct(r->samples, r->distinct, to, size);
        break;
    case OCT_LINT_ONE_CLASS:
        snprintf(to, size, "%.0f %% of the %s are the same", 100 * r->top_share,
                 l->labelled == l->n ? "labels" : "model's answers");
        break;
    case OCT_LINT_BGR:
    case OCT_LINT_INVERTED:
        snprintf(to, size, "put right, the model's answers are clearer by %.1f standard errors",
                 r->clearer);
        break;
    default:
        if (r->cause == OCT_LINT_WRONG_SIZE && r->corrected >= r->distance)
            snprintf(to, size, "height %d and width %d, the model was made for %d and %d", l->h,
                     l->w, l->o.own_height, l->o.own_width);
        else if (!l->n_bn)
            snprintf(to, size, "values from %.4g to %.4g", r->low, r->high);
        else if (r->corrected < r->distance)
            snprintf(to, size, "values from %.4g to %.4g; the first layers are %.3g away from "
                     "their training statistics, %.3g when that is put right", r->low, r->high,
                     r->distance, r->corrected);
        else
            snprintf(to, size, "the first layers are %.3g away from their training statistics, "
                     "%.3g allowed", r->distance, r->threshold);
    }
}

void oct_lint_say(const oct_lint *l, oct_lint_report *r)
{
    char evidence[240];
    write_evidence(l, r, evidence, sizeof evidence);
    snprintf(r->sentence, sizeof r->sentence, "%s (%s)%s", oct_lint_phrase(r->cause), evidence,
             l->n_bn ? "" : "; the model has no batch norm statistics: range rules only");
}
