#include "models/vocab_tensor.h"

#include <limits.h>

oct_status oct_vocab_tensor_make(const char *vocab, size_t size, oct_tensor *out)
{
    if (size < 1 || size > INT_MAX)
        return oct_fail(OCT_ERR_FORMAT, "%s: %zu bytes", OCT_MODEL_VOCAB, size);
    *out = (oct_tensor){ .dtype = OCT_U8, .rank = 1, .dim = { (int)size },
                         .data = (void *)(uintptr_t)vocab };
    return OCT_OK;
}

oct_status oct_vocab_tensor_read(oct_weights *w, const char **vocab, size_t *size)
{
    oct_tensor t;
    *vocab = NULL;
    *size = 0;
    if (!oct_weights_find(w, OCT_MODEL_VOCAB)) return OCT_OK;
    OCT_TRY(oct_weights_require(w, OCT_MODEL_VOCAB, 1, (int[]){ -1 }, &t));
    if (t.dtype != OCT_U8)
        return oct_fail(OCT_ERR_UNSUPPORTED, "%s: dtype %s, expected U8", OCT_MODEL_VOCAB,
                        oct_dtype_name(t.dtype));
    *vocab = t.data;
    *size = oct_tensor_size(&t);
    return OCT_OK;
}
