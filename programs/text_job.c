#include "programs/text_job.h"

#include "programs/report.h"
#include "programs/words.h"

/* What the programs and the tokenizer rely on. */
static int check(const cli_args *a, const char *path, const text_job *j)
{
    char shape[100];
    oct_model *m = j->model;
    const oct_tensor *in = oct_model_input(m, 0), *out = oct_model_output(m, 0);
    if (!m->max_length)
        return cli_refuse(a, path, OCT_ERR_UNSUPPORTED, "takes %s, not texts",
                          oct_tensor_shape(in, shape, sizeof shape));
    if (out->dtype != OCT_F32 || out->rank != 2 || out->dim[1] < 1)
        return cli_refuse(a, path, OCT_ERR_UNSUPPORTED, "gives %s, not a number for each class",
                          oct_tensor_shape(out, shape, sizeof shape));
    if (m->max_length < 2)
        return cli_refuse(a, path, OCT_ERR_SHAPE, "one position, [CLS] and [SEP] need two");
    return CLI_OK;
}

static int smaller(int a, int b) { return a < b ? a : b; }

static int open_words(const cli_args *a, const char *path, text_job *j)
{
    const oct_model *m = j->model;
    const oct_status status = words_open(m, path, &j->recipe, &j->words);
    if (status) return cli_fail(a, path, status);
    const int tokens = oct_wordpiece_count(j->words);
    if (tokens > m->vocabulary)
        return cli_refuse(a, path, OCT_ERR_SHAPE, "the vocabulary has %d tokens, the model's "
                          "embedding %d rows", tokens, m->vocabulary);
    j->max_length = smaller(a->max_length.n ? a->max_length.v[0] : j->recipe.max_length,
                            m->max_length);
    return CLI_OK;
}

int text_job_open(const cli_args *a, const job_settings *s, int describe, text_job *out)
{
    *out = (text_job){ .batch = s->batch };
    const oct_options options = job_options(a, s);
    const oct_status status = describe ? oct_model_describe(s->path, &options, &out->model)
                                       : job_load_model(a, s, &options, &out->model);
    if (status) return cli_fail(a, s->path, status);
    int code = check(a, s->path, out);
    if (!code) code = open_words(a, s->path, out);
    if (code || describe) return code;
    oct_tensor *types = oct_model_input(out->model, 2);
    out->classes = out->model->classes;
    out->ids = oct_model_input(out->model, 0)->data;
    out->starts = oct_model_input(out->model, 1)->data;
    out->types = types ? types->data : NULL;
    out->starts[0] = 0;
    return CLI_OK;
}

void text_job_close(text_job *j)
{
    oct_wordpiece_close(j->words);
    job_free_model(j->model);
    *j = (text_job){ .batch = 0 };
}

oct_status text_job_add(text_job *j, const char *text, size_t size, int *cut)
{
    const oct_wordpiece_text t = { .text = text, .size = size };
    const int begin = j->starts[j->n];
    int n;
    OCT_TRY(oct_wordpiece_encode(j->words, &t, j->max_length, j->ids + begin,
                                 j->types ? j->types + begin : NULL, &n, cut));
    j->starts[++j->n] = begin + n;
    return OCT_OK;
}

oct_status text_job_run(text_job *j, const float **logits, double *ms)
{
    const double start = report_now_ms();
    const int n = j->n;
    j->n = 0;
    OCT_TRY(oct_model_run(j->model, n));
    *logits = oct_model_output(j->model, 0)->data;
    if (ms) *ms = report_now_ms() - start;
    return OCT_OK;
}
