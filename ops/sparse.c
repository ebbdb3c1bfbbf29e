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

/* Elements at, at + step, ... of w, 4 of them. */
static int is_zero(const oct_tensor *w, size_t at, size_t step)
{
    float x = 0;
    for (size_t p = 0; p < 4 && x == 0; p++) oct_tensor_read_f32(w, at + p * step, 1, &x);
    return x == 0;
}

size_t oct_sparse_blocks(const oct_tensor *w)
{
    oct_tensor plain = *w;     /* a scale makes no zero */
    plain.scale = NULL;
    size_t taps = 1, n = 0;
    for (int i = 2; i < w->rank; i++) taps *= (size_t)w->dim[i];
    const size_t quads = (size_t)w->dim[0] * (size_t)(w->dim[1] / 4);
    for (size_t q = 0; q < quads; q++)
        for (size_t t = 0; t < taps; t++) n += !is_zero(&plain, 4 * q * taps + t, taps);
    return n;
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
