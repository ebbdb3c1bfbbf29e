/* Where sparse blocks beat the dense integer kernels: a table of what was measured. */
#include "ops/conv2d_sparse_s8.h"
#include "ops/linear_sparse_s8.h"
#include "tensor/cpu.h"

int oct_conv2d_sparse_s8_can(const oct_conv2d_shape *c)
{
    return c->groups == 1 && c->c % 4 == 0;
}

/* Densities below which it is faster: the break-even densities of docs/pruning.md, less a tenth of
 * each and more for what differs from run to run, so that bench/sparse.sh finds no plan that is
 * slower.  Of NEON nothing was measured.  By the count of instructions for a product in the inner
 * loops, dense / sparse, the break-even would be 1.0 with dotprod, 0.4 with i8mm, whose usmmla does
 * two dot products, and 0.35 with neither; the table has a quarter of that and less: on AVX-512,
 * where the count says 0.8, strips, turned sums and small maps leave 0.3 to 0.5.  4x1 has as many
 * instructions for a product as 1x4 there: four loads, eight zips and four weights for 16 dot
 * products, where 1x4 has a load each; 2:4 as many as dense with dotprod, a table look-up
 * for the other sdot.  Winograd's layers need 2.25 to 4 times fewer products; on AVX-512 dense is
 * Winograd's in batches where it is not at batch 1, so its densities are those of batches. */
typedef struct densities {
    double one, winograd, other; /* 1x1; 3x3 without stride; the rest */
    double small;              /* at most, on maps of up to SMALL outputs: lanes are unused */
    double few;                /* at most, 1x1 of up to FEW inputs: transposing weighs more */
    double linear;             /* linear layers whose rows fill whole vectors */
    double bytes;              /* of convolutions times this for 8-bit x */
} densities;

enum { SMALL = 64, FEW = 64 };

typedef struct rule {
    int isa;
    densities across, down;    /* 1x4; 4x1 */
    int halved, least;         /* 2:4 pays, but for 3x3 without stride, for bytes of x up to this on
                                  maps of more outputs than that; 0: never */
} rule;

static const rule rules[] = {
    { OCT_CPU_AVX512, { .36, .19, .33, .24, 0, .33, 1 },
                      { .26, .22, .25, .3, 0, .33, 1 }, 0, 0 },
    { OCT_CPU_AVXVNNI, { .5, .33, .5, .42, .4, .38, 1 },
                       { .46, .36, .42, .36, .44, .38, 1 }, 255, 0 },
    { OCT_CPU_AVX2, { .65, .33, .65, .55, .5, .45, .5 },
                    { .52, .26, .42, .41, .53, .4, .6 }, 127, SMALL },
    { OCT_CPU_NEONI8MM, { .1, .05, .1, .1, .1, .1, 1 }, { .1, .05, .1, .1, .1, .1, 1 },
      0, 0 },
    { OCT_CPU_NEONDOT, { .2, .08, .2, .2, .1, .1, 1 }, { .2, .08, .2, .2, .1, .1, 1 },
      0, 0 },
    { OCT_CPU_NEON, { .08, .04, .08, .08, .08, .08, 1 },
                    { .08, .04, .08, .08, .08, .08, 1 }, 0, 0 },
};

static const rule *rule_of(int isa)
{
    for (size_t i = 0; i < sizeof rules / sizeof *rules; i++)
        if (rules[i].isa == isa) return &rules[i];
    return NULL;
}

static int is_plain(const oct_conv2d_shape *c)
{
    return c->kernel[0] * c->kernel[1] == 9 && c->stride[0] == 1 && c->stride[1] == 1;
}

static double limit_of(const densities *r, const oct_conv2d_shape *c, int x_max)
{
    const int taps = c->kernel[0] * c->kernel[1];
    double limit = taps == 1 ? r->one : r->other;
    if (is_plain(c)) limit = r->winograd;
    if (taps == 1 && c->c <= FEW && r->few < limit) limit = r->few;
    if ((double)c->oh * c->ow <= SMALL && r->small < limit) limit = r->small;
    return x_max > 127 ? limit * r->bytes : limit;
}

oct_sparse_forms oct_conv2d_sparse_s8_limit(const oct_conv2d_shape *c, int isa, int x_max)
{
    const rule *r = oct_conv2d_sparse_s8_can(c) ? rule_of(isa) : NULL;
    if (!r) return (oct_sparse_forms){ 0, 0, 0 };
    return (oct_sparse_forms){ limit_of(&r->across, c, x_max), limit_of(&r->down, c, x_max),
                               x_max <= r->halved && !is_plain(c) &&
                                   (double)c->oh * c->ow > r->least };
}

oct_sparse_forms oct_linear_sparse_s8_limit(int isa)
{
    const rule *r = rule_of(isa);
    return (oct_sparse_forms){ r ? r->across.linear : 0, r ? r->down.linear : 0, 0 };
}
