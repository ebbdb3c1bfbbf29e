#include "programs/quant_report.h"
#include "programs/report.h"

static json_t *layer_json(const layer_report *l)
{
    return json_pack(
        "{s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:i, s:o, s:o}",
        "name", report_string(l->name), "op", report_string(l->op), "shape",
        report_string(l->shape), "precision", report_string(l->precision), "why",
        report_string(l->why), "macs", report_count(l->macs), "sqnr_db",
        report_number(l->sqnr_db), "clipped", report_number(l->clipped), "low",
        report_number(l->low), "high", report_number(l->high), "seen_low",
        report_number(l->seen_low), "seen_high", report_number(l->seen_high), "scale",
        report_number(l->scale), "zero", l->zero, "ms_before", report_number(l->ms_before),
        "ms_after", report_number(l->ms_after));
}

/* Takes both; NULL: out of memory. */
static json_t *append(json_t *list, json_t *value)
{
    if (json_array_append_new(list, value) == 0) return list;
    json_decref(list);
    return NULL;
}

static json_t *layers(const quant_report *r)
{
    json_t *list = json_array();
    for (int i = 0; list && i < r->n_layers; i++) list = append(list, layer_json(&r->layer[i]));
    return list;
}

static json_t *notes(const quant_report *r)
{
    json_t *list = json_array();
    for (int i = 0; list && i < r->n_notes; i++) list = append(list, report_string(r->note[i]));
    return list;
}

/* Where it came from. */
static json_t *origin(const quant_report *r)
{
    return json_pack(
        "{s:o, s:o, s:o, s:o, s:o, s:o, s:i, s:b, s:b, s:o, s:i, s:o, s:o, s:b}",
        "model", report_string(r->model), "output", report_string(r->output), "command",
        report_string(r->command), "version", report_string(r->version), "source_sha256",
        report_string(r->source_sha256), "method", report_string(r->method), "bits", r->bits,
        "bias_correction", r->bias_correction, "dynamic", r->dynamic, "calib",
        report_string(r->calib), "calib_samples", r->calib_samples, "calib_sha256",
        report_string(r->calib_sha256), "lint", report_string(r->lint), "forced", r->forced);
}

/* What came out of it. */
static json_t *result(const quant_report *r)
{
    return json_pack(
        "{s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:i, s:o, s:o}",
        "eval", report_string(r->eval_data), "eval_sha256", report_string(r->eval_sha256),
        "before", r->has_eval ? eval_json(&r->before) : json_null(),
        "after", r->has_eval ? eval_json(&r->after) : json_null(),
        "agreement", report_number(quant_agreement(r)), "speedup",
        report_number(quant_speedup(r)), "bytes_before", report_count(r->bytes_before),
        "bytes_after", report_count(r->bytes_after), "compression",
        report_number(quant_compression(r)), "of_four_bytes",
        report_number(quant_of_four_bytes(r)), "parameters", report_count(r->parameters),
        "int8_share", report_number(quant_int8_share(r)), "classes", r->classes, "layers",
        layers(r), "notes", notes(r));
}

json_t *quant_report_json(const quant_report *r)
{
    json_t *all = origin(r), *found = result(r);
    const int ok = all && found && json_object_update(all, found) == 0;
    json_decref(found);
    if (ok) return all;
    json_decref(all);
    return NULL;
}
