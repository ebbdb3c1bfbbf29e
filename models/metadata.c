#include "models/metadata.h"

#include <stdlib.h>
#include <string.h>

#include "weights/json.h"

enum { MAX_TEXT = 1 << 20 }; /* a parsed value takes up to 30 bytes for each byte of text */

oct_status oct_json_parse(const char *what, const char *text, json_type type, json_t **out)
{
    json_error_t error;
    const size_t size = strlen(text);
    *out = NULL;
    if (size > MAX_TEXT)
        return oct_fail(OCT_ERR_FORMAT, "%s: %zu bytes of JSON, at most %d", what, size, MAX_TEXT);
    bool no_memory;
    json_t *value = oct_json_load(text, size, &error, &no_memory);
    if (no_memory) return oct_fail(OCT_ERR_MEMORY, "%s: out of memory", what);
    if (!value)
        return oct_fail(OCT_ERR_FORMAT, "%s: %.120s (byte %d)", what, error.text, error.position);
    if (json_typeof(value) != type) {
        json_decref(value);
        return oct_fail(OCT_ERR_FORMAT, "%s: not a JSON %s", what,
                        type == JSON_OBJECT ? "object" : "array");
    }
    *out = value;
    return OCT_OK;
}

oct_status oct_json_known(const char *what, json_t *object, const char *const *known)
{
    const char *key;
    json_t *value;
    json_object_foreach(object, key, value) {
        const char *const *k = known;
        while (*k && strcmp(*k, key) != 0) k++;
        if (!*k) return oct_fail(OCT_ERR_FORMAT, "%s: unknown key '%.80s'", what, key);
    }
    return OCT_OK;
}

oct_status oct_json_int(const char *what, const json_t *object, const char *key, int low, int high,
                        int *out)
{
    const json_t *value = json_object_get(object, key);
    if (!value) return OCT_OK;
    const json_int_t number = json_integer_value(value);
    if (!json_is_integer(value) || number < low || number > high)
        return oct_fail(OCT_ERR_FORMAT, "%s: '%s' is not an integer from %d to %d", what, key, low,
                        high);
    *out = (int)number;
    return OCT_OK;
}

oct_status oct_json_string(const char *what, const json_t *object, const char *key,
                           const char **out)
{
    const json_t *value = json_object_get(object, key);
    *out = json_string_value(value);
    if (value && !*out) return oct_fail(OCT_ERR_FORMAT, "%s: '%s' is not a string", what, key);
    return OCT_OK;
}

oct_status oct_json_write(json_t *object, oct_arena *arena, const char **out)
{
    char *text = oct_json_dump(object, OCT_JSON_CANONICAL);
    *out = text ? oct_arena_strdup(arena, text) : NULL;
    free(text);
    json_decref(object);
    return *out ? OCT_OK : oct_fail(OCT_ERR_MEMORY, "octet.arch: out of memory");
}

static oct_status copy_labels(oct_model *m, const json_t *list)
{
    const size_t n = json_array_size(list);
    if (n != (size_t)m->classes)
        return oct_fail(OCT_ERR_FORMAT, "octet.labels: %zu labels, the model has %d classes", n,
                        m->classes);
    char **label = oct_arena_alloc(&m->arena, n * sizeof *label);
    if (!label) return oct_fail(OCT_ERR_MEMORY, "octet.labels: out of memory");
    for (size_t i = 0; i < n; i++) {
        const char *text = json_string_value(json_array_get(list, i));
        if (!text) return oct_fail(OCT_ERR_FORMAT, "octet.labels: entry %zu is not a string", i);
        label[i] = oct_arena_strdup(&m->arena, text);
        if (!label[i]) return oct_fail(OCT_ERR_MEMORY, "octet.labels: out of memory");
    }
    m->label = label;
    return OCT_OK;
}

oct_status oct_model_read_labels(oct_model *m)
{
    const char *text = oct_weights_meta(m->weights, "octet.labels");
    json_t *list;
    if (!text) return OCT_OK;
    OCT_TRY(oct_json_parse("octet.labels", text, JSON_ARRAY, &list));
    const oct_status status = copy_labels(m, list);
    json_decref(list);
    return status;
}
