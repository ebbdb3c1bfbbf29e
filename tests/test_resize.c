/* Resizing gives Pillow's bytes, the recipe torchvision's floats. */
#include "input/image.h"
#include "tests/files.h"

static const char *const filters[] = { "nearest", "box", "bilinear", "bicubic", "lanczos" };

static oct_filter filter_of(const char *name)
{
    int i = 0;
    while (strcmp(filters[i], name)) i++;
    return (oct_filter)i;
}

/* The arithmetic of make_images.py. */
static void noise(uint32_t kind, uint8_t *to, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        uint32_t x = (uint32_t)i * 2654435761u + kind;
        x ^= x >> 15;
        x *= 2246822519u;
        x ^= x >> 13;
        to[i] = (uint8_t)(kind == 1 ? (x & 1 ? 255 : 0) : x & 255);
    }
}

START_TEST(resize_is_pillows)
{
    FILE *table = fopen(file_of("golden/resize.tsv"), "r");
    ck_assert_ptr_nonnull(table);
    char line[512], *v[8];
    int rows = 0, bad = 0;
    while (fgets(line, sizeof line, table)) {
        ck_assert_int_eq(cut_columns(line, v, 8), 8);
        oct_image in = { atoi(v[1]), atoi(v[2]), atoi(v[3]), NULL }, out;
        const size_t n = (size_t)in.width * (size_t)in.height * (size_t)in.channels;
        in.data = malloc(n);
        noise((uint32_t)atoi(v[0]), in.data, n);
        const int w = atoi(v[5]), h = atoi(v[6]);
        ck_assert_int_eq(oct_image_resize(&in, w, h, filter_of(v[4]), &out), OCT_OK);
        if (strcmp(v[7], checksum(out.data, (size_t)w * (size_t)h * (size_t)in.channels))) {
            fprintf(stderr, "kind %s, %dx%dx%d to %dx%d, %s differs\n", v[0], in.width, in.height,
                    in.channels, w, h, v[4]);
            bad++;
        }
        rows++;
        oct_image_free(&in);
        oct_image_free(&out);
    }
    fclose(table);
    ck_assert_int_ge(rows, 600);
    ck_assert_int_eq(bad, 0);
}
END_TEST

/* A window has the bytes that the whole resized image has there. */
START_TEST(windows_are_parts)
{
    test_seed = 5;
    for (int round = 0; round < 400; round++) {
        oct_image in = { 1 + (int)(test_rand() % 90), 1 + (int)(test_rand() % 90),
                         test_rand() % 2 ? 3 : 1, NULL }, out;
        const size_t c = (size_t)in.channels, n = (size_t)in.width * (size_t)in.height * c;
        in.data = malloc(n);
        noise(2, in.data, n);
        const int w = round % 9 ? 1 + (int)(test_rand() % 90) : in.width;
        const int h = round % 7 ? 1 + (int)(test_rand() % 60) : in.height;
        const oct_filter filter = (oct_filter)(test_rand() % 5);
        ck_assert_int_eq(oct_image_resize(&in, w, h, filter, &out), OCT_OK);
        oct_window part = { .x = (int)(test_rand() % (unsigned)w),
                            .y = (int)(test_rand() % (unsigned)h) };
        part.width = 1 + (int)(test_rand() % (unsigned)(w - part.x));
        part.height = 1 + (int)(test_rand() % (unsigned)(h - part.y));
        uint8_t *got = malloc((size_t)part.width * (size_t)part.height * c);
        ck_assert_int_eq(oct_image_resize_window(&in, w, h, filter, part, got), OCT_OK);
        for (int y = 0; y < part.height; y++)
            ck_assert_int_eq(memcmp(got + (size_t)y * (size_t)part.width * c,
                                    out.data + ((size_t)(part.y + y) * (size_t)w +
                                                (size_t)part.x) * c,
                                    (size_t)part.width * c), 0);
        free(got);
        oct_image_free(&in);
        oct_image_free(&out);
    }
}
END_TEST

static int numbers(const char *list, double *to)
{
    int n = 0;
    while (*list && *list != '-') {
        char *end;
        to[n++] = strtod(list, &end);
        list = *end ? end + 1 : end;
    }
    return n;
}

static oct_recipe recipe_of(char **v)
{
    oct_recipe r = { .channels = !strcmp(v[1], "L") ? 1 : 3, .filter = filter_of(v[4]),
                     .antialias = 1, .scale = 0.00392156862745098 };
    double side[4];
    const int sides = numbers(v[2], side);
    for (int i = 0; i < sides; i++) r.resize[i] = (int)side[i];
    const int crop = numbers(v[3], side);
    for (int i = 0; i < crop; i++) r.crop[i] = (int)side[i];
    r.n_mean = numbers(v[5], r.mean);
    r.n_std = numbers(v[6], r.std);
    return r;
}

/* Rows of tensor.tsv or photos.tsv whose file is at folder/name; how many differ. */
static int check_table(const char *name, const char *folder, int *rows)
{
    char path[4400], line[512], *v[11];
    FILE *table = fopen(file_of(name), "r");
    ck_assert_ptr_nonnull(table);
    int bad = 0;
    while (fgets(line, sizeof line, table)) {
        ck_assert_int_eq(cut_columns(line, v, 11), 11);
        snprintf(path, sizeof path, "%s/%s", folder, v[0]);
        size_t size;
        uint8_t *bytes = file_read(path, &size);
        const oct_recipe r = recipe_of(v);
        const int c = atoi(v[7]), h = atoi(v[8]), w = atoi(v[9]);
        const size_t n = (size_t)c * (size_t)h * (size_t)w;
        float *out = malloc(n * sizeof *out);
        oct_image image;
        ck_assert_int_eq(oct_image_decode(bytes, size, c, &image), OCT_OK);
        const oct_status status = oct_recipe_apply(&r, &image, 0, w, h, out);
        if (status != OCT_OK || strcmp(checksum(out, n * sizeof *out), v[10])) {
            fprintf(stderr, "%s: resize %s crop %s %s: %s\n", v[0], v[2], v[3], v[4],
                    status == OCT_OK ? "differs" : oct_last_error());
            bad++;
        }
        ++*rows;
        free(out);
        free(bytes);
        oct_image_free(&image);
    }
    fclose(table);
    return bad;
}

START_TEST(tensors_are_torchvisions)
{
    char folder[4200];
    int rows = 0;
    snprintf(folder, sizeof folder, "%s", file_of("golden/images"));
    ck_assert_int_eq(check_table("golden/tensor.tsv", folder, &rows), 0);
    ck_assert_int_ge(rows, 60);
}
END_TEST

START_TEST(photos_are_torchvisions)
{
    char folder[4200];
    int rows = 0;
    snprintf(folder, sizeof folder, "%s", file_of("../../shared/data/photos"));
    if (access(folder, R_OK)) return; /* only where the photographs are */
    ck_assert_int_eq(check_table("golden/photos.tsv", folder, &rows), 0);
    ck_assert_int_eq(rows, 60);
}
END_TEST

/* int(wanted * long / short), and the side it is. */
START_TEST(shapes_are_torchvisions)
{
    static const struct { int w, h, wanted, out_w, out_h; } cases[] = {
        { 500, 375, 256, 341, 256 }, { 375, 500, 256, 256, 341 }, { 7, 7, 3, 3, 3 },
        { 3, 10, 9, 9, 30 }, { 1, 1000, 256, 256, 256000 }, { 641, 480, 480, 641, 480 },
        { 1023, 7, 1, 146, 1 }, { 1, 178956970, 65535, 65535, 2147483647 },
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const oct_recipe r = { .resize = { cases[i].wanted, 0 } };
        int w, h;
        oct_resize_shape(&r, cases[i].w, cases[i].h, &w, &h);
        ck_assert_int_eq(w, cases[i].out_w);
        ck_assert_int_eq(h, cases[i].out_h);
    }
}
END_TEST

START_TEST(apply_fits_and_refuses)
{
    uint8_t pixels[6 * 4 * 3];
    noise(2, pixels, sizeof pixels);
    const oct_image image = { 6, 4, 3, pixels };
    float out[3 * 8 * 8], other[3 * 8 * 8];
    oct_recipe r = { .channels = 3, .filter = OCT_BILINEAR, .scale = 1 };
    /* the model's own size, when the recipe has none */
    ck_assert_int_eq(oct_recipe_apply(&r, &image, 1, 8, 8, out), OCT_OK);
    r.resize[0] = r.resize[1] = 8;
    ck_assert_int_eq(oct_recipe_apply(&r, &image, 0, 8, 8, other), OCT_OK);
    ck_assert_int_eq(memcmp(out, other, sizeof out), 0);
    r.resize[0] = r.resize[1] = 0;
    ck_assert_int_eq(oct_recipe_apply(&r, &image, 0, 8, 8, out), OCT_ERR_SHAPE);
    ck_assert_str_eq(oct_last_error(), "image of 6x4 gives 6x4, the model takes 8x8");
    /* scale 1 keeps bytes; BGR turns the channels; one mean serves all */
    r.bgr = 1;
    r.n_mean = r.n_std = 1;
    r.mean[0] = 10;
    r.std[0] = 2;
    ck_assert_int_eq(oct_recipe_apply(&r, &image, 0, 6, 4, out), OCT_OK);
    for (int c = 0; c < 3; c++)
        for (int i = 0; i < 24; i++)
            ck_assert(out[c * 24 + i] == ((float)pixels[i * 3 + 2 - c] - 10.0f) / 2.0f);
    /* gray from colour and back: the luma, then thrice the same */
    r = (oct_recipe){ .channels = 1, .scale = 1 };
    ck_assert_int_eq(oct_recipe_apply(&r, &image, 0, 6, 4, out), OCT_OK);
    ck_assert(out[5] == (float)oct_luma(pixels[15], pixels[16], pixels[17]));
    const oct_image gray = { 6, 4, 1, pixels };
    r.channels = 3;
    ck_assert_int_eq(oct_recipe_apply(&r, &gray, 0, 6, 4, out), OCT_OK);
    ck_assert(out[5] == (float)pixels[5] && out[29] == out[5] && out[53] == out[5]);
}
END_TEST

int main(void)
{
    const TTest *const tests[] = {
        resize_is_pillows, windows_are_parts, tensors_are_torchvisions, photos_are_torchvisions,
        shapes_are_torchvisions, apply_fits_and_refuses,
    };
    return suite_run("resize", tests, sizeof tests / sizeof *tests);
}
