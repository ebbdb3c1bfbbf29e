/* octet.quant: JSON <-> struct. */
#include <string.h>

#include "models/quantized.h"

static const char key[] = "octet.quant";

static oct_status out_of_memory(void) { return oct_fail(OCT_ERR_MEMORY, "%s: out of memory", key); }

/* A string of object in the arena; *out stays if the key is absent. */
static oct_status read_string(const json_t *object, const char *name, oct_arena *arena,
                              const char **out)
{
    const char *text;
    OCT_TRY(oct_json_string(key, object, name, &text));
    if (!text) return OCT_OK;
    *out = oct_arena_strdup(arena, text);
    return *out ? OCT_OK : out_of_memory();
}

static oct_status read_entry(const char *name, json_t *value, oct_arena *arena,
                             oct_quant_entry *out)
{
    static const char *const known[] = { "max", "scale", "smooth", "zero", NULL };
    if (!json_is_object(value))
        return oct_fail(OCT_ERR_FORMAT, "%s: '%.80s' is not an object", key, name);
    OCT_TRY(oct_json_known(key, value, known));
    OCT_TRY(oct_json_int(key, value, "max", 127, 255, &out->quant.max));
    OCT_TRY(oct_json_int(key, value, "zero", 0, 255, &out->quant.zero));
    out->quant.scale = (float)json_number_value(json_object_get(value, "scale"));
    if (!(out->quant.scale >= 0x1p-64f && out->quant.scale < 0x1p64f))
        return oct_fail(OCT_ERR_FORMAT, "%s: '%.80s' has no scale from 2^-64 to 2^64", key, name);
    const int max = out->quant.max, zero = out->quant.zero;
    if ((max != 127 && max != 255) || zero > max)
        return oct_fail(OCT_ERR_FORMAT, "%s: '%.80s' has zero point %d of 0 to %d, expected 0 to "
                        "127 or 255", key, name, zero, max);
    out->name = oct_arena_strdup(arena, name);
    if (json_is_true(json_object_get(value, "smooth")) &&
        !(out->by = oct_arena_zalloc(arena, sizeof *out->by)))
        return out_of_memory();
    return out->name ? OCT_OK : out_of_memory();
}

static oct_status read_smooth(const json_t *list, double out[2])
{
    if (!list) return OCT_OK;
    for (size_t k = 0; k < 2; k++) {
        const json_t *strength = json_array_get(list, k);
        out[k] = json_number_value(strength);
        const int is_strength = json_is_number(strength) && out[k] >= 0 && out[k] <= 1;
        if (json_array_size(list) != 2 || !is_strength)
            return oct_fail(OCT_ERR_FORMAT, "%s: 'smooth' is no two numbers from 0 to 1", key);
    }
    return OCT_OK;
}

static oct_status read_activations(json_t *list, oct_arena *arena, oct_quant_table *out)
{
    const char *name;
    json_t *value;
    if (!list) return OCT_OK;
    if (!json_is_object(list))
        return oct_fail(OCT_ERR_FORMAT, "%s: 'activations' is not an object", key);
    oct_quant_entry *entry = oct_arena_zalloc(arena, (json_object_size(list) + 1) * sizeof *entry);
    if (!entry) return out_of_memory();
    out->entry = entry;
    json_object_foreach(list, name, value)
        OCT_TRY(read_entry(name, value, arena, &entry[out->n++]));
    return OCT_OK;
}

static oct_status read_kept(const json_t *list, oct_arena *arena, oct_quant_info *out)
{
    const size_t n = json_array_size(list);
    if (!list) return OCT_OK;
    if (!json_is_array(list)) return oct_fail(OCT_ERR_FORMAT, "%s: 'fp32' is not an array", key);
    oct_quant_kept *kept = oct_arena_zalloc(arena, (n + 1) * sizeof *kept);
    if (!kept) return out_of_memory();
    out->kept = kept;
    for (size_t i = 0; i < n; i++) {
        const json_t *value = json_array_get(list, i);
        kept[i].why = "";
        OCT_TRY(read_string(value, "layer", arena, &kept[i].layer));
        OCT_TRY(read_string(value, "why", arena, &kept[i].why));
        if (!kept[i].layer)
            return oct_fail(OCT_ERR_FORMAT, "%s: entry %zu of 'fp32' names no layer", key, i);
        out->n_kept++;
    }
    return OCT_OK;
}

static oct_status read(json_t *object, oct_arena *arena, oct_quant_info *out)
{
    static const char *const known[] = { "activations", "bias_correction", "bits", "forced", "fp32",
                                         "method", "percentile", "samples", "sha256", "smooth",
                                         NULL };
    OCT_TRY(oct_json_known(key, object, known));
    OCT_TRY(read_string(object, "method", arena, &out->method));
    OCT_TRY(read_string(object, "sha256", arena, &out->sha256));
    OCT_TRY(read_string(object, "forced", arena, &out->forced));
    OCT_TRY(oct_json_int(key, object, "bits", 7, 8, &out->bits));
    OCT_TRY(oct_json_int(key, object, "samples", 0, INT32_MAX, &out->samples));
    out->bias_correction = json_is_true(json_object_get(object, "bias_correction"));
    out->percentile = json_number_value(json_object_get(object, "percentile"));
    OCT_TRY(read_smooth(json_object_get(object, "smooth"), out->smooth));
    if (!out->method) return oct_fail(OCT_ERR_FORMAT, "%s: 'method' is missing", key);
    OCT_TRY(read_activations(json_object_get(object, "activations"), arena, &out->table));
    return read_kept(json_object_get(object, "fp32"), arena, out);
}

oct_status oct_quant_info_parse(const char *text, oct_arena *arena, oct_quant_info *out)
{
    json_t *object;
    *out = (oct_quant_info){ .bits = 0 };
    OCT_TRY(oct_json_parse(key, text, JSON_OBJECT, &object));
    const oct_status status = read(object, arena, out);
    json_decref(object);
    return status;
}

static json_t *json_of_table(const oct_quant_table *table)
{
    json_t *list = json_object();
    for (int i = 0; i < table->n; i++) {
        const oct_quant *q = &table->entry[i].quant;
        json_t *o = oct_json_put(json_object(), "max", json_integer(q->max));
        o = oct_json_put(o, "scale", json_real((double)q->scale));
        o = oct_json_put(o, "zero", json_integer(q->zero));
        if (table->entry[i].by) o = oct_json_put(o, "smooth", json_true());
        list = oct_json_put(list, table->entry[i].name, o);
    }
    return list;
}

static json_t *json_of_kept(const oct_quant_info *info)
{
    json_t *list = json_array();
    for (int i = 0; i < info->n_kept; i++) {
        json_t *o = oct_json_put(json_object(), "layer", json_string(info->kept[i].layer));
        list = oct_json_append(list, oct_json_put(o, "why", json_string(info->kept[i].why)));
    }
    return list;
}

oct_status oct_quant_info_write(const oct_quant_info *info, oct_arena *arena, const char **out)
{
    json_t *o = oct_json_put(json_object(), "method", json_string(info->method));
    o = oct_json_put(o, "fp32", json_of_kept(info));
    if (strcmp(info->method, "dynamic") != 0) {
        o = oct_json_put(o, "activations", json_of_table(&info->table));
        o = oct_json_put(o, "bias_correction", json_boolean(info->bias_correction));
        o = oct_json_put(o, "bits", json_integer(info->bits));
        o = oct_json_put(o, "samples", json_integer(info->samples));
        o = oct_json_put(o, "sha256", json_string(info->sha256));
    }
    if (info->percentile > 0) o = oct_json_put(o, "percentile", json_real(info->percentile));
    if (info->smooth[0] > 0 || info->smooth[1] > 0) {
        json_t *list = oct_json_append(json_array(), json_real(info->smooth[0]));
        o = oct_json_put(o, "smooth", oct_json_append(list, json_real(info->smooth[1])));
    }
    if (info->forced) o = oct_json_put(o, "forced", json_string(info->forced));
    return oct_json_write(o, arena, out);
}
