#include "quant/product.h"

#include <stdint.h>
#include <stdlib.h>

#include "ops/attr.h"

struct oct_product {
    oct_pool *pool;
    oct_linear_attr attr;
    oct_tensor a, b, c;
    oct_args args;
    void *state;
    oct_run how;
    oct_arena arena;
};

static oct_status out_of_memory(void) { return oct_fail(OCT_ERR_MEMORY, "repair: out of memory"); }

static oct_status open(oct_product *p, int m, int n, int k, const float *b, unsigned cpu)
{
    p->a = (oct_tensor){ .rank = 2, .dim = { m, k } };
    p->b = (oct_tensor){ .rank = 2, .dim = { n, k } };
    p->b.data = (float *)(uintptr_t)b; /* only read */
    p->args = (oct_args){ .attr = &p->attr, .in = { &p->a, &p->b }, .out = &p->c };
    oct_prepare how = { .cpu = cpu, .threads = p->pool->threads, .arena = &p->arena };
    OCT_TRY(oct_op_linear.infer(&p->args));
    OCT_TRY(oct_op_linear.prepare(&p->args, &how, &p->state));
    p->b.data = NULL;
    p->how.pool = p->pool;
    p->how.thread_stride = (how.thread_size + OCT_ALIGN - 1) / OCT_ALIGN * OCT_ALIGN + OCT_TAIL;
    p->how.thread_base = oct_arena_alloc(&p->arena, p->how.thread_stride *
                                                    (size_t)p->pool->threads);
    p->how.shared = oct_arena_alloc(&p->arena, how.shared_size);
    return p->how.thread_base && p->how.shared ? OCT_OK : out_of_memory();
}

oct_status oct_product_open(int m, int n, int k, const float *b, unsigned cpu, oct_pool *pool,
                            oct_product **out)
{
    *out = NULL;
    oct_product *p = calloc(1, sizeof *p);
    if (!p) return out_of_memory();
    p->pool = pool;
    const oct_status status = open(p, m, n, k, b, cpu);
    if (status != OCT_OK) oct_product_close(p);
    else *out = p;
    return status;
}

void oct_product_run(oct_product *p, int rows, const float *a, int add, float *c)
{
    p->a.data = (float *)(uintptr_t)a;
    p->c.data = c;
    p->args.in[OCT_LINEAR_RESIDUAL] = add ? &p->c : NULL;
    p->how.n = rows;
    oct_op_linear.run(&p->args, p->state, &p->how);
}

void oct_product_close(oct_product *p)
{
    if (!p) return;
    oct_arena_free(&p->arena);
    free(p);
}
