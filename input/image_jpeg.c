#include <setjmp.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <jpeglib.h>
#include <jerror.h>

#include "input/image.h"

/* JPEG by libjpeg-turbo, with Pillow's settings: the accurate integer DCT and fancy upsampling,
 * which are the library's defaults.  1 component is L, 3 are RGB, 4 are CMYK stored inverted,
 * with or without Adobe's marker.  EXIF orientation is not applied.  Warnings about corrupt data
 * are looked past, as in Pillow; data that end early are an error. */

enum {
    MAX_SCANS  = 256,     /* real encoders write about ten */
    MAX_VISITS = 1 << 28, /* scans times blocks: what a progressive file can cost us */
};

typedef struct decoder {
    struct jpeg_decompress_struct jpeg;
    struct jpeg_error_mgr error;
    struct jpeg_source_mgr source;
    struct jpeg_progress_mgr progress;
    jmp_buf jump;
    oct_status status;    /* once error.error_exit has been called */
    uint64_t blocks;      /* of 8x8 pixels, all components at full resolution */
    uint8_t *line;        /* one row as the library gives it */
    oct_image_rows rows;
} decoder;

static void fail(j_common_ptr jpeg)
{
    decoder *d = jpeg->client_data;
    char text[JMSG_LENGTH_MAX];
    jpeg->err->format_message(jpeg, text);
    if (jpeg->err->msg_code == JERR_INPUT_EOF)
        d->status = oct_fail(OCT_ERR_FORMAT, "JPEG: the file is truncated");
    else if (jpeg->err->msg_code == JERR_OUT_OF_MEMORY)
        d->status = oct_fail(OCT_ERR_MEMORY, "JPEG: out of memory");
    else
        d->status = oct_fail(OCT_ERR_FORMAT, "JPEG: %s", text);
    longjmp(d->jump, 1);
}

static void quiet(j_common_ptr jpeg) { (void)jpeg; }

/* The whole file is in memory, so asking for more means that it ends too early. */
static void nothing(j_decompress_ptr jpeg) { (void)jpeg; }
static boolean fill(j_decompress_ptr jpeg)
{
    ERREXIT(jpeg, JERR_INPUT_EOF);
    return FALSE;
}
static void skip(j_decompress_ptr jpeg, long n)
{
    if (n <= 0) return;
    if ((size_t)n > jpeg->src->bytes_in_buffer) ERREXIT(jpeg, JERR_INPUT_EOF);
    jpeg->src->next_input_byte += n;
    jpeg->src->bytes_in_buffer -= (size_t)n;
}

/* Called all along: stops a file that goes over its blocks in scan after scan. */
static void watch(j_common_ptr common)
{
    decoder *d = common->client_data;
    const uint64_t scans = (uint64_t)d->jpeg.input_scan_number;
    if (scans <= MAX_SCANS && (scans <= 1 || scans * d->blocks <= MAX_VISITS)) return;
    d->status = oct_fail(OCT_ERR_FORMAT, "JPEG: %llu scans of %dx%d pixels are too many",
                         (unsigned long long)scans, (int)d->jpeg.image_width,
                         (int)d->jpeg.image_height);
    longjmp(d->jump, 1);
}

static void open_memory(decoder *d, const uint8_t *bytes, size_t size)
{
    d->jpeg.err = jpeg_std_error(&d->error);
    d->error.error_exit = fail;
    d->error.output_message = quiet;
    d->jpeg.client_data = d;
    jpeg_create_decompress(&d->jpeg);
    d->source = (struct jpeg_source_mgr){
        .next_input_byte = bytes, .bytes_in_buffer = size, .init_source = nothing,
        .fill_input_buffer = fill, .skip_input_data = skip,
        .resync_to_restart = jpeg_resync_to_restart, .term_source = nothing,
    };
    d->jpeg.src = &d->source;
    d->progress.progress_monitor = watch;
    d->jpeg.progress = &d->progress;
}

/* Is there an end-of-image marker after the first scan's beginning?  In coded data FF is followed
 * by 0; only a table between scans could hold FF D9, and then the decoder finds out. */
static int has_end(const uint8_t *p, size_t size)
{
    size_t i = 2;
    while (i + 4 <= size && p[i] == 0xff && p[i + 1] != 0xda)
        i += p[i + 1] == 0xff ? 1 : 2 + ((size_t)p[i + 2] << 8 | p[i + 3]);
    while (i + 2 <= size) {
        const uint8_t *ff = memchr(p + i, 0xff, size - i - 1);
        if (!ff) return 0;
        if (ff[1] == 0xd9) return 1;
        i = (size_t)(ff - p) + 1;
    }
    return 0;
}

/* Size and components; the size against what the file can hold.  A block takes at least one bit
 * of the first scan of the component that has it; with sampling factors up to 4 the most detailed
 * component has no fewer than a quarter of the 8x8 blocks: 32 blocks a byte. */
static oct_status check(decoder *d, const uint8_t *bytes, size_t size)
{
    const struct jpeg_decompress_struct *j = &d->jpeg;
    OCT_TRY(oct_image_check_size("JPEG", j->image_width, j->image_height));
    if (j->data_precision != 8)
        return oct_fail(OCT_ERR_UNSUPPORTED, "JPEG: %d bits a sample, only 8 are read",
                        j->data_precision);
    if (j->num_components != 1 && j->num_components != 3 && j->num_components != 4)
        return oct_fail(OCT_ERR_UNSUPPORTED, "JPEG: %d components, only 1, 3 and 4 are read",
                        j->num_components);
    const uint64_t blocks = ((uint64_t)j->image_width + 7) / 8 * ((j->image_height + 7) / 8);
    if (blocks > 65536 && blocks / 32 > size)
        return oct_fail(OCT_ERR_FORMAT, "JPEG: %ux%u pixels do not fit into a file of %zu bytes",
                        j->image_width, j->image_height, size);
    if (blocks * 64 * 3 > OCT_IMAGE_WHOLE && !has_end(bytes, size))
        return oct_fail(OCT_ERR_FORMAT, "JPEG: the file is truncated");
    d->blocks = blocks * (uint64_t)j->num_components;
    return OCT_OK;
}

/* a * b / 255, rounded, for bytes: Pillow's MULDIV255. */
static unsigned mul255(unsigned a, unsigned b)
{
    const unsigned t = a * b + 128;
    return ((t >> 8) + t) >> 8;
}

/* One line of 1, 3 or 4 components to L or RGB.  The file holds 255 - c, 255 - m, ... : with
 * k' = 255 - k = the stored byte, Pillow's r is k' - c k' / 255, never negative. */
static void convert(const uint8_t *in, int components, int width, int channels, uint8_t *out)
{
    for (int x = 0; x < width; x++, in += components) {
        if (components == 1) {
            out = oct_put_gray(out, channels, in[0]);
        } else if (components == 3) {
            out = oct_put_rgb(out, channels, in[0], in[1], in[2]);
        } else {
            const unsigned k = in[3];
            out = oct_put_rgb(out, channels, k - mul255(255u - in[0], k),
                              k - mul255(255u - in[1], k), k - mul255(255u - in[2], k));
        }
    }
}

static oct_status decode(decoder *d, const uint8_t *bytes, size_t size, int channels)
{
    struct jpeg_decompress_struct *j = &d->jpeg;
    if (setjmp(d->jump)) return d->status;
    jpeg_read_header(j, TRUE);
    OCT_TRY(check(d, bytes, size));
    const int components = j->num_components;
    j->out_color_space = components == 1 ? JCS_GRAYSCALE : components == 3 ? JCS_RGB : JCS_CMYK;
    jpeg_start_decompress(j);
    OCT_TRY(oct_image_begin(&d->rows, (int)j->output_width, (int)j->output_height, channels));
    if (components != channels) {
        d->line = malloc((size_t)j->output_width * (size_t)components);
        if (!d->line) return oct_fail(OCT_ERR_MEMORY, "JPEG: out of memory");
    }
    for (int y = 0; y < d->rows.image.height; y++) {
        uint8_t *row = oct_image_row(&d->rows, y);
        if (!row) return OCT_ERR_MEMORY;
        JSAMPROW to = d->line ? d->line : row;
        jpeg_read_scanlines(j, &to, 1);
        if (d->line) convert(d->line, components, d->rows.image.width, channels, row);
    }
    return OCT_OK; /* what follows the last line does not matter */
}

oct_status oct_image_jpeg(const uint8_t *bytes, size_t size, int channels, oct_image *out)
{
    decoder *d = calloc(1, sizeof *d);
    if (!d) return oct_fail(OCT_ERR_MEMORY, "JPEG: out of memory");
    oct_status status = OCT_ERR_MEMORY;
    if (setjmp(d->jump)) {
        status = d->status; /* creating the decompressor failed */
    } else {
        open_memory(d, bytes, size);
        status = decode(d, bytes, size, channels);
    }
    if (status == OCT_OK) *out = d->rows.image;
    else oct_image_free(&d->rows.image);
    jpeg_destroy_decompress(&d->jpeg);
    free(d->line);
    free(d);
    return status;
}
