#define _GNU_SOURCE /* memmem, memfd_create */
#include "tests/header_change.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "tests/suite.h"
#include "tests/weights_util.h"

enum { MORE = 64 };

char *header_changed(const char *file, size_t size, const char *from, const char *to, size_t *out)
{
    uint64_t length;
    const size_t old = strlen(from), new = strlen(to);
    memcpy(&length, file, sizeof length);
    const char *at = memmem(file + 8, length, from, old), *data = file + 8 + length;
    *out = size + MORE;
    if (!at || new > old + MORE) return NULL;
    char *copy = malloc(*out), *to_data = copy + 8 + length + MORE;
    const uint64_t wide = length + MORE;
    const size_t before = (size_t)(at - file), rest = (size_t)(data - at) - old;
    memset(copy, ' ', *out);
    memcpy(copy, &wide, sizeof wide);
    memcpy(copy + 8, file + 8, before - 8);
    memcpy(copy + before, to, new);
    memcpy(copy + before + new, at + old, rest);
    memcpy(to_data, data, size - 8 - length);
    return copy;
}

int header_refused(oct_status status)
{
    return status == OCT_ERR_FORMAT || status == OCT_ERR_SHAPE || status == OCT_ERR_UNSUPPORTED;
}

void header_shake(char *file, size_t size, int rounds, unsigned seed,
                  oct_status (*try)(const char *path))
{
    static const char likely[] = "0123456789-[]{}\",:\\ e.nul";
    int fd = -1, accepted = 0;
    uint64_t length;
    memcpy(&length, file, sizeof length);
    test_seed = seed;
    for (int i = 0; i < rounds; i++) {
        const size_t at = 8 + test_rand() % length;
        const char was = file[at];
        file[at] = likely[test_rand() % (sizeof likely - 1)];
        const oct_status status = try(memory_file(&fd, file, size));
        ck_assert_msg(status == OCT_OK || header_refused(status) || status == OCT_ERR_MEMORY,
                      "byte %zu: '%c'", at, file[at]);
        accepted += status == OCT_OK;
        file[at] = was;
    }
    ck_assert_int_lt(accepted, rounds);
}
