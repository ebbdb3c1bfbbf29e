#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <zlib.h>

#include "input/file.h"
#include "input/image.h"
#include "input/source.h"

/* MNIST's idx: 0 0 type dims, then dims big-endian sizes, then the data; plain or gz.  Read are
 * bytes (type 8): images [n][h][w], and their labels [n] in the file of the same name with
 * "labels" for "images" and "idx1" for "idx3", if there is one.
 *
 * A plain file's records stay in it.  A gz file is inflated when it is opened; what it claims is
 * checked first against what deflate can make of its size, 1032 for 1, and, if it is large, by
 * inflating it once into nothing; more than a GiB must be unpacked by the user, for that takes
 * seconds. */
enum { RATIO = 1032, SURE = 32 << 20, GZ_MAX = 1 << 30 };

static uint32_t be32(const uint8_t *p)
{
    return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}

/* A file that may be gz.  `what` begins the messages: "" or the labels file's name. */
typedef struct stream {
    gzFile gz;
    uint64_t size;     /* of the file */
    const char *what;
} stream;

static oct_status stream_open(stream *in, const char *path, const char *what)
{
    int fd;
    in->what = what;
    OCT_TRY(oct_file_open_regular(path, &fd, &in->size));
    in->gz = gzdopen(fd, "rb");
    if (in->gz) return OCT_OK;
    close(fd);
    return oct_fail(OCT_ERR_MEMORY, "out of memory");
}

/* n bytes to `to`, or to nowhere if it is NULL. */
static oct_status stream_read(stream *in, uint8_t *to, uint64_t n)
{
    uint8_t drain[16384];
    while (n > 0) {
        const uint64_t room = to ? 1 << 20 : sizeof drain;
        const unsigned ask = (unsigned)(n < room ? n : room);
        const int got = gzread(in->gz, to ? to : drain, ask);
        int code = Z_OK;
        const char *text = gzerror(in->gz, &code);
        if (got < 0)
            return oct_fail(code == Z_ERRNO ? OCT_ERR_IO : OCT_ERR_FORMAT, "%scannot inflate: %s",
                            in->what, code == Z_ERRNO ? strerror(errno) : text);
        if ((unsigned)got < ask)
            return oct_fail(OCT_ERR_FORMAT, "%sthe file is truncated: %llu bytes are missing",
                            in->what, (unsigned long long)(n - (unsigned)got));
        if (to) to += got;
        n -= (unsigned)got;
    }
    return OCT_OK;
}

/* Nothing may follow, and a gz file's checksum, read with its end, must be right. */
static oct_status stream_end(stream *in)
{
    uint8_t byte;
    const int got = gzread(in->gz, &byte, 1);
    int code = Z_OK;
    const char *text = gzerror(in->gz, &code);
    if (got > 0)
        return oct_fail(OCT_ERR_FORMAT, "%sidx: more data than its header says", in->what);
    if (got < 0 || code != Z_OK)
        return oct_fail(OCT_ERR_FORMAT, "%scannot inflate: %s", in->what, text);
    return OCT_OK;
}

/* Magic and `dims` sizes. */
static oct_status read_header(stream *in, int dims, uint32_t *size)
{
    uint8_t head[16];
    OCT_TRY(stream_read(in, head, 4));
    if (head[0] || head[1] || head[2] < 8)
        return oct_fail(OCT_ERR_FORMAT, "%snot idx: it begins %02x %02x %02x %02x", in->what,
                        head[0], head[1], head[2], head[3]);
    if (head[2] != 8)
        return oct_fail(OCT_ERR_UNSUPPORTED, "%sidx of type 0x%02x, only bytes (0x08) are read",
                        in->what, head[2]);
    if (head[3] != dims)
        return oct_fail(OCT_ERR_SHAPE, "%sidx of %d dimensions, expected %d%s", in->what, head[3],
                        dims, dims == 3 && head[3] == 1 ? ": name the images, not the labels" : "");
    OCT_TRY(stream_read(in, head, 4 * (uint64_t)dims));
    for (int i = 0; i < dims; i++) size[i] = be32(head + 4 * i);
    return OCT_OK;
}

/* `from` replaced in the last part of the path, in place; `to` is as long. */
static int replace(char *path, const char *from, const char *to)
{
    char *slash = strrchr(path, '/');
    char *at = strstr(slash ? slash : path, from);
    if (at) memcpy(at, to, strlen(to));
    return at != NULL;
}

/* The labels beside the images, plain or gz, whichever is there; NULL: none. */
static const char *labels_path(oct_source *s)
{
    char *path = oct_arena_alloc(&s->arena, strlen(s->path) + 4);
    if (!path) return NULL;
    strcpy(path, s->path);
    int other = replace(path, "images", "labels");
    other |= replace(path, "idx3", "idx1");
    if (!other) return NULL;
    if (access(path, F_OK) == 0) return path;
    const size_t n = strlen(path);
    if (n > 3 && !strcmp(path + n - 3, ".gz")) path[n - 3] = 0;
    else strcat(path, ".gz");
    return access(path, F_OK) == 0 ? path : NULL;
}

/* Labels of all `count` images; those of the records kept go to s->label8. */
static oct_status read_labels(oct_source *s, stream *in, uint32_t count)
{
    uint32_t n = 0;
    OCT_TRY(read_header(in, 1, &n));
    if (n != count)
        return oct_fail(OCT_ERR_SHAPE, "%s%u labels for %u images", in->what, n, count);
    s->label8 = malloc((size_t)s->n);
    if (!s->label8) return oct_fail(OCT_ERR_MEMORY, "out of memory");
    OCT_TRY(stream_read(in, NULL, (uint64_t)s->first));
    OCT_TRY(stream_read(in, s->label8, (uint64_t)s->n));
    OCT_TRY(stream_read(in, NULL, count - (uint64_t)s->first - (uint64_t)s->n));
    OCT_TRY(stream_end(in));
    oct_source_count_classes(s);
    return OCT_OK;
}

static oct_status open_labels(oct_source *s, uint32_t count)
{
    const char *path = labels_path(s);
    if (!path) return OCT_OK;
    char what[160];
    const char *slash = strrchr(path, '/');
    snprintf(what, sizeof what, "%.80s: ", slash ? slash + 1 : path);
    stream in;
    oct_status status = stream_open(&in, path, what);
    if (status != OCT_OK) {
        char why[120];
        snprintf(why, sizeof why, "%s", oct_last_error());
        return oct_fail(status, "%s%s", what, why);
    }
    status = read_labels(s, &in, count);
    gzclose(in.gz);
    return status;
}

/* The records kept, into s->bytes.  With one record asked for the rest is not looked at. */
static oct_status inflate_records(oct_source *s, stream *in, uint64_t total, int only)
{
    const uint64_t n = (uint64_t)s->n * s->stride;
    if (n > SURE + 2 * in->size) {
        OCT_TRY(stream_read(in, NULL, total));
        OCT_TRY(stream_end(in));
        if (gzrewind(in->gz)) return oct_fail(OCT_ERR_IO, "cannot read: %s", strerror(errno));
        OCT_TRY(stream_read(in, NULL, 16));
    }
    s->bytes = malloc(n);
    if (!s->bytes) return oct_fail(OCT_ERR_MEMORY, "%llu bytes of records: out of memory",
                                   (unsigned long long)n);
    OCT_TRY(stream_read(in, NULL, s->offset - 16));
    OCT_TRY(stream_read(in, s->bytes, n));
    s->offset = 0;
    return only >= 0 ? OCT_OK : stream_end(in);
}

static oct_status read_images(oct_source *s, stream *in, int only)
{
    uint32_t size[3];
    OCT_TRY(read_header(in, 3, size));
    OCT_TRY(oct_image_check_size("idx", size[2], size[1]));
    s->kind = OCT_SOURCE_IDX;
    s->layout = OCT_IN_PLANES;
    s->c = 1;
    s->h = (int)size[1];
    s->w = (int)size[2];
    s->offset = 16;
    s->stride = (uint64_t)size[1] * size[2]; /* below 2^28, so times 2^32 fits */
    const uint64_t total = size[0] * s->stride;
    const int gz = !gzdirect(in->gz);
    if (gz && total / RATIO <= in->size && total > GZ_MAX)
        return oct_fail(OCT_ERR_UNSUPPORTED, "idx: %llu bytes of images in a gz file, at most %d: "
                        "gunzip it first", (unsigned long long)total, GZ_MAX);
    if (gz ? total / RATIO > in->size : total != in->size - 16)
        return oct_fail(OCT_ERR_FORMAT, "idx: %u images of %ux%u take %llu bytes, the file has %llu"
                        "%s", size[0], size[2], size[1], (unsigned long long)total,
                        (unsigned long long)in->size - (gz ? 0 : 16), gz ? " (gz)" : "");
    OCT_TRY(oct_source_select(s, size[0], only));
    OCT_TRY(open_labels(s, size[0]));
    if (gz) return inflate_records(s, in, total, only);
    uint64_t again;
    return oct_file_open_regular(s->path, &s->fd, &again);
}

oct_status oct_read_idx(oct_source *s, int only)
{
    stream in;
    OCT_TRY(stream_open(&in, s->path, ""));
    const oct_status status = read_images(s, &in, only);
    gzclose(in.gz);
    return status;
}
