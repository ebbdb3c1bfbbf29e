#include "input/file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* read(2) until n bytes have come or the file ends; what came, or -1. */
static ssize_t read_full(int fd, uint8_t *to, size_t n)
{
    size_t have = 0;
    while (have < n) {
        const ssize_t got = read(fd, to + have, n - have);
        if (got < 0 && errno == EINTR) continue;
        if (got < 0) return -1;
        if (got == 0) break;
        have += (size_t)got;
    }
    return (ssize_t)have;
}

/* `hint` bytes are expected; a pipe, whose hint is 0, and a file that grows are read on. */
static oct_status read_stream(int fd, size_t hint, uint8_t **bytes, size_t *size)
{
    size_t room = hint + 1 > 65536 ? hint + 1 : 65536, n = 0;
    uint8_t *p = malloc(room + 1);
    while (p) {
        const ssize_t got = read_full(fd, p + n, room - n);
        if (got < 0) {
            free(p);
            return oct_fail(OCT_ERR_IO, "cannot read: %s", strerror(errno));
        }
        n += (size_t)got;
        if (n < room) break;
        if (n > OCT_FILE_MAX) {
            free(p);
            return oct_fail(OCT_ERR_UNSUPPORTED, "more than %d bytes", OCT_FILE_MAX);
        }
        room *= 2;
        uint8_t *more = realloc(p, room + 1);
        if (!more) free(p);
        p = more;
    }
    if (!p) return oct_fail(OCT_ERR_MEMORY, "reading a file of %zu bytes: out of memory", room);
    p[n] = 0;
    *bytes = p;
    *size = n;
    return OCT_OK;
}

static oct_status open_any(const char *path, int *fd, struct stat *st)
{
    *fd = open(path, O_RDONLY | O_CLOEXEC);
    if (*fd < 0) return oct_fail(OCT_ERR_IO, "cannot open: %s", strerror(errno));
    if (fstat(*fd, st) == 0 && !S_ISDIR(st->st_mode)) return OCT_OK;
    close(*fd);
    return oct_fail(OCT_ERR_IO, "is a folder, not a file");
}

oct_status oct_file_read_all(const char *path, uint8_t **bytes, size_t *size)
{
    if (!strcmp(path, "-")) return read_stream(STDIN_FILENO, 0, bytes, size);
    int fd;
    struct stat st;
    OCT_TRY(open_any(path, &fd, &st));
    oct_status status;
    if (S_ISREG(st.st_mode) && st.st_size > OCT_FILE_MAX)
        status = oct_fail(OCT_ERR_UNSUPPORTED, "%lld bytes, at most %d are read",
                          (long long)st.st_size, OCT_FILE_MAX);
    else
        status = read_stream(fd, S_ISREG(st.st_mode) ? (size_t)st.st_size : 0, bytes, size);
    close(fd);
    return status;
}

oct_status oct_file_read_at(int fd, uint64_t offset, size_t n, void *to)
{
    uint8_t *p = to;
    for (size_t have = 0; have < n;) {
        const ssize_t got = pread(fd, p + have, n - have, (off_t)(offset + have));
        if (got < 0 && errno == EINTR) continue;
        if (got < 0) return oct_fail(OCT_ERR_IO, "cannot read: %s", strerror(errno));
        if (got == 0)
            return oct_fail(OCT_ERR_FORMAT, "the file is truncated: %zu bytes at byte %llu, it has "
                            "%zu", n, (unsigned long long)offset, have);
        have += (size_t)got;
    }
    return OCT_OK;
}

oct_status oct_file_open_regular(const char *path, int *fd, uint64_t *size)
{
    struct stat st;
    OCT_TRY(open_any(path, fd, &st));
    if (S_ISREG(st.st_mode)) {
        *size = (uint64_t)st.st_size;
        return OCT_OK;
    }
    close(*fd);
    return oct_fail(OCT_ERR_UNSUPPORTED, "not a regular file");
}
