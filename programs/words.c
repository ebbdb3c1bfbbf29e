#include "programs/words.h"

#include "models/vocab_tensor.h"

oct_status words_open(const oct_model *m, const char *path, oct_recipe *r, oct_wordpiece **out)
{
    const char *vocab;
    size_t size;
    *out = NULL;
    OCT_TRY(oct_vocab_tensor_read(m->weights, &vocab, &size));
    if (!vocab) return oct_wordpiece_open_folder(path, r, out);
    OCT_TRY(oct_recipe_parse(m->recipe, r));
    if (!r->text)
        return oct_fail(OCT_ERR_FORMAT, "octet.input: of images, where octet.vocab is of texts");
    return oct_wordpiece_open(vocab, size, r, out);
}

oct_status words_tensor(const oct_wordpiece *w, oct_tensor *out)
{
    size_t size;
    const char *vocab = oct_wordpiece_vocab(w, &size);
    if (vocab) return oct_vocab_tensor_make(vocab, size, out);
    return oct_fail(OCT_ERR_UNSUPPORTED, "tokenizer.json has special tokens of its own, which do "
                    "not travel in one file");
}
