#include "input/recipe.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <jansson.h>

enum { MAX_SIDE = 65535 }; /* of resize and crop */

static const char *const filter_names[] = {
    [OCT_NEAREST] = "nearest", [OCT_BOX] = "box", [OCT_BILINEAR] = "bilinear",
    [OCT_BICUBIC] = "bicubic", [OCT_LANCZOS] = "lanczos",
};
enum { N_FILTERS = sizeof filter_names / sizeof *filter_names };

static oct_status bad(const char *key, const char *expected)
{
    return oct_fail(OCT_ERR_FORMAT, "recipe: \"%s\" is not %s", key, expected);
}

static oct_status read_flag(const char *key, const json_t *v, int *out)
{
    if (!json_is_boolean(v)) return bad(key, "true or false");
    *out = json_is_true(v);
    return OCT_OK;
}

/* 256 or [256] is {256, 0}, or {256, 256} if square; [h, w] is {h, w}. */
static oct_status read_sides(const char *key, const json_t *v, int square, int out[2])
{
    const size_t n = json_is_array(v) ? json_array_size(v) : 1;
    for (size_t i = 0; i < n && n <= 2; i++) {
        const json_t *side = json_is_array(v) ? json_array_get(v, i) : v;
        if (!json_is_integer(side) || json_integer_value(side) < 1 ||
            json_integer_value(side) > MAX_SIDE)
            return bad(key, "one or two whole numbers from 1 to 65535");
        out[i] = (int)json_integer_value(side);
    }
    if (n < 1 || n > 2) return bad(key, "one or two whole numbers from 1 to 65535");
    if (n == 1) out[1] = square ? out[0] : 0;
    return OCT_OK;
}

/* A number or a list of at most 4; positive: FP32 keeps it above zero. */
static oct_status read_numbers(const char *key, const json_t *v, int positive, int *n,
                               double *out)
{
    const size_t count = json_is_array(v) ? json_array_size(v) : 1;
    if (count < 1 || count > 4) return bad(key, "a list of one to four numbers");
    for (size_t i = 0; i < count; i++) {
        const json_t *item = json_is_array(v) ? json_array_get(v, i) : v;
        if (!json_is_number(item)) return bad(key, "a list of numbers");
        out[i] = json_number_value(item);
        if (!isfinite((float)out[i])) return bad(key, "a list of finite numbers");
        if (positive && !((float)out[i] > 0.0f)) return bad(key, "above zero");
    }
    *n = (int)count;
    return OCT_OK;
}

static oct_status read_choice(const char *key, const json_t *v, const char *const *names, int n,
                              const char *expected, int *out)
{
    const char *s = json_string_value(v);
    for (int i = 0; s && i < n; i++)
        if (!strcmp(s, names[i])) {
            *out = i;
            return OCT_OK;
        }
    return bad(key, expected);
}

static oct_status read_image_key(const char *key, const json_t *v, oct_recipe *r)
{
    static const char *const channels[] = { "L", "RGB", "BGR" };
    int n = 0;
    if (!strcmp(key, "channels")) {
        OCT_TRY(read_choice(key, v, channels, 3, "L, RGB or BGR", &n));
        r->channels = n ? 3 : 1;
        r->bgr = n == 2;
        return OCT_OK;
    }
    if (!strcmp(key, "filter")) {
        OCT_TRY(read_choice(key, v, filter_names, N_FILTERS,
                            "nearest, box, bilinear, bicubic or lanczos", &n));
        r->filter = (oct_filter)n;
        return OCT_OK;
    }
    if (!strcmp(key, "resize")) return read_sides(key, v, 0, r->resize);
    if (!strcmp(key, "crop")) return read_sides(key, v, 1, r->crop);
    if (!strcmp(key, "antialias")) return read_flag(key, v, &r->antialias);
    if (!strcmp(key, "mean")) return read_numbers(key, v, 0, &r->n_mean, r->mean);
    if (!strcmp(key, "std")) return read_numbers(key, v, 1, &r->n_std, r->std);
    if (!strcmp(key, "scale")) {
        if (!json_is_number(v)) return bad(key, "a number");
        return read_numbers(key, v, 1, &n, &r->scale);
    }
    return oct_fail(OCT_ERR_FORMAT, "recipe: unknown key \"%.80s\" for an image", key);
}

static oct_status read_text_key(const char *key, const json_t *v, oct_recipe *r)
{
    if (!strcmp(key, "lowercase")) return read_flag(key, v, &r->lowercase);
    if (!strcmp(key, "strip_accents")) return read_flag(key, v, &r->strip_accents);
    if (!strcmp(key, "tokenize_chinese_chars"))
        return read_flag(key, v, &r->tokenize_chinese_chars);
    if (strcmp(key, "max_length"))
        return oct_fail(OCT_ERR_FORMAT, "recipe: unknown key \"%.80s\" for text", key);
    if (!json_is_integer(v) || json_integer_value(v) < 1 ||
        json_integer_value(v) > OCT_RECIPE_MAX_LENGTH)
        return bad(key, "a whole number from 1 to 1048576");
    r->max_length = (int)json_integer_value(v);
    return OCT_OK;
}

static oct_status parse(json_t *root, oct_recipe *r)
{
    static const char *const types[] = { "image", "text" };
    if (!json_is_object(root)) return oct_fail(OCT_ERR_FORMAT, "recipe: not a JSON object");
    const json_t *type = json_object_get(root, "type");
    int text = 0;
    if (type) OCT_TRY(read_choice("type", type, types, 2, "image or text", &text));
    *r = oct_recipe_default(text);
    const char *key;
    json_t *v;
    json_object_foreach(root, key, v)
        if (strcmp(key, "type"))
            OCT_TRY(r->text ? read_text_key(key, v, r) : read_image_key(key, v, r));
    if (r->text) return OCT_OK;
    if (r->n_mean > 1 && r->n_mean != r->channels)
        return oct_fail(OCT_ERR_FORMAT, "recipe: %d means for %d channels", r->n_mean,
                        r->channels);
    if (r->n_std > 1 && r->n_std != r->channels)
        return oct_fail(OCT_ERR_FORMAT, "recipe: %d standard deviations for %d channels", r->n_std,
                        r->channels);
    return OCT_OK;
}

oct_recipe oct_recipe_default(int text)
{
    if (text)
        return (oct_recipe) { .text = 1, .lowercase = 1, .strip_accents = -1,
                              .tokenize_chinese_chars = 1, .max_length = 512 };
    return (oct_recipe) { .channels = 3, .filter = OCT_BILINEAR, .antialias = 1,
                          .scale = 1.0 / 255 };
}

oct_status oct_recipe_parse(const char *json, oct_recipe *out)
{
    oct_recipe r;
    json_error_t error;
    json_t *root = json_loads(json, JSON_REJECT_DUPLICATES, &error);
    if (!root) return oct_fail(OCT_ERR_FORMAT, "recipe: %s (byte %d)", error.text, error.position);
    const oct_status status = parse(root, &r);
    json_decref(root);
    if (status == OCT_OK) *out = r;
    return status;
}

typedef struct writer {
    char text[1024]; /* 12 keys, at most 9 numbers of at most 24 characters: under 500 */
    size_t n;
} writer;

static void put(writer *w, const char *s)
{
    const size_t n = strlen(s);
    if (n >= sizeof w->text - w->n) return; /* cannot happen, see `text` */
    memcpy(w->text + w->n, s, n + 1);
    w->n += n;
}

static void put_key(writer *w, const char *key)
{
    put(w, w->n > 1 ? ",\"" : "\"");
    put(w, key);
    put(w, "\":");
}

/* The fewest digits that read back as v; 17 always do.  The program's locale does not matter. */
static void put_number(writer *w, double v)
{
    char s[40];
    const int whole = v >= -1e6 && v <= 1e6 && v == (int)v; /* 200, not 2e+02 */
    if (whole) snprintf(s, sizeof s, "%d", (int)v);
    for (int digits = 1; digits <= 17 && !whole; digits++) {
        snprintf(s, sizeof s, "%.*g", digits, v);
        if (strtod(s, NULL) == v) break;
    }
    for (char *c = s; *c; c++)
        if (!strchr("+-.0123456789e", *c)) *c = '.';
    put(w, s);
}

static void put_flag(writer *w, const char *key, int flag)
{
    put_key(w, key);
    put(w, flag ? "true" : "false");
}

static void put_list(writer *w, const char *key, int n, const double *v)
{
    if (n == 0) return;
    put_key(w, key);
    for (int i = 0; i < n; i++) {
        put(w, i ? "," : "[");
        put_number(w, v[i]);
    }
    put(w, "]");
}

static void put_sides(writer *w, const char *key, const int side[2], int one)
{
    if (side[0] == 0) return;
    put_key(w, key);
    if (one) {
        put_number(w, side[0]);
        return;
    }
    put(w, "[");
    put_number(w, side[0]);
    put(w, ",");
    put_number(w, side[1]);
    put(w, "]");
}

oct_status oct_recipe_write(const oct_recipe *r, oct_arena *arena, char **json)
{
    writer w = { .text = "{", .n = 1 };
    if (r->text) {
        put_flag(&w, "lowercase", r->lowercase);
        put_key(&w, "max_length");
        put_number(&w, r->max_length);
        if (r->strip_accents >= 0) put_flag(&w, "strip_accents", r->strip_accents);
        if (!r->tokenize_chinese_chars) put_flag(&w, "tokenize_chinese_chars", 0);
        put(&w, ",\"type\":\"text\"}");
    } else {
        const int how = r->resize[0] || r->filter != OCT_BILINEAR || !r->antialias;
        /* else they are the defaults of a step that may not come */
        if (how) put_flag(&w, "antialias", r->antialias);
        put_key(&w, "channels");
        put(&w, r->channels == 1 ? "\"L\"" : r->bgr ? "\"BGR\"" : "\"RGB\"");
        put_sides(&w, "crop", r->crop, r->crop[0] == r->crop[1]);
        if (how) {
            put_key(&w, "filter");
            put(&w, "\"");
            put(&w, filter_names[r->filter]);
            put(&w, "\"");
        }
        put_list(&w, "mean", r->n_mean, r->mean);
        put_sides(&w, "resize", r->resize, r->resize[1] == 0);
        put_key(&w, "scale");
        put_number(&w, r->scale);
        put_list(&w, "std", r->n_std, r->std);
        put(&w, ",\"type\":\"image\"}");
    }
    *json = oct_arena_strdup(arena, w.text);
    return *json ? OCT_OK : oct_fail(OCT_ERR_MEMORY, "recipe: out of memory");
}
