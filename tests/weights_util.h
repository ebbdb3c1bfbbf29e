#ifndef OCT_TESTS_WEIGHTS_UTIL_H
#define OCT_TESTS_WEIGHTS_UTIL_H

/* What the tests of weights/ share: files beside the sources, files in memory. */
#include <stdbool.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "weights/sha256.h"
#include "weights/weights.h"

static inline const char *source_path(const char *name) /* of a file in the source tree */
{
    static char path[4][1024];
    static int next;
    const char *dir = getenv("srcdir");
    char *p = path[next++ % 4];
    snprintf(p, sizeof *path, "%s/%s", dir ? dir : ".", name);
    return p;
}

static inline char *slurp(const char *path, size_t *size) /* NULL if there is none */
{
    FILE *f = fopen(path, "rb");
    if (!f) return NULL;
    fseek(f, 0, SEEK_END);
    *size = (size_t)ftell(f);
    rewind(f);
    char *text = malloc(*size + 1);
    if (!text || fread(text, 1, *size, f) != *size) exit(TEST_ERROR);
    text[*size] = '\0';
    fclose(f);
    return text;
}

/* A file that lives in memory; its path.  The next call with the same fd overwrites it. */
static inline const char *memory_file(int *fd, const void *data, size_t size)
{
    static char path[64];
    if (*fd < 0) *fd = memfd_create("weights", 0);
    if (*fd < 0 || ftruncate(*fd, 0) || pwrite(*fd, data, size, 0) != (ssize_t)size)
        exit(TEST_ERROR);
    snprintf(path, sizeof path, "/proc/self/fd/%d", *fd);
    return path;
}

static inline void tensor_sha(const oct_tensor *t, char hex[65])
{
    oct_sha256 s;
    oct_sha256_init(&s);
    oct_sha256_add(&s, t->data, oct_tensor_size(t));
    oct_sha256_hex(&s, hex);
}

/* "2,3" */
static inline const char *shape_text(const oct_weights_entry *e, char buf[128])
{
    int used = 0;
    buf[0] = '\0';
    for (int i = 0; i < e->rank; i++)
        used += snprintf(buf + used, 128 - (size_t)used, i ? ",%d" : "%d", e->dim[i]);
    return buf;
}

/* Opens, reads every tensor, gives each back, closes.  Whatever the file is, this must end with a
 * status and a sentence, and leave nothing behind. */
static inline oct_status read_everything(const char *path)
{
    oct_weights *w;
    oct_status status = oct_weights_open(path, &w);
    for (int i = 0; status == OCT_OK && i < oct_weights_count(w); i++) {
        const oct_weights_entry *e = oct_weights_at(w, i);
        oct_tensor t;
        char hex[65];
        status = oct_weights_require(w, e->name, e->rank, e->dim, &t);
        if (status != OCT_OK) break;
        tensor_sha(&t, hex);
        if (i % 2) oct_weights_let_go(w, &t);
    }
    oct_weights_close(w);
    return status;
}

#endif
