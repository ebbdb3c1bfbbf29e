#ifndef OCT_MODELS_PRUNE_H
#define OCT_MODELS_PRUNE_H

#include "graph/groups.h"
#include "graph/mask.h"
#include "models/model.h"
#include "models/save_meta.h"

/* octet prune: the tensors of a model file as they are, before any folding, but with zeros where
 * the masks of graph/mask.h have them, or without the channels that models/prune_channels.h takes
 * out.  Names and dtypes stay, and shapes of what has only zeros; so does the metadata, to which
 * octet.prune comes:
 *
 *   {"amount":0.5,"density":{"conv1.weight":0.5,"fc1.weight":0.25},"per_layer":false,
 *    "repair":{"samples":200,"sha256":"..."},"structure":"unstructured"}
 *
 * density: share of the file's weights that are still there and not 0, of every conv2d and linear,
 * chosen or not; repair only after models/prune_repair.h.  Of whole channels also "multiple" and
 * "shapes": {"conv1.weight":[[64,3],[48,3]], ...}, [out, in] before and after of each weight that
 * changed.
 * Weights are compared in FP32, as they run: F16 and BF16 exactly, F64 rounded. */
typedef struct oct_prune_options {
    oct_mask_structure structure;
    oct_group_kind whole;       /* of these groups whole channels go, CHANNEL: of all; FIXED: none, */
    int multiple;               /* structure says what does.  A multiple of it stays, 1: any number */
    double amount;              /* 0 .. 1, of the units; 2:4 does not ask for it */
    int per_layer;              /* of each layer's units, or group's channels, not of all */
    const char *const *only;    /* [n_only] patterns of the shell; 0: every layer */
    int n_only;
} oct_prune_options;

typedef struct oct_pruned_layer {
    const char *name;           /* of its tensor: "conv1.weight" */
    const char *op;             /* "conv2d", "linear" */
    int chosen;                 /* by only[] */
    size_t weights, zeros_before; /* as the file has them */
    size_t left, zeros;         /* weights that are there now, and 0 */
    int out_before, in_before, out, in; /* dims 0 and 1 */
    const int *kept;            /* [out] its outputs, as they were numbered; NULL: all are there */
    double places;              /* of one image or token: multiply-adds with each weight */
    int tensor;                 /* its index in tensor[] */
    int repaired;               /* by models/prune_repair.h */
    const char *why_not;        /* it was not repaired; or NULL */
    double error_before, error_after; /* |W x - y|^2 as a share of the variance of y */
} oct_pruned_layer;

typedef struct oct_pruned_repair {
    int samples;                /* 0: it was not repaired */
    char sha256[65];            /* of the samples as tensors */
    const char *forced;         /* why octet lint had refused them; NULL: it had not */
} oct_pruned_repair;

typedef struct oct_pruned {
    oct_model *model;           /* described, its constants given back: names, arch and labels */
    oct_prune_options how;
    oct_pruned_layer *layer;    /* [n_layers] in the order they run */
    int n_layers;
    const char *unknown;        /* the pattern that names no layer, for which it was refused */
    oct_weights *from;          /* of tensor[], if they were read back; else model->weights */
    oct_tensor *tensor;         /* [n_tensors], sorted by name, as oct_weights_at */
    int n_tensors;
    oct_pruned_repair repair;
    oct_arena arena;
} oct_pruned;

/* "unstructured", ..., "channel", "neuron", "head", into structure and whole; ERR_UNSUPPORTED:
 * another name. */
OCT_MUST_CHECK oct_status oct_prune_find(const char *name, oct_prune_options *out);
const char *oct_prune_name(const oct_prune_options *how);

/* only[] matches a layer's name without ".weight", or with it.  ERR_UNSUPPORTED: the file is
 * quantized or compiled, a pattern names no layer, or there are no such channels.  out is freed by
 * oct_pruned_free, whatever happens. */
OCT_MUST_CHECK oct_status oct_prune(const char *path, const oct_options *options,
                                    const oct_prune_options *how, oct_pruned *out);
double oct_pruned_density(const oct_pruned_layer *l);
void oct_pruned_free(oct_pruned *p);
/* Gives the tensors' memory back: what was found stays, to save is over. */
void oct_pruned_let_go(oct_pruned *p);

/* What layer[] says of tensor[] as it is now. */
void oct_pruned_count(oct_pruned *p);
/* After oct_pruned_let_go: the tensors as they were saved to path. */
OCT_MUST_CHECK oct_status oct_pruned_read_back(oct_pruned *p, const char *path);

/* measured: octet.measured, or NULL. */
OCT_MUST_CHECK oct_status oct_pruned_save(const oct_pruned *p, const char *path,
                                          const oct_save_info *info, const char *measured);

#endif
