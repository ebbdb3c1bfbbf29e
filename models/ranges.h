#ifndef OCT_MODELS_RANGES_H
#define OCT_MODELS_RANGES_H

#include "models/save_meta.h"

/* octet.ranges of a file in floats: how large its values become, so that a device that holds them
 * as halves knows which it has no room for.
 *
 *   {"samples":10000,"sha256":"...","values":{"conv1":12.5,"input":2.64,...}}
 *
 * values: the largest |x| of what each step wrote, by the names of the nodes that all passes leave,
 * in FP32 on the CPU; samples and sha256: of the data, as tensors or token ids.
 *
 * A value is wide from OCT_RANGES_WIDE on, a quarter of half's largest, 65504: other samples have
 * larger values.  Where large values are as rare as an exponential distribution has them, the
 * largest of n grows as log n: of 10^11 values it is 2.2 times that of 10^5.  What goes beyond half
 * even so is counted by the device, and is an error. */
#define OCT_RANGES_WIDE (65504.0 / 4)

/* *names: [*n] the wide ones, in m's arena; none where the file has no ranges.  ERR_FORMAT: the
 * metadata is none. */
OCT_MUST_CHECK oct_status oct_ranges_wide(oct_model *m, const char *const **names, int *n);

/* Writes m's tensors and metadata as its file has them to path, with the ranges of the runs that m,
 * loaded with watch, had.  ERR_FORMAT: a value was not finite.  ERR_UNSUPPORTED: m is quantized or
 * compiled, or not FP32 on the CPU with all passes. */
typedef struct oct_ranges_data {
    int samples;
    const char *sha256;
} oct_ranges_data;
OCT_MUST_CHECK oct_status oct_ranges_check(const oct_model *m);
OCT_MUST_CHECK oct_status oct_ranges_save(const oct_model *m, const char *path,
                                          const oct_save_info *info, oct_ranges_data data);

#endif
