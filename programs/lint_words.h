#ifndef OCT_PROGRAMS_LINT_WORDS_H
#define OCT_PROGRAMS_LINT_WORDS_H

#include "input/input.h"
#include "programs/cli.h"
#include "quant/lint_texts.h"

/* quant/lint_texts on a model of texts, its tokenizer and data.  0, or an exit code and the line
 * was printed; that the data departs is no failure of this: out->cause says so. */
int lint_words_run(const cli_args *a, const char *model, const char *data,
                   const oct_source *source, oct_lint_texts_report *out);

#endif
