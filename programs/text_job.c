#include "programs/text_job.h"

#include <string.h>

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

static int open_model(const cli_args *a, const job_settings *s, int describe, text_job *out)
{
    *out = (text_job){ .batch = s->batch };
    const oct_options options = job_options(a, s);
    const oct_status status = describe ? oct_model_describe(s->path, &options, &out->model)
                                       : job_load_model(a, s, &options, &out->model);
    return status ? cli_fail(a, s->path, status) : check(a, s->path, out);
}

int text_job_open(const cli_args *a, const job_settings *s, int describe, text_job *out)
{
    int code = open_model(a, s, describe, out);
    if (!code) code = open_words(a, s->path, out);
    if (!code && !describe) bind(out);
    return code;
}

int text_job_open_ids(const cli_args *a, const job_settings *s, text_job *out)
{
    const int code = open_model(a, s, 0, out);
    if (code) return code;
    out->max_length = out->model->max_length;
    bind(out);
    return CLI_OK;
}

oct_status text_job_save_info(const text_job *j, oct_arena *arena, oct_save_info *out)
{
    char *recipe = NULL;
    oct_recipe own = j->recipe;
    own.max_length = j->max_length;
    out->vocab = oct_wordpiece_vocab(j->words, &out->vocab_size);
    if (!out->vocab)
        return oct_fail(OCT_ERR_UNSUPPORTED, "tokenizer.json has special tokens of its own, which "
                        "%s cannot hold", OCT_MODEL_VOCAB);
    OCT_TRY(oct_recipe_write(&own, arena, &recipe));
    out->recipe = recipe;
    return OCT_OK;
}

text_job text_job_onto(const text_job *like, int batch, oct_tensor *ids, oct_tensor *starts,
                       oct_tensor *types)
{
    text_job j = *like;
    j.batch = batch;
    j.n = 0;
    j.ids = ids->data;
    j.starts = starts->data;
    j.types = types ? types->data : NULL;
    j.starts[0] = 0;
    return j;
}

text_job text_job_share(const text_job *like, oct_model *model, int batch)
{
    text_job j = text_job_onto(like, batch, oct_model_input(model, 0), oct_model_input(model, 1),
                               oct_model_input(model, 2));
    j.model = model;
    return j;
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

void text_job_note_cut(const text_job *j, const cli_args *a, const char *data, int cut)
{
    if (cut)
        cli_note(a, "%s: of %d texts only the first %d tokens count", data, cut, j->max_length);
}

void text_job_add_random(text_job *j, int length, uint64_t *seed)
{
    const int most = smaller(TEXT_JOB_RANDOM, j->max_length), begin = j->starts[j->n];
    const int size = length ? length : 1 + (int)(job_next_random(seed) % (uint64_t)most);
    for (int i = begin; i < begin + size; i++)
        j->ids[i] = (int32_t)(job_next_random(seed) % (uint64_t)j->model->vocabulary);
    if (j->types) memset(j->types + begin, 0, (size_t)size * sizeof *j->types);
    j->starts[++j->n] = begin + size;
}

void text_job_copy(const text_job *from, text_job *to)
{
    const size_t tokens = (size_t)from->starts[from->n];
    memcpy(to->ids, from->ids, tokens * sizeof *to->ids);
    memcpy(to->starts, from->starts, ((size_t)from->n + 1) * sizeof *to->starts);
    if (to->types && from->types) memcpy(to->types, from->types, tokens * sizeof *to->types);
    else if (to->types) memset(to->types, 0, tokens * sizeof *to->types);
    to->n = from->n;
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
