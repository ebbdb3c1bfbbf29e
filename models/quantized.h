#ifndef OCT_MODELS_QUANTIZED_H
#define OCT_MODELS_QUANTIZED_H

#include "models/save_meta.h"
#include "quant/pass_quantize.h"

/* A quantized model file: weights NAME as I8 [out, ...] with NAME.scale F32 [out], biases as I32 in
 * units of the activation's scale times the weight's, layers that stay in FP32 as F32, batch norms
 * folded in; rows of one constant that came from several tensors go back to these.  octet.quant in
 * the metadata says how it was made and what the activations are:
 *
 *   {"activations":{"conv1":{"max":127,"scale":0.0472,"zero":0},"input":{...},...},
 *    "bias_correction":true,"bits":7,"fp32":[{"layer":"fc","why":"--max-drop"}],
 *    "method":"percentile","percentile":99.93,"samples":200,"sha256":"..."}
 *
 * A node's activation is the value it writes, "input" the caller's; with "smooth":true its channels
 * are multiplied by the F32 tensor NODE.smooth when it is quantized, and "smooth":[0,0.5] says the
 * strengths (octet.h).  "forced" is there if lint
 * refused the samples and the user went on: its cause.  With ranges at run time there is only
 * {"fp32":[...],"method":"dynamic"}, and biases are F32. */
typedef struct oct_quant_kept {
    const char *layer, *why;
} oct_quant_kept;

typedef struct oct_quant_info {
    const char *method;        /* "minmax", "percentile", "kl", "mse"; "dynamic" */
    double percentile;         /* of percentile; else 0 */
    int bits;                  /* of activations, 7 or 8 */
    int bias_correction;
    double smooth[2];          /* strengths; 0, 0: none */
    int samples;               /* of the calibration */
    const char *sha256;        /* of what the samples were as tensors, one after the other */
    const char *forced;        /* or NULL */
    const oct_quant_kept *kept; /* [n_kept] layers in FP32 */
    int n_kept;
    oct_quant_table table;     /* activations; by of parse's has no data yet */
} oct_quant_info;

/* octet.quant's text, hostile; *out points into the arena. */
OCT_MUST_CHECK oct_status oct_quant_info_parse(const char *text, oct_arena *arena,
                                               oct_quant_info *out);
OCT_MUST_CHECK oct_status oct_quant_info_write(const oct_quant_info *info, oct_arena *arena,
                                               const char **out);

/* After the passes of a file with octet.quant: what they left becomes integers. */
OCT_MUST_CHECK oct_status oct_quantized_restore(oct_model *m);

/* Writes m, which was described, folded (fold_arch) and quantized; measured: octet.measured, or
 * NULL. */
OCT_MUST_CHECK oct_status oct_quantized_save(const oct_model *m, const char *path,
                                             const oct_save_info *info,
                                             const oct_quant_info *quant, const char *measured);

#endif
