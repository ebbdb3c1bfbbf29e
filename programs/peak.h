#ifndef OCT_PROGRAMS_PEAK_H
#define OCT_PROGRAMS_PEAK_H

/* What one core can do: 10^9 operations a second, two a multiply-add, of the matrix product's
 * innermost tile for these CPU flags, operands in cache, best of several tries of about 10 ms.
 * FP32, and uint8 x int8.  0: out of memory. */
double peak_fp32(unsigned cpu_flags);
double peak_int8(unsigned cpu_flags);

#endif
