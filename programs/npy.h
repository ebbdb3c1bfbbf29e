#ifndef OCT_PROGRAMS_NPY_H
#define OCT_PROGRAMS_NPY_H

#include <stddef.h>

#include "tensor/tensor.h"

/* NumPy's .npy, version 1.0, little-endian float32, C order.
 *
 * Writing: rows go to an output (output.h) as they come; npy_commit puts the header in front. */
typedef struct npy_writer npy_writer;

OCT_MUST_CHECK oct_status npy_create(const char *path, int columns, npy_writer **out);
OCT_MUST_CHECK oct_status npy_append(npy_writer *w, const float *row);
OCT_MUST_CHECK oct_status npy_commit(npy_writer *w); /* frees w, on failure too */
void npy_drop(npy_writer *w);                        /* NULL is fine */

/* Reading: header checked against the file's size before anything is believed. */
typedef struct npy_reader {
    int fd;
    int rank, dim[OCT_MAX_RANK];
    size_t row;           /* elements of one sample: dim[0] left out */
    size_t data;          /* byte where they begin */
} npy_reader;

OCT_MUST_CHECK oct_status npy_open(const char *path, npy_reader *out);
/* Samples first .. first + n into out. */
OCT_MUST_CHECK oct_status npy_read(const npy_reader *r, int first, int n, float *out);
void npy_close(npy_reader *r);

#endif
