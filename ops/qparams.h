#ifndef OCT_OPS_QPARAMS_H
#define OCT_OPS_QPARAMS_H

#include "tensor/inline.h"

/* From a range of activations to uint8 0 .. qmax:  real = scale (q - zero).  The one definition,
 * for ranges that calibration finds and for those found at run time; a fixed sequence of IEEE
 * operations, so scales have the same bits on every machine. */
typedef struct oct_range {
    float lo, hi;      /* lo <= 0 <= hi */
} oct_range;

typedef struct oct_qparams {
    float scale;       /* finite, >= 2^-64 */
    int zero;          /* 0..qmax */
} oct_qparams;

/* The range is first widened to hold 0, which is then exact: padding and ReLU need it.
 *
 *   lo = 0   zero = 0                      scale = hi / qmax
 *   lo < 0   zero = round(-lo / scale)     scale = (hi - lo) / qmax
 *
 * both rounded once, ties to even.  Rounding zero shifts the grid by up to half a step, so an end
 * of the range may be represented half a step off.  lo = hi = 0: scale 1.  A range so narrow that
 * the scale would fall below 2^-64 gets that: s_in * s_weight then stays a normal float. */
OCT_INLINE oct_qparams oct_qparams_u8(oct_range range, int qmax) /* qmax 127 or 255 */
{
    const double lo = range.lo < 0 ? (double)range.lo : 0, hi = range.hi > 0 ? (double)range.hi : 0;
    oct_qparams p = { 1, 0 };
    if (lo == hi) return p;
    p.scale = (float)((hi - lo) / qmax); /* in double: 2 FLT_MAX is not a float */
    if (p.scale < 0x1p-64f) p.scale = 0x1p-64f;
    const double steps = -lo / (double)p.scale;
    const double zero = (steps + 0x1.8p52) - 0x1.8p52; /* to even: the sum has no bits below 1 */
    p.zero = zero < qmax ? (int)zero : qmax;
    return p;
}

#endif
