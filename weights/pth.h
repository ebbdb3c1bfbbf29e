#ifndef OCT_WEIGHTS_PTH_H
#define OCT_WEIGHTS_PTH_H

#include "weights/file.h"
#include "weights/pickle.h"

/* What the zip and the legacy reader share. */

/* The budget of the objects of all pickles of a file. */
void oct_pth_budget(const oct_weights *w, oct_slab *slab);

/* Adds the tensors of a state dict, wrapped or not, or of a TorchScript module to w. */
oct_status oct_pth_take(oct_weights *w, const oct_pickle_value *root);

/* What tensor t claims under this name, which is copied only when it is added. */
oct_status oct_pth_claim(oct_weights *w, const char *name, size_t size, const oct_pickle_tensor *t,
                         oct_weights_claim *out);

/* scales.c: adds NAME, quantized, and NAME.scale. */
oct_status oct_scales_add(oct_weights *w, const char *name, size_t size,
                          const oct_pickle_tensor *t);

/* pth_zip.c: where the data of a storage are; checks its size. */
oct_status oct_pth_zip_store(oct_weights *w, const oct_pickle_storage *s, const oct_store **out);

#endif
