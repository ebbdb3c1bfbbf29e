/* Writing a safetensors file: SPEC.md section 3.  The bytes depend on the arguments only. */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <jansson.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "weights/weights.h"

enum { LINE = 64, MAX_HEADER = 100000000 };

typedef struct piece {
    const char *name;
    const oct_tensor *tensor;
    size_t size;
} piece;

/* Multiples of 64 bytes first: then each of them begins on such a boundary without gaps.  Behind
 * them the largest elements first: then each tensor is aligned to its elements. */
static int by_place(const void *a, const void *b)
{
    const piece *x = a, *y = b;
    const int p = x->size % LINE != 0, q = y->size % LINE != 0;
    const size_t m = oct_dtype_size(x->tensor->dtype), n = oct_dtype_size(y->tensor->dtype);
    if (p != q) return p - q;
    if (p && m != n) return m > n ? -1 : 1;
    return strcmp(x->name, y->name);
}

static int by_key(const void *a, const void *b)
{
    const oct_save_meta *x = a, *y = b;
    return strcmp(x->key, y->key);
}

/* Sorted copies of the arguments, checked. */
static oct_status arrange(const oct_save_tensor *tensors, int n, const oct_save_meta *meta,
                          int n_meta, piece *list, oct_save_meta *pairs)
{
    for (int i = 0; i < n; i++) {
        const oct_tensor *t = tensors[i].tensor;
        OCT_TRY(oct_tensor_check(t));
        if (t->layout != OCT_DENSE)
            return oct_fail(OCT_ERR_UNSUPPORTED, "%.80s: only dense tensors can be saved",
                            tensors[i].name);
        list[i] = (piece){ tensors[i].name, t, oct_tensor_size(t) };
    }
    if (n) qsort(list, (size_t)n, sizeof *list, by_place);
    if (n_meta) memcpy(pairs, meta, (size_t)n_meta * sizeof *pairs);
    if (n_meta) qsort(pairs, (size_t)n_meta, sizeof *pairs, by_key);
    return OCT_OK;
}

/* Takes value over, also when it fails.  A key twice or text that is not UTF-8 is refused;
 * jansson does not tell that from a failed allocation, so callers clear errno first. */
static oct_status put(json_t *object, const char *key, json_t *value)
{
    if (json_object_get(object, key)) {
        json_decref(value);
        return oct_fail(OCT_ERR_FORMAT, "%.80s: twice in the file to be saved", key);
    }
    if (json_object_set_new(object, key, value) == 0) return OCT_OK;
    if (errno == ENOMEM) return oct_fail(OCT_ERR_MEMORY, "out of memory");
    return oct_fail(OCT_ERR_FORMAT, "%.80s: it or its text is not UTF-8", key);
}

static json_t *describe(const piece *p, uint64_t begin)
{
    json_t *shape = json_array();
    for (int i = 0; i < p->tensor->rank; i++) {
        if (json_array_append_new(shape, json_integer(p->tensor->dim[i])) == 0) continue;
        json_decref(shape);
        return NULL;
    }
    return json_pack("{s:s, s:o, s:[I, I]}", "dtype", oct_dtype_name(p->tensor->dtype), "shape",
                     shape, "data_offsets", (json_int_t)begin,
                     (json_int_t)(begin + p->size));
}

static oct_status build(json_t *root, const piece *list, int n, const oct_save_meta *pairs,
                        int n_meta)
{
    uint64_t at = 0;
    if (n_meta) {
        json_t *object = json_object();
        OCT_TRY(put(root, "__metadata__", object));
        for (int i = 0; i < n_meta; i++)
            OCT_TRY(put(object, pairs[i].key, json_string(pairs[i].value)));
    }
    for (int i = 0; i < n; i++) {
        if (strcmp(list[i].name, "__metadata__") == 0)
            return oct_fail(OCT_ERR_FORMAT, "__metadata__ is no name for a tensor");
        OCT_TRY(put(root, list[i].name, describe(&list[i], at)));
        at += list[i].size;
    }
    return OCT_OK;
}

/* Length and header, padded with blanks so that the data begin on a 64-byte boundary.  Keys come in
 * the order they were put.  json_dumpb into memory of ours, because json_dumps answers a failed
 * allocation with text that lacks a piece. */
static oct_status print(const json_t *root, char **out, size_t *size)
{
    const size_t used = json_dumpb(root, NULL, 0, JSON_COMPACT);
    if (used == 0) return oct_fail(OCT_ERR_MEMORY, "out of memory");
    const size_t length = (8 + used + LINE - 1) / LINE * LINE - 8;
    if (length > MAX_HEADER)
        return oct_fail(OCT_ERR_UNSUPPORTED, "header of %zu bytes, the format allows %d", length,
                        MAX_HEADER);
    char *header = malloc(8 + length);
    if (header && json_dumpb(root, header + 8, used, JSON_COMPACT) == used) {
        memcpy(header, &(uint64_t){ length }, 8);
        memset(header + 8 + used, ' ', length - used);
        *out = header;
        *size = 8 + length;
        return OCT_OK;
    }
    free(header);
    return oct_fail(OCT_ERR_MEMORY, "out of memory");
}

static oct_status make_header(const piece *list, int n, const oct_save_meta *pairs, int n_meta,
                              char **out, size_t *size)
{
    json_t *root = json_object();
    if (!root) return oct_fail(OCT_ERR_MEMORY, "out of memory");
    errno = 0;
    oct_status status = build(root, list, n, pairs, n_meta);
    if (status == OCT_OK) status = print(root, out, size);
    json_decref(root);
    return status;
}

static oct_status system_error(const char *doing)
{
    return oct_fail(OCT_ERR_IO, "%s: %s", doing, strerror(errno));
}

static oct_status write_all(int fd, const void *data, size_t size)
{
    const char *p = data;
    while (size) {
        const ssize_t n = write(fd, p, size < 1 << 30 ? size : 1 << 30);
        if (n < 0 && errno == EINTR) continue;
        if (n < 0) return system_error("writing");
        p += n;
        size -= (size_t)n;
    }
    return OCT_OK;
}

static oct_status write_file(int fd, const char *header, size_t size, const piece *list, int n)
{
    OCT_TRY(write_all(fd, header, size));
    for (int i = 0; i < n; i++) OCT_TRY(write_all(fd, list[i].tensor->data, list[i].size));
    return fsync(fd) == 0 ? OCT_OK : system_error("fsync");
}

static oct_status replace(int folder, const char *base, const char *header, size_t size,
                          const piece *list, int n)
{
    char name[NAME_MAX + 1];
    struct stat st;
    if (fstatat(folder, base, &st, 0) == 0 && !S_ISREG(st.st_mode))
        return oct_fail(OCT_ERR_IO, "exists and is not a regular file");
    if ((size_t)snprintf(name, sizeof name, "%s" OCT_SAVE_SUFFIX, base) >= sizeof name)
        return oct_fail(OCT_ERR_IO, "its name is too long");
    const int fd = openat(folder, name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
    if (fd < 0)
        return errno == EEXIST ? oct_fail(OCT_ERR_IO, "%.200s is there already", name)
                               : system_error("creating a file in its folder");
    oct_status status = write_file(fd, header, size, list, n);
    if (close(fd) < 0 && status == OCT_OK) status = system_error("closing");
    if (status == OCT_OK && renameat(folder, name, folder, base) < 0)
        status = system_error("renaming");
    if (status != OCT_OK)
        unlinkat(folder, name, 0);
    else if (fsync(folder) < 0)
        errno = 0; /* the file is there and whole; some file systems cannot sync a folder */
    return status;
}

/* path -> its folder, opened, and its last part; a link is followed to the file it names. */
static oct_status open_folder(const char *path, char **whole, const char **base, int *folder)
{
    *whole = realpath(path, NULL);
    if (!*whole && errno != ENOMEM) *whole = strdup(path); /* a new file */
    if (!*whole) return oct_fail(OCT_ERR_MEMORY, "out of memory");
    char *slash = strrchr(*whole, '/');
    *base = slash ? slash + 1 : *whole;
    if (slash == *whole)
        *folder = open("/", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    else if (slash) {
        *slash = '\0';
        *folder = open(*whole, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    } else
        *folder = open(".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (*folder < 0) return oct_fail(OCT_ERR_IO, "its folder: %s", strerror(errno));
    if (**base) return OCT_OK;
    close(*folder);
    return oct_fail(OCT_ERR_IO, "no file name");
}

oct_status oct_weights_save(const char *path, const oct_save_tensor *tensors, int n,
                            const oct_save_meta *meta, int n_meta)
{
    piece *list = malloc(((size_t)n + 1) * sizeof *list);
    oct_save_meta *pairs = malloc(((size_t)n_meta + 1) * sizeof *pairs);
    char *header = NULL, *whole = NULL;
    const char *base = NULL;
    size_t size = 0;
    int folder = -1;
    oct_status status = list && pairs ? OCT_OK : oct_fail(OCT_ERR_MEMORY, "out of memory");
    if (status == OCT_OK) status = arrange(tensors, n, meta, n_meta, list, pairs);
    if (status == OCT_OK) status = make_header(list, n, pairs, n_meta, &header, &size);
    if (status == OCT_OK) status = open_folder(path, &whole, &base, &folder);
    if (status == OCT_OK) {
        status = replace(folder, base, header, size, list, n);
        close(folder);
    }
    free(whole);
    free(header);
    free(pairs);
    free(list);
    return status;
}
