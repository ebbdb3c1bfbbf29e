#ifndef OCT_PROGRAMS_EVALUATE_H
#define OCT_PROGRAMS_EVALUATE_H

#include <jansson.h>

#include "programs/text_job.h"

/* A labelled set through a model: octet eval, and both sides of octet quantize. */
typedef struct eval_result {
    int samples, correct;
    double accuracy, accuracy_low, accuracy_high; /* shares; the 95 % Wilson interval */
    double loss;                                  /* mean cross-entropy, natural logarithm */
    double ms_total, ms_p50, ms_p99;              /* of all, of a batch; without decoding */
    int batch, threads;
    const char *isa, *precision;                  /* valid for ever */
    double model_bytes, peak_bytes;               /* the model's files; largest resident memory of
                                                   * the process since eval_forget_peak */
    char sha256[65];                              /* of the samples as tensors, one after the
                                                   * other; of texts the token ids */

    int *label, *answer;   /* [samples]: class of the data; first of the largest logits */
    float *logits;         /* [samples, classes]; NULL unless asked for */
    double *batch_ms;      /* [n_batches] of the full batches, or of the only one; rising */
    int n_batches;
} eval_result;

typedef struct eval_settings {
    const char *path;      /* MODEL, for messages */
    char *data;            /* DATA, for messages */
    oct_source *source;    /* DATA, open; stays the caller's, and can be run again */
    const char *logits;    /* FILE.npy to write, or NULL */
    int keep_logits;
} eval_settings;

/* Runs every sample, in order.  0, or an exit code and the line was printed; out is freed with
 * eval_free either way. */
int eval_run(const cli_args *a, job *j, const eval_settings *s, eval_result *out);
int eval_run_texts(const cli_args *a, text_job *j, const eval_settings *s, eval_result *out);
/* A file just written, as any program would load it: what is in it decides, not the options that made
 * it.  s->source NULL: it is only loaded.  *bytes: its size. */
int eval_file(const cli_args *a, const char *file, int texts, int batch, const eval_settings *s,
              eval_result *out, double *bytes);
void eval_free(eval_result *r);

/* From here on peak_bytes knows only what comes: for the second of two runs.  0: this system cannot
 * forget, it stays the largest so far. */
int eval_forget_peak(void);

/* The object that octet eval --json prints. */
json_t *eval_json(const eval_result *r);

/* The fewest right answers that keep a promise to lose at most so many points. */
int eval_promised(const eval_result *before, double points);

/* Share of samples with the same answer; NaN if these are not two runs of one set. */
double eval_agreement(const eval_result *a, const eval_result *b);

#endif
