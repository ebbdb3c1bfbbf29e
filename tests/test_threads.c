/* The pool.  `test_threads --bench` prints what a region costs. */
#include "config.h"

#include "tensor/threads.h"

#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "tests/suite.h"

enum { MANY = 4096, MOST_THREADS = 8 };

/* ---- a thread the system refuses ---- */

static atomic_int threads_left = 1 << 30; /* pthread_create fails once it is 0 */

#ifdef HAVE_LD_WRAP
int __real_pthread_create(pthread_t *, const pthread_attr_t *, void *(*)(void *), void *);
int __wrap_pthread_create(pthread_t *, const pthread_attr_t *, void *(*)(void *), void *);
int __wrap_pthread_create(pthread_t *id, const pthread_attr_t *attr, void *(*f)(void *), void *arg)
{
    return atomic_fetch_sub(&threads_left, 1) > 0 ? __real_pthread_create(id, attr, f, arg)
                                                  : EAGAIN;
}
#endif

/* ---- a body that notes everything ---- */

typedef struct record {
    int threads;
    atomic_int *busy;            /* [MOST_THREADS] bodies now running under this number */
    atomic_int *count;           /* [n] calls for each i */
    atomic_int wrong, met;       /* broken promises; bodies that have begun */
    int together;                /* a body waits until so many have begun */
    oct_pool *inner;             /* run a nested region on this pool */
    int only;                    /* if not 0: every body has the thread number only - 1 */
} record;

static void note(void *arg, int i, int thread)
{
    record *r = arg;
    if (thread < 0 || thread >= r->threads || (r->only && thread != r->only - 1)) {
        atomic_fetch_add(&r->wrong, 1);
        return;
    }
    if (atomic_fetch_add(&r->busy[thread], 1)) atomic_fetch_add(&r->wrong, 1);
    atomic_fetch_add(&r->count[i], 1);
    atomic_fetch_add(&r->met, 1);
    while (atomic_load(&r->met) < r->together) sched_yield();
    atomic_fetch_sub(&r->busy[thread], 1);
}

/* One region of n bodies, of which the first `together` must run at once. */
static void check_region(oct_pool *pool, atomic_int *busy, int n, int together)
{
    atomic_int *count = calloc((size_t)n + 1, sizeof *count);
    record r = { .threads = pool->threads, .busy = busy, .count = count, .together = together };
    oct_parallel_for(pool, n, note, &r);
    ck_assert_int_eq(r.wrong, 0);
    int other = 0; /* counted first: Check writes to a file at every assertion */
    for (int i = 0; i < n; i++) other += count[i] != 1;
    ck_assert_int_eq(other, 0);
    ck_assert_int_eq(count[n], 0);
    free(count);
}

static oct_pool *open_pool(int threads)
{
    oct_pool *pool;
    ck_assert_int_eq(oct_pool_open(threads, &pool), OCT_OK);
    ck_assert_int_eq(pool->threads, threads);
    return pool;
}

START_TEST(every_index_once)
{
    static const int sizes[] = { 0, 1, 2, 3, 7, 8, 9, 64, 1000, MANY };
    for (int threads = 1; threads <= MOST_THREADS; threads++) {
        atomic_int busy[MOST_THREADS] = { 0 };
        oct_pool *pool = open_pool(threads);
        for (size_t k = 0; k < sizeof sizes / sizeof *sizes; k++)
            check_region(pool, busy, sizes[k], 0);
        oct_pool_close(pool);
    }
}
END_TEST

START_TEST(all_threads_work)
{
    for (int threads = 1; threads <= MOST_THREADS; threads++) {
        atomic_int busy[MOST_THREADS] = { 0 };
        oct_pool *pool = open_pool(threads);
        for (int k = 0; k < 20; k++) check_region(pool, busy, threads + k % 2, threads);
        oct_pool_close(pool);
    }
}
END_TEST

/* Each region has a body, an argument and a size of its own: none may leak into the next. */
static void add(void *arg, int i, int thread)
{
    (void)thread;
    atomic_fetch_add((atomic_int *)arg, i + 1);
}
static void subtract(void *arg, int i, int thread)
{
    (void)thread;
    atomic_fetch_sub((atomic_int *)arg, i + 1);
}

START_TEST(many_regions)
{
    const int regions = test_emulated() ? 500 : 10000;
    for (int threads = 2; threads <= MOST_THREADS; threads += 2) {
        atomic_int sum[7] = { 0 };
        oct_pool *pool = open_pool(threads);
        for (int k = 0; k < regions; k++) {
            const int n = 1 + k % 13, want = n * (n + 1) / 2;
            oct_parallel_for(pool, n, add, &sum[k % 7]);
            ck_assert_int_eq(atomic_load(&sum[k % 7]), want);
            oct_parallel_for(pool, n, subtract, &sum[k % 7]);
            ck_assert_int_eq(atomic_load(&sum[k % 7]), 0);
        }
        oct_pool_close(pool);
    }
}
END_TEST

static void sleep_ms(int ms)
{
    nanosleep(&(struct timespec){ ms / 1000, ms % 1000 * 1000000 }, NULL);
}

static double seconds(clockid_t clock)
{
    struct timespec t;
    clock_gettime(clock, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

START_TEST(idle_workers_sleep_and_wake)
{
    atomic_int busy[MOST_THREADS] = { 0 };
    oct_pool *pool = open_pool(4);
    for (int k = 0; k < 10; k++) {
        check_region(pool, busy, 4, 4);
        sleep_ms(2);
    }
    const double begin = seconds(CLOCK_PROCESS_CPUTIME_ID);
    sleep_ms(200);
    const double used = seconds(CLOCK_PROCESS_CPUTIME_ID) - begin;
    ck_assert_msg(used < 0.05, "3 idle workers used %.0f ms of 200", used * 1e3);
    check_region(pool, busy, 4, 4);
    oct_pool_close(pool);
}
END_TEST

/* A body much longer than the spin: the caller, which has nothing to do, must sleep too. */
static void slow_for_others(void *arg, int i, int thread)
{
    (void)i;
    atomic_int *met = arg;
    atomic_fetch_add(met, 1);
    while (atomic_load(met) < 2) sched_yield();
    if (thread) sleep_ms(200);
}

START_TEST(waiting_caller_sleeps)
{
    oct_pool *pool = open_pool(2);
    atomic_int met = 0;
    const double begin = seconds(CLOCK_PROCESS_CPUTIME_ID);
    oct_parallel_for(pool, 2, slow_for_others, &met);
    const double used = seconds(CLOCK_PROCESS_CPUTIME_ID) - begin;
    ck_assert_msg(used < 0.05, "waiting used %.0f ms of 200", used * 1e3);
    oct_pool_close(pool);
}
END_TEST

static void nest(void *arg, int i, int thread)
{
    record *r = arg;
    (void)i;
    record in = { .threads = r->threads, .busy = r->busy, .count = r->count, .only = r->only };
    if (r->only) in.only = thread + 1;
    atomic_fetch_add(&r->met, 1);
    while (atomic_load(&r->met) < r->together) sched_yield();
    oct_parallel_for(r->inner, 10, note, &in); /* the inner bodies run under our number */
    if (in.wrong || thread >= r->threads) atomic_fetch_add(&r->wrong, 1);
}

START_TEST(nested_regions)
{
    oct_pool *pool = open_pool(3), *other = open_pool(2);
    atomic_int busy[MOST_THREADS] = { 0 }, count[10] = { 0 };
    record r = { .threads = 3, .busy = busy, .count = count, .inner = pool,
                 .together = 3, .only = 1 };
    oct_parallel_for(pool, 50, nest, &r);
    for (int i = 0; i < 10; i++) ck_assert_int_eq(count[i], 50);
    r.inner = other; /* not nested: its own numbers, one region after the other */
    r.only = 0;
    oct_parallel_for(pool, 50, nest, &r);
    for (int i = 0; i < 10; i++) ck_assert_int_eq(count[i], 100);
    ck_assert_int_eq(r.wrong, 0);
    check_region(pool, busy, 3, 3);
    oct_pool_close(pool);
    oct_pool_close(other);
}
END_TEST

typedef struct shared { oct_pool *pool; atomic_int *busy; } shared;

static void *caller(void *arg)
{
    const shared *s = arg;
    for (int k = 0; k < 200; k++) check_region(s->pool, s->busy, 1 + k % 6, 0);
    return NULL;
}

START_TEST(many_callers)
{
    for (int threads = 1; threads <= 3; threads++) {
        atomic_int busy[MOST_THREADS] = { 0 }; /* the callers' too: numbers are never shared */
        shared s = { open_pool(threads), busy };
        pthread_t id[4];
        for (int i = 0; i < 4; i++) ck_assert_int_eq(pthread_create(&id[i], NULL, caller, &s), 0);
        for (int i = 0; i < 4; i++) pthread_join(id[i], NULL);
        oct_pool_close(s.pool);
    }
}
END_TEST

START_TEST(open_and_close)
{
    oct_pool_close(NULL);
    for (int k = 0; k < 200; k++) oct_pool_close(open_pool(1 + k % 5));
    oct_pool *pool;
    ck_assert_int_eq(oct_pool_open(0, &pool), OCT_OK);
    ck_assert_int_eq(pool->threads, oct_threads_default());
    oct_pool_close(pool);
}
END_TEST

START_TEST(refused_threads)
{
#ifdef HAVE_LD_WRAP
    for (int allowed = 0; allowed < 4; allowed++) {
        atomic_int busy[MOST_THREADS] = { 0 };
        oct_pool *pool;
        atomic_store(&threads_left, allowed);
        ck_assert_int_eq(oct_pool_open(8, &pool), OCT_OK);
        ck_assert_int_eq(pool->threads, 1 + allowed);
        check_region(pool, busy, 100, 1 + allowed);
        oct_pool_close(pool);
    }
#endif
}
END_TEST

START_TEST(workers_take_no_signals)
{
    sigset_t one, pending;
    oct_pool *pool = open_pool(4);
    sigemptyset(&one);
    sigaddset(&one, SIGTERM);
    ck_assert_int_eq(pthread_sigmask(SIG_BLOCK, &one, NULL), 0);
    kill(getpid(), SIGTERM); /* would end the process, were a worker there to take it */
    sleep_ms(10);
    sigpending(&pending);
    ck_assert_int_eq(sigismember(&pending, SIGTERM), 1);
    oct_pool_close(pool);
}
END_TEST

static void serial(oct_pool *self, int n, oct_body *body, void *arg)
{
    (void)self;
    for (int i = n - 1; i >= 0; i--) body(arg, i, 0);
}

START_TEST(callers_own_pool)
{
    atomic_int busy[1] = { 0 };
    oct_pool pool = { 1, serial };
    check_region(&pool, busy, 10, 1);
}
END_TEST

/* ---- what a region costs ---- */

static void nothing(void *arg, int i, int thread) { (void)arg, (void)i, (void)thread; }

typedef struct meeting { atomic_int met; int all; } meeting;

static void meet(void *arg, int i, int thread) /* returns when every thread is here */
{
    meeting *m = arg;
    (void)i, (void)thread;
    atomic_fetch_add(&m->met, 1);
    while (atomic_load(&m->met) < m->all) continue;
}

/* Best mean of a few rounds, microseconds a region of `threads` bodies. */
static double cost(oct_pool *pool, oct_body *body, int pause_us)
{
    const int regions = pause_us ? 200 : 20000;
    double best = 1e9;
    for (int k = 0; k < 7; k++) {
        double sum = 0;
        for (int i = 0; i < regions; i++) {
            meeting m = { 0, pool->threads };
            if (pause_us) nanosleep(&(struct timespec){ 0, pause_us * 1000 }, NULL);
            const double begin = seconds(CLOCK_MONOTONIC);
            oct_parallel_for(pool, pool->threads, body, &m);
            sum += seconds(CLOCK_MONOTONIC) - begin;
        }
        if (sum / regions < best) best = sum / regions;
    }
    return best * 1e6;
}

static int run_bench(void)
{
    const int most = oct_threads_default();
    printf("microseconds a region, %d CPUs\n"
           "         workers warm        workers asleep\n"
           "threads  empty      meet     empty      meet\n", most);
    for (int threads = 1; threads <= most; threads *= 2) {
        oct_pool *pool;
        if (oct_pool_open(threads, &pool)) return TEST_ERROR;
        printf("%7d  %5.2f  %8.2f  %8.2f  %8.2f\n", pool->threads, cost(pool, nothing, 0),
               cost(pool, meet, 0), cost(pool, nothing, 1000), cost(pool, meet, 1000));
        oct_pool_close(pool);
    }
    return TEST_PASS;
}

int main(int argc, char **argv)
{
    const TTest *const tests[] = {
        every_index_once, all_threads_work, many_regions, idle_workers_sleep_and_wake,
        waiting_caller_sleeps, nested_regions, many_callers, open_and_close, refused_threads,
        workers_take_no_signals, callers_own_pool,
    };
    if (argc > 1 && strcmp(argv[1], "--bench") == 0) return run_bench();
    return suite_run("threads", tests, sizeof tests / sizeof *tests);
}
