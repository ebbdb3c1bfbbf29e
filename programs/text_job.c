#include "programs/text_job.h"

#include <sys/stat.h>

#include "programs/report.h"

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

static int is_folder(const char *path)
{
    struct stat st;
    return stat(path, &st) == 0 && S_ISDIR(st.st_mode);
}

/* The file's own vocabulary, octet.vocab; its rules are octet.input's. */
static oct_status open_own_words(text_job *j)
{
    const oct_model *m = j->model;
    oct_tensor vocab;
    OCT_TRY(oct_recipe_parse(m->recipe, &j->recipe));
    if (!j->recipe.text)
        return oct_fail(OCT_ERR_FORMAT, "octet.input: a recipe for images, the model takes texts");
    OCT_TRY(oct_weights_require(m->weights, OCT_MODEL_VOCAB, 1, (int[]){ -1 }, &vocab));
    if (vocab.dtype != OCT_U8)
        return oct_fail(OCT_ERR_UNSUPPORTED, "%s: dtype %s, expected U8", OCT_MODEL_VOCAB,
                        oct_dtype_name(vocab.dtype));
    const oct_status status = oct_wordpiece_open(vocab.data, oct_tensor_count(&vocab), &j->recipe,
                                                 &j->words);
    oct_weights_let_go(m->weights, &vocab);
    return status;
}

static int open_words(const cli_args *a, const char *path, text_job *j)
{
    const oct_model *m = j->model;
    const int own = oct_weights_find(m->weights, OCT_MODEL_VOCAB) != NULL;
    if (!own && !is_folder(path))
        return cli_refuse(a, path, OCT_ERR_FORMAT, "%s: no such tensor in the file, and no folder "
                          "with a tokenizer", OCT_MODEL_VOCAB);
    const oct_status status = own ? open_own_words(j)
                                  : oct_wordpiece_open_folder(path, &j->recipe, &j->words);
    if (status) return cli_fail(a, path, status);
    const int tokens = oct_wordpiece_count(j->words);
    if (tokens > m->vocabulary)
        return cli_refuse(a, path, OCT_ERR_SHAPE, "the vocabulary has %d tokens, the model's "
                          "embedding %d rows", tokens, m->vocabulary);
    j->max_length = smaller(a->max_length.n ? a->max_length.v[0] : j->recipe.max_length,
                            m->max_length);
    return CLI_OK;
}

/* Where texts go. */
static void bind(text_job *j)
{
    oct_tensor *types = oct_model_input(j->model, 2);
    j->classes = j->model->classes;
    j->ids = oct_model_input(j->model, 0)->data;
    j->starts = oct_model_input(j->model, 1)->data;
    j->types = types ? types->data : NULL;
    j->starts[0] = 0;
}

text_job text_job_share(const text_job *like, oct_model *model, int batch)
{
    text_job j = *like;
    j.model = model;
    j.batch = batch;
    j.n = 0;
    bind(&j);
    return j;
}

int text_job_open(const cli_args *a, const job_settings *s, int describe, text_job *out)
{
    *out = (text_job){ .batch = s->batch };
    const oct_options options = job_options(a, s);
    const oct_status status = (describe ? oct_model_describe : oct_model_load)(s->path, &options,
                                                                               &out->model);
    if (status) return cli_fail(a, s->path, status);
    int code = check(a, s->path, out);
    if (!code) code = open_words(a, s->path, out);
    if (!code && !describe) bind(out);
    return code;
}

void text_job_close(text_job *j)
{
    oct_wordpiece_close(j->words);
    oct_model_free(j->model);
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
