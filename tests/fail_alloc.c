#include "config.h" /* memalign, glibc's */

#include "tests/fail_alloc.h"

#include <stdatomic.h>
#include <stdlib.h>

#if defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer) || \
    __has_feature(memory_sanitizer)
#define OWN_MALLOC 1
#endif
#endif
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__) || !defined(__GLIBC__)
#define OWN_MALLOC 1
#endif

static atomic_long fail_at, count, live; /* fail_at 0: nothing fails */
static atomic_int counting, forever;

#ifdef OWN_MALLOC
int fail_alloc_works(void) { return 0; }
#else
#include <errno.h>
#include <malloc.h>

void *__libc_malloc(size_t size);
void *__libc_calloc(size_t n, size_t size);
void *__libc_realloc(void *p, size_t size);
void *__libc_memalign(size_t align, size_t size);
void __libc_free(void *p);

int fail_alloc_works(void) { return 1; }

/* One more allocation: is it the one? */
static int fails(void)
{
    if (!atomic_load(&counting)) return 0;
    const long n = atomic_fetch_add(&count, 1) + 1, at = atomic_load(&fail_at);
    if (!at || n < at || (n > at && !atomic_load(&forever))) return 0;
    errno = ENOMEM;
    return 1;
}

static void *made(void *p)
{
    if (p) atomic_fetch_add(&live, 1);
    return p;
}

void *malloc(size_t size) { return fails() ? NULL : made(__libc_malloc(size)); }
void *calloc(size_t n, size_t size) { return fails() ? NULL : made(__libc_calloc(n, size)); }
void *memalign(size_t align, size_t size)
{
    return fails() ? NULL : made(__libc_memalign(align, size));
}
void *aligned_alloc(size_t align, size_t size) { return memalign(align, size); }

int posix_memalign(void **out, size_t align, size_t size)
{
    void *p = memalign(align, size);
    if (!p) return ENOMEM;
    *out = p;
    return 0;
}

void *realloc(void *p, size_t size)
{
    if (fails()) return NULL;
    void *q = __libc_realloc(p, size);
    if (!p) return made(q);
    if (!size && !q) atomic_fetch_sub(&live, 1); /* glibc: realloc to nothing frees */
    return q;
}

void free(void *p)
{
    if (p) atomic_fetch_sub(&live, 1);
    __libc_free(p);
}
#endif

void fail_alloc_begin(long n, int lasting)
{
    atomic_store(&count, 0);
    atomic_store(&fail_at, n);
    atomic_store(&forever, lasting);
    atomic_store(&counting, 1);
}

long fail_alloc_end(void)
{
    atomic_store(&counting, 0);
    return atomic_load(&count);
}

long fail_alloc_live(void) { return atomic_load(&live); }
