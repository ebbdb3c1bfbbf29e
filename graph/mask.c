#include "graph/mask.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* Outputs and inputs of a unit.  2:4 chooses among weights. */
static const struct { const char *name; int out, in; } structures[] = {
    [OCT_MASK_UNSTRUCTURED] = { "unstructured", 1, 1 },
    [OCT_MASK_2_4] = { "2:4", 1, 1 },
    [OCT_MASK_1X4] = { "1x4", 1, 4 },
    [OCT_MASK_4X1] = { "4x1", 4, 1 },
};
enum { N_STRUCTURES = sizeof structures / sizeof *structures, GROUP = 4, STAY = 2 };

oct_status oct_mask_find(const char *name, oct_mask_structure *out)
{
    for (int i = 0; i < N_STRUCTURES; i++)
        if (strcmp(name, structures[i].name) == 0) {
            *out = (oct_mask_structure)i;
            return OCT_OK;
        }
    return oct_fail(OCT_ERR_UNSUPPORTED, "structure '%.80s': unknown; unstructured, 2:4, 1x4 or "
                    "4x1 expected", name);
}

const char *oct_mask_name(oct_mask_structure s) { return structures[s].name; }

static int smaller(int a, int b) { return a < b ? a : b; }

/* w[o, i, t] */
static size_t at(const oct_mask_layer *l, int o, int i, int t)
{
    return ((size_t)o * (size_t)l->in + (size_t)i) * (size_t)l->taps + (size_t)t;
}

/* Bits of |x|: they are in the order of the values, NaN behind infinity. */
static uint64_t key_of(double x)
{
    uint64_t bits;
    memcpy(&bits, &x, sizeof bits);
    return bits & INT64_MAX;
}

/* ---- units ---- */

/* The part of w that a unit is: outputs o to o_end - 1, inputs i to i_end - 1, tap t. */
typedef struct unit {
    int o, o_end, i, i_end, t;
} unit;

/* The next of a layer's units in row-major order; u->t < 0 asks for the first.  0: none is left. */
static int next(oct_mask_structure s, const oct_mask_layer *l, unit *u)
{
    const int high = structures[s].out, wide = structures[s].in;
    if (u->t < 0) *u = (unit){ .t = 0 };
    else if (++u->t == l->taps) {
        u->t = 0;
        u->i = u->i_end;
        if (u->i == l->in) {
            u->i = 0;
            u->o = u->o_end;
        }
    }
    if (u->o == l->out) return 0;
    u->o_end = u->o + smaller(high, l->out - u->o);
    u->i_end = u->i + smaller(wide, l->in - u->i);
    return 1;
}

static uint64_t score(const oct_mask_layer *l, const unit *u)
{
    double sum = 0;
    for (int o = u->o; o < u->o_end; o++)
        for (int i = u->i; i < u->i_end; i++) sum += fabs((double)l->w[at(l, o, i, u->t)]);
    return key_of(sum / ((u->o_end - u->o) * (u->i_end - u->i)));
}

static size_t ceil_div(int a, int b) { return ((size_t)a + (size_t)b - 1) / (size_t)b; }

static size_t count_units(oct_mask_structure s, const oct_mask_layer *l)
{
    return ceil_div(l->out, structures[s].out) * ceil_div(l->in, structures[s].in) *
           (size_t)l->taps;
}

/* ---- the cut ---- */

enum { DIGIT = 16, BINS = 1 << DIGIT };

/* How many keys that begin like prefix, above bit shift + DIGIT, have which next digit. */
static void count(oct_mask_structure s, const oct_mask_layer *layer, int n, uint64_t prefix,
                  int shift, size_t bin[BINS])
{
    memset(bin, 0, BINS * sizeof *bin);
    for (int k = 0; k < n; k++)
        for (unit u = { .t = -1 }; next(s, &layer[k], &u);) {
            const uint64_t key = score(&layer[k], &u);
            if ((key ^ prefix) >> shift >> DIGIT == 0) bin[key >> shift & (BINS - 1)]++;
        }
}

oct_status oct_mask_cut_find(oct_mask_structure s, double amount, const oct_mask_layer *layer,
                             int n, oct_mask_cut *out)
{
    size_t units = 0;
    *out = (oct_mask_cut){ 0, 0 };
    for (int k = 0; k < n; k++) units += count_units(s, &layer[k]);
    size_t left = (size_t)nearbyint(amount * (double)units); /* half to even, as Python's round */
    if (s == OCT_MASK_2_4 || left == 0) return OCT_OK;
    size_t *bin = malloc(BINS * sizeof *bin);
    if (!bin) return oct_fail(OCT_ERR_MEMORY, "prune: out of memory");
    for (int shift = 64 - DIGIT; shift >= 0; shift -= DIGIT) { /* the left-th smallest of all */
        size_t digit = 0;
        count(s, layer, n, out->key, shift, bin);
        while (bin[digit] < left) left -= bin[digit++];
        out->key |= (uint64_t)digit << shift;
    }
    out->ties = left;
    free(bin);
    return OCT_OK;
}

/* ---- masks ---- */

/* How many of the group's weights go before w[o, i + j, t]. */
static int rank(const oct_mask_layer *l, int o, int i, int size, int t, int j)
{
    const uint64_t own = key_of((double)l->w[at(l, o, i + j, t)]);
    int before = 0;
    for (int k = 0; k < size; k++) {
        const uint64_t key = key_of((double)l->w[at(l, o, i + k, t)]);
        before += key < own || (key == own && k < j);
    }
    return before;
}

static void fill_groups(const oct_mask_layer *l, unsigned char *keep)
{
    for (int o = 0; o < l->out; o++)
        for (int i = 0; i < l->in; i += GROUP)
            for (int t = 0; t < l->taps; t++) {
                const int size = smaller(GROUP, l->in - i);
                for (int j = 0; j < size; j++)
                    keep[at(l, o, i + j, t)] = rank(l, o, i, size, t, j) >= size - STAY;
            }
}

static void fill_units(oct_mask_structure s, const oct_mask_layer *l, oct_mask_cut *cut,
                       unsigned char *keep)
{
    for (unit u = { .t = -1 }; next(s, l, &u);) {
        const uint64_t key = score(l, &u);
        const int tie = key == cut->key && cut->ties > 0, goes = key < cut->key || tie;
        cut->ties -= (size_t)tie;
        for (int o = u.o; o < u.o_end; o++)
            for (int i = u.i; i < u.i_end; i++) keep[at(l, o, i, u.t)] = !goes;
    }
}

void oct_mask_fill(oct_mask_structure s, const oct_mask_layer *layer, oct_mask_cut *cut,
                   unsigned char *keep)
{
    if (s == OCT_MASK_2_4) fill_groups(layer, keep);
    else fill_units(s, layer, cut, keep);
}
