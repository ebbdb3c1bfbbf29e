#include "ops/qparams.h"

oct_qparams oct_qparams_u8(oct_range range, int qmax)
{
    const double lo = range.lo < 0 ? (double)range.lo : 0, hi = range.hi > 0 ? (double)range.hi : 0;
    oct_qparams p = { .scale = 1, .zero = 0 };
    if (lo == hi) return p;
    p.scale = (float)((hi - lo) / qmax); /* in double: 2 FLT_MAX is not a float */
    if (p.scale < 0x1p-64f) p.scale = 0x1p-64f;
    const double steps = -lo / (double)p.scale;
    const double zero = (steps + 0x1.8p52) - 0x1.8p52; /* to even: the sum has no bits below 1 */
    p.zero = zero < qmax ? (int)zero : qmax;
    return p;
}
