#include "weights/slab.h"

#include <stdint.h>
#include <string.h>

enum {
    GRAIN = 8,
    LARGE = 1 << 13,                  /* from here on a piece is a block of its own */
    BLOCK = (1 << 14) - OCT_TAIL      /* with the arena's tail: 16 KiB */
};

void *oct_slab_alloc(oct_slab *s, size_t size)
{
    s->spent = size > s->budget - s->used;
    if (s->spent) return NULL;
    const size_t step = (size + GRAIN - 1) / GRAIN * GRAIN;
    s->used += step < s->budget - s->used ? step : s->budget - s->used;
    if (step >= LARGE) return oct_arena_zalloc(&s->arena, step);
    if (s->room < step) {
        char *block = oct_arena_alloc(&s->arena, BLOCK);
        if (!block) return NULL;
        s->at = block;
        s->room = BLOCK;
    }
    void *p = s->at;
    s->at += step;
    s->room -= step;
    return memset(p, 0, step);
}

char *oct_slab_string(oct_slab *s, const char *text, size_t size)
{
    if (size == SIZE_MAX) return NULL;
    char *copy = oct_slab_alloc(s, size + 1);
    if (copy && size) memcpy(copy, text, size);
    return copy;
}

oct_status oct_slab_error(const oct_slab *s)
{
    if (!s->spent) return oct_fail(OCT_ERR_MEMORY, "out of memory");
    return oct_fail(OCT_ERR_FORMAT, "describing the tensors takes more than %zu bytes of memory, "
                    "too much for a file of this size", s->budget);
}

void oct_slab_free(oct_slab *s)
{
    oct_arena_free(&s->arena);
    *s = (oct_slab){ 0 };
}
