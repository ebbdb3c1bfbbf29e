#ifndef OCT_TENSOR_ARENA_H
#define OCT_TENSOR_ARENA_H

#include <stddef.h>

#include "tensor/status.h"

/* Every buffer handed out starts on a 64-byte line and is followed by at least
 * 64 readable bytes, so a kernel may load one full vector past its last element
 * and never needs a sanitizer switched off. */
enum { OCT_ALIGN = 64, OCT_TAIL = 64 };

/* A growing bump allocator: a list of chunks, each a plain allocation.  Things that die together
 * live together:
 *   model arena   graph, names, constants          freed by oct_model_free
 *   plan arena    steps, packed weights, activations, workspace    freed by oct_plan_free
 * Nothing is freed singly; there is no realloc; blocks never move. */
typedef struct oct_arena {
    struct oct_arena_chunk *chunk; /* the newest first */
    size_t size;                   /* bytes of all chunks: what the arena costs */
} oct_arena;

void *oct_arena_alloc(oct_arena *arena, size_t size);  /* not cleared; NULL when out of memory */
void *oct_arena_zalloc(oct_arena *arena, size_t size); /* cleared */
char *oct_arena_strdup(oct_arena *arena, const char *s);
void oct_arena_free(oct_arena *arena);                 /* { 0 } again; may be used again */

#endif
