#ifndef OCT_MODELS_SPARSE_H
#define OCT_MODELS_SPARSE_H

#include "models/save_meta.h"

/* octet.sparse of a file: which convolutions and linear layers leave out zeros (in INT8 blocks of
 * 4), and on which instruction sets, by the names of their nodes; decided where the file is
 * written, by the layer's shape, the type of its weights and the share of them that is not zero:
 *
 *   {"layer1.0.conv1":["avx512","avx2"], ...}
 *
 * It is about the weights as the file has them: a float model that is run in another precision is
 * dense.  The results are the same either way, so a plan only has to do as it is told. */

/* The text for a model that is written as these tensors, in arena; NULL: no layer.  Weights of a
 * quantized model's graph have their data; of a float one the tensors are looked at, which may have
 * lost channels since its graph was built. */
OCT_MUST_CHECK oct_status oct_sparse_decide(const oct_model *m, const oct_save_tensor *tensors,
                                            int n, oct_arena *arena, const char **out);
/* attr->sparse of m's nodes from its file, if the plan's weights are the file's.  Names that no
 * layer has are passed over: a pass may have taken it away. */
OCT_MUST_CHECK oct_status oct_sparse_restore(oct_model *m);

#endif
