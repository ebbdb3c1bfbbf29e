/* Where sparse blocks beat the dense integer kernels: a table of what was measured. */
#include "ops/conv2d_sparse_s8.h"
#include "ops/kernels/sparse_s8.h"
#include "tensor/cpu.h"

int oct_conv2d_sparse_s8_can(const oct_conv2d_shape *c)
{
    return c->groups == 1 && c->c % 4 == 0;
}

int oct_conv2d_sparse_s8_isa(unsigned cpu)
{
    static const int newest[] = { OCT_CPU_AVX512, OCT_CPU_AVXVNNI, OCT_CPU_AVX2, OCT_CPU_NEONI8MM,
                                  OCT_CPU_NEONDOT, OCT_CPU_NEON };
    for (size_t i = 0; i < sizeof newest / sizeof *newest; i++)
        if (cpu & (unsigned)newest[i]) return newest[i];
    return 0;
}

double oct_conv2d_sparse_s8_density(const oct_tensor *w)
{
    const oct_sparse_s8_weights rows = { .b = w->data, .n = w->dim[0], .c = w->dim[1],
                                         .taps = w->dim[2] * w->dim[3] };
    double blocks = 0;
    for (int j = 0; j < rows.n; j++) blocks += oct_sparse_s8_count(&rows, j);
    return blocks / ((double)rows.n * (rows.c / 4) * rows.taps);
}

/* Densities below which it is faster, by bench/RESULTS.md with a tenth less for what differs from
 * machine to machine; of NEON nothing was measured, so by the count of instructions and half of
 * that.  winograd: 3x3 without stride, which the dense way does with fewer products. */
typedef struct rule {
    int isa;
    double one, winograd, other; /* 1x1; 3x3 without stride; the rest */
    double bytes;              /* all of them times this for 8-bit x */
} rule;

static const rule rules[] = {
    { OCT_CPU_AVX512, .27, .19, .17, 1 },
    { OCT_CPU_AVXVNNI, .45, .25, .4, 1 },
    { OCT_CPU_AVX2, .65, .36, .65, .5 },
    { OCT_CPU_NEONI8MM, .1, .1, .1, 1 },
    { OCT_CPU_NEONDOT, .2, .2, .2, 1 },
    { OCT_CPU_NEON, .15, .08, .15, 1 },
};

double oct_conv2d_sparse_s8_limit(const oct_conv2d_shape *c, int isa, int x_max)
{
    for (size_t i = 0; i < sizeof rules / sizeof *rules && oct_conv2d_sparse_s8_can(c); i++) {
        const rule *r = &rules[i];
        if (r->isa != isa) continue;
        const int taps = c->kernel[0] * c->kernel[1], plain = c->stride[0] == 1 && taps == 9;
        return (taps == 1 ? r->one : plain ? r->winograd : r->other) *
               (x_max > 127 ? r->bytes : 1);
    }
    return 0;
}

int oct_conv2d_sparse_s8_pays(const oct_conv2d_shape *c, int isa, int x_max, double density)
{
    return density < oct_conv2d_sparse_s8_limit(c, isa, x_max);
}
