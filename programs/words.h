#ifndef OCT_PROGRAMS_WORDS_H
#define OCT_PROGRAMS_WORDS_H

#include "input/wordpiece.h"
#include "models/model.h"

/* The tokenizer of a model of texts: its file's octet.vocab with the rules of octet.input, else
 * what lies in the Hugging Face folder path.  *r is the recipe. */
OCT_MUST_CHECK oct_status words_open(const oct_model *m, const char *path, oct_recipe *r,
                                     oct_wordpiece **out);

#endif
