#include "models/save_meta.h"

#include <string.h>

#include "config.h"

json_t *oct_json_append(json_t *list, json_t *value)
{
    if (json_array_append_new(list, value) == 0) return list;
    json_decref(list);
    return NULL;
}

json_t *oct_json_put(json_t *object, const char *key, json_t *value)
{
    if (json_object_set_new(object, key, value) == 0) return object;
    json_decref(object);
    return NULL;
}

static oct_status write_labels(const oct_model *m, char *const *label, oct_arena *arena,
                               const char **out)
{
    json_t *list = json_array();
    for (int i = 0; i < m->classes; i++) list = oct_json_append(list, json_string(label[i]));
    return oct_json_write(list, arena, out);
}

static oct_status write_origin(const oct_model *m, const oct_save_info *info, oct_arena *arena,
                               const char **out)
{
    char sha[65];
    OCT_TRY(oct_weights_sha256(m->weights, sha));
    json_t *o = oct_json_put(json_object(), "command", json_string(info->command));
    o = oct_json_put(o, "octet", json_string(PACKAGE_VERSION));
    return oct_json_write(oct_json_put(o, "sha256", json_string(sha)), arena, out);
}

static int has_key(const oct_save_meta *meta, int n, const char *key)
{
    for (int i = 0; i < n; i++)
        if (strcmp(meta[i].key, key) == 0) return 1;
    return 0;
}

oct_status oct_save_meta_make(const oct_model *m, const oct_save_info *info,
                              const oct_save_meta *own, int n_own, oct_arena *arena,
                              oct_save_meta **out, int *n)
{
    enum { ARCH, FORMAT, INPUT, LABELS, ORIGIN, RANGES, N_COMMON };
    const char *key, *value;
    int all = N_COMMON + n_own, kept = 0;
    const int first = all;
    while (oct_weights_meta_at(m->weights, kept, &value)) kept++;
    oct_save_meta *meta = oct_arena_alloc(arena, ((size_t)all + (size_t)kept) * sizeof *meta);
    if (!meta) return oct_fail(OCT_ERR_MEMORY, "save: out of memory");
    meta[ARCH] = (oct_save_meta){ "octet.arch", m->arch };
    meta[FORMAT] = (oct_save_meta){ "octet.format", "1" };
    meta[INPUT] = (oct_save_meta){ "octet.input", info->recipe };
    meta[LABELS] = (oct_save_meta){ "octet.labels", NULL };
    meta[ORIGIN] = (oct_save_meta){ "octet.origin", NULL };
    meta[RANGES] = (oct_save_meta){ "octet.ranges", NULL }; /* who has some adds it */
    if (info->label) OCT_TRY(write_labels(m, info->label, arena, &meta[LABELS].value));
    OCT_TRY(write_origin(m, info, arena, &meta[ORIGIN].value));
    for (int i = 0; i < n_own; i++) meta[N_COMMON + i] = own[i];
    for (int i = 0; (key = oct_weights_meta_at(m->weights, i, &value)); i++)
        if (!has_key(meta, first, key)) meta[all++] = (oct_save_meta){ key, value };
    *n = 0;
    for (int i = 0; i < all; i++)
        if (meta[i].value) meta[(*n)++] = meta[i];
    *out = meta;
    return OCT_OK;
}
