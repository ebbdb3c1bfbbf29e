/* The loader: in order, the same for any number of threads, bad samples in their place. */
#include <malloc.h>
#include <sys/stat.h>

#include "input/input.h"
#include "tests/files.h"

static const oct_recipe recipe = { .channels = 3, .filter = OCT_BILINEAR, .antialias = 1,
                                   .scale = 1.0 / 255, .n_mean = 3, .n_std = 3,
                                   .mean = { 0.4, 0.5, 0.6 }, .std = { 0.2, 0.3, 0.4 } };

static oct_source *cifar(void)
{
    oct_source *s;
    ck_assert_int_eq(oct_source_open(file_of("data/cifar/test_256.bin"), &s), OCT_OK);
    return s;
}

/* All samples of the order, one after the other, into out; how many. */
static int drain(const oct_loader_options *o, float *out)
{
    oct_loader *l;
    ck_assert_msg(oct_loader_open(o, &l) == OCT_OK, "%s", oct_last_error());
    int n = 0;
    for (oct_batch b; oct_loader_next(l, &b), b.n > 0; n += b.n) {
        ck_assert_int_le(b.n, o->batch);
        memcpy(out + (size_t)n * 3072, b.data, (size_t)b.n * 3072 * sizeof *out);
        for (int i = 0; i < b.n; i++) {
            ck_assert_int_eq(b.item[i].index, o->order ? o->order[n + i] : n + i);
            ck_assert_int_eq(b.item[i].status, OCT_OK);
            ck_assert_ptr_null(b.item[i].error);
        }
    }
    oct_batch end;
    oct_loader_next(l, &end);
    ck_assert_int_eq(end.n, 0);
    oct_loader_close(l);
    return n;
}

START_TEST(any_threads_any_batch)
{
    oct_source *s = cifar();
    float *want = malloc(256 * 3072 * sizeof *want), *got = malloc(256 * 3072 * sizeof *got);
    for (int i = 0; i < 256; i++)
        ck_assert_int_eq(oct_source_read(s, i, &recipe, 32, 32, want + (size_t)i * 3072), OCT_OK);
    static const int batches[] = { 1, 2, 7, 64, 256, 1000 }, threads[] = { 1, 2, 3, 8, 0 };
    for (size_t b = 0; b < sizeof batches / sizeof *batches; b++)
        for (size_t t = 0; t < sizeof threads / sizeof *threads; t++) {
            const oct_loader_options o = { .source = s, .recipe = &recipe, .channels = 3,
                                           .height = 32, .width = 32, .batch = batches[b],
                                           .threads = threads[t] };
            memset(got, 1, 256 * 3072 * sizeof *got);
            ck_assert_int_eq(drain(&o, got), 256);
            ck_assert_int_eq(memcmp(got, want, 256 * 3072 * sizeof *got), 0);
        }
    /* an order, with repeats */
    static const int order[] = { 255, 0, 3, 3, 17, 4 };
    const oct_loader_options o = { .source = s, .recipe = &recipe, .channels = 3, .height = 32,
                                   .width = 32, .batch = 4, .threads = 2, .order = order, .n = 6 };
    ck_assert_int_eq(drain(&o, got), 6);
    for (int i = 0; i < 6; i++)
        ck_assert_int_eq(memcmp(got + i * 3072, want + (size_t)order[i] * 3072, 3072 * 4), 0);
    free(want);
    free(got);
    oct_source_close(s);
}
END_TEST

START_TEST(closed_early)
{
    oct_source *s = cifar();
    for (int round = 0; round < 40; round++) {
        const oct_loader_options o = { .source = s, .recipe = &recipe, .channels = 3, .height = 32,
                                       .width = 32, .batch = 1 + round % 5,
                                       .threads = 1 + round % 4 };
        oct_loader *l;
        oct_batch b;
        ck_assert_int_eq(oct_loader_open(&o, &l), OCT_OK);
        for (int i = 0; i < round % 7; i++) oct_loader_next(l, &b);
        oct_loader_close(l);
    }
    oct_loader_close(NULL);
    oct_source_close(s);
}
END_TEST

START_TEST(bad_samples_keep_their_place)
{
    char folder[64], path[200];
    snprintf(folder, sizeof folder, "%s", scratch_folder());
    size_t size;
    uint8_t *png = file_read(file_of("data/cifar/cat.png"), &size);
    for (int i = 0; i < 20; i++) { /* 3, 7 ... are cut, 5 is empty */
        snprintf(path, sizeof path, "%s/%02d.png", folder, i);
        file_write(path, png, i == 5 ? 0 : i % 4 == 3 ? size / 2 : size);
    }
    oct_source *s;
    ck_assert_int_eq(oct_source_open(folder, &s), OCT_OK);
    float want[3072];
    ck_assert_int_eq(oct_source_read(s, 0, &recipe, 32, 32, want), OCT_OK);
    const oct_loader_options o = { .source = s, .recipe = &recipe, .channels = 3, .height = 32,
                                   .width = 32, .batch = 3, .threads = 3 };
    oct_loader *l;
    ck_assert_int_eq(oct_loader_open(&o, &l), OCT_OK);
    int n = 0;
    for (oct_batch b; oct_loader_next(l, &b), b.n > 0; n += b.n)
        for (int i = 0; i < b.n; i++) {
            const int bad = n + i == 5 || (n + i) % 4 == 3;
            const float *x = b.data + i * 3072;
            ck_assert_int_eq(b.item[i].status, bad ? OCT_ERR_FORMAT : OCT_OK);
            if (bad) ck_assert_ptr_nonnull(strstr(b.item[i].error, n + i == 5 ? "empty" : "trunc"));
            for (int k = 0; k < 3072; k++) ck_assert(x[k] == (bad ? 0.0f : want[k]));
        }
    ck_assert_int_eq(n, 20);
    oct_loader_close(l);
    oct_source_close(s);
    free(png);
    snprintf(path, sizeof path, "rm -rf '%s'", folder);
    ck_assert_int_eq(system(path), 0);
}
END_TEST

START_TEST(refusals)
{
    oct_source *s = cifar();
    oct_loader *l;
    oct_loader_options o = { .source = s, .recipe = &recipe, .channels = 1, .height = 32,
                             .width = 32, .batch = 3, .threads = 1 };
    ck_assert_int_eq(oct_loader_open(&o, &l), OCT_ERR_SHAPE);
    ck_assert_str_eq(oct_last_error(), "samples have 3 channels, the model takes 1");
    o.channels = 3;
    o.height = 28;
    ck_assert_int_eq(oct_loader_open(&o, &l), OCT_ERR_SHAPE);
    o.height = 32;
    const int order[] = { 0, 256 };
    o.order = order;
    o.n = 2;
    ck_assert_int_eq(oct_loader_open(&o, &l), OCT_ERR_SHAPE);
    ck_assert_str_eq(oct_last_error(), "sample 256 of 256, counted from 0");
    oct_source_close(s);
}
END_TEST

/* Memory in use does not grow from batch to batch. */
START_TEST(no_growth)
{
#if defined __GLIBC__ && !defined __SANITIZE_ADDRESS__ && !defined __SANITIZE_THREAD__
    oct_source *s = cifar();
    int order[2000];
    for (int i = 0; i < 2000; i++) order[i] = i % 256;
    const oct_loader_options o = { .source = s, .recipe = &recipe, .channels = 3, .height = 32,
                                   .width = 32, .batch = 10, .threads = 2, .order = order,
                                   .n = 2000 };
    oct_loader *l;
    oct_batch b;
    ck_assert_int_eq(oct_loader_open(&o, &l), OCT_OK);
    for (int i = 0; i < 20; i++) oct_loader_next(l, &b);
    const size_t before = mallinfo2().uordblks + mallinfo2().hblkhd;
    for (int i = 20; i < 199; i++) oct_loader_next(l, &b);
    ck_assert_int_eq(b.n, 10);
    const size_t after = mallinfo2().uordblks + mallinfo2().hblkhd;
    ck_assert_uint_lt(after, before + 65536); /* what two threads hold while they decode */
    oct_loader_close(l);
    oct_source_close(s);
#endif
}
END_TEST

int main(void)
{
    const TTest *const tests[] = {
        any_threads_any_batch, closed_early, bad_samples_keep_their_place, refusals, no_growth,
    };
    return suite_run("loader", tests, sizeof tests / sizeof *tests);
}
