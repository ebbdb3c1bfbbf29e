/* Any bytes as a model file: open, read every tensor, hash. */
#define _GNU_SOURCE /* memfd_create */
#include "tests/fuzz_main.h"

#include "tests/weights_util.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static int fd = -1;
    const char *path = memory_file(&fd, data, size);
    if (read_everything(path) != OCT_OK && !*oct_last_error()) abort();
    return 0;
}

FUZZ_MAIN("tests/corpus/weights", "tests/golden/weights")
