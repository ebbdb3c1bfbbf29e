#include "tensor/arena.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#ifdef __linux__
#include <sys/mman.h>
#endif

/* A chunk is one aligned allocation; the header takes its first line. */
typedef struct oct_arena_chunk {
    struct oct_arena_chunk *next;
    size_t used, size; /* bytes, header included */
} chunk;

enum { HEADER = OCT_ALIGN, SMALLEST = 1 << 14 };

_Static_assert(sizeof(chunk) <= HEADER, "the header must leave the first block aligned");

static size_t round_up(size_t size) { return (size + OCT_ALIGN - 1) / OCT_ALIGN * OCT_ALIGN; }

/* Packed weights are tens of megabytes, touched once while packing and streamed in every run: in
 * pages of 2 MiB they cost a five-hundredth of the page faults and TLB entries.  Only whole large
 * pages inside the chunk, so no memory is added; a kernel that cannot is none the worse. */
static void ask_for_large_pages(void *p, size_t size)
{
#ifdef MADV_HUGEPAGE
    const size_t large = (size_t)2 << 20;
    const size_t before = (large - (uintptr_t)p % large) % large;
    if (size < before + large) return;
    madvise((char *)p + before, (size - before) / large * large, MADV_HUGEPAGE);
#else
    (void)p, (void)size;
#endif
}

/* A chunk with room for step bytes: at least as much again as the arena has, so that their number
 * stays small, but never more than 1 MiB ahead of what was asked for. */
static chunk *grow(oct_arena *arena, size_t step)
{
    size_t size = arena->size < SMALLEST ? SMALLEST : arena->size;
    if (size > 1 << 20) size = 1 << 20;
    if (size < step + HEADER) size = step + HEADER;
    size = round_up(size);
    chunk *c = aligned_alloc(OCT_ALIGN, size);
    if (!c) return NULL;
    ask_for_large_pages(c, size);
    *c = (chunk){ arena->chunk, HEADER, size };
    arena->chunk = c;
    arena->size += size;
    return c;
}

void *oct_arena_alloc(oct_arena *arena, size_t size)
{
    if (size > PTRDIFF_MAX - (OCT_TAIL + 2 * OCT_ALIGN)) return NULL;
    const size_t step = round_up(size + OCT_TAIL);
    chunk *c = arena->chunk;
    if (!c || c->size - c->used < step) c = grow(arena, step);
    if (!c) return NULL;
    void *p = (unsigned char *)c + c->used;
    c->used += step;
    return p;
}

void *oct_arena_zalloc(oct_arena *arena, size_t size)
{
    void *p = oct_arena_alloc(arena, size);
    if (p) memset(p, 0, size + OCT_TAIL);
    return p;
}

char *oct_arena_strdup(oct_arena *arena, const char *s)
{
    const size_t size = strlen(s) + 1;
    char *copy = oct_arena_alloc(arena, size);
    if (copy) memcpy(copy, s, size);
    return copy;
}

void oct_arena_free(oct_arena *arena)
{
    while (arena->chunk) {
        chunk *next = arena->chunk->next;
        free(arena->chunk);
        arena->chunk = next;
    }
    *arena = (oct_arena){ 0 };
}
