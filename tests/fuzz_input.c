/* Everything that reads users' data, fed with bytes: images, idx, gz, npy, .bin, lists, recipes.
 *
 * libFuzzer:   clang -g -O1 -fsanitize=fuzzer,address,undefined -DFUZZER ... tests/fuzz_input.c
 * make check:  its own main runs tests/corpus/input and mutants of it. */
#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "input/input.h"
#include "tests/test.h"

#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size);

static void fuzz_image(const uint8_t *bytes, size_t size)
{
    static const oct_recipe r = { .channels = 3, .resize = { 9, 0 }, .crop = { 8, 8 },
                                  .filter = OCT_BICUBIC, .scale = 1, .n_mean = 1, .n_std = 1,
                                  .mean = { 1 }, .std = { 2 } };
    for (int channels = 1; channels <= 3; channels += 2) {
        oct_image image;
        if (oct_image_decode(bytes, size, channels, &image) != OCT_OK) continue;
        float out[3 * 8 * 8];
        if (oct_recipe_apply(&r, &image, 1, 8, 8, out) != OCT_OK) (void)oct_last_error();
        oct_image_free(&image);
    }
}

/* A source needs a file, for its suffix says what has no magic. */
static void fuzz_source(const uint8_t *bytes, size_t size, const char *suffix)
{
    static const oct_recipe r = { .channels = 3, .scale = 1 };
    char path[64];
    snprintf(path, sizeof path, "/tmp/octet-fuzz-%ld%s", (long)getpid(), suffix);
    const int fd = open(path, O_CREAT | O_TRUNC | O_WRONLY, 0600);
    if (fd < 0) return;
    const ssize_t put = write(fd, bytes, size);
    close(fd);
    oct_source *s;
    if (put == (ssize_t)size && oct_source_open(path, &s) == OCT_OK) {
        int c, h, w;
        oct_source_shape(s, &r, &c, &h, &w);
        if (h > 0 && (size_t)c * (size_t)h * (size_t)w < 1 << 20) {
            float *out = malloc((size_t)c * (size_t)h * (size_t)w * sizeof *out);
            for (int i = 0; i < oct_source_count(s) && i < 3; i++)
                if (oct_source_read(s, i, &r, h, w, out) != OCT_OK) (void)oct_last_error();
            free(out);
        }
        (void)oct_source_name(s, oct_source_count(s) - 1);
        (void)oct_source_label(s, oct_source_count(s) - 1);
        oct_source_close(s);
    }
    if (put == (ssize_t)size && oct_source_open_texts(path, &s) == OCT_OK) {
        for (int i = 0; i < oct_source_count(s); i++)
            if (strlen(oct_source_text(s, i)) > size) abort();
        oct_source_close(s);
    }
    unlink(path);
}

static void fuzz_recipe(const uint8_t *bytes, size_t size)
{
    char *text = malloc(size + 1), *json;
    memcpy(text, bytes, size);
    text[size] = 0;
    oct_recipe r, again;
    oct_arena arena = { 0 };
    if (oct_recipe_parse(text, &r) == OCT_OK && oct_recipe_write(&r, &arena, &json) == OCT_OK)
        if (oct_recipe_parse(json, &again) != OCT_OK) abort(); /* what we write we read */
    oct_arena_free(&arena);
    free(text);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
    if (size < 1) return 0;
    if (bytes[0] == '{') fuzz_recipe(bytes, size);
    fuzz_image(bytes, size);
    const int image = bytes[0] == 0xff || bytes[0] == 0x89 || bytes[0] == 'B' || bytes[0] == 'P';
    if (!image) fuzz_source(bytes, size, size % 3073 ? ".tsv" : ".bin");
    if (!image) fuzz_source(bytes, size, "");
    return 0;
}

#ifndef FUZZER
/* Each file as it is, cut, and with bytes changed; in memory of its own size. */
static void run_file(const char *path)
{
    FILE *f = fopen(path, "rb");
    if (!f) return;
    uint8_t *bytes = malloc(1 << 20);
    const size_t size = fread(bytes, 1, 1 << 20, f);
    fclose(f);
    const int rounds = size > 10000 ? 1 : test_emulated() ? 3 : 30;
    for (int i = 0; i < rounds && size; i++) {
        const size_t n = i % 3 == 2 ? 1 + test_rand() % size : size;
        uint8_t *mutant = malloc(n);
        memcpy(mutant, bytes, n);
        for (int k = 0; k < i % 5; k++) mutant[test_rand() % n] = (uint8_t)test_rand();
        LLVMFuzzerTestOneInput(mutant, n);
        free(mutant);
    }
    free(bytes);
}

static int run_folder(const char *srcdir, const char *name)
{
    char path[4096];
    snprintf(path, sizeof path, "%s/tests/%s", srcdir, name);
    DIR *dir = opendir(path);
    if (!dir) return 0;
    int n = 0;
    for (const struct dirent *e; (e = readdir(dir)); n++) {
        snprintf(path, sizeof path, "%s/tests/%s/%s", srcdir, name, e->d_name);
        struct stat st;
        if (stat(path, &st) == 0 && S_ISREG(st.st_mode)) run_file(path);
    }
    closedir(dir);
    return n;
}

int main(void)
{
    const char *srcdir = getenv("srcdir");
    test_seed = 3;
    const int n = run_folder(srcdir ? srcdir : ".", "corpus/input");
    const int m = run_folder(srcdir ? srcdir : ".", "golden/images");
    return n > 2 && m > 100 ? TEST_PASS : TEST_FAIL;
}
#endif
