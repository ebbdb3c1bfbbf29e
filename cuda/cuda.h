#ifndef OCT_CUDA_CUDA_H
#define OCT_CUDA_CUDA_H

#include "ops/op.h"

/* The CUDA backend, all that the rest of octet knows of it (docs/cuda.md).  There only if
 * configured with --with-cuda: models/backends.c asks.
 *
 *   floats F16   FP32 values are halves on the device; sums and statistics are FP32
 *   floats F32   everything has the CPU's bits: INT8 models, and FP32 ones
 *
 * Errors are ERR_DEVICE: no driver or an old one, no device, one below compute capability 8.0, out
 * of device memory, a kernel that failed.  A run that failed may be tried again; after a fault of a
 * kernel CUDA refuses until the process ends. */
extern const oct_backend oct_backend_cuda;

#endif
