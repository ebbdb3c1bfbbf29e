#ifndef OCT_PROGRAMS_PEAK_H
#define OCT_PROGRAMS_PEAK_H

/* What one core can do: FP32 GFLOP/s of the matrix product's innermost tile for these CPU flags,
 * operands in cache, best of several tries of about 10 ms.  0: out of memory. */
double peak_fp32(unsigned cpu_flags);

#endif
