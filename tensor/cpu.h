#ifndef OCT_TENSOR_CPU_H
#define OCT_TENSOR_CPU_H

#include "tensor/status.h"

/* One flag per generation we write kernels for, not one per CPUID bit. */
enum {
    OCT_CPU_AVX2     = 1 << 0, /* AVX2 + FMA + F16C, and the OS saves ymm */
    OCT_CPU_AVXVNNI  = 1 << 1, /* AVX2 + AVX-VNNI */
    OCT_CPU_AVX512   = 1 << 2, /* F + BW + DQ + VL + VNNI, and the OS saves zmm */
    OCT_CPU_NEON     = 1 << 3, /* any aarch64 */
    OCT_CPU_NEONDOT  = 1 << 4, /* + dotprod */
    OCT_CPU_NEONI8MM = 1 << 5, /* + i8mm */
    OCT_CPU_AVX512BF16 = 1 << 6, /* AVX512 + BF16: no ISA of its own, comes with avx512 */
};

unsigned oct_cpu_flags(void);             /* what the CPU has, less what the mask hides; */
                                          /* slow in a virtual machine: ask once a plan */
void     oct_cpu_set_mask(unsigned mask); /* tests, before any thread: be a lesser CPU */

/* Flags of the named ISA and everything older, for --isa and OCT_CPU: "ref" is 0, "avx512" is
 * AVX2 | AVXVNNI | AVX512 | AVX512BF16, as far as the CPU has them.
 * ERR_UNSUPPORTED if the name is unknown or this CPU lacks it. */
OCT_MUST_CHECK oct_status oct_cpu_isa(const char *name, unsigned *flags);
/* The same whether this CPU has it or not: to pack weights for another machine. */
OCT_MUST_CHECK oct_status oct_cpu_isa_any(const char *name, unsigned *flags);
const char *oct_cpu_isa_name(unsigned flags); /* the newest ISA in flags, "ref" if none */

#endif
