#ifndef OCT_MODELS_QUANTIZER_H
#define OCT_MODELS_QUANTIZER_H

#include "models/quantized.h"

/* What the programs may do with a quantizer beyond octet.h: see its ranges, try layers in FP32
 * without a file, say more in the file. */

/* As oct_quantizer_open, on a model that was loaded from path with these options; it stays the
 * caller's.  m NULL: it is loaded. */
OCT_MUST_CHECK oct_status oct_quantizer_attach(const char *path, const oct_options *options,
                                               oct_model *m, const oct_quantizer_options *how,
                                               oct_quantizer **out);

/* What was counted so far; NULL if the method is dynamic. */
const oct_calibration *oct_quantizer_calibration(const oct_quantizer *q);

/* What octet.quant says of method and samples; info->kept and table are empty. */
OCT_MUST_CHECK oct_status oct_quantizer_info(oct_quantizer *q, oct_quant_info *info);

/* The model quantized, described and not planned (oct_model_plan), for a batch (0: the options'),
 * kept layers in FP32: they replace how->keep.  *out is the caller's; info, if not NULL, is what
 * the file would say. */
OCT_MUST_CHECK oct_status oct_quantizer_build(oct_quantizer *q, const oct_quant_kept *kept,
                                              int n_kept, int batch, oct_model **out,
                                              oct_quant_info *info);

/* What a file says beyond what the quantizer knows. */
typedef struct oct_quantizer_save_info {
    oct_save_info save;
    const char *forced;        /* cause for which lint refused the samples, or NULL */
    const char *measured;      /* octet.measured, or NULL */
} oct_quantizer_save_info;

OCT_MUST_CHECK oct_status oct_quantizer_write(oct_quantizer *q, const char *path,
                                              const oct_quant_kept *kept, int n_kept,
                                              const oct_quantizer_save_info *info);

#endif
