/* Token ids of many texts, for bench/wordpiece.py to compare with Hugging Face's.
 *     wordpiece FOLDER [MAX_LENGTH] < texts > ids
 *
 * In: for each text its size, its bytes, the size of its pair (0: none) and its bytes.  Out: for
 * each text n, n ids and n types.  All numbers are 32 bits of this machine.  On standard error: the
 * time that encoding took, in seconds. */
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "input/wordpiece.h"

static int refuse(const char *what, const char *why)
{
    fprintf(stderr, "wordpiece: %s: %s\n", what, why);
    return 2;
}

static double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

/* A size and as many bytes, malloc'd; 0: no more. */
static int read_bytes(char **bytes, size_t *size)
{
    uint32_t n;
    *bytes = NULL;
    if (fread(&n, sizeof n, 1, stdin) != 1) return 0;
    *bytes = malloc((size_t)n + 1);
    *size = n;
    return *bytes && fread(*bytes, 1, n, stdin) == n;
}

static oct_status encode_all(const oct_wordpiece *w, int max_length, int32_t *ids, double *seconds)
{
    char *text, *pair;
    oct_wordpiece_text t;
    while (read_bytes(&text, &t.size)) {
        if (!read_bytes(&pair, &t.pair_size)) return oct_fail(OCT_ERR_IO, "half a text");
        t.text = text;
        t.pair = pair;
        int32_t *types = ids + max_length, n;
        const double start = now();
        OCT_TRY(oct_wordpiece_encode(w, &t, max_length, ids, types, &n, NULL));
        *seconds += now() - start;
        fwrite(&n, sizeof n, 1, stdout);
        fwrite(ids, sizeof *ids, (size_t)n, stdout);
        fwrite(types, sizeof *types, (size_t)n, stdout);
        free(text);
        free(pair);
    }
    return ferror(stdout) ? oct_fail(OCT_ERR_IO, "standard output") : OCT_OK;
}

int main(int argc, char **argv)
{
    oct_wordpiece *w;
    oct_recipe r;
    double seconds = 0;
    if (argc < 2 || argc > 3) return refuse("usage", "wordpiece FOLDER [MAX_LENGTH]");
    if (oct_wordpiece_open_folder(argv[1], &r, &w) != OCT_OK)
        return refuse(argv[1], oct_last_error());
    const int max_length = argc == 3 ? atoi(argv[2]) : r.max_length;
    int32_t *ids = malloc(2 * (size_t)max_length * sizeof *ids);
    if (!ids) return refuse(argv[1], "out of memory");
    const oct_status status = encode_all(w, max_length, ids, &seconds);
    if (status == OCT_OK) fprintf(stderr, "%.6f\n", seconds);
    free(ids);
    oct_wordpiece_close(w);
    return status == OCT_OK ? 0 : refuse("standard input", oct_last_error());
}
