#include "programs/job.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "programs/report.h"

/* Overrides of the command line, unchecked. */
static void override(const cli_args *a, oct_recipe *r)
{
    if (a->channels) {
        r->channels = strcmp(a->channels, "L") ? 3 : 1;
        r->bgr = !strcmp(a->channels, "BGR");
    }
    if (a->resize.n) {
        r->resize[0] = a->resize.v[0];
        r->resize[1] = a->resize.n == 2 ? a->resize.v[1] : 0;
    }
    if (a->crop.n) {
        r->crop[0] = a->crop.v[0];
        r->crop[1] = a->crop.v[a->crop.n - 1];
    }
    if (a->scale.n) r->scale = a->scale.v[0];
    if (a->mean.n) r->n_mean = a->mean.n;
    if (a->std.n) r->n_std = a->std.n;
    for (int i = 0; i < a->mean.n; i++) r->mean[i] = a->mean.v[i];
    for (int i = 0; i < a->std.n; i++) r->std[i] = a->std.v[i];
    if (a->max_length.n) r->max_length = a->max_length.v[0];
}

oct_status job_recipe(const cli_args *a, const job *j, oct_arena *arena, const char **out)
{
    char *json = NULL;
    const oct_model *m = j->model;
    *out = m->recipe_is_guess ? NULL : m->recipe;
    if (!a->channels && !a->resize.n && !a->crop.n && !a->scale.n && !a->mean.n && !a->std.n)
        return OCT_OK;
    OCT_TRY(oct_recipe_write(&j->recipe, arena, &json));
    *out = json;
    return OCT_OK;
}

/* Size of a sample: of the source's records, or what the recipe, the command line's part of it
 * included, crops to or resizes to exactly; 0: what the model wants.  recipe NULL: not known. */
static void sample_size(const cli_args *a, const oct_source *source, const char *recipe, int *h,
                        int *w)
{
    int c;
    oct_recipe r;
    *h = *w = 0;
    if (oct_recipe_parse(recipe ? recipe : "{\"type\":\"image\"}", &r) || r.text) return;
    override(a, &r);
    if (source) oct_source_shape(source, &r, &c, h, w);
    if (!*h && r.crop[0]) *h = r.crop[0], *w = r.crop[1];
    else if (!*h && r.resize[1]) *h = r.resize[0], *w = r.resize[1];
}

char *job_arch(const cli_args *a)
{
    if (!a->layers) return NULL;
    json_t *arch = json_pack("{s:s, s:o}", "kind", "cnn", "layers", report_string(a->layers));
    const int *dim = a->input.v;
    if (a->input.n)
        json_object_set_new(arch, "input", json_pack("[i, i, i]", dim[0], dim[1], dim[2]));
    char *text = json_dumps(arch, JSON_SORT_KEYS | JSON_COMPACT);
    json_decref(arch);
    return text;
}

uint64_t job_next_random(uint64_t *seed)
{
    uint64_t z = (*seed += 0x9e3779b97f4a7c15u);
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
    z = (z ^ z >> 27) * 0x94d049bb133111ebu;
    return z ^ z >> 31;
}

float *job_random(const job *j, int n)
{
    const size_t count = (size_t)n * j->sample;
    float *data = malloc(count * sizeof *data);
    uint64_t seed = 1;
    for (size_t i = 0; data && i < count; i++)
        data[i] = (float)(job_next_random(&seed) >> 40) * 0x1p-22f - 2; /* 24 bits: exact */
    return data;
}

job_settings job_defaults(const cli_args *a, const char *path, int batch)
{
    return (job_settings){
        .path = path, .batch = a->batch.n ? a->batch.v[0] : batch,
        .threads = a->threads.n ? a->threads.v[0] : 0,
        .isa = a->isa.n ? a->isa.v[0] : NULL, .passes = a->passes,
        .precision = a->precision.n ? a->precision.v[0] : NULL,
    };
}

oct_options job_options(const cli_args *a, const job_settings *s)
{
    return (oct_options){
        .batch = s->batch, .sequence = s->sequence, .threads = s->threads, .device = a->device,
        .isa = s->isa, .passes = s->passes, .keep_values = s->keep_values, .watch = s->watch,
        .precision = s->precision,
        .gemm = a->gemm,
    };
}

int job_takes_texts(const cli_args *a, const char *path)
{
    int texts = 0;
    return !a->layers && !oct_model_takes_texts(path, NULL, &texts) && texts;
}

int job_open_source(const cli_args *a, int texts, char *path, oct_source **out)
{
    if (!path) return CLI_OK;
    const oct_status status = (texts ? oct_source_open_texts : oct_source_open)(path, out);
    if (status) return cli_fail(a, path, status);
    if (oct_source_count(*out) > 0) return CLI_OK;
    return cli_refuse(a, path, OCT_ERR_FORMAT, "holds no %s", texts ? "texts" : "images");
}

oct_status job_load_model(const cli_args *a, const job_settings *s, const oct_options *options,
                          oct_model **out)
{
    size_t size = 0;
    OCT_TRY((s->pack ? oct_model_pack : oct_model_load)(s->path, options, out));
    const void *base = oct_weights_mapping((*out)->weights, &size);
    if (base) cli_guard(a, s->path, base, size); /* loading reads none of it */
    return OCT_OK;
}

void job_free_model(oct_model *m)
{
    size_t size;
    const void *base = m ? oct_weights_mapping(m->weights, &size) : NULL;
    if (base) cli_unguard(base);
    oct_model_free(m);
}

static oct_status load(const cli_args *a, const job_settings *s, int h, int w, job *j)
{
    if (!j->arch) j->arch = job_arch(a);
    j->options = job_options(a, s);
    j->options.arch = j->arch;
    j->options.height = h;
    j->options.width = w;
    return job_load_model(a, s, &j->options, &j->model);
}

/* Recipe, sizes; what the programs rely on later is checked here. */
static int describe(const cli_args *a, const char *path, job *j)
{
    const oct_model *m = j->model;
    const oct_tensor *in = oct_model_input(j->model, 0), *out = oct_model_output(m, 0);
    const oct_node *last = oct_graph_writer(&m->graph, m->graph.out[0]);
    char shape[100];
    if (in->rank != 4)
        return cli_refuse(a, path, OCT_ERR_UNSUPPORTED, "takes %s, not images",
                          oct_tensor_shape(in, shape, sizeof shape));
    if (out->dtype != OCT_F32 || out->rank != 2 || out->dim[1] < 1)
        return cli_refuse(a, path, OCT_ERR_UNSUPPORTED, "gives %s, not a number for each class",
                          oct_tensor_shape(out, shape, sizeof shape));
    j->channels = in->dim[1];
    j->height = in->dim[2];
    j->width = in->dim[3];
    j->sample = oct_tensor_sample_count(in);
    j->classes = out->dim[1];
    j->is_probability = last && last->kind == OCT_OP_SOFTMAX;

    const char *json = m->recipe ? m->recipe : "{\"type\":\"image\"}";
    const oct_status bad = oct_recipe_parse(json, &j->recipe);
    if (bad) return cli_fail(a, path, bad);
    if (j->recipe.text) return cli_refuse(a, path, OCT_ERR_UNSUPPORTED, "takes text, not images");
    override(a, &j->recipe);
    const oct_recipe *r = &j->recipe;
    if (m->recipe_is_guess && !a->channels && (j->channels == 1 || j->channels == 3))
        j->recipe.channels = j->channels;
    if (r->channels != j->channels)
        return cli_refuse(a, path, OCT_ERR_SHAPE, "takes %d channels, the recipe makes %d "
                          "(--channels)", j->channels, r->channels);
    if (r->n_mean > 1 && r->n_mean != r->channels)
        return cli_usage(a->command, "--mean has %d values for %d channels", r->n_mean,
                         r->channels);
    if (r->n_std > 1 && r->n_std != r->channels)
        return cli_usage(a->command, "--std has %d values for %d channels", r->n_std,
                         r->channels);
    return CLI_OK;
}

static int has_size(oct_model *m, int h, int w)
{
    const oct_tensor *in = oct_model_input(m, 0);
    return in->rank != 4 || (in->dim[2] == h && in->dim[3] == w);
}

int job_open(const cli_args *a, const job_settings *s, job *out)
{
    *out = (job){ .batch = s->batch };
    int h, w;
    const int unknown = a->layers && !a->input.n; /* --layers has no size of its own */
    sample_size(a, s->source, NULL, &h, &w);
    if (unknown && !h)
        return cli_usage(a->command, "--input C,H,W expected: the data does not tell the size");

    oct_status status = load(a, s, unknown ? h : 0, unknown ? w : 0, out);
    if (status) return cli_fail(a, s->path, status);
    sample_size(a, s->source, out->model->recipe, &h, &w);
    if (h && !has_size(out->model, h, w)) {
        /* A network that takes any size gets theirs.  One that does not keeps its own, and the
         * samples are refused one by one. */
        job_free_model(out->model);
        if (load(a, s, h, w, out)) status = load(a, s, 0, 0, out);
        if (status) return cli_fail(a, s->path, status);
    }
    return describe(a, s->path, out);
}

void job_close(job *j)
{
    job_free_model(j->model);
    free(j->arch);
    *j = (job){ .batch = 0 };
}

oct_status job_run(job *j, const float *samples, int n, const float **logits, double *ms)
{
    const double start = report_now_ms();
    memcpy(oct_model_input(j->model, 0)->data, samples, (size_t)n * j->sample * sizeof *samples);
    OCT_TRY(oct_model_run(j->model, n));
    *logits = oct_model_output(j->model, 0)->data;
    if (ms) *ms = report_now_ms() - start;
    return OCT_OK;
}
