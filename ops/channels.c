#include "ops/channels.h"

#include <string.h>

size_t oct_channels_most(int len) { return 2 * ((size_t)len / OCT_BLOCK) + 3; }

static int block_end(int ch) { return ch / OCT_BLOCK * OCT_BLOCK + OCT_BLOCK; }

int oct_channels_cut(int operand, int from, int to, int len, oct_channel_run *run)
{
    int n = 0;
    while (len > 0) {
        int part = block_end(to) - to;
        if (from >= 0 && block_end(from) - from < part) part = block_end(from) - from;
        if (part > len) part = len;
        run[n++] = (oct_channel_run){ operand, from, to, part };
        to += part;
        len -= part;
        if (from >= 0) from += part;
    }
    return n;
}

/* Channel ch of pixel `at` in an image of hw pixels; *pixel: elements to the next pixel. */
static size_t place(int ch, int c, size_t hw, size_t at, size_t *pixel)
{
    *pixel = (size_t)oct_block_width(c, ch / OCT_BLOCK);
    return (size_t)(ch / OCT_BLOCK) * OCT_BLOCK * hw + at * *pixel + (size_t)(ch % OCT_BLOCK);
}

void oct_channels_copy(const oct_channel_run *run, const oct_channel_row *row, const void *x,
                       void *y)
{
    const size_t size = (size_t)run->len * row->size;
    size_t x_pixel = 0, y_pixel;
    const char *from = x;
    char *to = y;
    to += place(run->to, row->y_c, row->y_hw, row->y_at, &y_pixel) * row->size;
    y_pixel *= row->size;
    if (run->from < 0) {
        for (size_t i = 0; i < row->w; i++, to += y_pixel) memset(to, row->fill, size);
        return;
    }
    from += place(run->from, row->x_c, row->x_hw, row->x_at, &x_pixel) * row->size;
    x_pixel *= row->size;
    if (row->step == 1 && x_pixel == y_pixel && x_pixel == size) {
        memcpy(to, from, row->w * size);
        return;
    }
    for (size_t i = 0; i < row->w; i++, to += y_pixel, from += x_pixel * row->step)
        memcpy(to, from, size);
}
