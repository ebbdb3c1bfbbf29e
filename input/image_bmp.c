#include "input/image_bmp.h"

#include <stdlib.h>
#include <string.h>

/* BMP, as Pillow reads it: headers of 12 (OS/2), 40, 52, 56, 64, 108 and 124 bytes; 1, 4, 8, 16,
 * 24 and 32 bits; RLE4, RLE8; the bit fields real programs write; bottom-up and top-down.
 * Alpha is dropped.  Rows are padded to 4 bytes; the last row's padding may be missing.
 *
 * Where Pillow misreads a gray palette of fewer entries than the depth has (it takes the rows for
 * packed at another depth), the palette is looked up instead. */

static unsigned u16(const uint8_t *p) { return (unsigned)p[0] | (unsigned)p[1] << 8; }
static uint32_t u32(const uint8_t *p)
{
    return (uint32_t)p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 | (uint32_t)p[3] << 24;
}

/* Bit fields of 32-bit pixels and where the red, green and blue bytes lie. */
static const struct {
    uint32_t mask[4];      /* red, green, blue, alpha */
    uint8_t at[3];
} fields32[] = {
    { { 0xff0000, 0xff00, 0xff, 0 }, { 2, 1, 0 } },
    { { 0xff000000, 0xff0000, 0xff00, 0 }, { 3, 2, 1 } },
    { { 0xff000000, 0xff00, 0xff, 0 }, { 3, 1, 0 } },
    { { 0xff000000, 0xff0000, 0xff00, 0xff }, { 3, 2, 1 } },
    { { 0xff, 0xff00, 0xff0000, 0xff000000 }, { 0, 1, 2 } },
    { { 0xff0000, 0xff00, 0xff, 0xff000000 }, { 2, 1, 0 } },
    { { 0xff000000, 0xff00, 0xff, 0xff0000 }, { 3, 1, 0 } },
    { { 0, 0, 0, 0 }, { 2, 1, 0 } },
};

static oct_status bad_fields(const oct_bmp *b)
{
    return oct_fail(OCT_ERR_UNSUPPORTED, "BMP: bit fields %08x %08x %08x %08x of %d bits",
                    b->mask[0], b->mask[1], b->mask[2], b->mask[3], b->bits);
}

/* The masks follow the header of 40 bytes, or are part of a longer one. */
static oct_status read_fields(oct_bmp *b, uint32_t header)
{
    const size_t at = 54, n = header >= 56 ? 4 : 3;
    if (b->size < at + 4 * n) return oct_fail(OCT_ERR_FORMAT, "BMP: the file is truncated");
    for (size_t i = 0; i < n; i++) b->mask[i] = u32(b->bytes + at + 4 * i);
    if (header == 40) b->after_header += 12;
    if (b->bits == 32) {
        for (size_t i = 0; i < sizeof fields32 / sizeof *fields32; i++) {
            if (memcmp(fields32[i].mask, b->mask, sizeof b->mask)) continue;
            memcpy(b->at, fields32[i].at, sizeof b->at);
            return OCT_OK;
        }
        return bad_fields(b);
    }
    const uint32_t *m = b->mask;
    if (b->bits == 24 && m[0] == 0xff0000 && m[1] == 0xff00 && m[2] == 0xff) return OCT_OK;
    if (b->bits == 16 && m[0] == 0x7c00 && m[1] == 0x3e0 && m[2] == 0x1f) return OCT_OK;
    b->green6 = b->bits == 16 && m[0] == 0xf800 && m[1] == 0x7e0 && m[2] == 0x1f;
    return b->green6 ? OCT_OK : bad_fields(b);
}

static oct_status read_header(oct_bmp *b, uint32_t *colors, int *entry)
{
    const uint8_t *p = b->bytes;
    const uint32_t header = b->size >= 18 ? u32(p + 14) : 0;
    if (b->size < 18 || header > b->size - 14)
        return oct_fail(OCT_ERR_FORMAT, "BMP: the file is truncated (%zu bytes)", b->size);
    uint32_t width, height;
    if (header == 12) {
        width = u16(p + 18);
        height = u16(p + 20);
        b->bits = (int)u16(p + 24);
        b->compression = OCT_BMP_RAW;
        *colors = 0;
        *entry = 3;
    } else if (header == 40 || header == 52 || header == 56 || header == 64 || header == 108 ||
               header == 124) {
        width = u32(p + 18);
        height = u32(p + 22);
        b->top_down = p[25] == 0xff; /* a negative height */
        if (b->top_down) height = 0u - height;
        b->bits = (int)u16(p + 28);
        b->compression = u32(p + 30);
        *colors = u32(p + 46);
        *entry = 4;
    } else {
        return oct_fail(OCT_ERR_UNSUPPORTED, "BMP: a header of %u bytes", header);
    }
    OCT_TRY(oct_image_check_size("BMP", width, height));
    b->width = (int)width;
    b->height = (int)height;
    b->after_header = 14 + (size_t)header;
    memcpy(b->at, (uint8_t[]){ 2, 1, 0 }, sizeof b->at);
    switch (b->bits) {
    case 1: case 4: case 8: case 16: case 24: case 32: break;
    default: return oct_fail(OCT_ERR_UNSUPPORTED, "BMP: %d bits a pixel", b->bits);
    }
    if (b->compression == OCT_BMP_FIELDS) return read_fields(b, header);
    const int rle = b->compression == OCT_BMP_RLE8 || b->compression == OCT_BMP_RLE4;
    if (b->compression != OCT_BMP_RAW && !(rle && b->bits <= 8))
        return oct_fail(OCT_ERR_UNSUPPORTED, "BMP: compression %u of %d bits a pixel",
                        b->compression, b->bits);
    return OCT_OK;
}

/* b->palette: black where the file has no colour, but the ramp if the colours are one. */
static oct_status read_palette(oct_bmp *b, uint32_t colors, int entry)
{
    if (colors == 0) colors = 1u << b->bits;
    if (colors > 65536) return oct_fail(OCT_ERR_FORMAT, "BMP: a palette of %u colours", colors);
    const size_t left = b->size > b->after_header ? b->size - b->after_header : 0;
    int gray = 1;
    for (uint32_t i = 0; i < colors && gray; i++) {
        const size_t at = (size_t)i * (size_t)entry;
        const unsigned v = colors == 2 ? i * 255 : i & 255;
        const uint8_t *p = b->bytes + b->after_header + (left >= at + 3 ? at : 0);
        gray = left >= at + 3 && p[0] == v && p[1] == v && p[2] == v;
    }
    for (unsigned i = 0; i < 256; i++) {
        const size_t at = i * (size_t)entry;
        const int have = i < colors && left >= at + (size_t)entry;
        for (unsigned c = 0; c < 3; c++)
            b->palette[i][c] = have ? b->bytes[b->after_header + at + 2 - c] : 0;
        if (gray) memset(b->palette[i], colors <= 2 ? (i ? 255 : 0) : (int)i, 3);
    }
    /* Pillow's: more than 256 colours are an error, unless they are gray */
    if (!gray && colors > 256)
        return oct_fail(OCT_ERR_FORMAT, "BMP: a palette of %u colours", colors);
    b->after_header += (size_t)colors * (size_t)entry;
    return OCT_OK;
}

static void convert(const oct_bmp *b, const uint8_t *in, int channels, uint8_t *out)
{
    for (int x = 0; x < b->width; x++) {
        if (b->bits <= 8) {
            const int shift = 8 - b->bits - x * b->bits % 8;
            const uint8_t *rgb = b->palette[in[(size_t)x * (size_t)b->bits / 8] >> shift &
                                            ((1 << b->bits) - 1)];
            out = oct_put_rgb(out, channels, rgb[0], rgb[1], rgb[2]);
        } else if (b->bits == 16) {
            const unsigned v = u16(in + 2 * (size_t)x), r = b->green6 ? v >> 11 : v >> 10 & 31;
            const unsigned g = b->green6 ? (v >> 5 & 63) * 255 / 63 : (v >> 5 & 31) * 255 / 31;
            out = oct_put_rgb(out, channels, r * 255 / 31, g, (v & 31) * 255 / 31);
        } else {
            const uint8_t *p = in + (size_t)x * (size_t)(b->bits / 8);
            out = oct_put_rgb(out, channels, p[b->at[0]], p[b->at[1]], p[b->at[2]]);
        }
    }
}

static oct_status read_rows(const oct_bmp *b, size_t offset, int channels, oct_image *out)
{
    const uint64_t bits = (uint64_t)b->width * (uint64_t)b->bits;
    const uint64_t stride = (bits + 31) / 32 * 4, last = (bits + 7) / 8;
    const uint64_t need = stride * (uint64_t)(b->height - 1) + last;
    if (offset > b->size || need > b->size - offset)
        return oct_fail(OCT_ERR_FORMAT, "BMP: the file is truncated: %dx%d pixels of %d bits take "
                        "%llu bytes from byte %zu, it has %zu", b->width, b->height, b->bits,
                        (unsigned long long)need, offset, b->size);
    oct_image_rows rows;
    OCT_TRY(oct_image_begin(&rows, b->width, b->height, channels));
    for (int y = 0; y < b->height; y++) {
        const int line = b->top_down ? y : b->height - 1 - y;
        uint8_t *row = oct_image_row(&rows, y);
        if (!row) {
            oct_image_free(&rows.image);
            return OCT_ERR_MEMORY;
        }
        convert(b, b->bytes + offset + stride * (uint64_t)line, channels, row);
    }
    *out = rows.image;
    return OCT_OK;
}

oct_status oct_image_bmp(const uint8_t *bytes, size_t size, int channels, oct_image *out)
{
    oct_bmp b = { .bytes = bytes, .size = size };
    uint32_t colors = 0;
    int entry = 0;
    OCT_TRY(read_header(&b, &colors, &entry));
    size_t offset = u32(bytes + 10);
    if (b.bits <= 8) {
        const size_t header = b.after_header;
        OCT_TRY(read_palette(&b, colors, entry));
        if (offset == header) offset = b.after_header; /* writers that forgot the palette */
    }
    if (offset == 0) offset = b.after_header;
    if (b.compression == OCT_BMP_RLE8 || b.compression == OCT_BMP_RLE4)
        return oct_bmp_rle(&b, offset, channels, out);
    return read_rows(&b, offset, channels, out);
}
