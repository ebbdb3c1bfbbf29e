/* The whole file mapped read-only: a compiled model's packed weights are used where they lie, and
 * the pages are shared with every other process that runs it.  They come as they are read: to ask
 * for all at once (MADV_POPULATE_READ) was no faster, as one fault maps 16 pages or more. */
#include <errno.h>
#include <string.h>
#include <sys/mman.h>

#include "weights/file.h"

oct_status oct_weights_map(oct_weights *w)
{
    if (w->map) return OCT_OK;
    if (w->size > PTRDIFF_MAX) return oct_fail(OCT_ERR_FORMAT, "too large to be mapped");
    void *map = mmap(NULL, (size_t)w->size, PROT_READ, MAP_PRIVATE, w->fd, 0);
    if (map == MAP_FAILED)
        return oct_fail(errno == ENOMEM ? OCT_ERR_MEMORY : OCT_ERR_IO, "mapping: %s",
                        strerror(errno));
    w->map = map;
    return OCT_OK;
}

const void *oct_weights_mapping(const oct_weights *w, size_t *size)
{
    *size = w->map ? (size_t)w->size : 0;
    return w->map;
}

oct_status oct_weights_mapped(const oct_weights *w, const char *name, const void **data,
                              size_t *size)
{
    const oct_weights_item *it = oct_weights_item_find(w, name);
    if (!it) return oct_fail(OCT_ERR_FORMAT, "%.80s: no such tensor in the file", name);
    if (!w->map || it->store->entry || !it->dense || it->mask)
        return oct_fail(OCT_ERR_FORMAT, "%.80s: not a plain tensor of a mapped file", name);
    const uint64_t at = it->store->at + it->offset;
    if (at % OCT_ALIGN)
        return oct_fail(OCT_ERR_FORMAT, "%.80s: begins at byte %llu, no multiple of %d", name,
                        (unsigned long long)at, OCT_ALIGN);
    *data = (const char *)w->map + at;
    *size = it->entry.size;
    return OCT_OK;
}

void oct_map_free(oct_weights *w)
{
    if (w->map) munmap(w->map, (size_t)w->size);
    w->map = NULL;
}
