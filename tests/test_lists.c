/* Sources of files: folders, lists, texts, standard input; which order, which labels, what is
 * refused. */
#include <fcntl.h>
#include <sys/stat.h>

#include "tests/sources.h"

static void copy_image(const char *from, const char *to)
{
    size_t size;
    uint8_t *bytes = file_read(file_of(from), &size);
    file_write(in_folder(to), bytes, size);
    free(bytes);
}

static void make_folder(const char *name) { ck_assert_int_eq(mkdir(in_folder(name), 0755), 0); }

static void expect(oct_source *s, int i, const char *name, int label)
{
    char want[200];
    snprintf(want, sizeof want, "%s/%s", folder, name);
    ck_assert_str_eq(oct_source_name(s, i), want);
    ck_assert_int_eq(oct_source_label(s, i), label);
}

START_TEST(image_folder)
{
    static const char *const folders[] = { "b", "a", "a/z", "a/z/y", "a-b", "a/Z" };
    for (size_t i = 0; i < sizeof folders / sizeof *folders; i++) make_folder(folders[i]);
    static const char *const files[] = { "b/2.png", "b/10.PNG", "a/x.png", "a/z/1.png", "a-b/q.bmp",
                                         "a/z/y/1.jpeg", "a/Z/9.pgm", "a/A.ppm" };
    for (size_t i = 0; i < sizeof files / sizeof *files; i++)
        copy_image("data/digits/digit_3.png", files[i]);
    file_write(in_folder("b/notes.txt"), "x", 1);
    file_write(in_folder("list.tsv"), "x", 1);
    oct_source *s = open_ok(folder);
    ck_assert_int_eq(oct_source_type(s), OCT_SOURCE_IMAGEFOLDER);
    ck_assert_int_eq(oct_source_classes(s), 3);
    ck_assert_str_eq(oct_source_class_name(s, 0), "a");
    ck_assert_str_eq(oct_source_class_name(s, 1), "a-b");
    ck_assert_str_eq(oct_source_class_name(s, 2), "b");
    ck_assert_ptr_null(oct_source_class_name(s, 3));
    /* sorted(os.walk): by the folder's path, then by name */
    static const char *const want[] = { "a/A.ppm", "a/x.png", "a/Z/9.pgm", "a/z/1.png",
                                        "a/z/y/1.jpeg", "a-b/q.bmp", "b/10.PNG", "b/2.png" };
    ck_assert_int_eq(oct_source_count(s), 8);
    for (int i = 0; i < 8; i++) expect(s, i, want[i], i < 5 ? 0 : i < 6 ? 1 : 2);
    float out[784];
    int c, h, w;
    oct_source_shape(s, &gray, &c, &h, &w);
    ck_assert(c == 1 && h == 0 && w == 0);
    ck_assert_int_eq(oct_source_read(s, 4, &gray, 28, 28, out), OCT_OK);
    oct_source_close(s);

    copy_image("data/digits/digit_3.png", "stray.png");
    refuse(folder, "both images");
    ck_assert_int_eq(unlink(in_folder("stray.png")), 0);
    make_folder("empty");
    refuse(folder, "class empty");
    ck_assert_int_eq(symlink("..", in_folder("b/up")), 0);
    refuse(folder, "inside itself");
}
END_TEST

/* Enough names, made in no order, that no file system lists them sorted by luck. */
START_TEST(sorted_like_torchvision)
{
    test_seed = 9;
    for (int k = 0; k < 40; k++) {
        char name[64];
        const int c = (k * 17 + 5) % 40;
        snprintf(name, sizeof name, "class%02d", c);
        make_folder(name);
        for (int i = 0; i < 5; i++) {
            snprintf(name, sizeof name, "class%02d/%02d", c, (i * 3 + c) % 5);
            make_folder(name);
            for (int j = 0; j < 7; j++) {
                snprintf(name, sizeof name, "class%02d/%02d/%d.png", c, (i * 3 + c) % 5,
                         (j * 3) % 7);
                file_write(in_folder(name), "x", 1);
            }
        }
    }
    oct_source *s = open_ok(folder);
    ck_assert_int_eq(oct_source_count(s), 40 * 35);
    for (int i = 0; i < 40 * 35; i++) {
        char name[64];
        snprintf(name, sizeof name, "class%02d/%02d/%d.png", i / 35, i / 7 % 5, i % 7);
        expect(s, i, name, i / 35);
    }
    oct_source_close(s);
}
END_TEST

START_TEST(plain_folder)
{
    refuse(folder, "no image");
    make_folder("sub");
    refuse(folder, "no image");
    copy_image("data/digits/digit_3.png", "b.png");
    copy_image("data/digits/digit_4.png", "a.png");
    make_folder("dir.png");
    oct_source *s = open_ok(folder);
    ck_assert_int_eq(oct_source_type(s), OCT_SOURCE_IMAGES);
    ck_assert_int_eq(oct_source_count(s), 2);
    expect(s, 0, "a.png", -1);
    expect(s, 1, "b.png", -1);
    ck_assert_int_eq(oct_source_classes(s), 0);
    oct_source_close(s);
    refuse(in_folder("missing"), "No such file");
    refuse(in_folder("missing#3"), "No such file");
    refuse(in_folder("a.png#3"), "records");
    if (geteuid() == 0) return; /* root may read everything */
    ck_assert_int_eq(chmod(in_folder("a.png"), 0), 0);
    refuse(in_folder("a.png"), "Permission denied");
}
END_TEST

static void list_is(const char *text, int n, int labelled)
{
    file_write(in_folder("list.tsv"), text, strlen(text));
    oct_source *s = open_ok(in_folder("list.tsv"));
    ck_assert_int_eq(oct_source_type(s), labelled ? OCT_SOURCE_TSV : OCT_SOURCE_IMAGES);
    ck_assert_int_eq(oct_source_count(s), n);
    ck_assert_int_eq(oct_source_label(s, n - 1), labelled ? 7 : -1);
    ck_assert_int_eq(oct_source_classes(s), labelled ? 8 : 0);
    float out[784];
    for (int i = 0; i < n; i++)
        ck_assert_msg(oct_source_read(s, i, &gray, 28, 28, out) == OCT_OK, "%s",
                      oct_last_error());
    oct_source_close(s);
}

static void list_refused(const char *text, const char *why)
{
    file_write(in_folder("list.tsv"), text, strlen(text));
    refuse(in_folder("list.tsv"), why);
}

START_TEST(lists)
{
    copy_image("data/digits/digit_3.png", "a.png");
    copy_image("data/digits/digit_3.png", "no_extension");
    list_is("a.png\t3\na.png\t7\n", 2, 1);
    list_is("path\tlabel\r\na.png\t3\r\n\r\n./a.png\t 7 ", 2, 1);
    list_is("\xef\xbb\xbfno_extension\t1\na.png\t7", 2, 1);
    list_is("a.png\na.png\nno_extension\n", 3, 0);
    list_is("file\na.png", 1, 0);
    list_refused("\n\n", "empty");
    list_refused("path\tlabel\n", "no line");
    list_refused("a.png\t3\na.png\n", "line 2");
    list_refused("a.png\na.png\t3\n", "line 2");
    list_refused("a.png\t3\na.png\tx\n", "line 2: label \"x\"");
    list_refused("a.png\t3\na.png\t-1\n", "line 2: label \"-1\"");
    list_refused("a.png\t3\na.png\t1000000\n", "line 2: label");
    list_refused("a.png\t3\na.png\t99999999999999999999999\n", "line 2: label");
    list_refused("sentence\tlabel\nit 's a charming journey .\t1\n", "texts");
    list_refused("it 's a charming journey .\t1\n", "texts");
    /* a file that is not there is that sample's error, not the list's */
    file_write(in_folder("list.tsv"), "gone.png\t1\na.png\t0\n", 19);
    oct_source *s = open_ok(in_folder("list.tsv"));
    float out[784];
    ck_assert_int_eq(oct_source_read(s, 0, &gray, 28, 28, out), OCT_ERR_IO);
    ck_assert_int_eq(oct_source_read(s, 1, &gray, 28, 28, out), OCT_OK);
    oct_source_close(s);
    /* a list of CIFAR's size is a list: its first byte is no label */
    char text[3073];
    for (size_t i = 0; i < sizeof text; i++) text[i] = "a.png\n"[i % 6];
    memcpy(text + 3072 - 6, "a.png\n\n", 7);
    file_write(in_folder("list"), text, sizeof text);
    s = open_ok(in_folder("list"));
    ck_assert_int_eq(oct_source_count(s), 512);
    oct_source_close(s);
    file_write(in_folder("rubbish"), "\1\2\3\4rubbish", 11);
    refuse(in_folder("rubbish"), "neither an image");
}
END_TEST

static void texts_are(const char *list, int n, const char *last, int label)
{
    oct_source *s = NULL;
    file_write(in_folder("texts"), list, strlen(list));
    ck_assert_msg(oct_source_open_texts(in_folder("texts"), &s) == OCT_OK, "%s", oct_last_error());
    ck_assert_int_eq(oct_source_type(s), OCT_SOURCE_TEXTS);
    ck_assert_int_eq(oct_source_count(s), n);
    ck_assert_str_eq(oct_source_text(s, n - 1), last);
    ck_assert_int_eq(oct_source_label(s, n - 1), label);
    ck_assert_int_eq(oct_source_classes(s), label < 0 ? 0 : label + 1);
    char name[40];
    snprintf(name, sizeof name, "texts#%d", n - 1);
    ck_assert_ptr_nonnull(strstr(oct_source_name(s, n - 1), name));
    float out[1];
    ck_assert_int_eq(oct_source_read(s, 0, &gray, 1, 1, out), OCT_ERR_SHAPE);
    oct_source_close(s);
}

static void texts_refused(const char *list, size_t size, const char *why)
{
    oct_source *s;
    file_write(in_folder("texts"), list, size);
    ck_assert_int_eq(oct_source_open_texts(in_folder("texts"), &s), OCT_ERR_FORMAT);
    ck_assert_ptr_null(s);
    ck_assert_msg(strstr(oct_last_error(), why), "%s", oct_last_error());
}

START_TEST(texts)
{
    texts_are("sentence\tlabel\ngood film \t0\nbad\ttwo tabs\t1\n", 2, "bad\ttwo tabs", 1);
    texts_are("good\t0\n\nbad \t 3 \r\n", 2, "bad ", 3);
    texts_are("\t0\n\t2", 2, "", 2);
    texts_are("a.png\nno label", 2, "no label", -1);
    texts_are("\xef\xbb\xbf\x01\xff only bytes", 1, "\x01\xff only bytes", -1);
    texts_refused("", 0, "no text in the list");
    texts_refused("sentence\tlabel\n", 15, "no text in the list");
    texts_refused("a\t1\nb\n", 6, "line 2: no tab and label");
    texts_refused("a\t1\nb\tx\n", 8, "line 2: label \"x\"");
    texts_refused("a\0b", 3, "zero byte");
    oct_source *s = NULL;
    ck_assert_int_eq(oct_source_open_texts(in_folder("missing"), &s), OCT_ERR_IO);
    copy_image("data/digits/digit_3.png", "b.png");
    s = open_ok(in_folder("b.png"));
    ck_assert_ptr_null(oct_source_text(s, 0));
    oct_source_close(s);
}
END_TEST

START_TEST(standard_input_and_pipes)
{
    /* a pipe is one image, too */
    ck_assert_int_eq(mkfifo(in_folder("pipe"), 0600), 0);
    char command[9000];
    snprintf(command, sizeof command, "cat '%s' > '%s' &", file_of("data/digits/digit_3.png"),
             in_folder("pipe"));
    ck_assert_int_eq(system(command), 0);
    oct_source *pipe = open_ok(in_folder("pipe"));
    float from_pipe[784];
    ck_assert_int_eq(oct_source_read(pipe, 0, &gray, 28, 28, from_pipe), OCT_OK);
    oct_source_close(pipe);

    const int keep = dup(STDIN_FILENO);
    const int fd = open(file_of("data/digits/digit_3.png"), O_RDONLY);
    ck_assert_int_eq(dup2(fd, STDIN_FILENO), STDIN_FILENO);
    oct_source *s = open_ok("-");
    ck_assert_int_eq(oct_source_count(s), 1);
    ck_assert_str_eq(oct_source_name(s, 0), "-");
    float a[784], b[784];
    ck_assert_int_eq(oct_source_read(s, 0, &gray, 28, 28, a), OCT_OK);
    ck_assert_int_eq(oct_source_read(s, 0, &gray, 28, 28, b), OCT_OK); /* as often as you like */
    ck_assert_int_eq(memcmp(a, b, sizeof a), 0);
    ck_assert_int_eq(memcmp(a, from_pipe, sizeof a), 0);
    oct_source_close(s);
    dup2(keep, STDIN_FILENO);
    close(keep);
    close(fd);
}
END_TEST

int main(void)
{
    const TTest *const tests[] = {
        image_folder, sorted_like_torchvision, plain_folder, lists, texts, standard_input_and_pipes,
    };
    return suite_run_in("lists", tests, sizeof tests / sizeof *tests, setup, teardown);
}
