#include <stdlib.h>

#include "input/file.h"
#include "input/source.h"

/* CIFAR-10's binary format: records of 3073 bytes, a label 0..9 and 32x32 pixels, planes R, G, B.
 * It has no header, so the size and every label are checked. */
enum { RECORD = 3073, CLASSES = 10, CHUNK = 256 };

static oct_status read_labels(oct_source *s, uint8_t *chunk)
{
    for (int i = 0; i < s->n; i += CHUNK) {
        const int n = s->n - i < CHUNK ? s->n - i : CHUNK;
        OCT_TRY(oct_file_read_at(s->fd, s->offset - 1 + (uint64_t)i * RECORD, (size_t)n * RECORD,
                                 chunk));
        for (int k = 0; k < n; k++) {
            s->label8[i + k] = chunk[(size_t)k * RECORD];
            if (s->label8[i + k] >= CLASSES)
                return oct_fail(OCT_ERR_FORMAT, "record %d: label %d, CIFAR-10 has 0 to 9",
                                s->first + i + k, s->label8[i + k]);
        }
    }
    return OCT_OK;
}

oct_status oct_read_cifar(oct_source *s, int only)
{
    uint64_t size;
    OCT_TRY(oct_file_open_regular(s->path, &s->fd, &size));
    if (size % RECORD)
        return oct_fail(OCT_ERR_FORMAT, "CIFAR-10: %llu bytes are no multiple of %d%s",
                        (unsigned long long)size, RECORD,
                        size % 3074 ? "" : " (CIFAR-100, of 3074, is not read)");
    s->kind = OCT_SOURCE_CIFAR;
    s->layout = OCT_IN_PLANES;
    s->c = 3;
    s->h = s->w = 32;
    s->offset = 1;
    s->stride = RECORD;
    OCT_TRY(oct_source_select(s, size / RECORD, only));
    s->label8 = malloc((size_t)s->n);
    uint8_t *chunk = malloc((size_t)CHUNK * RECORD);
    const oct_status status = s->label8 && chunk ? read_labels(s, chunk)
                                                 : oct_fail(OCT_ERR_MEMORY, "out of memory");
    free(chunk);
    if (status == OCT_OK) oct_source_count_classes(s);
    return status;
}
