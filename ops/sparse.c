#include "ops/sparse.h"

#include "tensor/cpu.h"

int oct_sparse_isa(unsigned cpu)
{
    static const int newest[] = { OCT_CPU_AVX512, OCT_CPU_AVXVNNI, OCT_CPU_AVX2, OCT_CPU_NEONI8MM,
                                  OCT_CPU_NEONDOT, OCT_CPU_NEON };
    for (size_t i = 0; i < sizeof newest / sizeof *newest; i++)
        if (cpu & (unsigned)newest[i]) return newest[i];
    return 0;
}

/* Of the blocks of 4 at, at + step, ... how many are not all zero: those that begin at w[i * each]
 * and at the `taps` places from there on. */
static double count(const int8_t *w, size_t n, size_t each, size_t taps, size_t step)
{
    size_t blocks = 0;
    for (size_t i = 0; i < n; i++, w += each)
        for (size_t t = 0; t < taps; t++)
            blocks += w[t] || w[t + step] || w[t + 2 * step] || w[t + 3 * step];
    return (double)blocks;
}

/* At most two of each 4 consecutive inputs at one tap. */
static int is_24(const oct_tensor *w)
{
    const size_t taps = oct_tensor_sample_count(w) / (size_t)w->dim[1];
    const size_t quads = oct_tensor_count(w) / taps / 4;
    const int8_t *at = w->data;
    for (size_t q = 0; q < quads; q++, at += 4 * taps)
        for (size_t t = 0; t < taps; t++) {
            int n = 0;
            for (size_t p = 0; p < 4; p++) n += at[p * taps + t] != 0;
            if (n > 2) return 0;
        }
    return 1;
}

oct_sparse_forms oct_sparse_blocks(const oct_tensor *w)
{
    const size_t row = oct_tensor_sample_count(w), taps = row / (size_t)w->dim[1];
    const size_t out = (size_t)w->dim[0], whole = out / 4 * 4;
    oct_sparse_forms n = { .across = count(w->data, out * row / taps / 4, 4 * taps, taps, taps),
                           .halved = is_24(w) };
    n.down = count(w->data, whole / 4, 4 * row, row, row);
    for (size_t k = 0; k < row && whole < out; k++) { /* up to three that are left */
        int is = 0;
        for (size_t o = whole; o < out; o++) is |= ((const int8_t *)w->data)[o * row + k] != 0;
        n.down += is;
    }
    return n;
}

int oct_sparse_pays(oct_sparse_forms blocks, oct_sparse_forms limit, double weights)
{
    return 4 * blocks.across < weights * limit.across || 4 * blocks.down < weights * limit.down ||
           (blocks.halved && limit.halved);
}

int oct_sparse_share(oct_sparse_forms blocks, oct_sparse_forms limit, double weights)
{
    const int across = 4 * blocks.across < weights * limit.across;
    const int down = 4 * blocks.down < weights * limit.down;
    if (across != down) return down ? 4 : 1;
    if (!down) return blocks.down < blocks.across ? 4 : 1;
    return blocks.down * limit.across < blocks.across * limit.down ? 4 : 1;
}

int oct_sparse_form(const oct_prepare *how, const oct_tensor *w, oct_sparse_forms limit,
                    int can_24)
{
    if (!how->given) {
        const oct_sparse_forms blocks = oct_sparse_blocks(w);
        const double weights = (double)oct_tensor_count(w);
        const int few = 8 * blocks.across < weights || 8 * blocks.down < weights;
        limit.halved = 0;
        if (can_24 && blocks.halved && !few && !oct_sparse_pays(blocks, limit, weights))
            return OCT_SPARSE_24;
        return oct_sparse_share(blocks, limit, weights);
    }
    if (how->n_packed >= how->n_given) return 1; /* none is given: refused when it is asked for */
    const oct_packed *given = &how->given[how->n_packed];
    const int first = given->size < sizeof first ? 0 : *(const int *)given->data;
    return first == 4 || (first == OCT_SPARSE_24 && can_24) ? first : 1;
}

typedef struct job {
    int n_panels, panel_items;
    oct_sparse_body *body;
    void *arg;
} job;

static void item(void *arg, int i, int thread)
{
    const job *j = arg;
    const int pi = i % j->panel_items;
    j->body(j->arg, &(oct_sparse_part){
        .strip = i / j->panel_items,
        .p0 = (int)((long long)j->n_panels * pi / j->panel_items),
        .p1 = (int)((long long)j->n_panels * (pi + 1) / j->panel_items) }, thread);
}

void oct_sparse_each(int strips, int n_panels, double macs, oct_pool *pool, oct_sparse_body *body,
                     void *arg)
{
    enum { ALONE = 400000 };   /* multiply-adds not worth a parallel region */
    const int alone = pool->threads == 1 || macs < ALONE;
    job j = { n_panels, 1, body, arg };
    if (!alone && strips < 4 * pool->threads)
        j.panel_items = pool->threads < n_panels ? pool->threads : n_panels;
    if (!alone) oct_parallel_for(pool, strips * j.panel_items, item, &j);
    else for (int i = 0; i < strips; i++) item(&j, i, 0);
}
