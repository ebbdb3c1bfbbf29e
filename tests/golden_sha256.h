#ifndef OCT_TESTS_GOLDEN_SHA256_H
#define OCT_TESTS_GOLDEN_SHA256_H

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/suite.h"
#include "weights/sha256.h"

/* tests/golden/logits.sha256 has a line "SHA256  NAME" for the logits of a model on given inputs:
 * one constant for every machine. */
static inline void golden_sha256(const char *name, char hex[65])
{
    char path[512], line[160];
    const char *folder = getenv("srcdir");
    snprintf(path, sizeof path, "%s/tests/golden/logits.sha256", folder ? folder : ".");
    FILE *f = fopen(path, "r");
    ck_assert_ptr_nonnull(f);
    hex[0] = 0;
    while (!hex[0] && fgets(line, sizeof line, f)) {
        line[strcspn(line, "\n")] = 0;
        if (strlen(line) > 66 && strcmp(line + 66, name) == 0) snprintf(hex, 65, "%.64s", line);
    }
    fclose(f);
}

static inline void sha256_of(const void *bytes, size_t size, char hex[65])
{
    oct_sha256 sha;
    oct_sha256_init(&sha);
    oct_sha256_add(&sha, bytes, size);
    oct_sha256_hex(&sha, hex);
}

#endif
