#include "ops/spread.h"

enum {
    INLINE_SIZE = 128 << 10, /* bytes; 3 microseconds, a parallel region, at 40 GB/s */
    RUN_SIZE    = 32 << 10,  /* no run is much smaller */
    PER_THREAD  = 4,         /* runs a thread, so that one that starts late costs little */
};

typedef struct spread {
    size_t units, runs;
    oct_spread_body *body;
    void *arg;
} spread;

static void run(void *arg, int i, int thread)
{
    const spread *s = arg;
    const size_t r = (size_t)i, each = s->units / s->runs, more = s->units % s->runs;
    const size_t first = r * each + (r < more ? r : more); /* the first `more` do one more */
    (void)thread;
    s->body(s->arg, first, first + each + (r < more));
}

void oct_spread(oct_pool *pool, size_t units, size_t size, oct_spread_body *body, void *arg)
{
    const size_t total = units * size;
    if (pool->threads == 1 || total < INLINE_SIZE || units == 1) {
        body(arg, 0, units);
        return;
    }
    size_t runs = total / RUN_SIZE;
    if (runs > (size_t)pool->threads * PER_THREAD) runs = (size_t)pool->threads * PER_THREAD;
    if (runs > units) runs = units;
    spread s = { units, runs, body, arg };
    oct_parallel_for(pool, (int)runs, run, &s);
}
