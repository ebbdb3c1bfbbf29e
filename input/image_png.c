#include <stdlib.h>
#include <string.h>

#include <png.h>

#include "input/image.h"

/* PNG by libpng, converted as Pillow's convert("L") or convert("RGB"):
 *
 *   gray 1, 2, 4 bits    scaled to 0..255          gray 16      clipped at 255, not scaled
 *   palette              looked up; an index past the palette is black
 *   gray + alpha, RGBA   alpha dropped, not blended; of 16 bits the high byte
 *
 * Transparency, gamma, colour profiles and text are ignored.  IEND may be missing. */

typedef struct decoder {
    png_structp png;
    png_infop info;
    const uint8_t *next, *end;
    oct_status status;
    uint8_t *raw;            /* a row as libpng gives it; all of them when interlaced */
    uint8_t palette[256][3];
    oct_image_rows rows;
} decoder;

static void fail(png_structp png, png_const_charp text)
{
    decoder *d = png_get_error_ptr(png);
    d->status = oct_fail(OCT_ERR_FORMAT, "PNG: %s", text);
    png_longjmp(png, 1);
}
static void quiet(png_structp png, png_const_charp text) { (void)png; (void)text; }

static void read_bytes(png_structp png, png_bytep to, size_t n)
{
    decoder *d = png_get_io_ptr(png);
    if ((size_t)(d->end - d->next) < n) png_error(png, "the file is truncated");
    memcpy(to, d->next, n);
    d->next += n;
}

static _Noreturn void failed_alloc(decoder *d)
{
    d->status = oct_fail(OCT_ERR_MEMORY, "PNG: out of memory");
    png_longjmp(d->png, 1);
}

/* A row of pixels of 1 to 4 samples of 1 or 2 bytes to L or RGB. */
static void convert(const decoder *d, const uint8_t *in, int type, int depth, uint8_t *out)
{
    static const uint8_t scale[9] = { [1] = 255, [2] = 85, [4] = 17, [8] = 1 };
    const int width = d->rows.image.width, channels = d->rows.image.channels;
    const int bytes = depth == 16 ? 2 : 1, samples = png_get_channels(d->png, d->info);
    for (int x = 0; x < width; x++, in += samples * bytes) {
        if (type == PNG_COLOR_TYPE_PALETTE) {
            const uint8_t *rgb = d->palette[in[0]];
            out = oct_put_rgb(out, channels, rgb[0], rgb[1], rgb[2]);
        } else if (type == PNG_COLOR_TYPE_GRAY && depth == 16) {
            out = oct_put_gray(out, channels, oct_clip_gray16((unsigned)in[0] << 8 | in[1]));
        } else if (type == PNG_COLOR_TYPE_GRAY) {
            out = oct_put_gray(out, channels, (unsigned)in[0] * scale[depth]);
        } else if (type == PNG_COLOR_TYPE_GRAY_ALPHA) {
            out = oct_put_gray(out, channels, in[0]);
        } else {
            out = oct_put_rgb(out, channels, in[0], in[bytes], in[2 * bytes]);
        }
    }
}

/* Are all chunks up to the last IDAT in the file as a whole?  p: after the signature. */
static int has_end(const uint8_t *p, const uint8_t *end)
{
    while (end - p >= 8) {
        const uint32_t n = png_get_uint_32(p);
        if (!memcmp(p + 4, "IEND", 4)) return 1;
        if (n > PNG_UINT_31_MAX || (size_t)(end - p) < (size_t)n + 12)
            return memcmp(p + 4, "IDAT", 4) != 0; /* what follows the pixels may be cut */
        p += (size_t)n + 12;
    }
    return 1;
}

static void read_palette(decoder *d)
{
    png_colorp entry = NULL;
    int n = 0;
    if (!png_get_PLTE(d->png, d->info, &entry, &n)) png_error(d->png, "no palette");
    for (int i = 0; i < n && i < 256; i++) {
        d->palette[i][0] = entry[i].red;
        d->palette[i][1] = entry[i].green;
        d->palette[i][2] = entry[i].blue;
    }
}

/* Rows straight to the image; an interlaced one needs all its rows seven times. */
static void read_rows(decoder *d, int type, int depth, int passes, size_t rowbytes)
{
    const int height = d->rows.image.height;
    d->raw = calloc(passes > 1 ? (size_t)height : 1, rowbytes);
    if (!d->raw) failed_alloc(d);
    for (int pass = 0; pass < passes - 1; pass++)
        for (int y = 0; y < height; y++) png_read_row(d->png, d->raw + (size_t)y * rowbytes, NULL);
    for (int y = 0; y < height; y++) {
        uint8_t *raw = d->raw + (passes > 1 ? (size_t)y * rowbytes : 0);
        png_read_row(d->png, raw, NULL);
        uint8_t *row = oct_image_row(&d->rows, y);
        if (!row) failed_alloc(d);
        convert(d, raw, type, depth, row);
    }
}

static void decode(decoder *d, const uint8_t *bytes, size_t size, int channels)
{
    png_set_read_fn(d->png, d, read_bytes);
    png_set_user_limits(d->png, PNG_UINT_31_MAX, PNG_UINT_31_MAX); /* ours are below */
    png_set_option(d->png, PNG_MAXIMUM_INFLATE_WINDOW, PNG_OPTION_ON);
    png_set_keep_unknown_chunks(d->png, PNG_HANDLE_CHUNK_NEVER, NULL, -1); /* all but the image */
    png_read_info(d->png, d->info);

    const uint32_t width = png_get_image_width(d->png, d->info);
    const uint32_t height = png_get_image_height(d->png, d->info);
    const int type = png_get_color_type(d->png, d->info);
    const int depth = png_get_bit_depth(d->png, d->info);
    d->status = oct_image_check_size("PNG", width, height);
    if (d->status != OCT_OK) png_longjmp(d->png, 1);
    /* deflate makes at most 1032 bytes of one */
    if (png_get_rowbytes(d->png, d->info) * (uint64_t)height / 1032 > size) {
        d->status = oct_fail(OCT_ERR_FORMAT, "PNG: %ux%u pixels do not fit into a file of %zu "
                             "bytes", width, height, size);
        png_longjmp(d->png, 1);
    }
    if ((uint64_t)width * height * 3 > OCT_IMAGE_WHOLE && !has_end(bytes + 8, bytes + size))
        png_error(d->png, "the file is truncated");
    if (type == PNG_COLOR_TYPE_PALETTE) read_palette(d);
    png_set_packing(d->png); /* 1, 2 and 4 bits to a byte each, not scaled */
    const int passes = png_set_interlace_handling(d->png);
    png_read_update_info(d->png, d->info);
    d->status = oct_image_begin(&d->rows, (int)width, (int)height, channels);
    if (d->status != OCT_OK) png_longjmp(d->png, 1);
    read_rows(d, type, depth, passes, png_get_rowbytes(d->png, d->info));
    d->status = OCT_OK;
}

oct_status oct_image_png(const uint8_t *bytes, size_t size, int channels, oct_image *out)
{
    decoder *d = calloc(1, sizeof *d);
    if (!d) return oct_fail(OCT_ERR_MEMORY, "PNG: out of memory");
    d->status = OCT_ERR_MEMORY;
    d->next = bytes;
    d->end = bytes + size;
    d->png = png_create_read_struct(PNG_LIBPNG_VER_STRING, d, fail, quiet);
    d->info = d->png ? png_create_info_struct(d->png) : NULL;
    if (!d->info) d->status = oct_fail(OCT_ERR_MEMORY, "PNG: out of memory");
    else if (!setjmp(png_jmpbuf(d->png))) decode(d, bytes, size, channels);
    const oct_status status = d->status;
    if (status == OCT_OK) *out = d->rows.image;
    else oct_image_free(&d->rows.image);
    png_destroy_read_struct(&d->png, &d->info, NULL);
    free(d->raw);
    free(d);
    return status;
}
