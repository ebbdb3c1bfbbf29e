#ifndef OCT_OPS_CHANNELS_H
#define OCT_OPS_CHANNELS_H

#include "tensor/tensor.h"

/* Moving channels between BLOCKED images whose blocks do not line up: pad and concat.  A run is a
 * stretch of channels that stays in one block on both sides:
 *     y[.., to + l] = x[.., from + l],   0 <= l < len <= 64;   from < 0: fill bytes */
typedef struct oct_channel_run {
    int operand;            /* which x; the caller's affair */
    int from, to, len;
} oct_channel_run;

/* Cuts channels [from, from + len) -> [to, to + len), 0 <= len, into runs; returns how many, at
 * most oct_channels_most(len). */
int oct_channels_cut(int operand, int from, int to, int len, oct_channel_run *run);
size_t oct_channels_most(int len);

/* One run for one row of w pixels: the images begin at x and y, their planes have x_hw and y_hw
 * pixels, x_c and y_c channels; the row begins at pixels x_at and y_at; x advances step pixels. */
typedef struct oct_channel_row {
    size_t x_hw, y_hw, x_at, y_at, step, w;
    int x_c, y_c;
    size_t size;            /* bytes of an element */
    int fill;
} oct_channel_row;
void oct_channels_copy(const oct_channel_run *run, const oct_channel_row *row, const void *x,
                       void *y);

#endif
