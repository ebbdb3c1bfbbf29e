/* The scheduler of cuda_emulate.h.  A thread is a coroutine: its first entry is by makecontext,
 * each later switch by _setjmp and _longjmp, which make no system call. */
#include "tests/cuda_emulate.h"

#include <stdio.h>
#include <stdlib.h>
#include <ucontext.h>

dim3 threadIdx, blockIdx, blockDim, gridDim;
unsigned char *cuda_emulate_shared;

enum { MAX_THREADS = 1024, STACK = 128 << 10, MAX_COPIES = 256, WARP = 32, MAX_EXCHANGE = 64 };
enum state { READY, AT_BLOCK, AT_WARP, DONE };

struct pending { void *to; const void *from; int group; };

struct coroutine {
    ucontext_t context;
    jmp_buf at;
    bool started, waited; /* for earlier launches */
    state where;
    dim3 index;
    pending copy[MAX_COPIES];
    int n_copies, group;
    int turn; /* which of two exchange buffers is next */
};

static coroutine *all;
static unsigned char *stacks;
static int n_threads, current, down;
static jmp_buf scheduler;
static ucontext_t scheduler_context;
static cuda_emulate_kernel *kernel;
static const void *kernel_arg;
static unsigned char exchange[MAX_THREADS / WARP][2][WARP * MAX_EXCHANGE];

void cuda_emulate_die(const char *why)
{
    fprintf(stderr, "cuda_emulate: %s, block (%u, %u, %u)\n", why, blockIdx.x, blockIdx.y,
            blockIdx.z);
    abort();
}

static void stop(state where)
{
    coroutine *me = &all[current];
    me->where = where;
    if (!_setjmp(me->at)) _longjmp(scheduler, 1);
    threadIdx = all[current].index;
}

static void enter(void)
{
    kernel(kernel_arg);
    if (!all[current].waited) cuda_emulate_die("a thread did not wait for earlier launches");
    all[current].where = DONE;
    _longjmp(scheduler, 1);
}

static void resume(int i)
{
    coroutine *c = &all[i];
    current = i;
    threadIdx = c->index;
    if (_setjmp(scheduler)) return;
    if (c->started) _longjmp(c->at, 1);
    c->started = true;
    getcontext(&c->context);
    c->context.uc_stack.ss_sp = stacks + (size_t)i * STACK;
    c->context.uc_stack.ss_size = STACK;
    c->context.uc_link = NULL;
    makecontext(&c->context, enter, 0);
    swapcontext(&scheduler_context, &c->context);
}

/* Threads of [first, end) that wait where all living ones wait go on; how many. */
static int release(int first, int end, state where)
{
    int n = 0;
    for (int i = first; i < end; i++)
        if (all[i].where != where && all[i].where != DONE) return 0;
    for (int i = first; i < end; i++)
        if (all[i].where == where) all[i].where = READY, n++;
    return n;
}

/* A warp goes as far as it can without the others: to a barrier of the block, or the end. */
static void run_warp(int first)
{
    const int end = first + WARP < n_threads ? first + WARP : n_threads;
    do {
        for (int k = first; k < end; k++) {
            const int i = down ? end - 1 - (k - first) : k;
            if (all[i].where == READY) resume(i);
        }
    } while (release(first, end, AT_WARP));
}

static void run_block(void)
{
    for (int i = 0; i < n_threads; i++) {
        all[i].started = all[i].waited = false;
        all[i].where = READY;
        all[i].n_copies = all[i].group = all[i].turn = 0;
        all[i].index = dim3((unsigned)i % blockDim.x, (unsigned)i / blockDim.x % blockDim.y,
                            (unsigned)i / blockDim.x / blockDim.y);
    }
    const int warps = (n_threads + WARP - 1) / WARP;
    for (;;) {
        int done = 0;
        for (int w = 0; w < warps; w++) run_warp((down ? warps - 1 - w : w) * WARP);
        for (int i = 0; i < n_threads; i++) done += all[i].where == DONE;
        if (done == n_threads) return;
        if (!release(0, n_threads, AT_BLOCK)) cuda_emulate_die("threads wait for one another");
    }
}

void cuda_emulate_launch(dim3 grid, dim3 block, size_t shared, cuda_emulate_kernel *of,
                         const void *arg)
{
    n_threads = (int)(block.x * block.y * block.z);
    if (n_threads > MAX_THREADS) cuda_emulate_die("too many threads in a block");
    if (!all) {
        all = (coroutine *)calloc(MAX_THREADS, sizeof *all);
        stacks = (unsigned char *)malloc((size_t)MAX_THREADS * STACK);
        if (!all || !stacks) cuda_emulate_die("out of memory");
    }
    gridDim = grid;
    blockDim = block;
    kernel = of;
    kernel_arg = arg;
    cuda_emulate_shared = (unsigned char *)aligned_alloc(64, (shared + 127) / 64 * 64);
    for (unsigned z = 0; z < grid.z; z++)
        for (unsigned y = 0; y < grid.y; y++)
            for (unsigned x = 0; x < grid.x; x++) {
                blockIdx = dim3(x, y, z);
                memset(cuda_emulate_shared, 0xff, shared);
                run_block();
            }
    free(cuda_emulate_shared);
}

void cuda_emulate_block_barrier(void) { stop(AT_BLOCK); }

const void *cuda_emulate_exchange(const void *mine, size_t size)
{
    coroutine *me = &all[current];
    unsigned char *buffer = exchange[current / WARP][me->turn];
    if (size > MAX_EXCHANGE) cuda_emulate_die("an exchange of too many bytes");
    memcpy(buffer + (size_t)(current % WARP) * size, mine, size);
    me->turn ^= 1;
    stop(AT_WARP);
    return buffer;
}

void cuda_emulate_prior_done(void) { all[current].waited = true; }

void cuda_emulate_copy(void *to, const void *from)
{
    coroutine *me = &all[current];
    if (me->n_copies == MAX_COPIES) cuda_emulate_die("too many copies under way");
    if ((uintptr_t)to % 16 || (uintptr_t)from % 16) cuda_emulate_die("a copy is not aligned");
    me->copy[me->n_copies++] = pending{ to, from, me->group };
}

void cuda_emulate_commit(void) { all[current].group++; }

void cuda_emulate_wait(int under_way)
{
    coroutine *me = &all[current];
    int kept = 0;
    for (int i = 0; i < me->n_copies; i++)
        if (me->copy[i].group < me->group - under_way)
            memcpy(me->copy[i].to, me->copy[i].from, 16);
        else
            me->copy[kept++] = me->copy[i];
    me->n_copies = kept;
}

extern "C" void cuda_emulate_order(int to) { down = to; }
