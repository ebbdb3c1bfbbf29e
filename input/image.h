#ifndef OCT_INPUT_IMAGE_H
#define OCT_INPUT_IMAGE_H

#include "input/input.h"

/* What the decoders share.  Private to input/.
 *
 * The reference is Pillow: the same bytes out for every file it reads, and a refusal where it
 * refuses.  Damage that Pillow looks past silently (a bad checksum, pixel data that end early) is
 * refused as well. */

/* Pillow's own limit, 2 * MAX_IMAGE_PIXELS: above it a file is a decompression bomb. */
enum { OCT_IMAGE_MAX_PIXELS = 178956970 };

/* Up to here an image is allocated whole, before its pixels have been seen: 18 million of RGB.
 * Larger ones are looked over for an end first, because a refusal must stay cheap. */
enum { OCT_IMAGE_WHOLE = 56 << 20 };

/* 0 < width, 0 < height, width * height <= OCT_IMAGE_MAX_PIXELS.  format is "JPEG". */
OCT_MUST_CHECK oct_status oct_image_check_size(const char *format, uint64_t width,
                                               uint64_t height);

/* An image under construction.  Small images are allocated at once, large ones as their rows
 * arrive, so that a claim of a size costs no memory until the file has delivered the pixels. */
typedef struct oct_image_rows {
    oct_image image;
    size_t stride;   /* bytes of a row */
    int capacity;    /* rows allocated */
} oct_image_rows;

OCT_MUST_CHECK oct_status oct_image_begin(oct_image_rows *rows, int width, int height,
                                          int channels);
/* Row y, y not above the largest asked for so far plus one; NULL: out of memory (oct_fail done). */
uint8_t *oct_image_row(oct_image_rows *rows, int y);

/* Pillow's luma: (19595 r + 38470 g + 7471 b + 0x8000) >> 16, the weights' sum being 2^16. */
static inline uint8_t oct_luma(unsigned r, unsigned g, unsigned b)
{
    return (uint8_t)((r * 19595u + g * 38470u + b * 7471u + 0x8000u) >> 16);
}

/* One pixel to where `out` stands, as convert("L") or convert("RGB") does; the next place. */
static inline uint8_t *oct_put_rgb(uint8_t *out, int channels, unsigned r, unsigned g, unsigned b)
{
    if (channels == 1) {
        *out = oct_luma(r, g, b);
        return out + 1;
    }
    out[0] = (uint8_t)r;
    out[1] = (uint8_t)g;
    out[2] = (uint8_t)b;
    return out + 3;
}
static inline uint8_t *oct_put_gray(uint8_t *out, int channels, unsigned v)
{
    for (int c = 0; c < channels; c++) *out++ = (uint8_t)v;
    return out;
}

/* Pillow's I and I;16 to L or RGB: values above 255 are clipped, not scaled. */
static inline unsigned oct_clip_gray16(unsigned v) { return v > 255 ? 255 : v; }

/* The decoders; bytes begin with the format's magic.  *out is untouched on failure. */
typedef oct_status oct_image_decoder(const uint8_t *bytes, size_t size, int channels,
                                     oct_image *out);
oct_image_decoder oct_image_jpeg, oct_image_png, oct_image_bmp, oct_image_ppm;

/* The decoder for these bytes, NULL if they are no image we read. */
oct_image_decoder *oct_image_format(const uint8_t *bytes, size_t size);

/* A window of Pillow's resize: the pixels [x0, x0+out->width) x [y0, y0+out->height) of the image
 * resized to width x height, which need not exist as a whole.  out->data is the caller's. */
typedef struct oct_window {
    int x, y, width, height;
} oct_window;
OCT_MUST_CHECK oct_status oct_image_resize_window(const oct_image *in, int width, int height,
                                                  oct_filter filter, oct_window window,
                                                  uint8_t *out);

#endif
