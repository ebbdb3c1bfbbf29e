#ifndef OCT_TESTS_FILES_H
#define OCT_TESTS_FILES_H

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <zlib.h>

#include "tests/suite.h"

/* Files of the source tree, scratch files, and the checksums of tests/golden. */

static inline const char *file_of(const char *name) /* "golden/x", under tests/; static buffer */
{
    static char path[4096];
    const char *srcdir = getenv("srcdir");
    snprintf(path, sizeof path, "%s/tests/%s", srcdir ? srcdir : ".", name);
    return path;
}

/* The whole file, malloc'd, to its exact size, so that a sanitizer sees a read past it. */
static inline uint8_t *file_read(const char *path, size_t *size)
{
    FILE *f = fopen(path, "rb");
    ck_assert_msg(f != NULL, "%s", path);
    fseek(f, 0, SEEK_END);
    *size = (size_t)ftell(f);
    rewind(f);
    uint8_t *p = malloc(*size ? *size : 1);
    ck_assert_uint_eq(fread(p, 1, *size, f), *size);
    fclose(f);
    return p;
}

static inline void file_write(const char *path, const void *bytes, size_t size)
{
    FILE *f = fopen(path, "wb");
    ck_assert_msg(f != NULL, "%s", path);
    ck_assert_uint_eq(fwrite(bytes, 1, size, f), size);
    fclose(f);
}

/* crc32 and adler32 in hex, as make_images.py writes them; static buffer */
static inline const char *checksum(const void *bytes, size_t size)
{
    static char text[20];
    const uLong c = crc32_z(0, bytes, size), a = adler32_z(1, bytes, size);
    snprintf(text, sizeof text, "%08lx%08lx", c, a);
    return text;
}

/* A new folder for a test's files. */
static inline char *scratch_folder(void)
{
    static char path[64];
    snprintf(path, sizeof path, "test-files-XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(path));
    return path;
}

/* A line of a table cut at its tabs in place; the number of columns. */
static inline int cut_columns(char *line, char **column, int most)
{
    int n = 0;
    line[strcspn(line, "\n")] = 0;
    for (char *p = line; p && n < most; n++) {
        column[n] = p;
        p = strchr(p, '\t');
        if (p) *p++ = 0;
    }
    return n;
}

#endif
