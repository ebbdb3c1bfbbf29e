#ifndef OCT_TESTS_FUZZ_MAIN_H
#define OCT_TESTS_FUZZ_MAIN_H

/* A fuzz target is a file with LLVMFuzzerTestOneInput and, at its end,
 *     FUZZ_MAIN("tests/corpus/weights", "tests/golden/weights")
 * Built as usual it is a test that runs every file of these folders, or those given as arguments.
 * With -DOCT_LIBFUZZER libFuzzer brings its own main; out of tree:
 *     configure CC=clang CPPFLAGS=-DOCT_LIBFUZZER CFLAGS="-g -O1 -fsanitize=fuzzer-no-link,address"
 *     make tests/fuzz_weights CFLAGS="-g -O1 -fsanitize=fuzzer,address"
 *     tests/fuzz_weights -max_len=8192 new/ SRC/tests/corpus/weights SRC/tests/golden/weights */
#include <dirent.h>
#include <string.h>
#include <sys/stat.h>

#include "tests/test.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#ifdef OCT_LIBFUZZER
#define FUZZ_MAIN(...) int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
#else
#define FUZZ_MAIN(...)                                                                   \
    int main(int argc, char **argv)                                                      \
    {                                                                                    \
        static const char *const folders[] = { __VA_ARGS__ };                            \
        return fuzz_main(argc, argv, folders, (int)(sizeof folders / sizeof *folders));  \
    }

static int fuzz_file(const char *path)
{
    FILE *f = fopen(path, "rb");
    if (!f) return 0;
    struct stat st;
    if (fstat(fileno(f), &st) < 0 || !S_ISREG(st.st_mode)) {
        fclose(f);
        return 0;
    }
    uint8_t *data = malloc((size_t)st.st_size + !st.st_size);
    const size_t n = data ? fread(data, 1, (size_t)st.st_size, f) : 0;
    fclose(f);
    if (data) LLVMFuzzerTestOneInput(data, n);
    free(data);
    return 1;
}

static int fuzz_main(int argc, char **argv, const char *const *folders, int n)
{
    int files = 0;
    for (int i = 1; i < argc; i++) files += fuzz_file(argv[i]);
    for (int i = 0; i < n && argc == 1; i++) {
        char path[2048];
        const char *root = getenv("srcdir");
        snprintf(path, sizeof path, "%s/%s", root ? root : ".", folders[i]);
        DIR *d = opendir(path);
        if (!d) continue;
        const size_t used = strlen(path);
        for (struct dirent *e; (e = readdir(d));) {
            snprintf(path + used, sizeof path - used, "/%s", e->d_name);
            files += fuzz_file(path);
        }
        closedir(d);
    }
    printf("%d files, none crashed\n", files);
    return files ? TEST_PASS : TEST_FAIL;
}
#endif

#endif
