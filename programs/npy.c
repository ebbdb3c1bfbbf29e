#include "programs/npy.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "programs/cli.h"

enum { HEADER = 128 }; /* bytes before the data: enough for [n, columns], a multiple of 64 */

struct npy_writer {
    char *path, *temporary;
    FILE *file;
    int columns;
    long long rows;
};

static const int ending[] = { SIGINT, SIGTERM, SIGHUP };

static void clean_up(int number)
{
    if (cli_unfinished) unlink(cli_unfinished);
    signal(number, SIG_DFL);
    raise(number);
}

static void watch(char *temporary)
{
    cli_unfinished = temporary;
    for (size_t i = 0; i < sizeof ending / sizeof *ending; i++) {
        struct sigaction now;
        if (sigaction(ending[i], NULL, &now) || now.sa_handler == SIG_IGN) continue; /* nohup */
        signal(ending[i], temporary ? clean_up : SIG_DFL);
    }
}

static float little_endian(float x)
{
    const unsigned one = 1;
    unsigned char b[4], r[4];
    if (*(const unsigned char *)&one) return x;
    memcpy(b, &x, 4);
    for (int i = 0; i < 4; i++) r[i] = b[3 - i];
    memcpy(&x, r, 4);
    return x;
}

static void free_writer(npy_writer *w)
{
    if (!w) return;
    if (w->file) fclose(w->file);
    if (w->temporary && cli_unfinished == w->temporary) {
        watch(NULL);
        unlink(w->temporary);
    }
    free(w->temporary);
    free(w->path);
    free(w);
}

void npy_drop(npy_writer *w) { free_writer(w); }

/* The file that will be replaced: what path points at if it is a link.  A device or a pipe cannot
 * be renamed over without harm. */
static oct_status target(const char *path, char **out)
{
    struct stat st;
    if (stat(path, &st) == 0) {
        if (S_ISDIR(st.st_mode)) return oct_fail(OCT_ERR_IO, "is a folder");
        if (!S_ISREG(st.st_mode)) return oct_fail(OCT_ERR_IO, "is not a plain file");
        *out = realpath(path, NULL);
    } else {
        *out = strdup(path);
    }
    return *out ? OCT_OK : oct_fail(OCT_ERR_MEMORY, "out of memory");
}

/* A new file NAME.XXXXXX beside the target, with the permissions a new file gets. */
static oct_status open_temporary(npy_writer *w)
{
    const size_t size = strlen(w->path) + 8;
    char *name = malloc(size);
    if (!name) return oct_fail(OCT_ERR_MEMORY, "out of memory");
    snprintf(name, size, "%s.XXXXXX", w->path);
    const int fd = mkstemp(name);
    if (fd < 0) {
        free(name);
        return oct_fail(OCT_ERR_IO, "cannot be created: %s", strerror(errno));
    }
    w->temporary = name;
    watch(name);
    const mode_t mask = umask(0);
    umask(mask);
    if (fchmod(fd, 0666 & ~mask) == 0) w->file = fdopen(fd, "wb");
    if (w->file) return OCT_OK;
    close(fd);
    return oct_fail(OCT_ERR_IO, "cannot be created: %s", strerror(errno));
}

static oct_status write_header(npy_writer *w)
{
    char header[HEADER + 1] = "\x93NUMPY\x01";
    header[8] = HEADER - 10; /* 2 bytes, little-endian; the high one is 0 */
    const int n = snprintf(header + 10, HEADER - 10,
                           "{'descr': '<f4', 'fortran_order': False, 'shape': (%lld, %d), }",
                           w->rows, w->columns);
    memset(header + 10 + n, ' ', (size_t)(HEADER - 11 - n));
    header[HEADER - 1] = '\n';
    return fwrite(header, 1, HEADER, w->file) == HEADER
               ? OCT_OK : oct_fail(OCT_ERR_IO, "cannot be written: %s", strerror(errno));
}

oct_status npy_create(const char *path, int columns, npy_writer **out)
{
    *out = NULL;
    npy_writer *w = calloc(1, sizeof *w);
    if (!w) return oct_fail(OCT_ERR_MEMORY, "out of memory");
    w->columns = columns;
    oct_status status = target(path, &w->path);
    if (!status) status = open_temporary(w);
    if (!status) status = write_header(w); /* its place; the number of rows is not known yet */
    if (status) free_writer(w);
    else *out = w;
    return status;
}

oct_status npy_append(npy_writer *w, const float *row)
{
    for (int i = 0; i < w->columns; i++) {
        const float x = little_endian(row[i]);
        if (fwrite(&x, sizeof x, 1, w->file) != 1)
            return oct_fail(OCT_ERR_IO, "cannot be written: %s", strerror(errno));
    }
    w->rows++;
    return OCT_OK;
}

oct_status npy_commit(npy_writer *w)
{
    oct_status status = OCT_OK;
    if (fseek(w->file, 0, SEEK_SET)) status = oct_fail(OCT_ERR_IO, "cannot be written");
    if (!status) status = write_header(w);
    if (!status && (fflush(w->file) || fsync(fileno(w->file))))
        status = oct_fail(OCT_ERR_IO, "cannot be written: %s", strerror(errno));
    if (!status && rename(w->temporary, w->path))
        status = oct_fail(OCT_ERR_IO, "cannot be replaced: %s", strerror(errno));
    if (!status) watch(NULL); /* nothing to unlink any more */
    free_writer(w);
    return status;
}
