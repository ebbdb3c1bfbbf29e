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
    const char *device;         /* NULL: "cpu";  "cuda": floats as fp16, unless precision is fp32 */
    const char *isa;            /* NULL: best;  "ref", "avx2" ... for comparison */
    const char *gemm;           /* NULL: ours;  "openblas" for FP32.  On cuda, of FP16 "cublas", */
                                /* "ours" or, NULL and "auto", what was faster when timed */
    const char *precision;      /* NULL: the file's, "fp32" or "int8";  of an FP32 file "fp16": */
                                /* weights in half, "bf16": both operands, sums and activations */
                                /* stay FP32; "int8": weights now, activations as they come */
    const char *passes;         /* NULL: all;  "none";  "fold_bn,fuse" */
    int keep_values;            /* 1: every layer's output can be read after a run */
    int watch;                  /* 1: of each layer's outputs the largest is found, NaN counted */
    int dense;                  /* 1: zeros of pruned weights are multiplied, for comparison */
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

/* An FP32 model becomes INT8, calibrated on samples of your own:
 *
 *     oct_quantizer *q;
 *     if (oct_quantizer_open("resnet50.pth", NULL, NULL, &q)) die(oct_last_error());
 *     while (next_sample(oct_quantizer_input(q, 0)->data))     // FP32, as the model takes it
 *         if (oct_quantizer_add(q, 1)) die(oct_last_error());
 *     if (oct_quantizer_save(q, "resnet50_int8.safetensors")) die(oct_last_error());
 *     oct_quantizer_free(q);
 *
 * Of a model of texts a batch's ids and begins are written as for oct_model_run.
 * Values are counted and no sample is kept: memory does not grow with their number, and the file
 * does not depend on their order (but for the hash that it records), the batch or the threads. */
typedef struct oct_quantizer oct_quantizer;

typedef struct oct_quantizer_options { /* zero means default */
    const char *method;         /* "minmax", "percentile", "kl", "mse"; "dynamic": ranges at run */
                                /* time, no samples are needed;  NULL: "percentile" if the */
                                /* next is given, else "kl", of texts "mse" */
    double percentile;          /* of "percentile", 0: 99.93 % of the values inside */
    int bits;                   /* of activations, 7 or 8;  0: 7, of texts 8 */
    int no_bias_correction;
    double smooth[2];           /* SmoothQuant's strength, 0 (off) to 1, before and after the */
                                /* GELU of a model of texts; not "dynamic" */
    const char *const *keep;    /* [n_keep] names of layers that stay in FP32 */
    int n_keep;
} oct_quantizer_options;

/* Both options may be NULL; what they point to must live as long as *out, the caller's. */
OCT_MUST_CHECK oct_status oct_quantizer_open(const char *path, const oct_options *options,
                                             const oct_quantizer_options *how,
                                             oct_quantizer **out);
oct_tensor *oct_quantizer_input(oct_quantizer *q, int i);       /* q's; write before add */
/* Runs the first n samples of the input, 1 <= n <= batch, and counts what the layers give. */
OCT_MUST_CHECK oct_status oct_quantizer_add(oct_quantizer *q, int n);
/* Writes a model file.  ERR_FORMAT without samples, unless "dynamic", or if a value was NaN.  The
 * file of a model of texts has no vocabulary: octet quantize adds that. */
OCT_MUST_CHECK oct_status oct_quantizer_save(oct_quantizer *q, const char *path);
void oct_quantizer_free(oct_quantizer *q);                      /* NULL is fine */

#ifdef __cplusplus
}
#endif
#endif
