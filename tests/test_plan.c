/* graph/plan_memory.c: places by lifetime. */
#include <string.h>

#include "graph/plan.h"
#include "tests/suite.h"

enum { MAX = 40 };

static size_t footprint(size_t size) { return (size + 63) / 64 * 64 + 64; }

/* At every step, what lives then and its tails must fit: no plan can be smaller. */
static size_t lower_bound(const oct_lifetime *v, int n, int steps)
{
    size_t most = 0;
    for (int s = 0; s <= steps; s++) {
        size_t sum = 0;
        for (int i = 0; i < n; i++)
            if (v[i].first <= s && s <= v[i].last) sum += footprint(v[i].size);
        if (most < sum) most = sum;
    }
    return most;
}

static void check_places(const oct_lifetime *v, int n, size_t size)
{
    for (int i = 0; i < n; i++) {
        ck_assert_uint_eq(v[i].offset % 64, 0);
        ck_assert_uint_le(v[i].offset + v[i].size + 64, size);
        for (int k = 0; k < i; k++) {
            const int meet = v[i].first <= v[k].last && v[k].first <= v[i].last;
            const int apart = v[i].offset + v[i].size + 64 <= v[k].offset ||
                              v[k].offset + v[k].size + 64 <= v[i].offset;
            ck_assert_msg(!meet || apart, "%d [%zu, +%zu) and %d [%zu, +%zu) overlap", i,
                          v[i].offset, v[i].size, k, v[k].offset, v[k].size);
        }
    }
}

START_TEST(random_lifetimes_never_overlap)
{
    for (int round = 0; round < 2000; round++) {
        oct_lifetime v[MAX];
        const int n = 1 + (int)(test_rand() % MAX), steps = 1 + (int)(test_rand() % 30);
        size_t all = 0;
        for (int i = 0; i < n; i++) {
            const int a = (int)(test_rand() % (unsigned)steps);
            const int last = a + (int)(test_rand() % 6);
            const size_t any = test_rand() % 1000, lines = 64 * ((size_t)i % 3);
            v[i] = (oct_lifetime){ .size = test_rand() % 3 ? any : lines, .first = a, .last = last < steps ? last : steps,
                                   .offset = test_rand() };
            all += footprint(v[i].size);
        }
        const size_t size = oct_plan_offsets(v, n);
        check_places(v, n, size);
        ck_assert_uint_ge(size, lower_bound(v, n, steps));
        ck_assert_uint_le(size, all);
    }
}
END_TEST

/* In a chain two values live at a time.  Where they grow smaller, as in most networks, each is
 * placed below or above the one before: the lower bound is reached. */
START_TEST(a_shrinking_chain_takes_its_first_two)
{
    for (int round = 0; round < 500; round++) {
        oct_lifetime v[MAX];
        size_t size_of = 50000;
        for (int i = 0; i < MAX; i++, size_of -= test_rand() % 1000)
            v[i] = (oct_lifetime){ .size = size_of, .first = i, .last = i + 1 };
        const size_t size = oct_plan_offsets(v, MAX);
        check_places(v, MAX, size);
        ck_assert_uint_eq(size, lower_bound(v, MAX, MAX));
    }
}
END_TEST

START_TEST(places_repeat_and_nothing_is_nothing)
{
    oct_lifetime a[MAX], b[MAX];
    for (int i = 0; i < MAX; i++)
        a[i] = (oct_lifetime){ .size = 100 * ((size_t)i % 4), .first = i / 3, .last = i / 2 };
    memcpy(b, a, sizeof b);
    ck_assert_uint_eq(oct_plan_offsets(a, MAX), oct_plan_offsets(b, MAX));
    ck_assert_int_eq(memcmp(a, b, sizeof a), 0);
    ck_assert_uint_eq(oct_plan_offsets(a, 0), 0);
}
END_TEST

int main(void)
{
    const TTest *const tests[] = {
        random_lifetimes_never_overlap, a_shrinking_chain_takes_its_first_two,
        places_repeat_and_nothing_is_nothing,
    };
    return suite_run("plan", tests, sizeof tests / sizeof *tests);
}
