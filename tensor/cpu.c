#include "tensor/cpu.h"

#include <string.h>

static unsigned mask = ~0u;

#if defined(__x86_64__)
#include <cpuid.h>

static unsigned long long xgetbv0(void)
{
    unsigned lo, hi;
    __asm__ volatile("xgetbv" : "=a"(lo), "=d"(hi) : "c"(0));
    return (unsigned long long)hi << 32 | lo;
}

static int has(unsigned reg, unsigned bits) { return (reg & bits) == bits; }

static unsigned detect(void)
{
    enum { OSXSAVE = 1u << 27, AVX = 1u << 28, FMA = 1u << 12, F16C = 1u << 29 };
    enum { AVX2 = 1u << 5, F = 1u << 16, DQ = 1u << 17, BW = 1u << 30, VNNI = 1u << 11 };
    enum { AVXVNNI = 1u << 4, BF16 = 1u << 5 }; /* leaf 7, 1: eax */
    const unsigned VL = 1u << 31;
    enum { YMM_STATE = 0x06, ZMM_STATE = 0xe6 }; /* XCR0: the OS saves these */
    unsigned a, b, c, d, flags = 0;

    if (!__get_cpuid(1, &a, &b, &c, &d) || !has(c, OSXSAVE | AVX | FMA | F16C)) return 0;
    const unsigned long long xcr0 = xgetbv0();
    if ((xcr0 & YMM_STATE) != YMM_STATE || !__get_cpuid_count(7, 0, &a, &b, &c, &d)) return 0;
    if (!has(b, AVX2)) return 0;
    flags |= OCT_CPU_AVX2;
    if ((xcr0 & ZMM_STATE) == ZMM_STATE && has(b, F | DQ | BW | VL) && has(c, VNNI))
        flags |= OCT_CPU_AVX512;
    if (!__get_cpuid_count(7, 1, &a, &b, &c, &d)) return flags;
    if (has(a, AVXVNNI)) flags |= OCT_CPU_AVXVNNI;
    if (flags & OCT_CPU_AVX512 && has(a, BF16)) flags |= OCT_CPU_AVX512BF16;
    return flags;
}
#elif defined(__aarch64__)
#include <sys/auxv.h>

static unsigned detect(void)
{
    enum { ASIMDDP = 1 << 20, I8MM = 1 << 13 };  /* AT_HWCAP, AT_HWCAP2: Linux's numbers */
    unsigned flags = OCT_CPU_NEON;
    if (getauxval(AT_HWCAP) & ASIMDDP) flags |= OCT_CPU_NEONDOT;
    if (flags & OCT_CPU_NEONDOT && getauxval(AT_HWCAP2) & I8MM) flags |= OCT_CPU_NEONI8MM;
    return flags;
}
#else
static unsigned detect(void) { return 0; }
#endif

unsigned oct_cpu_flags(void) { return detect() & mask; }
void oct_cpu_set_mask(unsigned m) { mask = m; }

/* Oldest first within a family; `all` is the ISA and everything older. */
static const struct { const char *name; unsigned flag, all; } isas[] = {
    { "ref", 0, 0 },
    { "avx2", OCT_CPU_AVX2, OCT_CPU_AVX2 },
    { "avxvnni", OCT_CPU_AVXVNNI, OCT_CPU_AVX2 | OCT_CPU_AVXVNNI },
    { "avx512", OCT_CPU_AVX512,
      OCT_CPU_AVX2 | OCT_CPU_AVXVNNI | OCT_CPU_AVX512 | OCT_CPU_AVX512BF16 },
    { "neon", OCT_CPU_NEON, OCT_CPU_NEON },
    { "neondot", OCT_CPU_NEONDOT, OCT_CPU_NEON | OCT_CPU_NEONDOT },
    { "neoni8mm", OCT_CPU_NEONI8MM, OCT_CPU_NEON | OCT_CPU_NEONDOT | OCT_CPU_NEONI8MM },
};
enum { N_ISAS = sizeof isas / sizeof *isas };

static oct_status find_isa(const char *name, int *found)
{
    for (int i = 0; i < N_ISAS; i++)
        if (strcmp(name, isas[i].name) == 0) {
            *found = i;
            return OCT_OK;
        }
    return oct_fail(OCT_ERR_UNSUPPORTED, "unknown isa '%.80s' (ref, avx2, avxvnni, avx512, neon, "
                    "neondot, neoni8mm)", name);
}

oct_status oct_cpu_isa(const char *name, unsigned *flags)
{
    int i = 0;
    const unsigned have = oct_cpu_flags();
    OCT_TRY(find_isa(name, &i));
    if ((isas[i].flag & have) != isas[i].flag)
        return oct_fail(OCT_ERR_UNSUPPORTED, "isa %s: this CPU has %s at most", name,
                        oct_cpu_isa_name(have));
    *flags = isas[i].all & have;
    return OCT_OK;
}

oct_status oct_cpu_isa_any(const char *name, unsigned *flags)
{
    int i = 0;
    OCT_TRY(find_isa(name, &i));
    *flags = isas[i].all;
    return OCT_OK;
}

const char *oct_cpu_isa_name(unsigned flags)
{
    int best = 0;
    for (int i = 1; i < N_ISAS; i++)
        if (flags & isas[i].flag) best = i;
    return isas[best].name;
}
