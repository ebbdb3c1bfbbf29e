#ifndef OCT_PROGRAMS_ANSWERS_H
#define OCT_PROGRAMS_ANSWERS_H

#include "models/model.h"
#include "programs/cli.h"
#include "programs/npy.h"

/* What the *_infer programs print: for each input its best classes (--top), as text or JSON, with
 * their names (--labels), and the raw logits into a file (--logits). */
typedef struct answers {
    const cli_args *a;
    int classes;
    int is_probability;       /* logits are probabilities already */
    char **label;             /* [classes], or NULL: numbers */
    char **own_label;         /* of --labels, ours to free */
    npy_writer *logits;       /* NULL: not asked for, or given up */
    double *p;                /* [classes] */
    int *order;               /* [top] */
    int top;
    long seen, bad;           /* inputs */
    int bad_code;
} answers;

/* 0, or an exit code and the line was printed; answers_close either way. */
int answers_open(const cli_args *a, const oct_model *m, int is_probability, answers *out);

/* The lines of the input name[0..size), name[size] is 0; ms is its share of the batch's time.
 * Returns an exit code. */
int answers_show(answers *s, const char *name, size_t size, const float *logits, double ms);
/* Counts a bad input, of which a line was printed; code is its exit code.  It does not end the
 * others, but the file of logits: without this row it would be out of step with the inputs. */
void answers_bad(answers *s, int code);

/* Puts the file of logits in its place if code is 0 and standard output is whole.  Returns the exit
 * code of the program: code, or that of bad inputs. */
int answers_close(answers *s, int code);

#endif
