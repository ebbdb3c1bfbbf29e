#include "programs/answers.h"

#include <stdlib.h>
#include <string.h>

#include "programs/labels.h"
#include "programs/report.h"
#include "programs/scores.h"

int answers_open(const cli_args *a, const oct_model *m, int is_probability, answers *out)
{
    const size_t classes = (size_t)m->classes;
    *out = (answers){ .a = a, .classes = m->classes, .is_probability = is_probability,
                      .label = m->label };
    if (a->labels) {
        const int code = labels_read(a, a->labels, m->classes, &out->own_label);
        if (code) return code;
        out->label = out->own_label;
    }
    out->top = a->top.n ? a->top.v[0] : 1;
    if (out->top > out->classes) out->top = out->classes;
    out->p = calloc(classes, sizeof *out->p);
    out->order = calloc(classes, sizeof *out->order);
    if (!out->p || !out->order) return cli_refuse(a, NULL, OCT_ERR_MEMORY, "out of memory");
    const oct_status status = a->logits ? npy_create(a->logits, m->classes, &out->logits) : OCT_OK;
    return status ? cli_fail(a, a->logits, status) : CLI_OK;
}

static void print_text(const answers *s, const char *name, size_t size)
{
    for (int k = 0; k < s->top; k++) {
        const int c = s->order[k];
        cli_print_bytes(stdout, name, size);
        printf("\t%d\t%d\t", k + 1, c);
        if (s->label) cli_print_escaped(stdout, s->label[c]);
        else printf("%d", c);
        printf("\t%.6f\n", s->p[c]);
    }
}

static void print_json(const answers *s, const char *name, size_t size, double ms)
{
    json_t *top = json_array();
    for (int k = 0; k < s->top; k++) {
        const int c = s->order[k];
        char number[16];
        snprintf(number, sizeof number, "%d", c);
        json_array_append_new(top, json_pack("{s:i, s:o, s:o}", "index", c, "label",
                                             report_string(s->label ? s->label[c] : number),
                                             "probability", report_number(s->p[c])));
    }
    report_json_line(json_pack("{s:o, s:o, s:o}", "input", report_bytes(name, size), "top", top,
                               "ms", report_number(ms)));
}

int answers_show(answers *s, const char *name, size_t size, const float *logits, double ms)
{
    s->seen++;
    scores_softmax(logits, s->classes, s->is_probability, s->p);
    scores_top(s->p, s->classes, s->top, s->order);
    if (s->a->json) print_json(s, name, size, ms);
    else print_text(s, name, size);
    const oct_status status = s->logits ? npy_append(s->logits, logits) : OCT_OK;
    return status ? cli_fail(s->a, s->a->logits, status) : CLI_OK;
}

void answers_bad(answers *s, int code)
{
    s->seen++;
    s->bad++;
    s->bad_code = code;
    npy_drop(s->logits);
    s->logits = NULL;
}

int answers_close(answers *s, int code)
{
    if (!code && s->bad) code = s->seen == 1 ? s->bad_code : CLI_BAD_FILE;
    if (s->logits && (code || fflush(stdout) || ferror(stdout))) npy_drop(s->logits);
    else if (s->logits) {
        const oct_status status = npy_commit(s->logits);
        if (status) code = cli_fail(s->a, s->a->logits, status);
    }
    labels_free(s->own_label);
    free(s->p);
    free(s->order);
    return code;
}
