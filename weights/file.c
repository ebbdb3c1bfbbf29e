/* Opening what a user names as a model: only regular files are read, and folders that hold one. */
#include "weights/file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "weight files are little-endian");

static oct_status system_error(void) { return oct_fail(OCT_ERR_IO, "%s", strerror(errno)); }

/* O_NONBLOCK: a FIFO nobody writes to must not hang us before fstat can tell what it is. */
static oct_status open_regular(int folder, const char *path, int *fd, struct stat *st)
{
    *fd = openat(folder, path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    if (*fd < 0) return system_error();
    oct_status status = OCT_OK;
    if (fstat(*fd, st) < 0)
        status = system_error();
    else if (!S_ISREG(st->st_mode) && !S_ISDIR(st->st_mode))
        status = oct_fail(OCT_ERR_FORMAT, "neither a regular file nor a folder");
    else if (S_ISREG(st->st_mode) && st->st_size == 0)
        status = oct_fail(OCT_ERR_FORMAT, "the file is empty");
    if (status == OCT_OK) return OCT_OK;
    close(*fd);
    *fd = -1;
    return status;
}

static uint64_t size_of(int folder, const char *name)
{
    struct stat st;
    return fstatat(folder, name, &st, 0) == 0 && S_ISREG(st.st_mode) ? (uint64_t)st.st_size : 0;
}

/* config.json into w->config; there may be none. */
static oct_status read_config(int folder, oct_weights *w)
{
    enum { MOST = 1 << 20 };
    static const char name[] = "config.json";
    struct stat st;
    int fd;
    if (faccessat(folder, name, F_OK, 0) < 0) return OCT_OK;
    OCT_TRY(open_regular(folder, name, &fd, &st));
    const size_t size = (size_t)st.st_size;
    char *text = NULL;
    oct_status status = OCT_OK;
    if (S_ISDIR(st.st_mode)) status = oct_fail(OCT_ERR_FORMAT, "%s in it is a folder", name);
    else if (st.st_size > MOST)
        status = oct_fail(OCT_ERR_FORMAT, "%s: more than %d bytes", name, MOST);
    else if (!(text = oct_slab_alloc(&w->slab, size + 1))) status = oct_slab_error(&w->slab);
    else status = oct_file_read(fd, 0, text, size);
    close(fd);
    OCT_TRY(status);
    if (memchr(text, '\0', size)) return oct_fail(OCT_ERR_FORMAT, "%s: a NUL byte in it", name);
    text[size] = '\0';
    w->config = text;
    return OCT_OK;
}

/* A Hugging Face folder: config.json, the weights, vocab.txt or tokenizer.json. */
static oct_status open_in_folder(int folder, oct_weights *w, struct stat *st)
{
    static const char *const weights[] = { "model.safetensors", "pytorch_model.bin" };
    for (size_t i = 0; i < sizeof weights / sizeof *weights; i++) {
        if (faccessat(folder, weights[i], F_OK, 0) < 0) continue;
        OCT_TRY(open_regular(folder, weights[i], &w->fd, st));
        if (S_ISDIR(st->st_mode))
            return oct_fail(OCT_ERR_FORMAT, "%s in it is a folder", weights[i]);
        const uint64_t vocab = size_of(folder, "vocab.txt");
        w->total = size_of(folder, "config.json") +
                   (vocab ? vocab : size_of(folder, "tokenizer.json"));
        return read_config(folder, w);
    }
    if (faccessat(folder, "model.safetensors.index.json", F_OK, 0) == 0 ||
        faccessat(folder, "pytorch_model.bin.index.json", F_OK, 0) == 0)
        return oct_fail(OCT_ERR_UNSUPPORTED, "a folder with weights cut into several files");
    return oct_fail(OCT_ERR_FORMAT, "a folder without model.safetensors or pytorch_model.bin");
}

oct_status oct_file_open(const char *path, oct_weights *w)
{
    struct stat st;
    OCT_TRY(open_regular(AT_FDCWD, path, &w->fd, &st));
    if (S_ISDIR(st.st_mode)) {
        const int folder = w->fd;
        w->fd = -1;
        const oct_status status = open_in_folder(folder, w, &st);
        close(folder);
        OCT_TRY(status);
    }
    w->size = (uint64_t)st.st_size;
    w->total += w->size;
    return OCT_OK;
}

oct_status oct_file_read(int fd, uint64_t at, void *to, size_t size)
{
    char *p = to;
    while (size) {
        const ssize_t n = pread(fd, p, size < 1 << 30 ? size : 1 << 30, (off_t)at);
        if (n < 0 && errno == EINTR) continue;
        if (n < 0) return system_error();
        if (n == 0)
            return oct_fail(OCT_ERR_IO, "the file was cut short while it was read: no byte %llu",
                            (unsigned long long)at);
        p += n;
        at += (uint64_t)n;
        size -= (size_t)n;
    }
    return OCT_OK;
}
