/* One region at a time: the caller takes `lock`, describes the work, rings the bell, works itself
 * and waits until the last body has returned.
 *
 *   ticket  a thread's: epoch << 32 | indices left of its part.  Parts are equal runs of indices in
 *           the order of the threads, so that a thread finds in its cache what it wrote in the last
 *           region, if both cut the same data; who is done takes from the others' parts.  Taking
 *           one is one compare-and-swap, which fails when the epoch is another: a worker that wakes
 *           late takes nothing, and nobody waits for it.
 *           body, arg and n, read after the own ticket and before the swap, belong to the epoch of
 *           both: they are only rewritten when none is left in any part (0 says so whatever n is)
 *           and `done` has reached n.
 *   bell    the epoch again; what idle workers watch, then sleep on.
 *   done    bodies that have returned; each thread adds its share once.  The caller sleeps on it.
 *
 * Who sleeps says so first (sleepers, waiting) and looks again; who changes the word looks at that
 * afterwards.  Both are sequentially consistent, so one of the two sees the other.
 *
 * The epoch wraps after 2^32 regions: a worker would have to be stopped for over an hour between
 * two instructions, and for exactly that many regions, to be fooled. */
#include "config.h" /* sched_getaffinity, syscall */

#include "tensor/threads.h"

#include <limits.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#if defined(__linux__) && !defined(OCT_NO_FUTEX)
#define USE_FUTEX 1
#include <linux/futex.h>
#include <sys/syscall.h>
#endif
#ifdef __linux__
#include <errno.h>
#include <sched.h>
#endif

#include "tensor/cgroup.h"

enum { LINE = 64, MAX_THREADS = 1024, SPIN_NS = 50000 };

typedef struct pool {
    oct_pool base;                   /* first: what callers see */
    pthread_mutex_t lock;            /* held by the caller whose region runs */
    int spin_ns;                     /* 0 where a spinning thread would take a CPU from another */
    uint32_t epoch;                  /* of the last region; the lock's */
    _Atomic(oct_body *) body;
    _Atomic(void *) arg;
    atomic_int n;
#ifndef USE_FUTEX
    pthread_mutex_t sleep_lock;
    pthread_cond_t sleep_cond;
#endif
    _Alignas(LINE) atomic_uint done;
    atomic_int waiting;
    _Alignas(LINE) atomic_uint bell;
    atomic_int sleepers, stop;
    struct worker {
        _Alignas(LINE) atomic_ullong ticket;
        struct pool *pool;
        pthread_t id;                /* not of worker[0], who is the caller */
        int thread;
    } worker[];                      /* [threads] */
} pool;

/* The regions this thread is in, innermost first: how a nested call finds its thread number. */
typedef struct frame {
    const pool *pool;
    int thread;
    const struct frame *outer;
} frame;

static _Thread_local const frame *innermost;

/* ---- waiting ---- */

static void sleep_on(pool *p, atomic_uint *word, unsigned value)
{
#ifdef USE_FUTEX
    (void)p;
    syscall(SYS_futex, word, FUTEX_WAIT_PRIVATE, value, NULL, NULL, 0);
#else
    pthread_mutex_lock(&p->sleep_lock);
    while (atomic_load(word) == value) pthread_cond_wait(&p->sleep_cond, &p->sleep_lock);
    pthread_mutex_unlock(&p->sleep_lock);
#endif
}

static void wake(pool *p, atomic_uint *word, int count)
{
#ifdef USE_FUTEX
    (void)p;
    syscall(SYS_futex, word, FUTEX_WAKE_PRIVATE, count, NULL, NULL, 0);
#else
    (void)word;
    (void)count;
    pthread_mutex_lock(&p->sleep_lock);
    pthread_cond_broadcast(&p->sleep_cond);
    pthread_mutex_unlock(&p->sleep_lock);
#endif
}

static void relax(void)
{
#if defined(__x86_64__)
    __builtin_ia32_pause();
#elif defined(__aarch64__)
    __asm__ volatile("yield");
#endif
}

static int64_t now_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

/* Spins for at most spin_ns while word is `value`; what it is then. */
static unsigned spin(const pool *p, atomic_uint *word, unsigned value)
{
    unsigned now = atomic_load(word);
    if (now != value || !p->spin_ns) return now;
    const int64_t end = now_ns() + p->spin_ns;
    do {
        for (int i = 0; i < 32 && now == value; i++) {
            relax();
            now = atomic_load(word);
        }
    } while (now == value && now_ns() < end);
    return now;
}

/* ---- a region ---- */

/* Of n indices, where those of a thread begin. */
static unsigned begin_of(unsigned n, int thread, int threads)
{
    return (unsigned)((unsigned long long)n * (unsigned)thread / (unsigned)threads);
}

/* Takes indices of the present region while there are any: its own, then what others have left. */
static void work(pool *p, int thread)
{
    const int threads = p->base.threads;
    const unsigned long long epoch = atomic_load(&p->worker[thread].ticket) >> 32;
    oct_body *const body = atomic_load_explicit(&p->body, memory_order_relaxed);
    void *const arg = atomic_load_explicit(&p->arg, memory_order_relaxed);
    const unsigned n = (unsigned)atomic_load_explicit(&p->n, memory_order_relaxed);
    unsigned share = 0;
    for (int k = 0; k < threads; k++) {
        const int of = (thread + k) % threads;
        const unsigned end = begin_of(n, of + 1, threads);
        atomic_ullong *const from = &p->worker[of].ticket;
        unsigned long long ticket = atomic_load(from);
        while (ticket >> 32 == epoch && (uint32_t)ticket) {
            if (!atomic_compare_exchange_weak(from, &ticket, ticket - 1)) continue;
            body(arg, (int)(end - (uint32_t)ticket), thread);
            share++;
            ticket = atomic_load(from);
        }
    }
    if (share && atomic_fetch_add(&p->done, share) + share == n && atomic_load(&p->waiting))
        wake(p, &p->done, 1);
}

static void wait_done(pool *p, unsigned n)
{
    unsigned done;
    while ((done = atomic_load(&p->done)) != n) {
        if (spin(p, &p->done, done) != done) continue;
        atomic_store(&p->waiting, 1);
        if (atomic_load(&p->done) == done) sleep_on(p, &p->done, done);
        atomic_store(&p->waiting, 0);
    }
}

static void ring(pool *p, int wanted)
{
    atomic_store(&p->bell, p->epoch);
    if (atomic_load(&p->sleepers)) wake(p, &p->bell, wanted);
}

static void run_region(pool *p, int n, oct_body *body, void *arg)
{
    atomic_store_explicit(&p->body, body, memory_order_relaxed);
    atomic_store_explicit(&p->arg, arg, memory_order_relaxed);
    atomic_store_explicit(&p->n, n, memory_order_relaxed);
    atomic_store_explicit(&p->done, 0, memory_order_relaxed);
    const unsigned long long epoch = (unsigned long long)++p->epoch << 32;
    const int threads = p->base.threads;
    for (int t = 0; t < threads; t++) {
        const unsigned begin = begin_of((unsigned)n, t, threads);
        atomic_store(&p->worker[t].ticket, epoch | (begin_of((unsigned)n, t + 1, threads) - begin));
    }
    ring(p, n - 1);
    work(p, 0);
    wait_done(p, (unsigned)n);
}

static void run(oct_pool *self, int n, oct_body *body, void *arg)
{
    pool *p = (pool *)self;
    const frame *f = innermost;
    while (f && f->pool != p) f = f->outer;
    if (f) { /* nested: the other threads are busy with the region we are in */
        for (int i = 0; i < n; i++) body(arg, i, f->thread);
        return;
    }
    const frame mine = { p, 0, innermost };
    pthread_mutex_lock(&p->lock);
    innermost = &mine;
    if (n > 1 && p->base.threads > 1)
        run_region(p, n, body, arg);
    else
        for (int i = 0; i < n; i++) body(arg, i, 0);
    innermost = mine.outer;
    pthread_mutex_unlock(&p->lock);
}

static void *worker_main(void *opaque)
{
    const struct worker *const w = opaque;
    pool *const p = w->pool;
    const frame mine = { p, w->thread, NULL };
    unsigned seen = 0;
    innermost = &mine;
    while (!atomic_load(&p->stop)) {
        unsigned bell = spin(p, &p->bell, seen);
        if (bell == seen) {
            atomic_fetch_add(&p->sleepers, 1);
            sleep_on(p, &p->bell, seen);
            atomic_fetch_sub(&p->sleepers, 1);
            bell = atomic_load(&p->bell);
            if (bell == seen) continue; /* an interrupted sleep */
        }
        seen = bell;
        work(p, w->thread);
    }
    return NULL;
}

/* ---- opening and closing ---- */

/* Workers handle no signals: those are for the program's own threads. */
static int start(pool *p, int threads)
{
    sigset_t all, old;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &old);
    int n = 1;
    for (; n < threads; n++) {
        struct worker *w = &p->worker[n];
        if (pthread_create(&w->id, NULL, worker_main, w)) break;
    }
    pthread_sigmask(SIG_SETMASK, &old, NULL);
    return n;
}

oct_status oct_pool_open(int threads, oct_pool **out)
{
    const int available = oct_threads_default();
    *out = NULL;
    if (threads < 1) threads = available;
    if (threads > MAX_THREADS) threads = MAX_THREADS;
    const size_t size = sizeof(pool) + (size_t)threads * sizeof(struct worker);
    pool *p = aligned_alloc(LINE, (size + LINE - 1) / LINE * LINE);
    if (!p) return oct_fail(OCT_ERR_MEMORY, "no memory for a pool of %d threads", threads);
    *p = (pool){ .base.run = run, .spin_ns = threads > available ? 0 : SPIN_NS };
    pthread_mutex_init(&p->lock, NULL);
#ifndef USE_FUTEX
    pthread_mutex_init(&p->sleep_lock, NULL);
    pthread_cond_init(&p->sleep_cond, NULL);
#endif
    for (int t = 0; t < threads; t++) p->worker[t] = (struct worker){ .pool = p, .thread = t };
    p->base.threads = start(p, threads);
    *out = &p->base;
    return OCT_OK;
}

void oct_pool_close(oct_pool *self)
{
    pool *p = (pool *)self;
    if (!p) return;
    atomic_store(&p->stop, 1);
    p->epoch++; /* the tickets stay: there is nothing to take */
    ring(p, INT_MAX);
    for (int i = 1; i < p->base.threads; i++) pthread_join(p->worker[i].id, NULL);
    pthread_mutex_destroy(&p->lock);
#ifndef USE_FUTEX
    pthread_mutex_destroy(&p->sleep_lock);
    pthread_cond_destroy(&p->sleep_cond);
#endif
    free(p);
}

/* ---- how many ---- */

#ifdef __linux__
/* CPUs in our affinity mask, 0 if the system does not say.  The kernel refuses (EINVAL) a mask
 * smaller than its own, so ask with a larger one each time. */
static int affinity(void)
{
    for (int bits = 1024; bits <= 1 << 20; bits *= 2) {
        cpu_set_t *set = CPU_ALLOC((size_t)bits);
        if (!set) return 0;
        const size_t size = CPU_ALLOC_SIZE((size_t)bits);
        const int failed = sched_getaffinity(0, size, set) ? errno : 0;
        const int n = failed ? 0 : CPU_COUNT_S(size, set);
        CPU_FREE(set);
        if (failed != EINVAL) return n;
    }
    return 0;
}
#else
static int affinity(void) { return 0; }
#endif

int oct_threads_default(void)
{
    int n = affinity();
    if (n < 1) {
        const long online = sysconf(_SC_NPROCESSORS_ONLN);
        n = online > 0 && online < INT_MAX ? (int)online : 1;
    }
    const int quota = oct_cgroup_cpus("");
    return quota && quota < n ? quota : n;
}
