#ifndef OCT_QUANT_LN_H
#define OCT_QUANT_LN_H

#include <stdint.h>
#include <string.h>

/* ln x of a normal x > 0, within 4e-16 + 2 ulp; a fixed sequence of operations, the C library's
 * differs between machines.  x = 2^e m, m in [0.7, 1.4], t = (m - 1) / (m + 1), |t| < 0.172:
 *     ln m = 2 (t + t^3 / 3 + t^5 / 5 ...);  the first term left out is 2 t^21 / 21 < 1e-17 */
static inline double oct_ln(double x)
{
    uint64_t u;
    memcpy(&u, &x, sizeof u);
    int e = (int)(u >> 52) - 1023;
    u = (u & 0xfffffffffffff) | (uint64_t)1023 << 52;
    double m, sum = 0;
    memcpy(&m, &u, sizeof m);
    if (m > 1.4) m /= 2, e++;
    const double t = (m - 1) / (m + 1), tt = t * t;
    for (int k = 19; k >= 1; k -= 2) sum = sum * tt + 1.0 / k;
    return e * 0x1.62e42fefa39efp-1 + 2 * t * sum;
}

#endif
