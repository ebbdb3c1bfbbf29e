#include "programs/words.h"

#include <sys/stat.h>

#include "models/vocab_tensor.h"

static int is_folder(const char *path)
{
    struct stat st;
    return stat(path, &st) == 0 && S_ISDIR(st.st_mode);
}

oct_status words_open(const oct_model *m, const char *path, oct_recipe *r, oct_wordpiece **out)
{
    const char *vocab;
    size_t size;
    *out = NULL;
    OCT_TRY(oct_vocab_tensor_read(m->weights, &vocab, &size));
    if (!vocab && !is_folder(path))
        return oct_fail(OCT_ERR_FORMAT, "%s: no such tensor in the file, and no folder with a "
                        "tokenizer", OCT_MODEL_VOCAB);
    if (!vocab) return oct_wordpiece_open_folder(path, r, out);
    OCT_TRY(oct_recipe_parse(m->recipe, r));
    if (!r->text)
        return oct_fail(OCT_ERR_FORMAT, "octet.input: a recipe for images, the model takes texts");
    return oct_wordpiece_open(vocab, size, r, out);
}
