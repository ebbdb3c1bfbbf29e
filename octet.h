/* octet.h - run CNNs, ResNet-50, DistilBERT and friends on one machine, in C.
 *
 *     oct_model *m;
 *     if (oct_model_load("mnist_cnn.safetensors", NULL, &m)) die(oct_last_error());
 *     memcpy(oct_model_input(m, 0)->data, image, image_size);  // [1, 1, 28, 28] float
 *     if (oct_model_run(m, 1)) die(oct_last_error());
 *     const float *logits = oct_model_output(m, 0)->data;      // [1, 10], until the next run
 *     oct_model_free(m);
 *
 * A model of texts takes the ids of one or several texts, one after the other, and has no padding:
 *
 *     input 0  ids     I32 [tokens]     of all texts, special tokens included
 *     input 1  starts  I32 [batch + 1]  where each text begins in ids: starts[0] is 0, starts[n]
 *                                       the number of all ids
 *     input 2  types   I32 [tokens]     token types; BERT's only
 *
 *     oct_model_load("distilbert", &(oct_options){ .batch = 8 }, &m);
 *     memcpy(oct_model_input(m, 0)->data, (int32_t[]){ 101, 7592, 102, 101, 102 }, 5 * 4);
 *     memcpy(oct_model_input(m, 1)->data, (int32_t[]){ 0, 3, 5 }, 3 * 4);
 *     if (oct_model_run(m, 2)) die(oct_last_error());          // two texts
 *     const float *logits = oct_model_output(m, 0)->data;      // [2, classes]
 *
 * A text's logits have the same bits alone and in any batch. */
#ifndef OCT_OCTET_H
#define OCT_OCTET_H

#include "tensor/status.h"
#include "tensor/tensor.h"
#include "tensor/threads.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct oct_model oct_model;

typedef struct oct_options {    /* zero means default, so { 0 } is always valid */
    const char *arch;           /* NULL: from the file or its tensors;  else as octet.arch, JSON */
    int batch, sequence;        /* 0: 1, and the model's own: most tokens of a text */
    int tokens;                 /* of all texts of a run together; 0: batch times sequence */
    int height, width;          /* 0: the model's own input size, where it takes any */
    int threads;                /* 0: the CPUs we may use */
    oct_pool *pool;             /* NULL: our own;  else the caller's, and threads is ignored */
    const char *device;         /* NULL: "cpu";  "cuda" */
    const char *isa;            /* NULL: best;  "ref", "avx2" ... for comparison */
    const char *gemm;           /* NULL: ours;  "openblas" for FP32 */
    const char *precision;      /* NULL: "fp32";  "fp16": weights in half, "bf16": both operands; */
                                /* sums and activations stay FP32 */
    const char *passes;         /* NULL: all;  "none";  "fold_bn,fuse" */
    int keep_values;            /* 1: every layer's output can be read after a run */
} oct_options;

/* *out is the caller's, to be freed with oct_model_free; on failure it is NULL.  Does everything
 * that can fail on a CPU.
 * A model that `octet compile` wrote is mapped until oct_model_free; arch, passes, gemm and another
 * height, width or isa are refused.  If its file is cut short while it is mapped, a run raises
 * SIGBUS: the library installs no handler, a caller that must survive it does, or renames new
 * files over old ones, as octet does.  Other models are read while they are loaded, no longer. */
OCT_MUST_CHECK oct_status oct_model_load(const char *path, const oct_options *options,
                                         oct_model **out);
oct_tensor *oct_model_input(oct_model *m, int i);              /* m's; write data before run */
const oct_tensor *oct_model_output(const oct_model *m, int i); /* m's; valid until next run */
/* Runs the first n samples of the input, 1 <= n <= batch; only a device can fail here.  Of texts,
 * ids outside the vocabulary and texts that are empty or too long are refused too: ERR_SHAPE. */
OCT_MUST_CHECK oct_status oct_model_run(oct_model *m, int n);
void oct_model_free(oct_model *m);                             /* NULL is fine */

#ifdef __cplusplus
}
#endif
#endif
