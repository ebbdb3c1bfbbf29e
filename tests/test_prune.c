/* models/prune.c: what octet prune writes is the file it read but for zeros. */
#include <string.h>
#include <unistd.h>

#include "models/prune.h"
#include "tensor/f16.h"
#include "tests/chain_case.h"
#include "tests/starve.h"
#include "tests/suite.h"
#include "weights/weights.h"

static char source[64], made[64]; /* files beside the test, one pair a process */

static void setup(void)
{
    snprintf(source, sizeof source, "test_prune-%ld.a", (long)getpid());
    snprintf(made, sizeof made, "test_prune-%ld.b", (long)getpid());
}

static void teardown(void)
{
    unlink(source);
    unlink(made);
}

#define OK(call) ck_assert_msg((call) == OCT_OK, "%s", oct_last_error())

static const oct_options plain = { .threads = 1 };
static const oct_save_info info = { .command = "octet prune" };

static oct_status prune(const oct_prune_options *how, oct_pruned *p)
{
    oct_status status = oct_prune(source, &plain, how, p);
    if (status == OCT_OK) status = oct_pruned_save(p, made, &info, NULL);
    oct_pruned_let_go(p);
    return status;
}

static int is_zero(const oct_tensor *t, size_t i)
{
    float x;
    oct_tensor_read_f32(t, i, 1, &x);
    return x == 0;
}

/* Every tensor of the source is in the file, equal wherever it is not 0; zeros[i] of tensor i. */
static void compare(size_t *zeros)
{
    oct_weights *a, *b;
    OK(oct_weights_open(source, &a));
    OK(oct_weights_open(made, &b));
    ck_assert_int_eq(oct_weights_count(a), oct_weights_count(b));
    for (int i = 0; i < oct_weights_count(a); i++) {
        const char *name = oct_weights_at(a, i)->name;
        oct_tensor x, y;
        OK(oct_weights_require(a, name, -1, NULL, &x));
        OK(oct_weights_require(b, name, x.rank, x.dim, &y));
        ck_assert_int_eq(x.dtype, y.dtype);
        const size_t size = oct_dtype_size(x.dtype);
        zeros[i] = 0;
        for (size_t k = 0; k < oct_tensor_count(&x); k++) {
            zeros[i] += (size_t)is_zero(&y, k);
            if (!is_zero(&y, k))
                ck_assert_mem_eq((char *)x.data + k * size, (char *)y.data + k * size, size);
        }
    }
    oct_weights_close(a);
    oct_weights_close(b);
}

/* ---- a network with every kind of constant ---- */

START_TEST(only_weights_of_chosen_layers_become_zero)
{
    static const char *const only[] = { "conv[12]", "fc2.weight" };
    const oct_prune_options how = { .structure = OCT_MASK_UNSTRUCTURED, .amount = 0.5,
                                    .per_layer = 1, .only = only, .n_only = 2 };
    static const char *const order[] = { "conv1.weight", "conv2.weight", "conv3.weight",
                                         "fc1.weight", "fc2.weight" };
    static const int chosen[] = { 1, 1, 0, 0, 1 };
    size_t zeros[64];
    oct_pruned p;
    oct_weights *w;
    chain_write(source);
    OK(prune(&how, &p));
    compare(zeros);
    OK(oct_weights_open(made, &w));
    ck_assert_int_eq(p.n_layers, 5);
    for (int i = 0; i < 5; i++) {
        const oct_pruned_layer *l = &p.layer[i];
        ck_assert_str_eq(l->name, order[i]);
        ck_assert_str_eq(l->op, i < 3 ? "conv2d" : "linear");
        ck_assert_int_eq(l->chosen, chosen[i]);
        ck_assert_uint_eq(l->zeros_before, 0);
        ck_assert_uint_eq(l->zeros, chosen[i] ? l->weights / 2 : 0); /* 92.5 of 185 is 92 */
        ck_assert_uint_eq(zeros[l->tensor], l->zeros);
    }
    ck_assert_ptr_nonnull(oct_weights_meta(w, "note"));
    ck_assert_str_eq(oct_weights_meta(w, "octet.prune"),
                     "{\"amount\":0.5,\"density\":{\"conv1.weight\":0.5,\"conv2.weight\":0.5,"
                     "\"conv3.weight\":1.0,\"fc1.weight\":1.0,\"fc2.weight\":0.502702702702703},"
                     "\"per_layer\":true,\"structure\":\"unstructured\"}");
    ck_assert_ptr_null(oct_weights_meta(w, "octet.measured"));
    oct_weights_close(w);
    oct_pruned_free(&p);
}
END_TEST

START_TEST(a_pattern_that_fits_nothing_is_named)
{
    static const char *const only[] = { "conv1", "bn1" };
    const oct_prune_options how = { .only = only, .n_only = 2 };
    oct_pruned p;
    chain_write(source);
    ck_assert_int_eq(prune(&how, &p), OCT_ERR_UNSUPPORTED);
    ck_assert_str_eq(oct_last_error(), "there is no layer 'bn1'");
    ck_assert_str_eq(p.unknown, "bn1");
    oct_pruned_free(&p);
}
END_TEST

/* ---- dtypes ---- */

enum { OUT = 6, IN = 9, COUNT = OUT * IN };

static void put(void *data, oct_dtype dtype, int i, float x)
{
    if (dtype == OCT_F32) ((float *)data)[i] = x;
    if (dtype == OCT_F64) ((double *)data)[i] = (double)x;
    if (dtype == OCT_F16) ((uint16_t *)data)[i] = oct_f16_of_f32(x);
    if (dtype == OCT_BF16) ((uint16_t *)data)[i] = oct_bf16_of_f32(x);
}

/* The same numbers in every dtype: ties, zeros, both signs. */
START_TEST(dtypes_stay_and_masks_are_the_same)
{
    static const oct_dtype types[] = { OCT_F32, OCT_F16, OCT_BF16, OCT_F64 };
    const oct_dtype dtype = types[_i % 4];
    const oct_mask_structure s = (oct_mask_structure)(_i / 4);
    double data[COUNT];
    float x[COUNT];
    unsigned char keep[COUNT];
    for (int i = 0; i < COUNT; i++) put(data, dtype, i, x[i] = (float)(i * 5 % 13 - 6) / 4);
    const oct_tensor w = { .dtype = dtype, .rank = 2, .dim = { OUT, IN }, .data = data };
    const oct_save_tensor tensor = { "fc1.weight", &w };
    const oct_save_meta meta = { "octet.arch", "{\"input\":[1,3,3],\"kind\":\"cnn\","
                                               "\"layers\":\"flatten fc1\"}" };
    OK(oct_weights_save(source, &tensor, 1, &meta, 1));
    const oct_prune_options how = { .structure = s, .amount = 0.3 };
    const oct_mask_layer layer = { x, OUT, IN, 1 };
    oct_mask_cut cut;
    oct_pruned p;
    size_t zeros[1];
    OK(oct_mask_cut_find(s, 0.3, &layer, 1, &cut));
    oct_mask_fill(s, &layer, &cut, keep);
    OK(oct_prune(source, &plain, &how, &p));
    for (int i = 0; i < COUNT; i++)
        ck_assert_int_eq(is_zero(&p.tensor[0], (size_t)i), !keep[i] || x[i] == 0);
    OK(oct_pruned_save(&p, made, &info, NULL));
    compare(zeros);
    ck_assert_uint_eq(zeros[0], p.layer[0].zeros);
    ck_assert_uint_eq(p.layer[0].zeros_before, 4);
    oct_pruned_free(&p);
}
END_TEST

/* ---- memory ---- */

/* A file where it worked, none where it did not. */
static oct_status prune_and_free(void *how)
{
    oct_pruned p;
    unlink(made);
    const oct_status status = prune(how, &p);
    oct_pruned_free(&p);
    return (access(made, F_OK) == 0) == (status == OCT_OK) ? status : OCT_ERR_IO;
}

START_TEST(out_of_memory)
{
    oct_prune_options how = { .structure = OCT_MASK_4X1, .amount = 0.5 };
    chain_write(source);
    starve(1, prune_and_free, &how);
}
END_TEST

int main(void)
{
    const suite_loop loops[] = {
        { only_weights_of_chosen_layers_become_zero, 1 },
        { a_pattern_that_fits_nothing_is_named, 1 },
        { dtypes_stay_and_masks_are_the_same, 16 },
        { out_of_memory, 1 },
    };
    Suite *suite = suite_create("prune");
    TCase *tcase = tcase_create("prune");
    tcase_add_checked_fixture(tcase, setup, teardown);
    for (size_t i = 0; i < sizeof loops / sizeof *loops; i++)
        tcase_add_loop_test(tcase, loops[i].test, 0, loops[i].n);
    return suite_finish(suite, tcase);
}
