#include "programs/npy.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "programs/output.h"

enum { HEADER = 128 }; /* bytes before the data: enough for [n, columns], a multiple of 64 */

struct npy_writer {
    output *file;
    int columns;
    long long rows;
};

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

void npy_drop(npy_writer *w)
{
    if (!w) return;
    output_drop(w->file);
    free(w);
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
    return fwrite(header, 1, HEADER, output_stream(w->file)) == HEADER
               ? OCT_OK : oct_fail(OCT_ERR_IO, "cannot be written: %s", strerror(errno));
}

oct_status npy_create(const char *path, int columns, npy_writer **out)
{
    *out = NULL;
    npy_writer *w = calloc(1, sizeof *w);
    if (!w) return oct_fail(OCT_ERR_MEMORY, "out of memory");
    w->columns = columns;
    oct_status status = output_open(path, &w->file);
    if (!status) status = write_header(w); /* its place; the number of rows is not known yet */
    if (status) npy_drop(w);
    else *out = w;
    return status;
}

oct_status npy_append(npy_writer *w, const float *row)
{
    for (int i = 0; i < w->columns; i++) {
        const float x = little_endian(row[i]);
        if (fwrite(&x, sizeof x, 1, output_stream(w->file)) != 1)
            return oct_fail(OCT_ERR_IO, "cannot be written: %s", strerror(errno));
    }
    w->rows++;
    return OCT_OK;
}

oct_status npy_commit(npy_writer *w)
{
    oct_status status = OCT_OK;
    if (fseek(output_stream(w->file), 0, SEEK_SET))
        status = oct_fail(OCT_ERR_IO, "cannot be written");
    if (!status) status = write_header(w);
    if (!status) {
        status = output_commit(w->file);
        w->file = NULL;
    }
    npy_drop(w);
    return status;
}
