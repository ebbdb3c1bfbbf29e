#ifndef OCT_PROGRAMS_QUANTIZE_H
#define OCT_PROGRAMS_QUANTIZE_H

#include "models/quantizer.h"
#include "programs/diff_layers.h"
#include "programs/evaluate.h"
#include "programs/quant_report.h"

/* What the parts of octet quantize share.  All int results are 0, or an exit code and the line was
 * printed. */
typedef struct quantize_work {
    const cli_args *a;
    const char *path;             /* MODEL */
    int texts, dynamic;           /* it takes texts; ranges are found at run time */
    job job;                      /* it, in FP32; of texts model, options, batch and classes only */
    text_job text;                /* its tokenizer, if it takes texts; no model */
    oct_quantizer *q;
    oct_source *calib, *eval;     /* NULL: not given */
    oct_quant_kept *kept;         /* [n_kept] layers in FP32; room for all, and as many to try */
    int n_kept;
    quant_report report;
    oct_arena arena;              /* names, layers */
} quantize_work;

/* One more layer that is in FP32, and why; both are copied. */
int quantize_keep(quantize_work *w, const char *layer, const char *why);

/* The plan's step of a node's name, or -1. */
int quantize_step(const oct_plan *plan, const char *name);

/* The quantized model as it would be saved, ready to run, in a copy of w's job; kept: instead of
 * w->kept.  Closed with quantize_trial_close. */
int quantize_trial_open(const quantize_work *w, const oct_quant_kept *kept, int n_kept,
                        int keep_values, job *out, oct_quant_info *info);
void quantize_trial_close(job *trial);

/* The evaluation data through a model of w's kind. */
int quantize_evaluate(const quantize_work *w, job *j, int keep_logits, eval_result *out);

/* quantize_layers.c: report.layer, from samples of the calibration or evaluation data through both
 * models, seeded random ones where there are none. */
int quantize_layers(quantize_work *w);

/* quantize_search.c.  Adds to kept the layers that are slower in integers here. */
int quantize_tune(quantize_work *w);
/* Adds to kept the fewest layers with which no more than --max-drop points are lost; CLI_PROMISE
 * if none do.  report.before is filled. */
int quantize_max_drop(quantize_work *w);

/* ms of each step of w's model, and of the same in integers, for a batch's sample, the median of
 * several runs; [n_steps]. */
int quantize_time_both(const quantize_work *w, oct_model *ints, double *before, double *after);

/* quantize_text.c.  Fills w->job and w->text, and save's recipe and vocabulary. */
int quantize_text_open(quantize_work *w, const job_settings *s, oct_save_info *save);
/* The calibration's texts go into w->q. */
int quantize_text_calibrate(quantize_work *w);
/* Both models as quantize_layers wants them, for one text at a time: to be closed with job_close
 * and quantize_trial_close. */
int quantize_text_pair(const quantize_work *w, job *a, job *b);
/* Up to 64 texts through both. */
int quantize_text_compare(const quantize_work *w, const job *a, const job *b, diff_set *set);
/* Texts as input of m, for w->job.batch of them, before quantize_time; of images nothing: their
 * values do not matter. */
int quantize_text_fill(const quantize_work *w, oct_model *m);

#endif
