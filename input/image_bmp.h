#ifndef OCT_INPUT_IMAGE_BMP_H
#define OCT_INPUT_IMAGE_BMP_H

#include "input/image.h"

/* A BMP file's header, read and checked.  Private to image_bmp.c and image_bmp_rle.c. */
enum { OCT_BMP_RAW = 0, OCT_BMP_RLE8 = 1, OCT_BMP_RLE4 = 2, OCT_BMP_FIELDS = 3 };

typedef struct oct_bmp {
    const uint8_t *bytes;
    size_t size;
    int width, height, bits;
    int top_down;
    uint32_t compression;
    uint32_t mask[4];         /* red, green, blue, alpha */
    uint8_t at[3];            /* bytes of red, green, blue in a pixel of 24 or 32 bits */
    int green6;               /* 16 bits are 5 + 6 + 5, not 5 + 5 + 5 */
    size_t after_header;      /* where masks, then palette, then pixels follow */
    uint8_t palette[256][3];
} oct_bmp;

/* The pixels of RLE4 or RLE8 from `offset` on. */
OCT_MUST_CHECK oct_status oct_bmp_rle(const oct_bmp *b, size_t offset, int channels,
                                      oct_image *out);

#endif
