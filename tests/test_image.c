/* Decoding: every file of tests/golden/images gives the bytes that Pillow gave.  For JPEG this
 * holds with libjpeg-turbo, whose accurate DCT and upsampling have not changed between 2.1.5 and
 * the 3.2.0 in Pillow 13, so no difference is allowed. */
#include "input/image.h"
#include "tests/files.h"

/* Where we differ from Pillow on purpose, always towards refusing a damaged file. */
static const char *const stricter[] = {
    "no_palette.png", /* Pillow shows it black */
};

static int is_stricter(const char *name)
{
    for (size_t i = 0; i < sizeof stricter / sizeof *stricter; i++)
        if (!strcmp(name, stricter[i])) return 1;
    return 0;
}

static int same(const uint8_t *bytes, size_t size, int channels, char **column)
{
    oct_image image;
    if (oct_image_decode(bytes, size, channels, &image) != OCT_OK) {
        fprintf(stderr, "%s: %s\n", column[0], oct_last_error());
        return 0;
    }
    const size_t n = (size_t)image.width * (size_t)image.height * (size_t)image.channels;
    const int ok = image.width == atoi(column[1]) && image.height == atoi(column[2]) &&
                   image.channels == channels &&
                   !strcmp(checksum(image.data, n), column[channels == 3 ? 3 : 4]);
    if (!ok) fprintf(stderr, "%s: %d channels differ\n", column[0], channels);
    oct_image_free(&image);
    return ok;
}

START_TEST(every_file_is_as_pillow_reads_it)
{
    FILE *table = fopen(file_of("golden/images.tsv"), "r");
    ck_assert_ptr_nonnull(table);
    char line[512], *column[8];
    int files = 0, bad = 0;
    while (fgets(line, sizeof line, table)) {
        const int n = cut_columns(line, column, 8);
        char name[300];
        snprintf(name, sizeof name, "golden/images/%s", column[0]);
        size_t size;
        uint8_t *bytes = file_read(file_of(name), &size);
        files++;
        if (n == 2 || is_stricter(column[0])) {
            oct_image image;
            for (int c = 1; c <= 3; c += 2)
                if (oct_image_decode(bytes, size, c, &image) == OCT_OK || image.data) {
                    fprintf(stderr, "%s: not refused\n", column[0]);
                    oct_image_free(&image);
                    bad++;
                }
        } else {
            bad += !same(bytes, size, 3, column) + !same(bytes, size, 1, column);
        }
        free(bytes);
    }
    fclose(table);
    ck_assert_int_ge(files, 160);
    ck_assert_int_eq(bad, 0);
}
END_TEST

/* Each is damaged in its own way, and says so. */
START_TEST(refusals_say_why)
{
    static const struct { const char *name, *why; } cases[] = {
        { "cut.jpg", "truncated" }, { "cut_progressive.jpg", "truncated" },
        { "cut.png", "truncated" }, { "cut.bmp", "truncated" }, { "p6_cut.ppm", "truncated" },
        { "12bit.jpg", "precision 12" }, { "p6_huge.ppm", "100000x100000" },
        { "p3_over.ppm", "8" }, { "size0.bmp", "0x7" }, { "rle8_early.bmp", "13 of 91" },
        { "fields16_bad.bmp", "bit fields" }, { "no_palette.png", "PLTE" },
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char name[300];
        snprintf(name, sizeof name, "golden/images/%s", cases[i].name);
        size_t size;
        uint8_t *bytes = file_read(file_of(name), &size);
        oct_image image;
        ck_assert_int_ne(oct_image_decode(bytes, size, 3, &image), OCT_OK);
        ck_assert_msg(strstr(oct_last_error(), cases[i].why), "%s: %s", cases[i].name,
                      oct_last_error());
        free(bytes);
    }
    oct_image image;
    ck_assert_int_eq(oct_image_decode("", 0, 3, &image), OCT_ERR_FORMAT);
    ck_assert_int_eq(oct_image_decode("GIF89a", 6, 3, &image), OCT_ERR_FORMAT);
}
END_TEST

/* No byte may be missing: every prefix is refused or (trailing parts that do not matter) gives the
 * whole picture.  Every prefix lies in memory of its own size. */
static void truncate_all(const char *name)
{
    size_t size;
    uint8_t *bytes = file_read(file_of(name), &size);
    oct_image whole;
    ck_assert_int_eq(oct_image_decode(bytes, size, 3, &whole), OCT_OK);
    const size_t n = (size_t)whole.width * (size_t)whole.height * 3;
    size_t accepted = 0;
    for (size_t cut = 0; cut < size; cut++) {
        uint8_t *part = malloc(cut ? cut : 1);
        memcpy(part, bytes, cut);
        oct_image image;
        if (oct_image_decode(part, cut, 3, &image) == OCT_OK) {
            accepted++;
            ck_assert_msg(image.width == whole.width && image.height == whole.height &&
                          !memcmp(image.data, whole.data, n), "%s cut at %zu", name, cut);
            oct_image_free(&image);
        }
        free(part);
    }
    ck_assert_msg(accepted < 24, "%s: %zu prefixes accepted", name, accepted);
    oct_image_free(&whole);
    free(bytes);
}

START_TEST(no_prefix_passes_for_the_file)
{
    static const char *const names[] = {
        "rgb420.jpg", "gray.jpg", "cmyk_adobe.jpg", "progressive.jpg", "rgb8.png", "rgba16i.png",
        "palette4.png", "palette4.bmp", "raw24.bmp", "rle8.bmp", "rle4.bmp", "fields32_40.bmp",
        "p1.pbm", "p2_31.pgm", "p4.pbm", "p5_1000.pgm", "p6.ppm",
    };
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        char name[300];
        snprintf(name, sizeof name, "golden/images/%s", names[i]);
        truncate_all(name);
    }
}
END_TEST

/* Mutated bytes: whatever happens, no crash, no leak, and an error has its sentence. */
START_TEST(mutations_do_no_harm)
{
    FILE *table = fopen(file_of("golden/images.tsv"), "r");
    char line[512], *column[8];
    test_seed = 1;
    while (fgets(line, sizeof line, table)) {
        cut_columns(line, column, 8);
        char name[300];
        snprintf(name, sizeof name, "golden/images/%s", column[0]);
        size_t size;
        uint8_t *bytes = file_read(file_of(name), &size);
        uint8_t *mutant = malloc(size);
        const int rounds = size > 10000 ? 1 : 60;
        for (int round = 0; round < rounds; round++) {
            memcpy(mutant, bytes, size);
            const size_t head = round % 2 && size > 64 ? 64 : size;
            for (unsigned k = 0; k <= test_rand() % 4; k++)
                mutant[test_rand() % head] = (uint8_t)(test_rand() % 4 ? test_rand() : 255);
            oct_image image;
            if (oct_image_decode(mutant, size, round % 4 < 2 ? 3 : 1, &image) == OCT_OK)
                oct_image_free(&image);
            else
                ck_assert_int_ne(oct_last_error()[0], 0);
        }
        free(mutant);
        free(bytes);
    }
    fclose(table);
}
END_TEST

/* A size that the file cannot hold is refused before it costs memory: these would take 0.5 GB. */
START_TEST(huge_claims_are_refused)
{
    static const struct { const char *name; size_t at; int big; } cases[] = {
        { "gray.jpg", 0, 1 }, { "progressive.jpg", 0, 1 }, { "rgb8.png", 16, 1 },
        { "raw24.bmp", 18, 0 }, { "rle8.bmp", 18, 0 },
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char name[300];
        snprintf(name, sizeof name, "golden/images/%s", cases[i].name);
        size_t size, at = cases[i].at;
        uint8_t *bytes = file_read(file_of(name), &size);
        if (!at) { /* a JPEG's frame: height and width, 16 bits each */
            for (at = 2; bytes[at + 1] != 0xc0 && bytes[at + 1] != 0xc2;)
                at += 2 + (size_t)(bytes[at + 2] << 8 | bytes[at + 3]);
            memcpy(bytes + at + 5, "\x34\x00\x34\x00", 4);
        } else if (cases[i].big) {
            memcpy(bytes + at, "\0\0\x34\0\0\0\x34\0", 8);
            const uint32_t crc = (uint32_t)crc32(0, bytes + 12, 17);
            for (int k = 0; k < 4; k++) bytes[29 + k] = (uint8_t)(crc >> (24 - 8 * k));
        } else {
            memcpy(bytes + at, "\0\x34\0\0\0\x34\0\0", 8);
        }
        oct_image image;
        ck_assert_int_eq(oct_image_decode(bytes, size, 3, &image), OCT_ERR_FORMAT);
        ck_assert_msg(strstr(oct_last_error(), "fit") || strstr(oct_last_error(), "truncated"),
                      "%s: %s", name, oct_last_error());
        free(bytes);
    }
}
END_TEST

/* A large image without its end is refused before it is decoded; with it, it is read. */
START_TEST(large_images_need_their_end)
{
    size_t size, at = 2;
    uint8_t *bytes = file_read(file_of("golden/images/large.jpg"), &size);
    oct_image image;
    ck_assert_int_eq(oct_image_decode(bytes, size, 1, &image), OCT_OK);
    ck_assert(image.width == 4500 && image.height == 4500);
    oct_image_free(&image);
    while (bytes[at + 1] != 0xda) at += 2 + (size_t)(bytes[at + 2] << 8 | bytes[at + 3]);
    for (size_t cut = size - 1; cut > at; cut -= 1 + cut / 20) {
        ck_assert_int_eq(oct_image_decode(bytes, cut, 1, &image), OCT_ERR_FORMAT);
        ck_assert(strstr(oct_last_error(), "truncated") || strstr(oct_last_error(), "fit"));
    }
    free(bytes);
    bytes = file_read(file_of("golden/images/large.png"), &size);
    ck_assert_int_eq(oct_image_decode(bytes, size - 12, 1, &image), OCT_OK); /* no IEND */
    oct_image_free(&image);
    for (size_t cut = size - 13; cut > 100; cut -= 1 + cut / 20)
        ck_assert_int_eq(oct_image_decode(bytes, cut, 1, &image), OCT_ERR_FORMAT);
    free(bytes);
}
END_TEST

int main(void)
{
    const TTest *const tests[] = {
        every_file_is_as_pillow_reads_it, refusals_say_why, no_prefix_passes_for_the_file,
        mutations_do_no_harm, huge_claims_are_refused, large_images_need_their_end,
    };
    return suite_run("image", tests, sizeof tests / sizeof *tests);
}
