#include "programs/quant_report.h"

#include <math.h>
#include <string.h>

#include "programs/report.h"

double quant_speedup(const quant_report *r)
{
    return r->has_eval && r->after.ms_p50 > 0 ? r->before.ms_p50 / r->after.ms_p50 : NAN;
}

double quant_compression(const quant_report *r)
{
    return r->bytes_after > 0 ? r->bytes_before / r->bytes_after : NAN;
}

double quant_of_four_bytes(const quant_report *r)
{
    return r->parameters > 0 ? r->bytes_after / (4 * r->parameters) : NAN;
}

double quant_agreement(const quant_report *r)
{
    return r->has_eval ? eval_agreement(&r->before, &r->after) : NAN;
}

double quant_int8_share(const quant_report *r)
{
    double all = 0, int8 = 0;
    for (int i = 0; i < r->n_layers; i++) {
        all += r->layer[i].macs;
        if (quant_is_int8(&r->layer[i])) int8 += r->layer[i].macs;
    }
    return all > 0 ? int8 / all : NAN;
}

int quant_is_int8(const layer_report *l) { return l->precision && !strcmp(l->precision, "int8"); }

int quant_report_can_write(const char *path)
{
    return report_ends_with(path, ".html") || report_ends_with(path, ".json");
}

oct_status quant_report_write(FILE *to, const char *path, const quant_report *r)
{
    if (report_ends_with(path, ".html")) return quant_report_html(to, r);
    return report_json_file(to, quant_report_json(r));
}
