#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "programs/npy.h"

static oct_status malformed(const char *what) { return oct_fail(OCT_ERR_FORMAT, "%s", what); }

static oct_status read_at(int fd, void *to, size_t size, size_t from)
{
    for (size_t done = 0; done < size;) {
        const ssize_t n = pread(fd, (char *)to + done, size - done, (off_t)(from + done));
        if (n < 0 && errno == EINTR) continue;
        if (n < 0) return oct_fail(OCT_ERR_IO, "cannot be read: %s", strerror(errno));
        if (n == 0) return malformed("cut short");
        done += (size_t)n;
    }
    return OCT_OK;
}

/* Value of 'key': in the header's dictionary, blanks skipped; NULL if it has none. */
static const char *value_of(const char *dict, const char *key)
{
    const char *s = strstr(dict, key);
    if (!s) return NULL;
    s += strlen(key);
    while (*s == ' ') s++;
    if (*s++ != ':') return NULL;
    while (*s == ' ') s++;
    return s;
}

/* "(256, 10)" into rank and dims, each 1 .. 2^31-1. */
static oct_status parse_shape(const char *s, npy_reader *r)
{
    if (*s++ != '(') return malformed("npy header: no shape");
    while (*s != ')') {
        long long v = 0;
        const char *digits = s;
        while (isdigit((unsigned char)*s) && v <= INT32_MAX) v = 10 * v + (*s++ - '0');
        if (s == digits || v < 1 || v > INT32_MAX) return malformed("npy header: bad shape");
        if (r->rank == OCT_MAX_RANK) return malformed("npy header: too many dimensions");
        r->dim[r->rank++] = (int)v;
        if (*s == ',') s++;
        while (*s == ' ') s++;
        if (!isdigit((unsigned char)*s) && *s != ')') return malformed("npy header: bad shape");
    }
    return r->rank ? OCT_OK : malformed("npy header: a single number, no samples");
}

static oct_status parse(npy_reader *r, size_t file_size)
{
    unsigned char fixed[12];
    char dict[4097];
    if (file_size < sizeof fixed) return malformed("not an npy file: too short");
    OCT_TRY(read_at(r->fd, fixed, sizeof fixed, 0));
    if (memcmp(fixed, "\x93NUMPY", 6)) return malformed("not an npy file");
    if (fixed[6] < 1 || fixed[6] > 3) return malformed("npy version is not 1, 2 or 3");
    const size_t start = fixed[6] == 1 ? 10 : 12;
    size_t size = (size_t)(fixed[8] | fixed[9] << 8);
    if (fixed[6] > 1) size |= (size_t)fixed[10] << 16 | (size_t)fixed[11] << 24;
    if (size >= sizeof dict || size > file_size - start)
        return oct_fail(OCT_ERR_FORMAT, "npy header of %zu bytes in a file of %zu", size,
                        file_size);
    OCT_TRY(read_at(r->fd, dict, size, start));
    dict[size] = 0;
    const char *descr = value_of(dict, "'descr'"), *order = value_of(dict, "'fortran_order'");
    const char *shape = value_of(dict, "'shape'");
    if (!descr || !order || !shape) return malformed("npy header: descr, order or shape missing");
    if (strncmp(descr, "'<f4'", 5)) return malformed("not little-endian float32 ('<f4')");
    if (strncmp(order, "False", 5)) return malformed("in Fortran order");
    OCT_TRY(parse_shape(shape, r));

    size_t count = 1; /* of all elements; the file's size bounds it */
    r->data = start + size;
    for (int i = 0; i < r->rank; i++) {
        if (count > (file_size - r->data) / 4 / (size_t)r->dim[i])
            return malformed("npy shape exceeds the file");
        count *= (size_t)r->dim[i];
    }
    if (4 * count != file_size - r->data) return malformed("npy shape is smaller than the file");
    r->row = count / (size_t)r->dim[0];
    return OCT_OK;
}

oct_status npy_open(const char *path, npy_reader *out)
{
    struct stat st;
    *out = (npy_reader){ .fd = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC) };
    if (out->fd < 0) return oct_fail(OCT_ERR_IO, "cannot be opened: %s", strerror(errno));
    oct_status status = OCT_OK;
    if (fstat(out->fd, &st)) status = oct_fail(OCT_ERR_IO, "cannot be read: %s", strerror(errno));
    else if (!S_ISREG(st.st_mode)) status = malformed("is not a plain file");
    else status = parse(out, (size_t)st.st_size);
    if (status) npy_close(out);
    return status;
}

oct_status npy_read(const npy_reader *r, int first, int n, float *out)
{
    const size_t row = 4 * r->row;
    return read_at(r->fd, out, row * (size_t)n, r->data + row * (size_t)first);
}

void npy_close(npy_reader *r)
{
    if (r->fd >= 0) close(r->fd);
    r->fd = -1;
}
