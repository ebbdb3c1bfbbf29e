#ifndef OCT_TESTS_TEXT_CASE_H
#define OCT_TESTS_TEXT_CASE_H

#include "models/quantizer.h"
#include "tests/files.h"

/* Texts of made-up ids for the small encoders of tests/golden, and quantizers that they went
 * through; files in a scratch folder.  Asserts on failures. */
enum { TEXTS = 40, LONGEST = 25, MAX_CLASSES = 3, N_LOGITS = TEXTS * MAX_CLASSES };

typedef struct subject {
    const char *name;
    int tokens;
} subject;

enum { DISTILBERT, BERT, N_SUBJECTS }; /* of exact gelu; of relu, with token types */
extern const subject subjects[N_SUBJECTS];

#define OK(call) ck_assert_msg((call) == OCT_OK, "%s", oct_last_error())

extern char made[96], other[96];  /* two paths, for each test: text_case_setup, _teardown */
void text_case_setup(void);
void text_case_teardown(void);

const char *source_of(const subject *s);

/* Text t as the n-th of a batch; ids, starts, types are the model's inputs, types may be NULL. */
void put_text(const subject *s, oct_tensor *const in[3], int t, int n);
/* Up to `batch` texts from `first` on, from the last to the first if backwards; how many. */
int fill(const subject *s, oct_model *m, int first, int batch, int backwards);

/* All texts have been added. */
oct_quantizer *open_fed(const subject *s, oct_options o, const oct_quantizer_options *how);
/* ... and saved there. */
void make(const subject *s, oct_options o, const oct_quantizer_options *how, const char *path);

/* Of all texts, through an INT8 model. */
void answer(const subject *s, oct_model *m, int batch, float logits[N_LOGITS]);

/* The file that `how` makes gives, on every ISA, the bits of the graph it was made from, and these
 * are SUBJECT_NAME of tests/golden/logits.sha256: calibration included, for every machine. */
void check_file(const subject *s, const char *name, const oct_quantizer_options *how);
/* The same bytes from any batch, threads and ISA. */
void check_same_bytes(const subject *s, const oct_quantizer_options *how);

/* Is a file accepted? */
oct_status try(const char *path);
/* Files with one change to the header: from, to, what is said. */
typedef const char *change[3];
void check_changes(const char *file, size_t size, const change *c, size_t n);

#endif
