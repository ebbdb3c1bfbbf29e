#ifndef OCT_MODELS_SPARSE_H
#define OCT_MODELS_SPARSE_H

#include "models/save_meta.h"

/* octet.sparse of a quantized file: which convolutions run as sparse blocks
 * (ops/kernels/sparse_s8.h), and on which instruction sets, by the names of their nodes; decided
 * where the file is written, by ops/conv2d_sparse_s8.h, from the layer's shape and the share of its
 * blocks that are not zero:
 *
 *   {"layer1.0.conv1":["avx512","avx2"], ...}
 *
 * The bytes are the same either way, so a plan only has to do as it is told. */

/* The text for a quantized model whose weights have their data, in arena; NULL: no layer. */
OCT_MUST_CHECK oct_status oct_sparse_decide(const oct_model *m, oct_arena *arena,
                                            const char **out);
/* attr->sparse of m's convolutions from its file.  Names that no convolution has are passed over: a
 * pass may have taken it away. */
OCT_MUST_CHECK oct_status oct_sparse_restore(oct_model *m);

#endif
