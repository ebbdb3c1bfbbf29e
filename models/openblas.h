#ifndef OCT_MODELS_OPENBLAS_H
#define OCT_MODELS_OPENBLAS_H

#include "ops/op.h"

/* The system's OpenBLAS as a provider of FP32 matrix products; opened when it is asked for, so
 * that it costs no start-up otherwise, and never closed.  *sgemm is static.  ERR_UNSUPPORTED if
 * this build or this machine has none. */
OCT_MUST_CHECK oct_status oct_openblas_open(oct_sgemm **sgemm);

#endif
