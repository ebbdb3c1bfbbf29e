#include "input/source.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "input/file.h"
#include "input/image.h"

enum { TEXT_CHUNK = 65536 };

char *oct_source_room(oct_source *s, size_t size)
{
    if (size > s->room_size) {
        s->room_size = size > TEXT_CHUNK ? size : TEXT_CHUNK;
        s->room = oct_arena_alloc(&s->arena, s->room_size);
        if (!s->room) {
            s->room_size = 0;
            return NULL;
        }
    }
    char *room = s->room;
    s->room += size;
    s->room_size -= size;
    return room;
}

size_t oct_source_record_size(const oct_source *s)
{
    return (size_t)s->c * (size_t)s->h * (size_t)s->w *
           (s->layout == OCT_IN_FLOATS ? sizeof(float) : 1);
}

oct_status oct_source_select(oct_source *s, uint64_t count, int only)
{
    if (count == 0) return oct_fail(OCT_ERR_FORMAT, "the file holds no sample");
    if (count > INT_MAX)
        return oct_fail(OCT_ERR_UNSUPPORTED, "%llu records, at most %d are read",
                        (unsigned long long)count, INT_MAX);
    if (only >= 0 && (uint64_t)only >= count)
        return oct_fail(OCT_ERR_FORMAT, "record %d of a file of %llu, counted from 0", only,
                        (unsigned long long)count);
    s->n = only >= 0 ? 1 : (int)count;
    s->first = only >= 0 ? only : 0;
    s->offset += (uint64_t)s->first * s->stride;
    return OCT_OK;
}

void oct_source_count_classes(oct_source *s)
{
    s->classes = 0;
    for (int i = 0; i < s->n; i++)
        if (s->label8[i] >= s->classes) s->classes = s->label8[i] + 1;
}

static oct_status open_memory(oct_source *s)
{
    s->kind = OCT_SOURCE_IMAGES;
    s->layout = OCT_IN_MEMORY;
    s->n = 1;
    return oct_file_read_all(s->path, &s->bytes, &s->size);
}

static oct_status open_image(oct_source *s)
{
    s->kind = OCT_SOURCE_IMAGES;
    s->layout = OCT_IN_FILES;
    s->n = 1;
    s->file = oct_arena_alloc(&s->arena, sizeof *s->file);
    if (!s->file) return oct_fail(OCT_ERR_MEMORY, "out of memory");
    s->file[0] = s->path;
    return OCT_OK;
}

static int ends_with(const char *s, const char *end)
{
    const size_t n = strlen(s), m = strlen(end);
    return n >= m && !strcmp(s + n - m, end);
}

/* CIFAR's format has no magic: the name, or a size and a first byte that fit. */
static int is_cifar(const char *path, const uint8_t *p, size_t n, uint64_t size)
{
    return ends_with(path, ".bin") || (n > 0 && size % 3073 == 0 && p[0] <= 9);
}

static int is_text(const uint8_t *p, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (p[i] < ' ' && p[i] != '\t' && p[i] != '\n' && p[i] != '\r') return 0;
    return n > 0;
}

/* Told apart by content; by name only what has no magic, or a list that begins like an image. */
static oct_status open_regular(oct_source *s, int only)
{
    uint8_t head[4096];
    uint64_t size;
    int fd;
    OCT_TRY(oct_file_open_regular(s->path, &fd, &size));
    const size_t n = size < sizeof head ? (size_t)size : sizeof head;
    const oct_status status = oct_file_read_at(fd, 0, n, head);
    close(fd);
    OCT_TRY(status);
    if (n == 0) return oct_fail(OCT_ERR_FORMAT, "the file is empty");
    const int list = (ends_with(s->path, ".tsv") || ends_with(s->path, ".txt")) &&
                     is_text(head, n);
    if (!list) {
        if (n >= 6 && !memcmp(head, "\x93NUMPY", 6)) return oct_read_npy(s, only);
        if (n >= 2 && head[0] == 0x1f && head[1] == 0x8b) return oct_read_idx(s, only);
        if (n >= 4 && !head[0] && !head[1] && head[2] >= 8 && head[2] <= 14 && head[3])
            return oct_read_idx(s, only);
    }
    if (!list && !oct_image_format(head, n) && is_cifar(s->path, head, n, size))
        return oct_read_cifar(s, only);
    if (only >= 0)
        return oct_fail(OCT_ERR_UNSUPPORTED, "#%d: only idx, CIFAR .bin and .npy files have "
                        "records", only);
    if (!list && oct_image_format(head, n)) return open_image(s);
    if (is_text(head, n)) return oct_read_tsv(s);
    return oct_fail(OCT_ERR_FORMAT, "neither an image (JPEG, PNG, BMP, PPM) nor idx, CIFAR .bin, "
                    ".npy or a list (%llu bytes)", (unsigned long long)size);
}

/* "FILE#7" where FILE exists and "FILE#7" does not: cuts s->path, returns 7; else -1. */
static int cut_record(oct_source *s)
{
    struct stat st;
    const char *hash = strrchr(s->path, '#');
    if (!hash || stat(s->path, &st) == 0) return -1;
    const size_t digits = strspn(hash + 1, "0123456789");
    if (digits == 0 || digits > 9 || hash[1 + digits]) return -1;
    char *base = oct_arena_strdup(&s->arena, s->path);
    if (!base) return -1;
    base[hash - s->path] = 0;
    if (stat(base, &st) != 0 || !S_ISREG(st.st_mode)) return -1;
    s->path = base;
    return atoi(hash + 1);
}

static oct_status open_path(oct_source *s)
{
    if (!strcmp(s->path, "-")) return open_memory(s);
    const int only = cut_record(s);
    struct stat st;
    if (stat(s->path, &st) == 0) {
        if (S_ISDIR(st.st_mode)) return oct_read_folder(s);
        if (!S_ISREG(st.st_mode)) return open_memory(s); /* a pipe: one image */
    }
    return open_regular(s, only); /* says why, if it cannot be opened */
}

/* Of the path, with nothing in it. */
static oct_status make(const char *path, oct_source **out)
{
    *out = NULL;
    oct_source *s = calloc(1, sizeof *s);
    oct_source_names *names = calloc(1, sizeof *names);
    if (!s || !names) {
        free(s);
        free(names);
        return oct_fail(OCT_ERR_MEMORY, "out of memory");
    }
    s->fd = -1;
    s->names = names;
    pthread_mutex_init(&names->lock, NULL);
    s->path = oct_arena_strdup(&s->arena, path);
    *out = s;
    return OCT_OK;
}

/* *out = s if status is OCT_OK; else s is closed. */
static oct_status made(oct_source *s, oct_status status, oct_source **out)
{
    *out = status == OCT_OK ? s : NULL;
    if (status != OCT_OK) oct_source_close(s);
    return status;
}

oct_status oct_source_open(const char *path, oct_source **out)
{
    oct_source *s;
    *out = NULL;
    OCT_TRY(make(path, &s));
    return made(s, s->path ? open_path(s) : oct_fail(OCT_ERR_MEMORY, "out of memory"), out);
}

oct_status oct_source_open_images(const char *const *paths, int n, oct_source **out)
{
    oct_source *s;
    *out = NULL;
    if (n < 1) return oct_fail(OCT_ERR_FORMAT, "no images");
    OCT_TRY(make(paths[0], &s));
    s->kind = OCT_SOURCE_IMAGES;
    s->layout = OCT_IN_FILES;
    s->n = n;
    s->file = oct_arena_alloc(&s->arena, (size_t)n * sizeof *s->file);
    if (!s->path || !s->file) return made(s, oct_fail(OCT_ERR_MEMORY, "out of memory"), out);
    memcpy(s->file, paths, (size_t)n * sizeof *s->file);
    return made(s, OCT_OK, out);
}

oct_status oct_source_open_texts(const char *path, oct_source **out)
{
    oct_source *s;
    *out = NULL;
    OCT_TRY(make(path, &s));
    return made(s, s->path ? oct_read_texts(s) : oct_fail(OCT_ERR_MEMORY, "out of memory"), out);
}

void oct_source_close(oct_source *s)
{
    if (!s) return;
    for (int i = 0; s->names->name && i < s->n; i++) free(s->names->name[i]);
    free(s->names->name);
    pthread_mutex_destroy(&s->names->lock);
    free(s->names);
    free(s->bytes);
    free(s->label8);
    if (s->fd >= 0) close(s->fd);
    oct_arena_free(&s->arena);
    free(s);
}

oct_source_kind oct_source_type(const oct_source *s) { return s->kind; }
int oct_source_count(const oct_source *s) { return s->n; }
int oct_source_classes(const oct_source *s) { return s->classes; }

int oct_source_label(const oct_source *s, int i)
{
    return s->label ? s->label[i] : s->label8 ? s->label8[i] : -1;
}

const char *oct_source_text(const oct_source *s, int i) { return s->text ? s->text[i] : NULL; }

const char *oct_source_class_name(const oct_source *s, int label)
{
    return s->class_name && label >= 0 && label < s->classes ? s->class_name[label] : NULL;
}

/* A file of records, or of texts, may have many; their names are made when somebody asks.  Out of
 * memory: the file's name alone. */
static const char *record_name(oct_source_names *names, const oct_source *s, int i)
{
    if (!names->name) names->name = calloc((size_t)s->n, sizeof *names->name);
    if (!names->name) return s->path;
    if (!names->name[i]) {
        const size_t room = strlen(s->path) + 16;
        names->name[i] = malloc(room);
        if (!names->name[i]) return s->path;
        snprintf(names->name[i], room, "%s#%d", s->path, s->first + i);
    }
    return names->name[i];
}

const char *oct_source_name(const oct_source *s, int i)
{
    if (s->layout == OCT_IN_FILES) return s->file[i];
    if (s->layout == OCT_IN_MEMORY) return s->path;
    pthread_mutex_lock(&s->names->lock);
    const char *name = record_name(s->names, s, i);
    pthread_mutex_unlock(&s->names->lock);
    return name;
}

/* The recipe for records of idx and .bin, which are never resized; a crop that fits is made. */
static oct_recipe for_records(const oct_source *s, const oct_recipe *r)
{
    oct_recipe own = *r;
    if (s->layout != OCT_IN_PLANES) return own;
    own.resize[0] = own.resize[1] = 0;
    if (own.crop[0] > s->h || own.crop[1] > s->w) own.crop[0] = own.crop[1] = 0;
    return own;
}

void oct_source_shape(const oct_source *s, const oct_recipe *r, int *c, int *height, int *width)
{
    const oct_recipe own = for_records(s, r);
    *c = s->layout == OCT_IN_FLOATS ? s->c : r->channels;
    *height = *width = 0;
    if (s->layout == OCT_IN_FLOATS) {
        *height = s->h;
        *width = s->w;
    } else if (own.crop[0]) {
        *height = own.crop[0];
        *width = own.crop[1];
    } else if (own.resize[1]) {
        *height = own.resize[0];
        *width = own.resize[1];
    } else if (s->layout == OCT_IN_PLANES || s->layout == OCT_IN_PIXELS) {
        oct_resize_shape(&own, s->w, s->h, width, height);
    }
}

static oct_status read_image(const uint8_t *bytes, size_t size, const oct_recipe *r, int height,
                             int width, float *out)
{
    oct_image image;
    OCT_TRY(oct_image_decode(bytes, size, r->channels, &image));
    const oct_status status = oct_recipe_apply(r, &image, 1, width, height, out);
    oct_image_free(&image);
    return status;
}

static oct_status read_file(const oct_source *s, int i, const oct_recipe *r, int height, int width,
                            float *out)
{
    const char *path = s->file[i];
    char *joined = NULL;
    if (s->folder && path[0] != '/') {
        joined = malloc(strlen(s->folder) + strlen(path) + 1);
        if (!joined) return oct_fail(OCT_ERR_MEMORY, "out of memory");
        strcat(strcpy(joined, s->folder), path);
    }
    uint8_t *bytes;
    size_t size;
    oct_status status = oct_file_read_all(joined ? joined : path, &bytes, &size);
    free(joined);
    OCT_TRY(status);
    status = read_image(bytes, size, r, height, width, out);
    free(bytes);
    return status;
}

/* to [h][w][c] = planes [c][h][w] */
static void interleave(const uint8_t *planes, int c, size_t pixels, uint8_t *to)
{
    for (int k = 0; k < c; k++, planes += pixels)
        for (size_t i = 0; i < pixels; i++) to[i * (size_t)c + (size_t)k] = planes[i];
}

static oct_status read_record(const oct_source *s, int i, const oct_recipe *r, int height,
                              int width, float *out)
{
    const size_t n = oct_source_record_size(s);
    const int turn = s->layout == OCT_IN_PLANES && s->c > 1;
    uint8_t *scratch = malloc(2 * n); /* as it is in the file, and interleaved */
    if (!scratch) return oct_fail(OCT_ERR_MEMORY, "a record of %zu bytes: out of memory", n);
    const uint64_t at = s->offset + (uint64_t)i * s->stride;
    oct_status status = OCT_OK;
    if (s->fd >= 0) status = oct_file_read_at(s->fd, at, n, scratch);
    else memcpy(scratch, s->bytes + at, n);
    if (status == OCT_OK) {
        if (turn) interleave(scratch, s->c, n / (size_t)s->c, scratch + n);
        const oct_image image = { s->w, s->h, s->c, turn ? scratch + n : scratch };
        const oct_recipe own = for_records(s, r);
        status = oct_recipe_apply(&own, &image, 0, width, height, out);
    }
    free(scratch);
    return status;
}

/* FP32 in the file is little-endian. */
static oct_status read_floats(const oct_source *s, int i, int height, int width, float *out)
{
    if (height != s->h || width != s->w)
        return oct_fail(OCT_ERR_SHAPE, "samples of %dx%d (width x height), the model takes %dx%d",
                        s->w, s->h, width, height);
    const size_t n = oct_source_record_size(s);
    OCT_TRY(oct_file_read_at(s->fd, s->offset + (uint64_t)i * s->stride, n, out));
    const uint16_t one = 1;
    if (*(const uint8_t *)&one) return OCT_OK;
    for (size_t k = 0; k < n / sizeof *out; k++) {
        uint32_t v;
        memcpy(&v, out + k, sizeof v);
        v = v >> 24 | (v >> 8 & 0xff00) | (v << 8 & 0xff0000) | v << 24;
        memcpy(out + k, &v, sizeof v);
    }
    return OCT_OK;
}

oct_status oct_source_read(const oct_source *s, int i, const oct_recipe *r, int height, int width,
                           float *out)
{
    if (i < 0 || i >= s->n)
        return oct_fail(OCT_ERR_SHAPE, "sample %d of %d, counted from 0", i, s->n);
    if (s->layout == OCT_IN_FLOATS) return read_floats(s, i, height, width, out);
    if (r->text) return oct_fail(OCT_ERR_SHAPE, "the model takes text, this is an image");
    if (s->layout == OCT_IN_TEXTS)
        return oct_fail(OCT_ERR_SHAPE, "the model takes images, this is a text");
    if (s->layout == OCT_IN_FILES) return read_file(s, i, r, height, width, out);
    if (s->layout == OCT_IN_MEMORY) return read_image(s->bytes, s->size, r, height, width, out);
    return read_record(s, i, r, height, width, out);
}
