/* Where FP32 weights with zeros left out beat the dense kernels: a table of what was measured. */
#include "ops/sparse_f32.h"

#include "ops/conv2d_sparse_f32.h"
#include "tensor/arena.h"
#include "tensor/cpu.h"

/* Densities below which it is faster: the break-even densities of docs/pruning.md, less a tenth of
 * each and more for what differs from run to run.  Of NEON nothing was measured: by the count of
 * instructions, and half of that. */
typedef struct rule {
    int isas;                       /* they have the same kernel */
    oct_sparse_f32_limit one, few;  /* 1x1; of up to FEW inputs: transposing weighs more */
    oct_sparse_f32_limit taps, small, linear; /* more taps; maps of up to SMALL outputs */
} rule;

enum { FEW = 64, SMALL = 64 }; /* outputs of maps that leave lanes unused */

static const rule rules[] = {
    { OCT_CPU_AVX512, { .43, .6 }, { .36, .53 }, { .25, .58 }, { .26, .53 }, { .3, .5 } },
    { OCT_CPU_AVXVNNI | OCT_CPU_AVX2,
      { .6, .65 }, { .5, .62 }, { .5, .65 }, { .5, .58 }, { .42, .6 } },
    { OCT_CPU_NEONI8MM | OCT_CPU_NEONDOT | OCT_CPU_NEON,
      { .2, .35 }, { .2, .35 }, { .2, .35 }, { .15, .3 }, { .15, .3 } },
};

static const rule *rule_of(int isa)
{
    for (size_t i = 0; i < sizeof rules / sizeof *rules; i++)
        if (rules[i].isas & isa) return &rules[i];
    return NULL;
}

oct_sparse_f32_limit oct_conv2d_sparse_f32_limit(const oct_conv2d_shape *c, int isa)
{
    const rule *r = oct_conv2d_sparse_f32_can(c) ? rule_of(isa) : NULL;
    if (!r) return (oct_sparse_f32_limit){ 0, 0 };
    if ((double)c->oh * c->ow <= SMALL) return r->small;
    if (c->kernel[0] * c->kernel[1] > 1) return r->taps;
    return c->c <= FEW ? r->few : r->one;
}

oct_sparse_f32_limit oct_linear_sparse_f32_limit(int isa)
{
    const rule *r = rule_of(isa);
    return r ? r->linear : (oct_sparse_f32_limit){ 0, 0 };
}

oct_status oct_sparse_f32_add(const oct_tensor *w, oct_sparse_f32_count *n)
{
    oct_tensor plain = *w;     /* a scale makes no zero */
    oct_arena tmp = { 0 };
    const size_t k = oct_tensor_sample_count(w);
    oct_sparse_f32_weights rows = { .w = &plain, .n = w->dim[0], .k = (int)k };
    plain.scale = NULL;
    rows.rows = oct_arena_alloc(&tmp, (OCT_SPARSE_F32_NR + 1) * k * sizeof(float));
    if (!rows.rows) return oct_fail(OCT_ERR_MEMORY, "sparse weights: out of memory");
    const oct_sparse_f32_count own = oct_sparse_f32_count_of(&rows);
    n->singles += own.singles;
    n->quads += own.quads;
    oct_arena_free(&tmp);
    return OCT_OK;
}

int oct_sparse_f32_pays(oct_sparse_f32_limit limit, const oct_sparse_f32_count *n, double weights)
{
    if (limit.singles <= 0 || limit.quads <= 0) return 0;
    return n->singles / limit.singles + 4 * n->quads / limit.quads < weights;
}
