#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "input/image.h"

/* torchvision's Resize, CenterCrop, ToTensor and Normalize on a decoded image.  Only the part of
 * the resized image that the crop keeps is computed; its bytes are the same. */

/* int(short * long_side / short_side): the product exact, the quotient rounded once in double. */
static int long_side(int wanted, int longer, int shorter)
{
    const double v = (double)((int64_t)wanted * longer) / (double)shorter;
    return v < INT_MAX ? (int)v : INT_MAX;
}

void oct_resize_shape(const oct_recipe *r, int width, int height, int *out_width, int *out_height)
{
    *out_width = width;
    *out_height = height;
    if (r->resize[0] == 0) return;
    if (r->resize[1] != 0) {
        *out_height = r->resize[0];
        *out_width = r->resize[1];
    } else if (width <= height) {
        *out_width = r->resize[0];
        *out_height = long_side(r->resize[0], height, width);
    } else {
        *out_height = r->resize[0];
        *out_width = long_side(r->resize[0], width, height);
    }
}

/* One axis of CenterCrop: `take` pixels of n.  The first one in the image and its place in the
 * crop; a smaller image is padded with black, the odd pixel after it. */
static void center(int n, int take, int *from, int *to)
{
    const int spare = n - take;
    *from = *to = 0;
    if (spare < 0) *to = -spare / 2;
    else *from = spare / 2 + (spare % 2 && spare / 2 % 2); /* round(spare / 2), ties to even */
}

/* table[b] = (b * scale - mean) / std, each step rounded to FP32 as torch does it.  A scale of
 * 1/255 is a division by 255, as in ToTensor. */
static void make_table(const oct_recipe *r, int c, float table[256])
{
    const double by255 = r->scale * 255.0;
    const int divide = by255 > 1.0 - 1e-6 && by255 < 1.0 + 1e-6;
    const float scale = (float)r->scale;
    const float mean = (float)r->mean[r->n_mean > 1 ? c : 0];
    const float std = (float)r->std[r->n_std > 1 ? c : 0];
    for (int b = 0; b < 256; b++) {
        float v = divide ? (float)b / 255.0f : (float)b * scale;
        if (r->n_mean) v -= mean;
        if (r->n_std) v /= std;
        table[b] = v;
    }
}

/* bytes [h][w][c] to out [c][h][w]. */
static void normalize(const oct_recipe *r, const uint8_t *bytes, size_t pixels, float *out)
{
    const int channels = r->channels;
    for (int c = 0; c < channels; c++, out += pixels) {
        float table[256];
        make_table(r, c, table);
        const uint8_t *p = bytes + (r->bgr ? channels - 1 - c : c);
        for (size_t i = 0; i < pixels; i++, p += channels) out[i] = table[*p];
    }
}

/* `in` with the recipe's number of channels; out->data is new. */
static oct_status convert(const oct_image *in, int channels, oct_image *out)
{
    *out = (oct_image){ in->width, in->height, channels, NULL };
    const size_t pixels = (size_t)in->width * (size_t)in->height;
    out->data = malloc(pixels * (size_t)channels);
    if (!out->data) return oct_fail(OCT_ERR_MEMORY, "image: out of memory");
    const uint8_t *p = in->data;
    uint8_t *to = out->data;
    for (size_t i = 0; i < pixels; i++, p += in->channels)
        to = in->channels == 1 ? oct_put_gray(to, channels, p[0])
                               : oct_put_rgb(to, channels, p[0], p[1], p[2]);
    return OCT_OK;
}

/* The resized, cropped, padded bytes: out [height][width][c]. */
static oct_status cut(const oct_recipe *r, const oct_image *in, int width, int height,
                      oct_window crop, uint8_t *out)
{
    const size_t c = (size_t)in->channels;
    int x = 0, y = 0, to_x = 0, to_y = 0;
    center(width, crop.width, &x, &to_x);
    center(height, crop.height, &y, &to_y);
    oct_window w = { x, y, crop.width < width ? crop.width : width,
                     crop.height < height ? crop.height : height };
    if (w.width == crop.width && w.height == crop.height)
        return oct_image_resize_window(in, width, height, r->filter, w, out);
    uint8_t *part = malloc((size_t)w.width * (size_t)w.height * c);
    if (!part) return oct_fail(OCT_ERR_MEMORY, "image: out of memory");
    const oct_status status = oct_image_resize_window(in, width, height, r->filter, w, part);
    memset(out, 0, (size_t)crop.width * (size_t)crop.height * c);
    for (int i = 0; i < w.height && status == OCT_OK; i++)
        memcpy(out + ((size_t)(to_y + i) * (size_t)crop.width + (size_t)to_x) * c,
               part + (size_t)i * (size_t)w.width * c, (size_t)w.width * c);
    free(part);
    return status;
}

static oct_status apply(const oct_recipe *r, const oct_image *in, int resize_to_fit, int width,
                        int height, float *out)
{
    int w, h;
    oct_resize_shape(r, in->width, in->height, &w, &h);
    if (resize_to_fit && r->resize[0] == 0 && r->crop[0] == 0) {
        w = width;
        h = height;
    }
    if (w < 1 || h < 1 || w > OCT_IMAGE_MAX_PIXELS || h > OCT_IMAGE_MAX_PIXELS)
        return oct_fail(OCT_ERR_SHAPE, "image of %dx%d resized to %dx%d: a side is over %d",
                        in->width, in->height, w, h, OCT_IMAGE_MAX_PIXELS);
    const oct_window crop = { 0, 0, r->crop[0] ? r->crop[1] : w, r->crop[0] ? r->crop[0] : h };
    if (crop.width != width || crop.height != height)
        return oct_fail(OCT_ERR_SHAPE, "image of %dx%d gives %dx%d, the model takes %dx%d",
                        in->width, in->height, crop.width, crop.height, width, height);
    const size_t pixels = (size_t)width * (size_t)height;
    if (w == in->width && h == in->height && crop.width == w && crop.height == h) {
        normalize(r, in->data, pixels, out);
        return OCT_OK;
    }
    uint8_t *bytes = malloc(pixels * (size_t)in->channels);
    if (!bytes) return oct_fail(OCT_ERR_MEMORY, "image: out of memory");
    const oct_status status = cut(r, in, w, h, crop, bytes);
    if (status == OCT_OK) normalize(r, bytes, pixels, out);
    free(bytes);
    return status;
}

oct_status oct_recipe_apply(const oct_recipe *r, const oct_image *image, int resize_to_fit,
                            int width, int height, float *out)
{
    OCT_TRY(oct_image_check_size("the model's input", (uint64_t)width, (uint64_t)height));
    if (image->channels == r->channels)
        return apply(r, image, resize_to_fit, width, height, out);
    oct_image converted;
    OCT_TRY(convert(image, r->channels, &converted));
    const oct_status status = apply(r, &converted, resize_to_fit, width, height, out);
    oct_image_free(&converted);
    return status;
}
