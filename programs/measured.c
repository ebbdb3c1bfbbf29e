#include "programs/measured.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "models/metadata.h"
#include "programs/report.h"

/* The loss to nine decimals: exp and log are the C library's, and differ in the last bits. */
static json_t *json_of_result(const eval_result *r, double bytes)
{
    const double loss = round(r->loss * 1e9) / 1e9;
    return json_pack("{s:i, s:i, s:o, s:o, s:o, s:o, s:I}", "samples", r->samples, "correct",
                     r->correct, "accuracy", report_number(r->accuracy), "accuracy_low",
                     report_number(r->accuracy_low), "accuracy_high",
                     report_number(r->accuracy_high), "loss", report_number(loss),
                     "model_bytes", (json_int_t)bytes);
}

static char *measured(const eval_result *before, const eval_result *after, double bytes)
{
    json_t *o = json_pack("{s:o, s:o, s:o, s:s}", "before",
                          json_of_result(before, before->model_bytes), "after",
                          json_of_result(after, bytes), "agreement",
                          report_number(eval_agreement(before, after)), "sha256", before->sha256);
    char *text = json_dumps(o, OCT_JSON_CANONICAL);
    json_decref(o);
    return text;
}

static double size_of(const char *path, double otherwise)
{
    FILE *f = fopen(path, "rb");
    if (f && fseeko(f, 0, SEEK_END) == 0) otherwise = (double)ftello(f);
    if (f) fclose(f);
    return otherwise;
}

int measured_write(const cli_args *a, const char *path, const eval_result *before,
                   const eval_result *after, double *bytes,
                   int (*write)(void *arg, const char *text), void *arg)
{
    for (int i = 0; i < 4; i++) {
        const double guess = *bytes;
        char *text = before ? measured(before, after, guess) : NULL;
        if (!text && before) return cli_refuse(a, NULL, OCT_ERR_MEMORY, "out of memory");
        const int code = write(arg, text);
        free(text);
        if (code) return code;
        *bytes = size_of(path, guess);
        if (!before || *bytes == guess) break;
    }
    return CLI_OK;
}
