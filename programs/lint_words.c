#include "programs/lint_words.h"

#include <stdlib.h>
#include <string.h>

#include "ops/attr.h"
#include "programs/report.h"
#include "programs/text_job.h"

/* What a token is, told by how it is written. */
static unsigned flags_of(const char *token, size_t size)
{
    if (size == 5 && !memcmp(token, "[UNK]", size)) return OCT_LINT_UNKNOWN;
    if (size > 2 && token[0] == '[' && token[size - 1] == ']') return OCT_LINT_SPECIAL;
    unsigned flags = size > 2 && token[0] == '#' && token[1] == '#' ? OCT_LINT_REST : 0;
    for (size_t i = 0; i < size; i++)
        if (token[i] >= 'A' && token[i] <= 'Z') flags |= OCT_LINT_CAPITAL;
    return flags;
}

/* Of each id; the vocabulary has a line each.  NULL: it is not known, or *status. */
static uint8_t *read_flags(const oct_wordpiece *w, oct_status *status)
{
    size_t size;
    const char *at = oct_wordpiece_vocab(w, &size);
    const int n = oct_wordpiece_count(w);
    if (!at) return NULL;
    const char *const end = at + size;
    uint8_t *flags = calloc((size_t)n, 1);
    if (!flags) *status = oct_fail(OCT_ERR_MEMORY, "out of memory");
    for (int i = 0; flags && i < n && at < end; i++) {
        const char *line = memchr(at, '\n', (size_t)(end - at));
        if (!line) line = end;
        flags[i] = (uint8_t)flags_of(at, (size_t)(line - at));
        at = line + 1;
    }
    return flags;
}

/* Of the rows of the embedding; NULL: a compiled model has them packed only, or *status. */
static double *read_norms(const oct_model *m, oct_status *status)
{
    const oct_tensor *word = NULL;
    for (int i = 0; i < m->graph.n_nodes && !word; i++)
        if (m->graph.node[i].kind == OCT_OP_EMBEDDING)
            word = m->graph.node[i].args.in[OCT_EMBEDDING_WORD];
    if (!word || word->data == oct_no_data) return NULL;
    const size_t rows = (size_t)word->dim[0], d = (size_t)word->dim[1];
    double *norm = calloc(rows, sizeof *norm);
    float *row = calloc(d, sizeof *row);
    for (size_t i = 0; norm && row && i < rows; i++) {
        oct_tensor_read_f32(word, i * d, d, row);
        for (size_t k = 0; k < d; k++) norm[i] += (double)row[k] * row[k];
    }
    if (!norm || !row) {
        *status = oct_fail(OCT_ERR_MEMORY, "out of memory");
        free(norm);
        norm = NULL;
    }
    free(row);
    return norm;
}

static int add_all(const cli_args *a, const char *model, const char *data,
                   const oct_source *source, const text_job *j, oct_lint_texts *l)
{
    const int n = oct_source_count(source), classes = j->model->classes;
    int32_t *ids = calloc((size_t)j->max_length, sizeof *ids);
    int long_ones = 0, code = CLI_OK;
    if (!ids) return cli_refuse(a, NULL, OCT_ERR_MEMORY, "out of memory");
    report_progress bar;
    report_progress_start(&bar, a->quiet, "texts", n);
    for (int i = 0; i < n && !code; i++) {
        const char *text = oct_source_text(source, i);
        const oct_wordpiece_text t = { .text = text, .size = strlen(text) };
        const int label = oct_source_label(source, i);
        int tokens = 0, cut = 0;
        oct_status status = oct_wordpiece_encode(j->words, &t, j->max_length, ids, NULL, &tokens,
                                                 &cut);
        if (!status) status = oct_lint_texts_add(l, ids, tokens, label);
        long_ones += cut;
        report_progress_step(&bar, i + 1);
        if (!status && label < classes) continue;
        report_progress_end(&bar);
        code = status ? cli_fail(a, model, status)
                      : cli_refuse(a, data, OCT_ERR_FORMAT, "label %d, the model has %d classes",
                                   label, classes);
    }
    report_progress_end(&bar);
    free(ids);
    if (!code) text_job_note_cut(j, a, data, long_ones);
    return code;
}

int lint_words_run(const cli_args *a, const char *model, const char *data,
                   const oct_source *source, oct_lint_texts_report *out)
{
    text_job j;
    oct_lint_texts *l = NULL;
    uint8_t *flags = NULL;
    double *norm = NULL;
    const job_settings settings = job_defaults(a, model, 1);
    int code = text_job_open(a, &settings, 1, &j);
    if (!code) {
        oct_status status = OCT_OK;
        flags = read_flags(j.words, &status);
        if (!status) norm = read_norms(j.model, &status);
        const oct_lint_texts_options o = {
            .classes = j.model->classes, .rows = j.model->vocabulary,
            .tokens = oct_wordpiece_count(j.words), .flags = flags,
            .lowercase = j.recipe.lowercase, .norm = norm,
        };
        if (!status) status = oct_lint_texts_open(&o, &l);
        code = status ? cli_fail(a, model, status) : add_all(a, model, data, source, &j, l);
    }
    if (!code) {
        const oct_status status = oct_lint_texts_judge(l, out);
        if (status) code = cli_fail(a, data, status);
    }
    oct_lint_texts_free(l);
    free(flags);
    free(norm);
    text_job_close(&j);
    return code;
}
