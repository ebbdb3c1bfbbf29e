/* Sources of records: idx, CIFAR .bin, npy; and what is refused. */
#include "tests/sources.h"

/* ---- idx ---- */

/* [n][2][3] bytes 0, 1, 2 ...; labels 9, 8, 7 ... */
static size_t make_idx(uint8_t *p, int n)
{
    memcpy(p, (uint8_t[16]){ 0, 0, 8, 3, 0, 0, 0, (uint8_t)n, 0, 0, 0, 2, 0, 0, 0, 3 }, 16);
    for (int i = 0; i < n * 6; i++) p[16 + i] = (uint8_t)i;
    return 16 + (size_t)n * 6;
}
static size_t make_labels(uint8_t *p, int n)
{
    memcpy(p, (uint8_t[8]){ 0, 0, 8, 1, 0, 0, 0, (uint8_t)n }, 8);
    for (int i = 0; i < n; i++) p[8 + i] = (uint8_t)(9 - i);
    return 8 + (size_t)n;
}
static void write_gz(const char *p, const void *bytes, size_t size)
{
    gzFile gz = gzopen(p, "wb");
    ck_assert_ptr_nonnull(gz);
    ck_assert_int_eq(gzwrite(gz, bytes, (unsigned)size), (int)size);
    gzclose(gz);
}

static void check_idx(const char *p, int labelled)
{
    oct_source *s = open_ok(p);
    float out[6];
    int c, h, w;
    ck_assert_int_eq(oct_source_type(s), OCT_SOURCE_IDX);
    ck_assert_int_eq(oct_source_count(s), 5);
    ck_assert_int_eq(oct_source_classes(s), labelled ? 10 : 0);
    oct_source_shape(s, &gray, &c, &h, &w);
    ck_assert(c == 1 && h == 2 && w == 3);
    for (int i = 4; i >= 0; i--) {
        ck_assert_int_eq(oct_source_label(s, i), labelled ? 9 - i : -1);
        ck_assert_int_eq(oct_source_read(s, i, &gray, 2, 3, out), OCT_OK);
        for (int k = 0; k < 6; k++) ck_assert(out[k] == (float)(6 * i + k));
    }
    ck_assert_int_eq(oct_source_read(s, 5, &gray, 2, 3, out), OCT_ERR_SHAPE);
    ck_assert_int_eq(oct_source_read(s, 0, &gray, 3, 3, out), OCT_ERR_SHAPE);
    char name[4500];
    snprintf(name, sizeof name, "%s#3", p);
    ck_assert_str_eq(oct_source_name(s, 3), name);
    oct_source_close(s);
    s = open_ok(name);
    ck_assert_int_eq(oct_source_count(s), 1);
    ck_assert_str_eq(oct_source_name(s, 0), name);
    ck_assert_int_eq(oct_source_label(s, 0), labelled ? 6 : -1);
    ck_assert_int_eq(oct_source_read(s, 0, &gray, 2, 3, out), OCT_OK);
    ck_assert(out[0] == 18.0f);
    oct_source_close(s);
    snprintf(name, sizeof name, "%s#5", p);
    refuse(name, "record 5 of a file of 5");
}

START_TEST(idx_plain_and_gz)
{
    uint8_t images[64], labels[64];
    const size_t n = make_idx(images, 5), m = make_labels(labels, 5);
    file_write(in_folder("a-images-idx3-ubyte"), images, n);
    check_idx(in_folder("a-images-idx3-ubyte"), 0);
    file_write(in_folder("a-labels-idx1-ubyte"), labels, m);
    check_idx(in_folder("a-images-idx3-ubyte"), 1);
    write_gz(in_folder("b-images-idx3-ubyte.gz"), images, n);
    check_idx(in_folder("b-images-idx3-ubyte.gz"), 0);
    file_write(in_folder("b-labels-idx1-ubyte"), labels, m); /* plain beside gz */
    check_idx(in_folder("b-images-idx3-ubyte.gz"), 1);
    write_gz(in_folder("c-labels.gz"), labels, m); /* gz beside plain */
    file_write(in_folder("c-images"), images, n);
    check_idx(in_folder("c-images"), 1);
    file_write(in_folder("unnamed"), images, n);
    check_idx(in_folder("unnamed"), 0);
}
END_TEST

START_TEST(idx_damage)
{
    uint8_t p[64], labels[64];
    size_t n = make_idx(p, 5);
    for (size_t cut = 1; cut < n; cut++) {
        file_write(in_folder("cut"), p, cut);
        refuse(in_folder("cut"), "");
        write_gz(in_folder("cut.gz"), p, cut);
        refuse(in_folder("cut.gz"), "");
    }
    p[n] = 0;
    file_write(in_folder("long"), p, n + 1);
    refuse(in_folder("long"), "take 30 bytes, the file has 31");
    write_gz(in_folder("long.gz"), p, n + 1);
    refuse(in_folder("long.gz"), "more data than its header says");
    /* a gz cut anywhere; its checksum wrong */
    write_gz(in_folder("good.gz"), p, n);
    size_t size;
    uint8_t *gz = file_read(in_folder("good.gz"), &size);
    for (size_t cut = 2; cut < size; cut++) {
        file_write(in_folder("cut.gz"), gz, cut);
        refuse(in_folder("cut.gz"), "");
    }
    gz[size - 6] ^= 1;
    file_write(in_folder("crc.gz"), gz, size);
    refuse(in_folder("crc.gz"), "inflate");
    free(gz);
    /* claims */
    memset(p + 4, 0xff, 4);
    file_write(in_folder("claim"), p, n);
    refuse(in_folder("claim"), "4294967295 images");
    write_gz(in_folder("claim.gz"), p, n);
    refuse(in_folder("claim.gz"), "4294967295 images");
    memset(p + 4, 0xff, 12);
    write_gz(in_folder("claim.gz"), p, n);
    refuse(in_folder("claim.gz"), "limit");
    make_idx(p, 0);
    file_write(in_folder("none"), p, 16);
    refuse(in_folder("none"), "no sample");
    make_idx(p, 5);
    p[2] = 0x0d;
    file_write(in_folder("floats"), p, n);
    refuse(in_folder("floats"), "type 0x0d");
    n = make_labels(labels, 5);
    file_write(in_folder("labels"), labels, n);
    refuse(in_folder("labels"), "name the images");
    /* labels that do not fit */
    n = make_idx(p, 5);
    file_write(in_folder("x-images"), p, n);
    make_labels(labels, 6);
    file_write(in_folder("x-labels"), labels, 14);
    refuse(in_folder("x-images"), "x-labels: 6 labels for 5 images");
    make_labels(labels, 5);
    file_write(in_folder("x-labels"), labels, 12);
    refuse(in_folder("x-images"), "x-labels: the file is truncated");
}
END_TEST

/* Zeros deflate 1000 to 1; a header that claims a little more is found out without the memory. */
START_TEST(idx_bomb)
{
    enum { SIZE = 48 << 20 };
    uint8_t head[64], *zeros = calloc(1, 1 << 20);
    make_idx(head, 1);
    memcpy(head + 4, (uint8_t[12]){ 0, 0, 50, 0, 0, 0, 0, 64, 0, 0, 0, 64 }, 12);
    gzFile gz = gzopen(in_folder("bomb.gz"), "wb1");
    gzwrite(gz, head, 16);
    for (int i = 0; i < SIZE >> 20; i++) gzwrite(gz, zeros, 1 << 20);
    gzclose(gz);
    free(zeros);
    refuse(in_folder("bomb.gz"), "truncated"); /* 50 * 256 * 4096 = 50 MiB claimed */
}
END_TEST

START_TEST(mnist_itself)
{
    oct_source *s = open_ok(file_of("data/mnist/t10k-images-idx3-ubyte.gz"));
    static const int first[10] = { 3, 2, 1, 18, 4, 8, 11, 0, 61, 7 };
    ck_assert_int_eq(oct_source_count(s), 10000);
    ck_assert_int_eq(oct_source_classes(s), 10);
    /* the PNG of each digit has the pixels of the record */
    for (int k = 0; k < 10; k++) {
        float a[784], b[784];
        char name[64];
        ck_assert_int_eq(oct_source_label(s, first[k]), k);
        ck_assert_int_eq(oct_source_read(s, first[k], &gray, 28, 28, a), OCT_OK);
        snprintf(name, sizeof name, "data/digits/digit_%d.png", k);
        oct_source *one = open_ok(file_of(name));
        ck_assert_int_eq(oct_source_read(one, 0, &gray, 28, 28, b), OCT_OK);
        ck_assert_int_eq(memcmp(a, b, sizeof a), 0);
        oct_source_close(one);
    }
    oct_source_close(s);
}
END_TEST

/* ---- CIFAR ---- */

START_TEST(cifar_records)
{
    oct_source *s = open_ok(file_of("data/cifar/test_256.bin"));
    static const char *const names[] = { "airplane", "automobile", "bird", "cat", "deer", "dog",
                                         "frog", "horse", "ship", "truck" };
    ck_assert_int_eq(oct_source_type(s), OCT_SOURCE_CIFAR);
    ck_assert_int_eq(oct_source_count(s), 256);
    ck_assert_int_eq(oct_source_classes(s), 10);
    static float a[3072], b[3072];
    for (int k = 0; k < 10; k++) {
        char name[64];
        ck_assert_int_eq(oct_source_label(s, k), k);
        ck_assert_int_eq(oct_source_read(s, k, &color, 32, 32, a), OCT_OK);
        snprintf(name, sizeof name, "data/cifar/%s.png", names[k]);
        oct_source *one = open_ok(file_of(name));
        ck_assert_int_eq(oct_source_read(one, 0, &color, 32, 32, b), OCT_OK);
        ck_assert_int_eq(memcmp(a, b, sizeof a), 0);
        oct_source_close(one);
    }
    /* never resized; a crop that fits is made */
    oct_recipe r = color;
    int c, h, w;
    r.resize[0] = 256;
    r.crop[0] = r.crop[1] = 224;
    oct_source_shape(s, &r, &c, &h, &w);
    ck_assert(c == 3 && h == 32 && w == 32);
    ck_assert_int_eq(oct_source_read(s, 0, &r, 224, 224, a), OCT_ERR_SHAPE);
    r.crop[0] = r.crop[1] = 28;
    oct_source_shape(s, &r, &c, &h, &w);
    ck_assert(h == 28 && w == 28);
    ck_assert_int_eq(oct_source_read(s, 0, &r, 28, 28, b), OCT_OK);
    ck_assert_int_eq(oct_source_read(s, 0, &color, 32, 32, a), OCT_OK);
    ck_assert(b[0] == a[2 * 32 + 2] && b[783] == a[29 * 32 + 29]);
    oct_source_close(s);
}
END_TEST

START_TEST(cifar_damage)
{
    uint8_t *p = calloc(2, 3074);
    file_write(in_folder("a.bin"), p, 2 * 3073);
    oct_source_close(open_ok(in_folder("a.bin")));
    file_write(in_folder("a.bin"), p, 2 * 3073 - 1);
    refuse(in_folder("a.bin"), "6145 bytes are no multiple of 3073");
    file_write(in_folder("a.bin"), p, 2 * 3074);
    refuse(in_folder("a.bin"), "CIFAR-100");
    p[3073] = 10;
    file_write(in_folder("a.bin"), p, 2 * 3073);
    refuse(in_folder("a.bin"), "record 1: label 10");
    refuse(in_folder("a.bin#1"), "record 1: label 10");
    oct_source *s = open_ok(in_folder("a.bin#0"));
    ck_assert_int_eq(oct_source_label(s, 0), 0);
    oct_source_close(s);
    file_write(in_folder("a.bin"), p, 0);
    refuse(in_folder("a.bin"), "empty");
    free(p);
}
END_TEST

/* ---- npy ---- */

static size_t make_npy(uint8_t *p, const char *header, size_t data)
{
    const size_t n = strlen(header);
    memcpy(p, "\x93NUMPY\1\0", 8);
    p[8] = (uint8_t)n;
    p[9] = (uint8_t)(n >> 8);
    memcpy(p + 10, header, n);
    for (size_t i = 0; i < data; i++) p[10 + n + i] = (uint8_t)i;
    return 10 + n + data;
}

START_TEST(npy_floats_and_bytes)
{
    uint8_t p[512];
    size_t n = make_npy(p, "{'descr': '<f4', 'fortran_order': False, 'shape': (2, 2, 1, 3), }  \n",
                        48);
    const float v[12] = { 1, -2, 3.5f, 4, 5, 6, 7, 8, 9, 10, 11, 1e-20f };
    memcpy(p + n - 48, v, 48);
    file_write(in_folder("f.npy"), p, n);
    oct_source *s = open_ok(in_folder("f.npy"));
    int c, h, w;
    float out[6];
    oct_source_shape(s, &gray, &c, &h, &w);
    ck_assert(oct_source_count(s) == 2 && c == 2 && h == 1 && w == 3);
    ck_assert_int_eq(oct_source_read(s, 1, &gray, 1, 3, out), OCT_OK);
    ck_assert_int_eq(memcmp(out, v + 6, sizeof out), 0);
    ck_assert_int_eq(oct_source_label(s, 1), -1);
    ck_assert_int_eq(oct_source_read(s, 1, &gray, 3, 1, out), OCT_ERR_SHAPE);
    oct_source_close(s);

    n = make_npy(p, "{\"shape\": (2, 1, 2, 3), 'descr':'|u1','fortran_order':False}", 12);
    file_write(in_folder("u.npy"), p, n);
    s = open_ok(in_folder("u.npy"));
    ck_assert_int_eq(oct_source_type(s), OCT_SOURCE_NPY);
    ck_assert_int_eq(oct_source_read(s, 1, &color, 1, 2, out), OCT_OK);
    ck_assert(out[0] == 6 && out[1] == 9 && out[2] == 7 && out[5] == 11);
    oct_recipe r = color; /* these do go through the recipe, resize and all */
    r.resize[0] = 4;
    oct_source_shape(s, &r, &c, &h, &w);
    ck_assert(c == 3 && h == 4 && w == 8);
    oct_source_close(s);
}
END_TEST

START_TEST(npy_refusals)
{
    static const struct { const char *header, *why; } cases[] = {
        { "{'descr': '>f4', 'fortran_order': False, 'shape': (1, 1, 2, 3), }", "big-endian" },
        { "{'descr': '<f4', 'fortran_order': True, 'shape': (1, 1, 2, 3), }", "Fortran" },
        { "{'descr': '<f8', 'fortran_order': False, 'shape': (1, 1, 2, 3), }", "'<f8'" },
        { "{'descr': '|O', 'fortran_order': False, 'shape': (1, 1, 2, 3), }", "'|O'" },
        { "{'descr': '<f4', 'fortran_order': False, 'shape': (6, 4), }", "2 dimensions" },
        { "{'descr': '<f4', 'fortran_order': False, 'shape': (1, 1, 1, 2, 3), }", "5 dimensions" },
        { "{'descr': '<f4', 'fortran_order': False, 'shape': (2, 1, 2, 3), }", "2 samples" },
        { "{'descr': '<f4', 'fortran_order': False, 'shape': (0, 1, 2, 3), }", "0 samples" },
        { "{'descr': '<f4', 'fortran_order': False, 'shape': (1, 0, 2, 3), }", "0 channels" },
        { "{'descr': '<f4', 'fortran_order': False, 'shape': (4294967296, 1, 65536, 2), }",
          "4294967296" },
        { "{'descr': '<f4', 'fortran_order': False, 'shape': (922337203685477582, 5, 1, 1), }",
          "922337203685477582 samples" }, /* times 20 is 2^64 + 24, and there are 24 bytes */
        { "{'descr': '<f4', 'fortran_order': False, 'shape': (1, 1, 99999999999999999999, 3), }",
          "malformed" },
        { "{'descr': '|u1', 'fortran_order': False, 'shape': (1, 2, 3, 4), }", "4 channels" },
        { "{'descr': '<f4', 'fortran_order': False, 'shape': (1, 1, 2, 3), 'x': 1}", "malformed" },
        { "{'descr': '<f4', 'fortran_order': False, 'descr': '<f4', }", "malformed" },
        { "{'descr': '<f4', 'shape': (1, 1, 2, 3), }", "malformed" },
        { "{'descr': [('a', '<f4')], 'fortran_order': False, 'shape': (6,)}", "malformed" },
        { "", "malformed" },
    };
    uint8_t p[512];
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        file_write(in_folder("x.npy"), p, make_npy(p, cases[i].header, 24));
        refuse(in_folder("x.npy"), cases[i].why);
    }
    const size_t n = make_npy(p, "{'descr': '<f4', 'fortran_order': False, 'shape': (1, 1, 2, 3)}",
                              24);
    file_write(in_folder("x.npy"), p, n);
    oct_source_close(open_ok(in_folder("x.npy")));
    for (size_t cut = 1; cut < n; cut++) {
        file_write(in_folder("x.npy"), p, cut);
        refuse(in_folder("x.npy"), "");
    }
    p[8] = p[9] = 0xff;
    file_write(in_folder("x.npy"), p, n);
    refuse(in_folder("x.npy"), "header of 65535 bytes");
}
END_TEST

int main(void)
{
    const TTest *const tests[] = {
        idx_plain_and_gz, idx_damage, idx_bomb, mnist_itself, cifar_records, cifar_damage,
        npy_floats_and_bytes, npy_refusals,
    };
    return suite_run_in("input", tests, sizeof tests / sizeof *tests, setup, teardown);
}
