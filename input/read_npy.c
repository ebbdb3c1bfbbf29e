#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "input/file.h"
#include "input/image.h"
#include "input/source.h"

/* NumPy's .npy, versions 1 to 3: float32 [n, c, h, w], fed as it is, and uint8 [n, h, w, c],
 * which goes through the recipe.  The header is a Python dictionary of three keys:
 *     {'descr': '<f4', 'fortran_order': False, 'shape': (10, 3, 32, 32), }
 * in any order; nothing else is accepted. */
enum { HEADER_MAX = 65536 };

typedef struct header {
    const char *p;
    char descr[8];
    int fortran, rank;
    uint64_t dim[4];
} header;

static void blanks(header *h)
{
    while (*h->p == ' ' || *h->p == '\n' || *h->p == '\t') h->p++;
}

/* The character c, blanks around it. */
static int take(header *h, char c)
{
    blanks(h);
    if (*h->p != c) return 0;
    h->p++;
    blanks(h);
    return 1;
}

/* A string in either quotes, without escapes, shorter than size. */
static int take_string(header *h, char *to, size_t size)
{
    const char quote = *h->p;
    if (quote != '\'' && quote != '"') return 0;
    const char *end = strchr(h->p + 1, quote);
    if (!end || (size_t)(end - h->p) > size) return 0;
    memcpy(to, h->p + 1, (size_t)(end - h->p - 1));
    to[end - h->p - 1] = 0;
    h->p = end + 1;
    return 1;
}

static int take_flag(header *h)
{
    static const char *const word[] = { "False", "True" };
    for (int i = 0; i < 2; i++) {
        if (strncmp(h->p, word[i], strlen(word[i]))) continue;
        h->fortran = i;
        h->p += strlen(word[i]);
        return 1;
    }
    return 0;
}

/* (10, 3, 32, 32) or (10,); a rank over 4 is counted, its dims are not kept. */
static int take_shape(header *h)
{
    if (!take(h, '(')) return 0;
    h->rank = 0;
    while (*h->p >= '0' && *h->p <= '9') {
        uint64_t v = 0;
        for (int digits = 0; *h->p >= '0' && *h->p <= '9'; h->p++, digits++) {
            if (digits == 18) return 0;
            v = 10 * v + (uint64_t)(*h->p - '0');
        }
        if (h->rank < 4) h->dim[h->rank] = v;
        h->rank++;
        if (!take(h, ',')) break;
    }
    return take(h, ')');
}

static int parse(header *h)
{
    unsigned seen = 0;
    if (!take(h, '{')) return 0;
    for (int i = 0; i < 3; i++) {
        char key[16];
        if (!take_string(h, key, sizeof key) || !take(h, ':')) return 0;
        if (!strcmp(key, "descr") && take_string(h, h->descr, sizeof h->descr)) seen |= 1;
        else if (!strcmp(key, "fortran_order") && take_flag(h)) seen |= 2;
        else if (!strcmp(key, "shape") && take_shape(h)) seen |= 4;
        else return 0;
        if (!take(h, ',') && i < 2) return 0;
    }
    return seen == 7 && take(h, '}') && *h->p == 0;
}

/* s->offset: where the data begin.  *text, the caller's, is the header's text. */
static oct_status read_text(oct_source *s, uint64_t size, char **text)
{
    uint8_t head[12];
    OCT_TRY(oct_file_read_at(s->fd, 0, 10, head));
    uint64_t n = (uint64_t)head[8] | (uint64_t)head[9] << 8;
    s->offset = 10;
    if (head[6] < 1 || head[6] > 3)
        return oct_fail(OCT_ERR_UNSUPPORTED, "npy: version %d.%d", head[6], head[7]);
    if (head[6] > 1) {
        OCT_TRY(oct_file_read_at(s->fd, 10, 2, head + 10));
        n |= (uint64_t)head[10] << 16 | (uint64_t)head[11] << 24;
        s->offset = 12;
    }
    if (n > HEADER_MAX || n > size - s->offset)
        return oct_fail(OCT_ERR_FORMAT, "npy: a header of %llu bytes in a file of %llu",
                        (unsigned long long)n, (unsigned long long)size);
    *text = malloc(n + 1);
    if (!*text) return oct_fail(OCT_ERR_MEMORY, "out of memory");
    (*text)[n] = 0;
    OCT_TRY(oct_file_read_at(s->fd, s->offset, n, *text));
    s->offset += n;
    if (memchr(*text, 0, n)) return oct_fail(OCT_ERR_FORMAT, "npy: a zero byte in the header");
    return OCT_OK;
}

/* dtype and order: what we read, and why not the rest. */
static oct_status check_type(const header *h)
{
    const int floats = !strcmp(h->descr, "<f4");
    const int bytes = !strcmp(h->descr, "|u1") || !strcmp(h->descr, "<u1") ||
                      !strcmp(h->descr, ">u1");
    if (!floats && !bytes && h->descr[0] == '>')
        return oct_fail(OCT_ERR_UNSUPPORTED, "npy: big-endian data ('%s'), only '<f4' and '|u1' "
                        "are read", h->descr);
    if (!floats && !bytes)
        return oct_fail(OCT_ERR_UNSUPPORTED, "npy: data of type '%s', only '<f4' (float32) and "
                        "'|u1' (uint8) are read", h->descr);
    if (h->fortran)
        return oct_fail(OCT_ERR_UNSUPPORTED, "npy: the array is in Fortran order, save it in C "
                        "order");
    if (h->rank != 4)
        return oct_fail(OCT_ERR_SHAPE, "npy: %d dimensions, expected 4: %s", h->rank,
                        floats ? "[n, c, h, w]" : "[n, h, w, c]");
    return OCT_OK;
}

/* The array's size against the file's, without overflow. */
static oct_status check_shape(oct_source *s, const header *h, uint64_t size, int only)
{
    const int floats = h->descr[1] == 'f';
    const uint64_t c = h->dim[floats ? 1 : 3], rows = h->dim[floats ? 2 : 1],
                   columns = h->dim[floats ? 3 : 2];
    OCT_TRY(oct_image_check_size("npy", columns, rows));
    if (floats ? c < 1 || c > 65536 : c != 1 && c != 3)
        return oct_fail(OCT_ERR_SHAPE, "npy: %llu channels%s", (unsigned long long)c,
                        floats ? "" : ", expected 1 or 3");
    s->kind = OCT_SOURCE_NPY;
    s->layout = floats ? OCT_IN_FLOATS : OCT_IN_PIXELS;
    s->stride = c * rows * columns * (floats ? 4 : 1); /* 2^16 * 2^28 * 2^2 */
    if (h->dim[0] > UINT64_MAX / s->stride || h->dim[0] * s->stride != size - s->offset)
        return oct_fail(OCT_ERR_FORMAT, "npy: %llu samples of %llu bytes, the file has %llu bytes "
                        "of data", (unsigned long long)h->dim[0], (unsigned long long)s->stride,
                        (unsigned long long)(size - s->offset));
    s->c = (int)c;
    s->h = (int)rows;
    s->w = (int)columns;
    return oct_source_select(s, h->dim[0], only);
}

oct_status oct_read_npy(oct_source *s, int only)
{
    uint64_t size;
    char *text = NULL;
    header h = { 0 };
    OCT_TRY(oct_file_open_regular(s->path, &s->fd, &size));
    oct_status status = size < 12 ? oct_fail(OCT_ERR_FORMAT, "npy: the file is truncated")
                                  : read_text(s, size, &text);
    h.p = text;
    if (status == OCT_OK && !parse(&h))
        status = oct_fail(OCT_ERR_FORMAT, "npy: malformed header (byte %zu of it)",
                          (size_t)(h.p - text));
    if (status == OCT_OK) status = check_type(&h);
    if (status == OCT_OK) status = check_shape(s, &h, size, only);
    free(text);
    return status;
}
