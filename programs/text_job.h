#ifndef OCT_PROGRAMS_TEXT_JOB_H
#define OCT_PROGRAMS_TEXT_JOB_H

#include "input/wordpiece.h"
#include "models/save_meta.h"
#include "programs/job.h"

/* A model of texts, ready to run, and its tokenizer.
 *
 *     text_job_add(&j, "I love this", 11, &cut);       up to j.batch texts
 *     text_job_run(&j, &logits, &ms);                  a row each; the next batch begins */
typedef struct text_job {
    oct_model *model;
    oct_wordpiece *words;
    oct_recipe recipe;        /* of words, without --max-length */
    int batch, classes;
    int max_length;           /* tokens of a text: the model's positions, the tokenizer's own limit
                               * or --max-length */
    int n;                    /* texts that were added */
    int32_t *ids, *starts, *types; /* the model's inputs; types NULL: it has none */
} text_job;

/* MODEL is a Hugging Face folder, or a file with octet.vocab in it.  describe: only to encode,
 * nothing can be run.  0, or an exit code and the line was printed; out is closed either way by
 * text_job_close. */
int text_job_open(const cli_args *a, const job_settings *s, int describe, text_job *out);
/* The same without a tokenizer, which the folder then need not have: for ids of another origin. */
int text_job_open_ids(const cli_args *a, const job_settings *s, text_job *out);
void text_job_close(text_job *j);

/* What makes a file of the model one of texts: vocabulary and recipe, j's and the arena's. */
OCT_MUST_CHECK oct_status text_job_save_info(const text_job *j, oct_arena *arena,
                                             oct_save_info *out);

/* Another model of the same texts, up to batch at once, loaded for as many: with like's tokenizer,
 * and not to be closed. */
text_job text_job_share(const text_job *like, oct_model *model, int batch);

/* The same where texts go into tensors that are no loaded model's; types may be NULL. */
text_job text_job_onto(const text_job *like, int batch, oct_tensor *ids, oct_tensor *starts,
                       oct_tensor *types);

/* One more text of the batch; *cut: 1 if it has more than max_length tokens. */
OCT_MUST_CHECK oct_status text_job_add(text_job *j, const char *text, size_t size, int *cut);
/* A note that `cut` of data's texts were too long; 0: none. */
void text_job_note_cut(const text_job *j, const cli_args *a, const char *data, int cut);
/* One of `length` random ids; 0: from 1 to TEXT_JOB_RANDOM of them, or to max_length. */
enum { TEXT_JOB_RANDOM = 128 };
void text_job_add_random(text_job *j, int length, uint64_t *seed);
/* What was added to one is added to the other, of the same vocabulary, batch and max_length. */
void text_job_copy(const text_job *from, text_job *to);
/* The logits [n, classes] of what was added, n >= 1, valid until the next run. */
OCT_MUST_CHECK oct_status text_job_run(text_job *j, const float **logits, double *ms);

#endif
