#include "programs/labels.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

enum { MAX_FILE = 1 << 24 }; /* bytes: a million classes of 16 letters */

void labels_free(char **labels)
{
    if (labels) free(labels[0]); /* the text they all point into */
    free(labels);
}

/* The whole file, with a final 0; NULL and *code if it cannot be. */
static char *read_text(const cli_args *a, const char *path, size_t *size, int *code)
{
    struct stat st;
    FILE *file = fopen(path, "rb");
    char *text = NULL;
    if (!file || fstat(fileno(file), &st)) {
        *code = cli_refuse(a, path, OCT_ERR_IO, "cannot be opened: %s", strerror(errno));
    } else if (!S_ISREG(st.st_mode) || st.st_size > MAX_FILE) {
        *code = cli_refuse(a, path, OCT_ERR_FORMAT, "not a plain file of at most %d bytes",
                           MAX_FILE);
    } else if (!(text = malloc((size_t)st.st_size + 1))) {
        *code = cli_refuse(a, path, OCT_ERR_MEMORY, "out of memory");
    } else {
        *size = fread(text, 1, (size_t)st.st_size, file);
        text[*size] = 0;
        if (ferror(file)) {
            *code = cli_refuse(a, path, OCT_ERR_IO, "cannot be read: %s", strerror(errno));
            free(text);
            text = NULL;
        }
    }
    if (file) fclose(file);
    return text;
}

int labels_read(const cli_args *a, const char *path, int classes, char ***out)
{
    size_t size = 0;
    int code = CLI_OK, n = 0;
    *out = NULL;
    char *text = read_text(a, path, &size, &code);
    if (!text) return code;
    char **labels = calloc((size_t)classes, sizeof *labels);
    for (char *line = text; labels && line < text + size; n++) {
        char *end = memchr(line, '\n', (size_t)(text + size - line));
        if (!end) end = text + size;
        *end = 0;
        if (end > line && end[-1] == '\r') end[-1] = 0;
        if (n < classes) labels[n] = line;
        line = end + 1;
    }
    if (!labels) code = cli_refuse(a, path, OCT_ERR_MEMORY, "out of memory");
    else if (n != classes)
        code = cli_refuse(a, path, OCT_ERR_FORMAT, "%d lines, the model has %d classes", n,
                          classes);
    if (code) {
        free(labels);
        free(text);
        return code;
    }
    *out = labels;
    return CLI_OK;
}
