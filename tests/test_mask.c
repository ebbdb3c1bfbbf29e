/* graph/mask.c against PyTorch's masks and the definition (make_prune.py); what holds of any. */
#include <math.h>
#include <string.h>

#include "graph/mask.h"
#include "tests/fail_alloc.h"
#include "tests/golden/prune.h"
#include "tests/suite.h"

enum { MOST_LAYERS = 4, MOST = 800 };

/* Layers one behind the other: weights and masks. */
typedef struct net {
    float w[MOST];
    unsigned char keep[MOST];
    oct_mask_layer layer[MOST_LAYERS];
    int n, weights;
} net;

static int size_of(const oct_mask_layer *l) { return l->out * l->in * l->taps; }

static void add(net *x, int out, int in, int taps)
{
    const oct_mask_layer l = { x->w + x->weights, out, in, taps };
    x->layer[x->n++] = l;
    x->weights += size_of(&l);
    ck_assert_int_le(x->weights, MOST);
}

static oct_mask_structure structure_of(const char *name)
{
    oct_mask_structure s;
    ck_assert_msg(oct_mask_find(name, &s) == OCT_OK, "%s", oct_last_error());
    ck_assert_str_eq(oct_mask_name(s), name);
    return s;
}

static void make(net *x, const char *structure, double amount)
{
    const oct_mask_structure s = structure_of(structure);
    oct_mask_cut cut;
    memset(x->keep, 7, sizeof x->keep);
    ck_assert_int_eq(oct_mask_cut_find(s, amount, x->layer, x->n, &cut), OCT_OK);
    for (int k = 0, at = 0; k < x->n; at += size_of(&x->layer[k++]))
        oct_mask_fill(s, &x->layer[k], &cut, x->keep + at);
    for (int i = 0; i < MOST; i++) ck_assert_int_eq(x->keep[i] > 1, i >= x->weights);
}

static int gone(const net *x)
{
    int n = 0;
    for (int i = 0; i < x->weights; i++) n += !x->keep[i];
    return n;
}

/* ---- against PyTorch ---- */

static void fill_golden(net *x, const struct prune_golden *g)
{
    *x = (net){ .n = 0 };
    for (int k = g->first; k < g->first + g->n; k++) {
        float *w = x->w + x->weights;
        add(x, prune_shapes[k][0], prune_shapes[k][1], prune_shapes[k][2]);
        test_seed = (uint64_t)k + 1;
        for (int i = 0; i < size_of(&x->layer[x->n - 1]); i++) {
            const uint32_t r = test_rand();
            w[i] = strcmp(g->weights, "ties") ? ((float)(r >> 8) - 0x1p23f) * 0x1p-20f
                                              : (float)((int)(r % 7) - 3);
        }
    }
}

START_TEST(masks_are_pytorchs)
{
    for (size_t c = 0; c < sizeof prune_goldens / sizeof *prune_goldens; c++) {
        const struct prune_golden *g = &prune_goldens[c];
        net x;
        fill_golden(&x, g);
        make(&x, g->structure, g->amount);
        for (int i = 0; i < x.weights; i++) {
            const char digit[2] = { g->keep[i / 4], 0 };
            const int want = (int)strtol(digit, NULL, 16) >> (3 - i % 4) & 1;
            ck_assert_msg(x.keep[i] == want, "%s %s, amount %g, layers %d to %d: weight %d is %d",
                          g->weights, g->structure, g->amount, g->first, g->first + g->n - 1, i,
                          x.keep[i]);
        }
    }
}
END_TEST

/* ---- what holds of any ---- */

START_TEST(counts_are_rounded_half_to_even)
{
    static const struct { int weights; double amount; int goes; } table[] = {
        { 1, 0.5, 0 }, { 3, 0.5, 2 }, { 5, 0.5, 2 }, { 7, 0.5, 4 }, { 10, 0.25, 2 },
        { 10, 0.35, 4 }, { 10, 0.05, 0 }, { 10, 0.15, 2 }, { 10, 0, 0 }, { 10, 1, 10 },
        { 30, 0.55, 16 },
    };
    for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
        net x = { .n = 0 };
        add(&x, table[i].weights, 1, 1);
        for (int k = 0; k < x.weights; k++) x.w[k] = (float)((k * 7) % 11);
        make(&x, "unstructured", table[i].amount);
        ck_assert_msg(gone(&x) == table[i].goes, "%g of %d: %d", table[i].amount, x.weights,
                      gone(&x));
    }
}
END_TEST

/* Of equals the first go, through all layers; -0 is 0; NaN and infinity go last. */
START_TEST(equals_go_in_order_and_what_is_no_number_last)
{
    net x = { .n = 0 };
    for (int k = 0; k < 3; k++) add(&x, 5, 1, 2);
    for (int i = 0; i < x.weights; i++) x.w[i] = i % 2 ? 0.f : -0.f;
    for (int goes = 0; goes <= x.weights; goes++) {
        make(&x, "unstructured", goes / 30.0);
        for (int i = 0; i < x.weights; i++) ck_assert_int_eq(x.keep[i], i >= goes);
    }
    for (int i = 0; i < x.weights; i++) x.w[i] = 1e30f;
    x.w[0] = -NAN;
    x.w[1] = -INFINITY;
    x.w[2] = 3.4e38f;
    make(&x, "unstructured", 28 / 30.0);
    ck_assert(x.keep[0] && x.keep[1] && gone(&x) == 28);
    make(&x, "unstructured", 29 / 30.0);
    ck_assert(x.keep[0] && !x.keep[1]);
}
END_TEST

/* Denormals are numbers like others. */
START_TEST(the_smallest_magnitudes_are_told_apart)
{
    net x = { .n = 0 };
    add(&x, 1, 20, 1);
    for (int i = 0; i < 20; i++) x.w[i] = ldexpf(i % 2 ? 1 : -1, -149 + (i * 7) % 20);
    make(&x, "unstructured", 0.25);
    for (int i = 0; i < 20; i++) ck_assert_int_eq(x.keep[i], (i * 7) % 20 >= 5);
}
END_TEST

/* Blocks go whole, a short one with what it has; none that stays is smaller than one that goes. */
START_TEST(blocks_go_whole)
{
    for (int round = 0; round < 40; round++) {
        const int wide = round % 2, out = 1 + (int)(test_rand() % 9), taps = 1 + round % 3;
        const int in = 1 + (int)(test_rand() % 9);
        const double amount = (double)(test_rand() % 11) / 10;
        net x = { .n = 0 };
        double least = INFINITY, most = 0;
        add(&x, out, in, taps);
        for (int i = 0; i < x.weights; i++) x.w[i] = (float)(int)(test_rand() % 1000) - 500;
        make(&x, wide ? "1x4" : "4x1", amount);
        int goes = 0, units = 0;
        for (int o = 0; o < out; o += wide ? 1 : 4)
            for (int i = 0; i < in; i += wide ? 4 : 1)
                for (int t = 0; t < taps; t++) {
                    const int first = (o * in + i) * taps + t, step = wide ? taps : in * taps;
                    const int left = wide ? in - i : out - o, n = left < 4 ? left : 4;
                    double sum = 0;
                    for (int k = 0; k < n; k++) {
                        ck_assert_int_eq(x.keep[first + k * step], x.keep[first]);
                        sum += fabs((double)x.w[first + k * step]);
                    }
                    units++;
                    goes += !x.keep[first];
                    if (x.keep[first]) least = fmin(least, sum / n);
                    else most = fmax(most, sum / n);
                }
        ck_assert_int_eq(goes, (int)nearbyint(amount * units));
        ck_assert(most <= least);
    }
}
END_TEST

/* At most two of four stay, whatever the amount. */
START_TEST(two_of_four_stay)
{
    static const int stay[] = { 0, 1, 2, 2, 2 };
    for (int in = 1; in <= 9; in++) {
        net x = { .n = 0 };
        add(&x, 3, in, 2);
        for (int i = 0; i < x.weights; i++) x.w[i] = (float)(int)(test_rand() % 5) - 2;
        make(&x, "2:4", 0);
        for (int o = 0; o < 3; o++)
            for (int t = 0; t < 2; t++)
                for (int i = 0; i < in; i += 4) {
                    const int n = in - i < 4 ? in - i : 4;
                    int kept = 0;
                    for (int j = 0; j < n; j++) kept += x.keep[(o * in + i + j) * 2 + t];
                    ck_assert_int_eq(kept, stay[n]);
                }
    }
}
END_TEST

START_TEST(refusals)
{
    oct_mask_structure s;
    oct_mask_cut cut;
    net x = { .n = 0 };
    ck_assert_int_eq(oct_mask_find("3:4", &s), OCT_ERR_UNSUPPORTED);
    ck_assert_str_eq(oct_last_error(), "structure '3:4': unknown; unstructured, 2:4, 1x4 or 4x1 "
                     "expected");
    if (!fail_alloc_works()) return;
    add(&x, 2, 2, 1);
    fail_alloc_begin(1, 0);
    const oct_status status = oct_mask_cut_find(OCT_MASK_1X4, 0.5, x.layer, 1, &cut);
    ck_assert_int_eq(fail_alloc_end(), 1);
    ck_assert_int_eq(status, OCT_ERR_MEMORY);
}
END_TEST

int main(void)
{
    const TTest *const tests[] = {
        masks_are_pytorchs, counts_are_rounded_half_to_even,
        equals_go_in_order_and_what_is_no_number_last, the_smallest_magnitudes_are_told_apart,
        blocks_go_whole, two_of_four_stay, refusals,
    };
    return suite_run("mask", tests, sizeof tests / sizeof *tests);
}
