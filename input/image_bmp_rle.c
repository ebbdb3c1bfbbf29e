#include "input/image_bmp.h"

#include <stdlib.h>
#include <string.h>

/* Run-length coded BMP: pairs (n, v).  n > 0: n pixels of colour v (RLE4: of its two nibbles in
 * turn).  n = 0: v = 0 end of line, 1 end of bitmap, 2 skip (right, up), else v literal pixels,
 * padded to an even place in the file.  Skipped pixels are index 0.  As in Pillow, every pixel
 * must be coded: a bitmap that ends early is an error, a run past its line's end is cut. */
typedef struct runs {
    const uint8_t *bytes;
    size_t size, next;        /* next: the place in the file */
    uint8_t *index;           /* all lines, one byte a pixel; NULL: only count */
    size_t width, count, n;   /* pixels of a line, of all lines, so far */
    size_t x;                 /* Pillow's idea of the column: not reset when a line fills up */
    int nibbles;              /* RLE4 */
} runs;

static void put_run(runs *r, size_t n, unsigned v)
{
    if (r->x + n > r->width) n = r->x < r->width ? r->width - r->x : 0;
    r->x += n;
    if (n > r->count - r->n) n = r->count - r->n;
    for (size_t i = 0; i < n && r->index; i++)
        r->index[r->n + i] = (uint8_t)(!r->nibbles ? v : i % 2 ? v & 15 : v >> 4);
    r->n += n;
}

static void put_zeros(runs *r, size_t n)
{
    if (n > r->count - r->n) n = r->count - r->n;
    if (r->index) memset(r->index + r->n, 0, n);
    r->n += n;
}

/* 0: the file or the bitmap ends here. */
static int put_literal(runs *r, size_t v)
{
    const size_t left = r->count - r->n, n = v < left ? v : left;
    const size_t bytes = r->nibbles ? (n + 1) / 2 : n;
    if (bytes > r->size - r->next) return 0;
    const uint8_t *p = r->bytes + r->next;
    for (size_t i = 0; i < n && r->index; i++) {
        const unsigned pair = p[r->nibbles ? i / 2 : i];
        r->index[r->n + i] = (uint8_t)(!r->nibbles ? pair : i % 2 ? pair & 15 : pair >> 4);
    }
    r->n += n;
    r->next += bytes;
    if (r->n == r->count) return 0;
    r->x += v;
    r->next += r->next % 2;
    return 1;
}

static void decode(runs *r)
{
    while (r->n < r->count && r->next + 2 <= r->size) {
        const unsigned n = r->bytes[r->next], v = r->bytes[r->next + 1];
        r->next += 2;
        if (n) {
            put_run(r, n, v);
        } else if (v == 0) {
            put_zeros(r, (r->width - r->n % r->width) % r->width);
            r->x = 0;
        } else if (v == 1) {
            return;
        } else if (v == 2) {
            if (r->next + 2 > r->size) return;
            put_zeros(r, r->bytes[r->next] + r->bytes[r->next + 1] * r->width);
            r->next += 2;
            r->x = r->n % r->width;
        } else if (!put_literal(r, v)) {
            return;
        }
    }
}

oct_status oct_bmp_rle(const oct_bmp *b, size_t offset, int channels, oct_image *out)
{
    const size_t count = (size_t)b->width * (size_t)b->height;
    if (offset > b->size)
        return oct_fail(OCT_ERR_FORMAT, "BMP: pixels from byte %zu, the file has %zu", offset,
                        b->size);
    runs r = { .bytes = b->bytes, .size = b->size, .next = offset, .count = count,
               .width = (size_t)b->width, .nibbles = b->compression == OCT_BMP_RLE4 };
    decode(&r); /* before anything is allocated: are there as many pixels as claimed? */
    if (r.n < count)
        return oct_fail(OCT_ERR_FORMAT, "BMP: the file is truncated: %zu of %zu pixels are coded",
                        r.n, count);
    r.next = offset;
    r.n = r.x = 0;
    r.index = malloc(count);
    if (!r.index) return oct_fail(OCT_ERR_MEMORY, "BMP: out of memory");
    decode(&r);
    oct_image_rows rows;
    oct_status status = oct_image_begin(&rows, b->width, b->height, channels);
    for (int y = 0; status == OCT_OK && y < b->height; y++) {
        const uint8_t *in = r.index + r.width * (size_t)(b->top_down ? y : b->height - 1 - y);
        uint8_t *to = oct_image_row(&rows, y);
        if (!to) status = OCT_ERR_MEMORY;
        for (size_t x = 0; to && x < r.width; x++) {
            const uint8_t *rgb = b->palette[in[x]];
            to = oct_put_rgb(to, channels, rgb[0], rgb[1], rgb[2]);
        }
    }
    free(r.index);
    if (status == OCT_OK) *out = rows.image;
    else oct_image_free(&rows.image);
    return status;
}
