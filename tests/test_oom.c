/* Allocation 1, 2, 3 ... of an operation fails, until it needs no more: each time it says
 * ERR_MEMORY or does without, and leaves nothing behind. */
#include <stdatomic.h>
#include <string.h>

#include "tensor/arena.h"
#include "tensor/threads.h"
#include "tests/fail_alloc.h"
#include "tests/suite.h"

/* ---- the operations: each does all it does, undoes it, and says how it went ---- */

static oct_status fill_arena(void)
{
    oct_arena arena = { 0 };
    oct_status status = OCT_OK;
    for (size_t size = 1; size < 5 << 20 && status == OCT_OK; size *= 3) {
        char *p = oct_arena_zalloc(&arena, size);
        if (!p) status = oct_fail(OCT_ERR_MEMORY, "no memory for %zu bytes", size);
        else memset(p, 1, size + OCT_TAIL);
    }
    if (status == OCT_OK && !oct_arena_strdup(&arena, "conv1"))
        status = oct_fail(OCT_ERR_MEMORY, "no memory for a name");
    oct_arena_free(&arena);
    return status;
}

static void count_up(void *arg, int i, int thread)
{
    (void)i, (void)thread;
    atomic_fetch_add((atomic_int *)arg, 1);
}

static oct_status use_pool(void)
{
    oct_pool *pool;
    atomic_int calls = 0;
    OCT_TRY(oct_pool_open(4, &pool));
    oct_parallel_for(pool, 100, count_up, &calls);
    oct_pool_close(pool);
    return calls == 100 ? OCT_OK : OCT_ERR_DEVICE;
}

/* ---- the loop ---- */

static const struct operation {
    const char *name;
    oct_status (*run)(void);
    int may_do_without; /* OK is an answer too when an allocation failed */
    int keeps;          /* blocks the C library may keep, in all: one a thread, for the next one */
} operations[] = {
    { "arena", fill_arena, 0, 0 },
    { "pool", use_pool, 1, 3 },
};

static void starve(const struct operation *op, int lasting)
{
    const long before = fail_alloc_live();
    for (long n = 1;; n++) {
        fail_alloc_begin(n, lasting);
        const oct_status status = op->run();
        const long used = fail_alloc_end(), kept = fail_alloc_live() - before;
        ck_assert_msg(kept <= op->keeps, "%s: failing allocation %ld leaks %ld blocks", op->name,
                      n, kept);
        if (used < n) {
            ck_assert_msg(status == OCT_OK, "%s: %s", op->name, oct_last_error());
            ck_assert_msg(n > 1, "%s: no allocation was seen", op->name);
            return;
        }
        ck_assert_msg(status == OCT_ERR_MEMORY || (status == OCT_OK && op->may_do_without),
                      "%s: allocation %ld failed, and the answer is '%s'", op->name, n,
                      oct_status_name(status));
    }
}

START_TEST(every_allocation_may_fail)
{
    for (size_t i = 0; i < sizeof operations / sizeof *operations; i++) {
        starve(&operations[i], 0);
        starve(&operations[i], 1);
    }
}
END_TEST

START_TEST(a_region_does_not_allocate)
{
    oct_pool *pool;
    atomic_int calls = 0;
    ck_assert_int_eq(oct_pool_open(3, &pool), OCT_OK);
    fail_alloc_begin(0, 0);
    for (int k = 0; k < 100; k++) oct_parallel_for(pool, 100, count_up, &calls);
    ck_assert_int_eq(fail_alloc_end(), 0);
    oct_pool_close(pool);
}
END_TEST

/* The helper itself: what it counts, what fails, and that failing stops. */
START_TEST(the_helper_counts)
{
    void *volatile p[7] = { 0 };
    const long before = fail_alloc_live();
    fail_alloc_begin(3, 0);
    p[0] = malloc(10);
    p[1] = calloc(2, 10);
    p[2] = aligned_alloc(64, 64);
    p[3] = realloc(p[0], 100000);
    p[4] = strdup("in the C library");
    const long n = fail_alloc_end(), live = fail_alloc_live();
    p[5] = malloc(10);
    ck_assert_int_eq(n, 5);
    ck_assert_int_eq(live - before, 3);
    ck_assert(p[1] && !p[2] && p[3] && p[4] && p[5]);
    fail_alloc_begin(2, 1);
    p[0] = malloc(10);
    p[2] = malloc(10);
    p[6] = realloc(p[3], 10);
    fail_alloc_end();
    ck_assert(p[0] && !p[2] && !p[6]);
    const int freed[] = { 0, 1, 3, 4, 5 };
    for (int i = 0; i < 5; i++) free(p[freed[i]]);
    ck_assert_int_eq(fail_alloc_live(), before);
}
END_TEST

int main(void)
{
    const TTest *const tests[] = {
        the_helper_counts, every_allocation_may_fail, a_region_does_not_allocate,
    };
    if (!fail_alloc_works()) return TEST_SKIP;
    return suite_run("oom", tests, sizeof tests / sizeof *tests);
}
