#ifndef OCT_INPUT_FILE_H
#define OCT_INPUT_FILE_H

#include <stddef.h>
#include <stdint.h>

#include "tensor/status.h"

/* Files, for the readers.  Private to input/. */

/* A user's file up to this size is read whole: images, lists. */
enum { OCT_FILE_MAX = 1 << 30 };

/* The whole file, or until its end if it is a pipe; path "-" is standard input.  *bytes is
 * malloc'd, the caller's, and followed by a zero byte. */
OCT_MUST_CHECK oct_status oct_file_read_all(const char *path, uint8_t **bytes, size_t *size);

/* Bytes [offset, offset + n) of fd; fewer are an error. */
OCT_MUST_CHECK oct_status oct_file_read_at(int fd, uint64_t offset, size_t n, void *to);

/* Opens a regular file for reading; *fd is the caller's. */
OCT_MUST_CHECK oct_status oct_file_open_regular(const char *path, int *fd, uint64_t *size);

#endif
