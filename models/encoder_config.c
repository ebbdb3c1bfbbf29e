/* Heads, activation and eps of an encoder are not in its tensors: octet.arch says them, or the
 * config.json of a Hugging Face folder.  Both are hostile. */
#include <math.h>
#include <string.h>

#include "models/encoder.h"
#include "models/metadata.h"

enum { MAX_HEADS = 1 << 16 };

static const double usual_eps = 1e-12;

/* ---- values of one key ---- */

static oct_status get_act(const char *what, const json_t *object, const char *key, oct_act *out)
{
    static const struct { const char *name; oct_act act; } known[] = {
        { "gelu", OCT_ACT_GELU }, { "relu", OCT_ACT_RELU },
    };
    const char *name;
    OCT_TRY(oct_json_string(what, object, key, &name));
    if (!name) return OCT_OK;
    for (size_t i = 0; i < sizeof known / sizeof *known; i++)
        if (strcmp(name, known[i].name) == 0) {
            *out = known[i].act;
            return OCT_OK;
        }
    return oct_fail(OCT_ERR_UNSUPPORTED, "%s: %s '%.80s', this octet has gelu (the exact one) and "
                    "relu", what, key, name);
}

static oct_status get_eps(const char *what, const json_t *object, const char *key, float *out)
{
    const json_t *value = key ? json_object_get(object, key) : NULL;
    if (!value) return OCT_OK;
    const double eps = json_number_value(value);
    if (!json_is_number(value) || !(eps >= 0 && eps <= 1))
        return oct_fail(OCT_ERR_FORMAT, "%s: '%s' is not a number from 0 to 1", what, key);
    *out = (float)eps;
    return OCT_OK;
}

/* What is said, if it is, must be what the tensors say. */
static oct_status check_same(const char *what, const json_t *object, const char *key, int tensors)
{
    int said = tensors;
    if (!key) return OCT_OK;
    OCT_TRY(oct_json_int(what, object, key, 1, INT32_MAX, &said));
    if (said == tensors) return OCT_OK;
    return oct_fail(OCT_ERR_SHAPE, "%s: %s %d, the tensors have %d", what, key, said, tensors);
}

/* ---- config.json ---- */

static const char config_json[] = "config.json";

/* id2label: {"0": "NEGATIVE", "1": "POSITIVE"} */
static oct_status read_labels(oct_model *m, const json_t *config)
{
    const json_t *list = json_object_get(config, "id2label");
    if (!list || json_is_null(list)) return OCT_OK;
    if (!json_is_object(list) || json_object_size(list) != (size_t)m->classes)
        return oct_fail(OCT_ERR_FORMAT, "%s: 'id2label' has no %d labels, as the classifier has",
                        config_json, m->classes);
    char **label = oct_arena_alloc(&m->arena, (size_t)m->classes * sizeof *label);
    if (!label) return oct_fail(OCT_ERR_MEMORY, "%s: out of memory", config_json);
    for (int i = 0; i < m->classes; i++) {
        char key[16];
        const char *text;
        snprintf(key, sizeof key, "%d", i);
        OCT_TRY(oct_json_string(config_json, list, key, &text));
        if (!text)
            return oct_fail(OCT_ERR_FORMAT, "%s: 'id2label' has no label %d", config_json, i);
        label[i] = oct_arena_strdup(&m->arena, text);
        if (!label[i]) return oct_fail(OCT_ERR_MEMORY, "%s: out of memory", config_json);
    }
    m->label = label;
    return OCT_OK;
}

/* Variants of the architecture that have other formulas or other positions. */
static oct_status check_variant(const oct_encoder_names *n, const json_t *config)
{
    const char *type, *position;
    OCT_TRY(oct_json_string(config_json, config, "model_type", &type));
    if (type && strcmp(type, n->kind) != 0)
        return oct_fail(OCT_ERR_UNSUPPORTED, "%s: model_type '%.80s', the tensors are named as "
                        "those of %s", config_json, type, n->kind);
    OCT_TRY(oct_json_string(config_json, config, "position_embedding_type", &position));
    if (position && strcmp(position, "absolute") != 0)
        return oct_fail(OCT_ERR_UNSUPPORTED, "%s: position_embedding_type '%.80s', expected "
                        "'absolute'", config_json, position);
    if (json_is_true(json_object_get(config, "is_decoder")))
        return oct_fail(OCT_ERR_UNSUPPORTED, "%s: is_decoder, expected an encoder", config_json);
    return OCT_OK;
}

static oct_status read_config(const oct_encoder_names *n, oct_model *m, const json_t *config,
                              const oct_encoder_shape *s, oct_encoder_config *out)
{
    OCT_TRY(check_variant(n, config));
    OCT_TRY(check_same(config_json, config, n->dim, s->dim));
    OCT_TRY(check_same(config_json, config, n->hidden, s->hidden));
    OCT_TRY(check_same(config_json, config, n->depth, s->depth));
    OCT_TRY(oct_json_int(config_json, config, n->heads, 1, MAX_HEADS, &out->heads));
    OCT_TRY(get_act(config_json, config, n->act, &out->act));
    OCT_TRY(get_eps(config_json, config, n->eps, &out->eps));
    return read_labels(m, config);
}

/* ---- octet.arch ---- */

static const char octet_arch[] = "octet.arch";

static oct_status read_arch(const json_t *arch, const oct_encoder_shape *s, oct_encoder_config *out)
{
    static const char *const known[] = { "activation", "classes", "depth", "eps", "heads", "kind",
                                         NULL };
    OCT_TRY(oct_json_known(octet_arch, (json_t *)(uintptr_t)arch, known));
    OCT_TRY(check_same(octet_arch, arch, "depth", s->depth));
    OCT_TRY(check_same(octet_arch, arch, "classes", s->classes));
    OCT_TRY(oct_json_int(octet_arch, arch, "heads", 1, MAX_HEADS, &out->heads));
    OCT_TRY(get_act(octet_arch, arch, "activation", &out->act));
    return get_eps(octet_arch, arch, "eps", &out->eps);
}

/* NULL: out of memory. */
static json_t *put(json_t *object, const char *key, json_t *value)
{
    if (json_object_set_new(object, key, value) == 0) return object;
    json_decref(object);
    return NULL;
}

/* What is as in most models is left out. */
static oct_status write_arch(const oct_encoder_names *n, oct_model *m, const oct_encoder_shape *s,
                             const oct_encoder_config *c)
{
    json_t *o = json_pack("{s:s, s:i, s:i, s:i}", "kind", n->kind, "depth", s->depth, "heads",
                          c->heads, "classes", s->classes);
    if (o && c->act != OCT_ACT_GELU) o = put(o, "activation", json_string(oct_act_name(c->act)));
    if (o && c->eps != (float)usual_eps) o = put(o, "eps", json_real((double)c->eps));
    return oct_json_write(o, &m->arena, &m->arch);
}

oct_status oct_encoder_configure(const oct_encoder_names *n, oct_model *m, const char *arch,
                                 const oct_encoder_shape *shape, oct_encoder_config *out)
{
    json_t *object;
    const char *config = oct_weights_config(m->weights);
    *out = (oct_encoder_config){ .act = OCT_ACT_GELU, .eps = (float)usual_eps };
    if (config) {
        OCT_TRY(oct_json_parse(config_json, config, JSON_OBJECT, &object));
        const oct_status status = read_config(n, m, object, shape, out);
        json_decref(object);
        OCT_TRY(status);
    }
    if (arch) {
        OCT_TRY(oct_json_parse(octet_arch, arch, JSON_OBJECT, &object));
        const oct_status status = read_arch(object, shape, out);
        json_decref(object);
        OCT_TRY(status);
    }
    if (!out->heads)
        return oct_fail(OCT_ERR_UNSUPPORTED, "the tensors do not tell the number of attention "
                        "heads: give the folder with config.json, or octet.arch with 'heads'");
    if (shape->dim % out->heads)
        return oct_fail(OCT_ERR_SHAPE, "%d attention heads do not divide %d dimensions", out->heads,
                        shape->dim);
    return write_arch(n, m, shape, out);
}
