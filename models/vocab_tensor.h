#ifndef OCT_MODELS_VOCAB_TENSOR_H
#define OCT_MODELS_VOCAB_TENSOR_H

#include "models/model.h"

/* OCT_MODEL_VOCAB: the bytes of a vocab.txt as the tensor U8 [bytes] of a model file, so that a
 * model of texts is one file.  What the bytes mean is the business of input/wordpiece.h:
 * oct_wordpiece_vocab gives them, oct_wordpiece_open takes them. */
/* *out points to vocab[0..size), which must outlive it.  ERR_FORMAT: too few or too many bytes for
 * a tensor. */
OCT_MUST_CHECK oct_status oct_vocab_tensor_make(const char *vocab, size_t size, oct_tensor *out);

/* The bytes, valid until w is closed; *vocab NULL: w has none.  ERR_SHAPE, ERR_UNSUPPORTED: the
 * tensor is none of bytes. */
OCT_MUST_CHECK oct_status oct_vocab_tensor_read(oct_weights *w, const char **vocab, size_t *size);

#endif
