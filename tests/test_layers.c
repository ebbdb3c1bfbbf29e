/* models/layers.c: the layer line, and lines that are refused. */
#include <string.h>

#include "models/layers.h"
#include "tests/suite.h"

static oct_arena arena;
static oct_layer *layer;
static int n;

static void refused(const char *line, const char *message)
{
    ck_assert_int_eq(oct_layers_parse(line, &arena, &layer, &n), OCT_ERR_FORMAT);
    ck_assert_msg(strcmp(oct_last_error(), message) == 0, "'%s' says '%s'", line,
                  oct_last_error());
    oct_arena_free(&arena);
}

START_TEST(words_and_options)
{
    ck_assert_int_eq(oct_layers_parse("  features.0:p1s2 \t relu\nmaxpool:3s2p1 c:g4d2p0", &arena,
                                      &layer, &n), OCT_OK);
    ck_assert_int_eq(n, 4);
    ck_assert_str_eq(layer[0].word, "features.0:p1s2");
    ck_assert_str_eq(layer[0].name, "features.0");
    ck_assert_str_eq(layer[1].word, "relu");
    ck_assert_str_eq(layer[1].name, "relu");
    const int want[4][OCT_LAYER_OPTIONS] = {
        { -1, 2, 1, -1, -1 }, { -1, -1, -1, -1, -1 }, { 3, 2, 1, -1, -1 }, { -1, -1, 0, 2, 4 },
    };
    for (int i = 0; i < n; i++) {
        ck_assert_int_eq(layer[i].position, i + 1);
        ck_assert_int_eq(memcmp(layer[i].option, want[i], sizeof want[i]), 0);
    }
    ck_assert_int_eq(oct_layer_get(&layer[0], OCT_LAYER_STRIDE, 7), 2);
    ck_assert_int_eq(oct_layer_get(&layer[3], OCT_LAYER_PAD, 7), 0);
    ck_assert_int_eq(oct_layer_get(&layer[1], OCT_LAYER_PAD, 7), 7);
    ck_assert_int_eq(oct_layer_takes(&layer[2], "kspd"), OCT_OK);
    ck_assert_int_eq(oct_layer_takes(&layer[2], "spdg"), OCT_ERR_FORMAT);
    ck_assert_str_eq(oct_last_error(), "layers: word 3 'maxpool:3s2p1': takes no kernel size");
    ck_assert_int_eq(oct_layer_takes(&layer[3], "ksp"), OCT_ERR_FORMAT);
    ck_assert_str_eq(oct_last_error(), "layers: word 4 'c:g4d2p0': takes no 'd'");
    oct_arena_free(&arena);
}
END_TEST

START_TEST(bad_words)
{
    static const char grammar[] = "after the colon come a number, then s, p, d or g with a number";
    static const char missing[] = "a number from 1 to 65535 is missing";
    const struct { const char *word, *why; } bad[] = {
        { "a:q1", grammar }, { "a:s1k2", grammar }, { "a:p13:2", grammar },
        { "a:s", missing }, { "a:s0", missing }, { "a:0", missing }, { "a:p70000", missing },
        { "a:p99999999999999999999", missing }, { "a:s-1", missing }, { "a:3p1s", missing },
        { "a:s1s2", "a letter stands twice" }, { "a:3p1p1", "a letter stands twice" },
        { "a:", "nothing after the colon" }, { ":p1", "nothing before the colon" },
        { "a\033[31m", "control bytes in a name" },
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        char message[200], line[80];
        snprintf(line, sizeof line, "relu %s", bad[i].word);
        snprintf(message, sizeof message, "layers: word 2 '%s': %s", bad[i].word, bad[i].why);
        refused(line, message);
    }
    refused("", "layers: no word in the line");
    refused(" \t\n ", "layers: no word in the line");
}
END_TEST

START_TEST(limits)
{
    static char line[4 * OCT_LAYERS_MAX];
    for (int i = 0; i <= OCT_LAYERS_MAX; i++) memcpy(line + 2 * i, "a ", 2);
    refused(line, "layers: more than 2000 words");
    line[2 * OCT_LAYERS_MAX] = 0;
    ck_assert_int_eq(oct_layers_parse(line, &arena, &layer, &n), OCT_OK);
    ck_assert_int_eq(n, OCT_LAYERS_MAX);
    oct_arena_free(&arena);

    memset(line, 'x', 201);
    line[201] = 0;
    refused(line, "layers: word 1 has 201 bytes, at most 200");
    line[200] = 0;
    ck_assert_int_eq(oct_layers_parse(line, &arena, &layer, &n), OCT_OK);
    ck_assert_str_eq(layer[0].name, line);
    oct_arena_free(&arena);
    ck_assert_int_eq(oct_layers_parse("a:65535s65535p65535", &arena, &layer, &n), OCT_OK);
    oct_arena_free(&arena);
}
END_TEST

int main(void)
{
    const TTest *const tests[] = { words_and_options, bad_words, limits };
    return suite_run("layers", tests, sizeof tests / sizeof *tests);
}
