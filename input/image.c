#include "input/image.h"

#include <stdlib.h>
#include <string.h>

void oct_image_free(oct_image *image)
{
    free(image->data);
    *image = (oct_image){ 0 };
}

oct_status oct_image_check_size(const char *format, uint64_t width, uint64_t height)
{
    if (width == 0 || height == 0)
        return oct_fail(OCT_ERR_FORMAT, "%s: size %llux%llu, an image has at least one pixel",
                        format, (unsigned long long)width, (unsigned long long)height);
    if (width > OCT_IMAGE_MAX_PIXELS || height > OCT_IMAGE_MAX_PIXELS / width)
        return oct_fail(OCT_ERR_FORMAT, "%s: size %llux%llu exceeds the limit of %d pixels", format,
                        (unsigned long long)width, (unsigned long long)height,
                        OCT_IMAGE_MAX_PIXELS);
    return OCT_OK;
}

/* width * height was checked: 3 * 178956970 fits 32 bits, so nothing here overflows. */
oct_status oct_image_begin(oct_image_rows *rows, int width, int height, int channels)
{
    *rows = (oct_image_rows){ .image = { width, height, channels, NULL } };
    rows->stride = (size_t)width * (size_t)channels;
    const size_t whole = rows->stride * (size_t)height;
    rows->capacity = whole <= OCT_IMAGE_WHOLE ? height
                                              : (int)(OCT_IMAGE_WHOLE / rows->stride);
    if (rows->capacity < 1) rows->capacity = 1;
    rows->image.data = malloc(rows->stride * (size_t)rows->capacity);
    if (!rows->image.data)
        return oct_fail(OCT_ERR_MEMORY, "image of %dx%d: out of memory", width, height);
    return OCT_OK;
}

uint8_t *oct_image_row(oct_image_rows *rows, int y)
{
    if (y >= rows->capacity) {
        const int doubled = rows->capacity <= rows->image.height / 2 ? 2 * rows->capacity
                                                                     : rows->image.height;
        uint8_t *data = realloc(rows->image.data, rows->stride * (size_t)doubled);
        if (!data) {
            (void)oct_fail(OCT_ERR_MEMORY, "image of %dx%d: out of memory", rows->image.width,
                           rows->image.height);
            return NULL;
        }
        rows->image.data = data;
        rows->capacity = doubled;
    }
    return rows->image.data + rows->stride * (size_t)y;
}

static int is_ppm(const uint8_t *p)
{
    return p[0] == 'P' && p[1] >= '1' && p[1] <= '6' &&
           (p[2] == ' ' || (p[2] >= '\t' && p[2] <= '\r'));
}

oct_image_decoder *oct_image_format(const uint8_t *bytes, size_t size)
{
    if (size >= 3 && !memcmp(bytes, "\xff\xd8\xff", 3)) return oct_image_jpeg;
    if (size >= 8 && !memcmp(bytes, "\x89PNG\r\n\x1a\n", 8)) return oct_image_png;
    if (size >= 2 && !memcmp(bytes, "BM", 2)) return oct_image_bmp;
    if (size >= 3 && is_ppm(bytes)) return oct_image_ppm;
    return NULL;
}

oct_status oct_image_decode(const void *bytes, size_t size, int channels, oct_image *out)
{
    *out = (oct_image){ 0 };
    if (size == 0) return oct_fail(OCT_ERR_FORMAT, "the file is empty");
    oct_image_decoder *decode = oct_image_format(bytes, size);
    if (!decode)
        return oct_fail(OCT_ERR_FORMAT, "not a JPEG, PNG, BMP or PPM image (%zu bytes)", size);
    return decode(bytes, size, channels, out);
}
