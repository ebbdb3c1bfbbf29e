#ifndef OCT_MODELS_BACKENDS_H
#define OCT_MODELS_BACKENDS_H

#include "ops/op.h"

/* The devices of this build by name: "cpu" (or NULL), *out NULL; "cuda", cuda/cuda.h's record.
 * ERR_UNSUPPORTED: another name, or one that this build was made without. */
OCT_MUST_CHECK oct_status oct_backend_find(const char *name, const oct_backend **out);

#endif
