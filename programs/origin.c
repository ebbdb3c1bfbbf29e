#include "programs/origin.h"

#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "tensor/text.h"

static void put_ints(oct_text *t, const char *option, const cli_ints *list)
{
    for (int i = 0; i < list->n; i++) oct_text_put(t, "%s%d", i ? "," : option, list->v[i]);
}

static void put_numbers(oct_text *t, const char *option, const cli_numbers *list)
{
    for (int i = 0; i < list->n; i++) oct_text_put(t, "%s%.15g", i ? "," : option, list->v[i]);
}

static void put_words(oct_text *t, const char *option, const cli_words *list)
{
    for (int i = 0; i < list->n; i++) oct_text_put(t, "%s%s", i ? "," : option, list->v[i]);
}

char *origin_command(const cli_args *a, oct_arena *arena)
{
    size_t size = 24 * 8 * CLI_MAX_LIST + 400; /* of the numbers and the options' names */
    const char *const texts[] = { a->layers, a->passes, a->method, a->structure };
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
        if (texts[i]) size += strlen(texts[i]);
    for (int i = 0; i < a->keep.n; i++) size += strlen(a->keep.v[i]) + 1;
    for (int i = 0; i < a->only.n; i++) size += strlen(a->only.v[i]) + 1;
    char *line = oct_arena_alloc(arena, size);
    if (!line) return NULL;
    oct_text t = { line, size };
    oct_text_put(&t, "octet %s", a->command->name);
    if (a->dynamic) oct_text_put(&t, " --dynamic");
    if (a->method) oct_text_put(&t, " --method %s", a->method);
    put_numbers(&t, " --percentile ", &a->percentile);
    put_ints(&t, " --bits ", &a->bits);
    put_numbers(&t, " --smooth ", &a->smooth);
    if (a->no_bias_correction) oct_text_put(&t, " --no-bias-correction");
    put_words(&t, " --keep ", &a->keep);
    put_numbers(&t, " --max-drop ", &a->max_drop);
    if (a->tune) oct_text_put(&t, " --tune");
    if (a->force) oct_text_put(&t, " --force");
    put_numbers(&t, " --amount ", &a->amount);
    if (a->structure) oct_text_put(&t, " --structure %s", a->structure);
    if (a->per_layer) oct_text_put(&t, " --per-layer");
    put_words(&t, " --only ", &a->only);
    put_ints(&t, " --samples ", &a->samples);
    if (a->layers) oct_text_put(&t, " --layers \"%s\"", a->layers);
    put_ints(&t, " --input ", &a->input);
    if (a->passes) oct_text_put(&t, " --passes %s", a->passes);
    if (a->precision.n && strcmp(a->precision.v[0], "fp32"))
        oct_text_put(&t, " --precision %s", a->precision.v[0]);
    if (a->channels) oct_text_put(&t, " --channels %s", a->channels);
    put_ints(&t, " --resize ", &a->resize);
    put_ints(&t, " --crop ", &a->crop);
    put_numbers(&t, " --scale ", &a->scale);
    put_numbers(&t, " --mean ", &a->mean);
    put_numbers(&t, " --std ", &a->std);
    put_ints(&t, " --max-length ", &a->max_length);
    return line;
}

static int same(const struct stat *x, const char *path)
{
    struct stat y;
    return stat(path, &y) == 0 && x->st_dev == y.st_dev && x->st_ino == y.st_ino;
}

int origin_is(const char *model, const char *path)
{
    static const char *const files[] = { "model.safetensors", "pytorch_model.bin" };
    struct stat x;
    char file[4096];
    if (stat(path, &x)) return 0;
    if (same(&x, model)) return 1;
    for (size_t i = 0; i < sizeof files / sizeof *files; i++) {
        const int n = snprintf(file, sizeof file, "%s/%s", model, files[i]);
        if (n < (int)sizeof file && same(&x, file)) return 1;
    }
    return 0;
}
