#include <stdlib.h>
#include <string.h>

#include "quant/lint_private.h"

oct_status oct_lint_hash_room(lint_hashes *h, int more)
{
    const size_t wanted = (size_t)h->n + (size_t)more, max = 2 * wanted;
    if (wanted <= h->max) return OCT_OK;
    uint64_t *bigger = realloc(h->v, max * sizeof *bigger);
    if (!bigger) return oct_fail(OCT_ERR_MEMORY, "lint: out of memory for %zu samples", max);
    h->v = bigger;
    h->max = max;
    return OCT_OK;
}

/* FNV-1a over 32-bit words, spread by a final mix: for counting, not against forgers. */
uint64_t oct_lint_hash(const void *words, size_t n)
{
    uint64_t h = 0xcbf29ce484222325u;
    const char *at = words;
    for (size_t i = 0; i < n; i++) {
        uint32_t bits;
        memcpy(&bits, at + 4 * i, sizeof bits);
        h = (h ^ bits) * 0x100000001b3u;
        h ^= h >> 29;
    }
    return h;
}

static int rising(const void *a, const void *b)
{
    const uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return (x > y) - (x < y);
}

int oct_lint_hash_distinct(lint_hashes *h)
{
    int n = h->n > 0;
    qsort(h->v, (size_t)h->n, sizeof *h->v, rising);
    for (int i = 1; i < h->n; i++) n += h->v[i] != h->v[i - 1];
    return n;
}
