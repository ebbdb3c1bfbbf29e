#include "input/image.h"

/* PBM, PGM and PPM, plain (P1 P2 P3) and raw (P4 P5 P6), as Pillow reads them: a sample v of a
 * file with maximum m becomes round(v * 255 / m), ties to even; but gray with m > 255 becomes
 * round(v * 65535 / m), clipped at 255.  In a bitmap 1 is black. */

typedef struct reader {
    const uint8_t *p, *end;
    char kind;                /* '1' ... '6' */
    int width, height;
    unsigned max;
    int wide;                 /* gray with max > 255 */
    int plain, samples;       /* samples of a pixel in the file */
} reader;

static int is_space(uint8_t c) { return c == ' ' || (c >= '\t' && c <= '\r'); }

static void skip_comment(reader *r)
{
    while (r->p < r->end && *r->p != '\n' && *r->p != '\r') r->p++;
    if (r->p < r->end) r->p++;
}

/* A number of up to 10 digits and the one blank after it.  A comment may stand anywhere, even in
 * the number, and takes its line's end with it. */
static oct_status number(reader *r, const char *what, unsigned *out)
{
    uint64_t v = 0;
    int digits = 0;
    while (r->p < r->end) {
        const uint8_t c = *r->p++;
        if (c == '#') {
            skip_comment(r);
        } else if (is_space(c)) {
            if (digits) break;
        } else if (c < '0' || c > '9' || ++digits > 10) {
            return oct_fail(OCT_ERR_FORMAT, "PPM: the %s is not a number (byte 0x%02x)", what, c);
        } else {
            v = 10 * v + (c - '0');
        }
    }
    if (!digits) return oct_fail(OCT_ERR_FORMAT, "PPM: the file is truncated (no %s)", what);
    *out = v > UINT32_MAX ? UINT32_MAX : (unsigned)v;
    return OCT_OK;
}

static oct_status read_header(reader *r)
{
    unsigned width, height;
    OCT_TRY(number(r, "width", &width));
    OCT_TRY(number(r, "height", &height));
    OCT_TRY(oct_image_check_size("PPM", width, height));
    r->width = (int)width;
    r->height = (int)height;
    r->plain = r->kind <= '3';
    r->samples = r->kind == '3' || r->kind == '6' ? 3 : 1;
    r->max = 1; /* a bitmap's */
    if (r->kind != '1' && r->kind != '4') {
        OCT_TRY(number(r, "maximum", &r->max));
        if (r->max < 1 || r->max > 65535)
            return oct_fail(OCT_ERR_FORMAT, "PPM: maximum %u is not in 1..65535", r->max);
    }
    r->wide = r->samples == 1 && r->max > 255;
    return OCT_OK;
}

/* The pixels' bytes at least: one and a blank each in plain files (P1 needs no blank). */
static oct_status check_size(const reader *r)
{
    const uint64_t count = (uint64_t)r->width * (uint64_t)r->height * (uint64_t)r->samples;
    const uint64_t have = (uint64_t)(r->end - r->p);
    const uint64_t need = r->kind == '1' ? count
                        : r->plain       ? 2 * count - 1
                        : r->kind == '4' ? ((uint64_t)r->width + 7) / 8 * (uint64_t)r->height
                                         : count * (r->max > 255 ? 2 : 1);
    if (have >= need) return OCT_OK;
    return oct_fail(OCT_ERR_FORMAT, "PPM: the file is truncated: %dx%d pixels take %llu bytes, "
                    "%llu are left", r->width, r->height, (unsigned long long)need,
                    (unsigned long long)have);
}

/* round(v / max * top) in double, ties to even, as Python computes it; v / max may exceed 1. */
static unsigned scaled(unsigned v, unsigned max, unsigned top)
{
    const double x = (double)v / (double)max * (double)top;
    unsigned n = (unsigned)x;
    const double rest = x - (double)n;
    n += rest > 0.5 || (rest == 0.5 && n % 2);
    return n < top ? n : top;
}

static unsigned to_byte(const reader *r, unsigned v)
{
    if (r->wide) return oct_clip_gray16(r->max == 65535 ? v : scaled(v, r->max, 65535));
    return r->max == 255 ? v : scaled(v, r->max, 255);
}

static oct_status next_plain(reader *r, unsigned *v)
{
    if (r->kind != '1') {
        OCT_TRY(number(r, "sample", v));
        if (*v <= r->max) return OCT_OK;
        return oct_fail(OCT_ERR_FORMAT, "PPM: a sample is %u, the maximum %u", *v, r->max);
    }
    while (r->p < r->end) {
        const uint8_t c = *r->p++;
        if (c == '#') {
            skip_comment(r);
        } else if (c == '0' || c == '1') {
            *v = c == '0';
            return OCT_OK;
        } else if (!is_space(c)) {
            return oct_fail(OCT_ERR_FORMAT, "PPM: byte 0x%02x in a bitmap, expected 0 or 1", c);
        }
    }
    return oct_fail(OCT_ERR_FORMAT, "PPM: the file is truncated");
}

static oct_status next(reader *r, int x, unsigned *v)
{
    if (r->plain) return next_plain(r, v);
    if (r->kind == '4') { /* the highest bit first, each line from a new byte */
        *v = ~(unsigned)*r->p >> (7 - x % 8) & 1;
        r->p += x % 8 == 7 || x == r->width - 1;
    } else if (r->max > 255) {
        *v = (unsigned)r->p[0] << 8 | r->p[1];
        r->p += 2;
    } else {
        *v = *r->p++;
    }
    return OCT_OK;
}

static oct_status read_row(reader *r, int channels, uint8_t *out)
{
    for (int x = 0; x < r->width; x++) {
        unsigned v[3] = { 0 };
        for (int i = 0; i < r->samples; i++) {
            OCT_TRY(next(r, x, &v[i]));
            v[i] = to_byte(r, v[i]);
        }
        out = r->samples == 3 ? oct_put_rgb(out, channels, v[0], v[1], v[2])
                              : oct_put_gray(out, channels, v[0]);
    }
    return OCT_OK;
}

oct_status oct_image_ppm(const uint8_t *bytes, size_t size, int channels, oct_image *out)
{
    reader r = { .p = bytes + 2, .end = bytes + size, .kind = (char)bytes[1] };
    OCT_TRY(read_header(&r));
    OCT_TRY(check_size(&r));
    oct_image_rows rows;
    OCT_TRY(oct_image_begin(&rows, r.width, r.height, channels));
    oct_status status = OCT_OK;
    for (int y = 0; y < r.height && status == OCT_OK; y++) {
        uint8_t *row = oct_image_row(&rows, y);
        status = row ? read_row(&r, channels, row) : OCT_ERR_MEMORY;
    }
    if (status == OCT_OK) *out = rows.image;
    else oct_image_free(&rows.image);
    return status;
}
