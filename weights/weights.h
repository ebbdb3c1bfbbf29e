#ifndef OCT_WEIGHTS_WEIGHTS_H
#define OCT_WEIGHTS_WEIGHTS_H

#include "tensor/arena.h"
#include "tensor/tensor.h"

/* The tensors of a model file, by name.  All input is hostile: every size is checked against the
 * file before it is believed; nothing in the file sizes an allocation before that.
 *
 *   .safetensors        weights/safetensors.c
 *   .pth .pt .th        weights/pth.c: zip and legacy pickles, TorchScript archives' tensors
 *   a folder            model.safetensors or pytorch_model.bin in it
 *
 * Told apart by their first bytes, never by their names.  PyTorch's wrappers are taken off
 * ({"state_dict": ...}, {"model": ...}, "module." in front of every name), and weight_orig with
 * weight_mask becomes weight = orig * mask.  Of a state dict quantized by torch.ao.quantization a
 * weight is I8 with a sibling NAME.scale, F32 [out], as in octet's own files (weights/scales.c);
 * fc._packed_params becomes fc.weight and fc.bias; conv1.scale and conv1.zero_point, of the output,
 * stay.
 *
 * Data are read with pread into anonymous memory when they are asked for: a file cut short
 * meanwhile is an error and not a signal, as it would be with a mapped file. */
typedef struct oct_weights oct_weights;

typedef struct oct_weights_entry {
    const char *name;
    oct_dtype dtype;
    int rank;
    int dim[OCT_MAX_RANK];
    size_t size;              /* bytes, row-major */
} oct_weights_entry;

/* *out is the caller's; NULL on failure, when oct_last_error says what and where in the file. */
OCT_MUST_CHECK oct_status oct_weights_open(const char *path, oct_weights **out);
void oct_weights_close(oct_weights *w);   /* also frees all data it handed out; NULL is fine */

int oct_weights_count(const oct_weights *w);
const oct_weights_entry *oct_weights_at(const oct_weights *w, int i); /* sorted by name */
const oct_weights_entry *oct_weights_find(const oct_weights *w, const char *name); /* or NULL */

/* The tensor with its data, DENSE, valid until close or let_go; each call reads a copy of its own,
 * which may be written to and has 64 readable bytes behind it.  ERR_FORMAT if it is missing;
 * ERR_SHAPE "conv1.bias: shape [31], expected [32]" if rank >= 0 and the shape is another one (an
 * entry of -1 in dim matches any size). */
OCT_MUST_CHECK oct_status oct_weights_require(oct_weights *w, const char *name, int rank,
                                              const int *dim, oct_tensor *out);
/* The rows of n tensors of one dtype, one after the other, as one tensor: require's terms,
 * dim[0] of each is -1 or as it says. */
OCT_MUST_CHECK oct_status oct_weights_join(oct_weights *w, const char *const *names, int n,
                                           int rank, const int *dim, oct_tensor *out);
/* Gives the memory of a tensor handed out back to the system: its weights are packed. */
void oct_weights_let_go(oct_weights *w, const oct_tensor *t);

/* weights/map.c, for compiled models only.  Maps the whole file, read-only, until close.  If the
 * file is cut short while it is mapped, reading behind its new end raises SIGBUS: the library
 * installs no handler, a program that must not die of it does (programs/cli.c). */
OCT_MUST_CHECK oct_status oct_weights_map(oct_weights *w);
const void *oct_weights_mapping(const oct_weights *w, size_t *size); /* NULL: not mapped */
/* Where a tensor lies in the mapping; ERR_FORMAT if it does not begin on a 64-byte line. */
OCT_MUST_CHECK oct_status oct_weights_mapped(const oct_weights *w, const char *name,
                                             const void **data, size_t *size);

/* Value of a key of __metadata__; NULL if there is none.  PyTorch files have none. */
const char *oct_weights_meta(const oct_weights *w, const char *key);
const char *oct_weights_meta_at(const oct_weights *w, int i, const char **value); /* NULL: past */

/* The text of config.json beside the weights, not parsed; NULL: not a folder, or it has none. */
const char *oct_weights_config(const oct_weights *w);

const char *oct_weights_format(const oct_weights *w); /* "safetensors", "pytorch zip", ... */
size_t oct_weights_file_size(const oct_weights *w);   /* all files of the model together */
OCT_MUST_CHECK oct_status oct_weights_sha256(oct_weights *w, char hex[65]);

/* weights/save.c: a safetensors file as SPEC.md section 3 says: sorted metadata keys, data section
 * and every tensor whose size is a multiple of 64 on a 64-byte boundary, no gaps, byte-identical
 * for the same input.  Written to a temporary file in the same folder, fsync, rename; on failure
 * nothing is left and an existing file is untouched.  The temporary file's name is that of the file
 * with OCT_SAVE_SUFFIX behind: a program that a signal ends can unlink it.  One that is there is
 * not touched: another process may be saving the same file. */
#define OCT_SAVE_SUFFIX ".tmp"
typedef struct oct_save_tensor {
    const char *name;
    const oct_tensor *tensor;
} oct_save_tensor;
typedef struct oct_save_meta {
    const char *key, *value;
} oct_save_meta;
/* weights/blocks.c: the list with NAME.values and an index for every NAME of which so many blocks
 * of 4 inputs or outputs are zero, or two of each 4 inputs, that an eighth is saved; all in arena.
 * *meta belongs to the metadata, its value NULL where nothing was compressed.  A reader sees NAME
 * again. */
OCT_MUST_CHECK oct_status oct_weights_compress(const oct_save_tensor *tensors, int n,
                                               oct_arena *arena, oct_save_tensor **out, int *n_out,
                                               oct_save_meta *meta);
OCT_MUST_CHECK oct_status oct_weights_save(const char *path, const oct_save_tensor *tensors, int n,
                                           const oct_save_meta *meta, int n_meta);

#endif
