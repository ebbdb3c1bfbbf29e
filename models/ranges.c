#include "models/ranges.h"

#include <string.h>

#include "models/vocab_tensor.h"

static const char key[] = "octet.ranges";

static oct_status out_of_memory(void) { return oct_fail(OCT_ERR_MEMORY, "%s: out of memory", key); }

/* ---- read ---- */

static oct_status read_values(json_t *values, oct_arena *arena, const char *const **names, int *n)
{
    const char *name;
    json_t *value;
    if (!json_is_object(values))
        return oct_fail(OCT_ERR_FORMAT, "%s: 'values' is not an object", key);
    const char **wide = oct_arena_alloc(arena, (json_object_size(values) + 1) * sizeof *wide);
    if (!wide) return out_of_memory();
    *names = wide;
    json_object_foreach(values, name, value) {
        if (!json_is_number(value) || !(json_number_value(value) >= 0))
            return oct_fail(OCT_ERR_FORMAT, "%s: '%.80s' is not a number from 0 on", key, name);
        if (json_number_value(value) < OCT_RANGES_WIDE) continue;
        if (!(wide[*n] = oct_arena_strdup(arena, name))) return out_of_memory();
        (*n)++;
    }
    return OCT_OK;
}

static oct_status read(json_t *object, oct_arena *arena, const char *const **names, int *n)
{
    static const char *const known[] = { "samples", "sha256", "values", NULL };
    OCT_TRY(oct_json_known(key, object, known));
    return read_values(json_object_get(object, "values"), arena, names, n);
}

oct_status oct_ranges_wide(oct_model *m, const char *const **names, int *n)
{
    const char *text = oct_weights_meta(m->weights, key);
    json_t *object;
    *names = NULL;
    *n = 0;
    if (!text) return OCT_OK;
    OCT_TRY(oct_json_parse(key, text, JSON_OBJECT, &object));
    const oct_status status = read(object, &m->arena, names, n);
    json_decref(object);
    return status;
}

/* ---- write ---- */

oct_status oct_ranges_check(const oct_model *m)
{
    if (strcmp(m->precision, "fp32") != 0)
        return oct_fail(OCT_ERR_UNSUPPORTED, "ranges are measured of a model in floats, in fp32; "
                        "this runs in %s", m->precision);
    if (m->isa)
        return oct_fail(OCT_ERR_UNSUPPORTED, "a compiled model has no plain weights: use the model "
                        "it was made from");
    if (!m->plan || !m->plan->watched || m->plan->backend)
        return oct_fail(OCT_ERR_UNSUPPORTED, "ranges are measured on the CPU");
    return OCT_OK;
}

static oct_status json_of_values(const oct_plan *plan, json_t **out)
{
    json_t *values = json_object();
    *out = NULL;
    for (int i = 0; i < plan->n_steps; i++) {
        const oct_watched *w = &plan->watched[i];
        const char *name = plan->step[i].node->name;
        if (w->nan || w->infinite) {
            json_decref(values);
            return oct_fail(OCT_ERR_FORMAT, "%.80s: %lld values are NaN, %lld infinite: a range "
                            "cannot be told", name, w->nan, w->infinite);
        }
        values = oct_json_put(values, name, json_real((double)w->most));
    }
    *out = values;
    return OCT_OK;
}

static oct_status write_ranges(const oct_model *m, oct_ranges_data data, oct_arena *arena,
                               const char **out)
{
    json_t *values;
    OCT_TRY(json_of_values(m->plan, &values));
    json_t *o = oct_json_put(json_object(), "samples", json_integer(data.samples));
    o = oct_json_put(o, "sha256", json_string(data.sha256));
    return oct_json_write(oct_json_put(o, "values", values), arena, out);
}

/* The file's tensors; a text model's vocabulary is info's. */
static oct_status read_tensors(const oct_model *m, const oct_save_info *info, oct_arena *arena,
                               oct_save_tensor **out, int *n)
{
    const int count = oct_weights_count(m->weights);
    oct_tensor *t = oct_arena_alloc(arena, ((size_t)count + 1) * sizeof *t);
    *out = oct_arena_alloc(arena, ((size_t)count + 1) * sizeof **out);
    *n = 0;
    if (!t || !*out) return out_of_memory();
    for (int i = 0; i < count; i++) {
        const char *name = oct_weights_at(m->weights, i)->name;
        if (info->vocab && strcmp(name, OCT_MODEL_VOCAB) == 0) continue;
        OCT_TRY(oct_weights_require(m->weights, name, -1, NULL, &t[*n]));
        (*out)[*n] = (oct_save_tensor){ name, &t[*n] };
        (*n)++;
    }
    if (!info->vocab) return OCT_OK;
    OCT_TRY(oct_vocab_tensor_make(info->vocab, info->vocab_size, &t[*n]));
    (*out)[*n] = (oct_save_tensor){ OCT_MODEL_VOCAB, &t[*n] };
    (*n)++;
    return OCT_OK;
}

static oct_status save(const oct_model *m, const char *path, const oct_save_info *info,
                       oct_ranges_data data, oct_arena *arena)
{
    enum { RANGES, COMPRESSED, N_OWN };
    oct_save_meta own[N_OWN] = { [RANGES] = { key, NULL } }, *meta;
    oct_save_tensor *list, *small;
    int n, n_small, n_meta;
    OCT_TRY(oct_ranges_check(m));
    OCT_TRY(write_ranges(m, data, arena, &own[RANGES].value));
    OCT_TRY(read_tensors(m, info, arena, &list, &n));
    OCT_TRY(oct_weights_compress(list, n, arena, &small, &n_small, &own[COMPRESSED]));
    OCT_TRY(oct_save_meta_make(m, info, own, N_OWN, arena, &meta, &n_meta));
    return oct_weights_save(path, small, n_small, meta, n_meta);
}

oct_status oct_ranges_save(const oct_model *m, const char *path, const oct_save_info *info,
                           oct_ranges_data data)
{
    oct_arena arena = { 0 };
    const oct_status status = save(m, path, info, data, &arena);
    oct_arena_free(&arena);
    return status;
}
