#ifndef OCT_QUANT_PASS_QUANTIZE_H
#define OCT_QUANT_PASS_QUANTIZE_H

#include "graph/graph.h"
#include "ops/attr.h"
#include "quant/calibrate.h"

/* Integers in place of FP32, on a graph after fold_bn, fuse and dce.
 *
 *   conv2d, linear   int8 weights, one scale an output channel; uint8 x; int32 bias
 *   their output     uint8 if something quantized reads it and the caller does not, else FP32
 *   add              uint8 if its sum is read as uint8
 *   pools, pad, flatten   on whatever their operand is
 *   embedding        tables by rows, as pass_dynamic; its output, and all other nodes', FP32
 *
 * Values are quantized by ranges that calibration found, by their nodes' names; a value that only
 * a maximum reads gets the range of that.  So convolutions, residuals and pools stay in integers
 * from the first layer to the last; what the caller reads is FP32.
 *
 * smooth: the two linear layers around a GELU, if their x is FP32 and nothing else reads it as
 * integers, exchange a factor a channel with it (quant/smooth.h); its range is then from its least
 * to its largest value, whatever the method, since counts know of no channels. */
typedef struct oct_quantize_options {
    oct_method method;
    int qmax;                  /* of activations, 127 or 255: 7 or 8 bits */
    int ppm;                   /* as in oct_method_options */
    int bias_correction;       /* 1: calibration must have means */
    double smooth[2];          /* strength before and after the GELU, 0 to 1; 0: none; else */
                               /* calibration must have extremes */
    const char *const *keep;   /* [n_keep] names of conv2d, linear and add nodes that stay FP32 */
    int n_keep;
} oct_quantize_options;

/* How values are quantized, by the names of the nodes that write them ("input": the caller's). */
typedef struct oct_quant_entry {
    const char *name;
    oct_quant quant;
    oct_tensor *by;            /* F32 [channels], OCT_QUANTIZE_BY of an FP32 value; or NULL */
} oct_quant_entry;

typedef struct oct_quant_table {
    const oct_quant_entry *entry;
    int n;
} oct_quant_table;

/* c: of a plan of the same graph, FP32; constants' data must be there.  ERR_FORMAT if c lacks a
 * value; ERR_UNSUPPORTED if a name of keep is not in the graph, or there is no layer to
 * smooth.  changes: layers quantized.
 * table, if not NULL, is what oct_pass_restore needs to do the same again, in the graph's arena. */
OCT_MUST_CHECK oct_status oct_pass_quantize(oct_graph *g, const oct_calibration *c,
                                            const oct_quantize_options *options,
                                            oct_quant_table *table, int *changes);

/* The same from a file: conv2d and linear nodes whose weights are S8 become integers, the others
 * stay; add nodes named in keep do, too.  ERR_FORMAT if the table lacks a value. */
OCT_MUST_CHECK oct_status oct_pass_restore(oct_graph *g, const oct_quant_table *table,
                                           const char *const *keep, int n_keep, int *changes);

#endif
