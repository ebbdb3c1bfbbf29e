/* octet.h's quantizer: the FP32 model runs and is counted; then it is described once more, and what
 * the passes leave of it becomes integers. */
#include "models/quantizer.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "quant/pass_dynamic.h"
#include "weights/sha256.h"

/* docs/quantization.md, Accuracy, says why. */
typedef struct defaults {
    const char *method;
    int bits;
} defaults;
static const defaults of_images = { "kl", 7 }, of_texts = { "mse", 8 };

struct oct_quantizer {
    const char *path;
    oct_options options;
    oct_quantizer_options how;
    int dynamic;
    oct_quantize_options pass;
    oct_model *m;              /* FP32, with its plan */
    int own;                   /* to be freed */
    oct_calibration *c;
    oct_sha256 samples;        /* of all so far */
    oct_arena arena;
};

static int smooths(const oct_quantizer *q)
{
    return q->pass.smooth[0] > 0 || q->pass.smooth[1] > 0;
}

static oct_status check_smooth(const oct_quantizer *q)
{
    for (int k = 0; k < 2; k++)
        if (!(q->pass.smooth[k] >= 0 && q->pass.smooth[k] <= 1))
            return oct_fail(OCT_ERR_UNSUPPORTED, "quantize: smooth %g, expected 0 to 1",
                            q->pass.smooth[k]);
    if (q->dynamic && smooths(q))
        return oct_fail(OCT_ERR_UNSUPPORTED, "quantize: smooth: channels' extremes come from "
                        "samples, ranges at run time have none");
    return OCT_OK;
}

static oct_status read_options(oct_quantizer *q)
{
    const oct_quantizer_options *how = &q->how;
    const defaults *d = q->m->max_length ? &of_texts : &of_images;
    const char *method = how->method ? how->method
                         : how->percentile != 0 ? "percentile" : d->method;
    const int bits = how->bits ? how->bits : d->bits;
    const double percentile = how->percentile != 0 ? how->percentile : OCT_PERCENTILE_DEFAULT / 1e4;
    q->dynamic = strcmp(method, "dynamic") == 0;
    if (!q->dynamic) OCT_TRY(oct_method_find(method, &q->pass.method));
    if (bits != 7 && bits != 8)
        return oct_fail(OCT_ERR_UNSUPPORTED, "quantize: %d bits, expected 7 or 8", bits);
    if (!(percentile >= 50 && percentile <= 100))
        return oct_fail(OCT_ERR_UNSUPPORTED, "quantize: percentile %g, expected 50 to 100",
                        percentile);
    q->pass.qmax = bits == 7 ? 127 : 255;
    q->pass.ppm = (int)lrint(percentile * 1e4);
    q->pass.bias_correction = !how->no_bias_correction;
    memcpy(q->pass.smooth, how->smooth, sizeof how->smooth);
    return check_smooth(q);
}

static oct_status check_model(const oct_quantizer *q)
{
    if (q->m->isa)
        return oct_fail(OCT_ERR_UNSUPPORTED, "quantize: a compiled model has no plain weights: use "
                        "the model it was made from");
    if (q->m->plan && q->m->plan->backend)
        return oct_fail(OCT_ERR_UNSUPPORTED, "quantize: device '%.80s': samples are run on the CPU",
                        q->m->plan->backend->name);
    if (strcmp(q->m->precision, "int8") == 0)
        return oct_fail(OCT_ERR_UNSUPPORTED, "quantize: the model is quantized already");
    if (strcmp(q->m->precision, "fp32") != 0)
        return oct_fail(OCT_ERR_UNSUPPORTED, "quantize: precision '%s', expected fp32",
                        q->m->precision);
    return OCT_OK;
}

/* m NULL: it is loaded, and q's. */
static oct_status open(oct_quantizer *q, oct_model *m)
{
    q->own = !m;
    if (m) q->m = m;
    else OCT_TRY(oct_model_load(q->path, &q->options, &q->m));
    OCT_TRY(read_options(q));
    OCT_TRY(check_model(q));
    oct_sha256_init(&q->samples);
    if (q->dynamic) return OCT_OK;
    const oct_calibrate_options o = { .means = q->pass.bias_correction, .extremes = smooths(q) };
    return oct_calibration_open(q->m->plan, q->m->pool, &o, &q->c);
}

oct_status oct_quantizer_attach(const char *path, const oct_options *options, oct_model *m,
                                const oct_quantizer_options *how, oct_quantizer **out)
{
    *out = NULL;
    oct_quantizer *q = calloc(1, sizeof *q);
    if (!q) return oct_fail(OCT_ERR_MEMORY, "quantize: out of memory");
    if (options) q->options = *options;
    if (how) q->how = *how;
    oct_status status = OCT_OK;
    q->path = oct_arena_strdup(&q->arena, path);
    if (!q->path) status = oct_fail(OCT_ERR_MEMORY, "quantize: out of memory");
    if (status == OCT_OK) status = open(q, m);
    if (status != OCT_OK) oct_quantizer_free(q);
    else *out = q;
    return status;
}

oct_status oct_quantizer_open(const char *path, const oct_options *options,
                              const oct_quantizer_options *how, oct_quantizer **out)
{
    return oct_quantizer_attach(path, options, NULL, how, out);
}

void oct_quantizer_free(oct_quantizer *q)
{
    if (!q) return;
    oct_calibration_close(q->c);
    if (q->own) oct_model_free(q->m);
    oct_arena_free(&q->arena);
    free(q);
}

oct_tensor *oct_quantizer_input(oct_quantizer *q, int i) { return oct_model_input(q->m, i); }

const oct_calibration *oct_quantizer_calibration(const oct_quantizer *q) { return q->c; }

/* Text by text: its length, its ids, its types; so batches do not matter. */
static void hash_texts(oct_quantizer *q, int n)
{
    const oct_plan *plan = q->m->plan;
    const int32_t *starts = plan->starts->data;
    for (int t = 0; t < n; t++) {
        const int32_t length = starts[t + 1] - starts[t];
        oct_sha256_add(&q->samples, &length, sizeof length);
        for (int i = 0; i < plan->n_ins; i++)
            if (&plan->in[i] != plan->starts)
                oct_sha256_add(&q->samples, (const int32_t *)plan->in[i].data + starts[t],
                               (size_t)length * sizeof(int32_t));
    }
}

oct_status oct_quantizer_add(oct_quantizer *q, int n)
{
    if (q->dynamic)
        return oct_fail(OCT_ERR_UNSUPPORTED, "quantize: ranges at run time need no samples");
    OCT_TRY(oct_model_check(q->m, n));
    const oct_tensor *in = &q->m->plan->in[0];
    if (q->m->plan->starts) hash_texts(q, n);
    else oct_sha256_add(&q->samples, in->data,
                        (size_t)n * oct_tensor_sample_count(in) * sizeof(float));
    oct_calibration_run(q->c, q->m->plan, q->m->pool, n);
    return OCT_OK;
}

oct_status oct_quantizer_info(oct_quantizer *q, oct_quant_info *info)
{
    *info = (oct_quant_info){ .method = "dynamic" };
    if (q->dynamic) return OCT_OK;
    char *hex = oct_arena_alloc(&q->arena, 65);
    if (!hex) return oct_fail(OCT_ERR_MEMORY, "quantize: out of memory");
    oct_sha256 copy = q->samples; /* it goes on if more samples come */
    oct_sha256_hex(&copy, hex);
    info->method = oct_method_name(q->pass.method);
    if (q->pass.method == OCT_METHOD_PERCENTILE) info->percentile = q->pass.ppm / 1e4;
    info->bits = q->pass.qmax == 127 ? 7 : 8;
    info->bias_correction = q->pass.bias_correction;
    memcpy(info->smooth, q->pass.smooth, sizeof info->smooth);
    info->samples = (int)oct_calibration_samples(q->c);
    info->sha256 = hex;
    return OCT_OK;
}

static oct_status quantize(oct_quantizer *q, const oct_quant_kept *kept, int n_kept, oct_model *m,
                           oct_quant_info *info)
{
    int changes = 0;
    const char **name = oct_arena_alloc(&m->arena, ((size_t)n_kept + 1) * sizeof *name);
    if (!name) return oct_fail(OCT_ERR_MEMORY, "quantize: out of memory");
    for (int i = 0; i < n_kept; i++) name[i] = kept[i].layer;
    if (m->builder->fold_arch) OCT_TRY(m->builder->fold_arch(m));
    OCT_TRY(oct_quantizer_info(q, info));
    info->kept = kept;
    info->n_kept = n_kept;
    oct_quantize_options o = q->pass;
    o.keep = name;
    o.n_keep = n_kept;
    if (q->dynamic) OCT_TRY(oct_pass_dynamic(&m->graph, (oct_keep){ name, n_kept }, &changes));
    else OCT_TRY(oct_pass_quantize(&m->graph, q->c, &o, &info->table, &changes));
    m->precision = "int8";
    return OCT_OK;
}

oct_status oct_quantizer_build(oct_quantizer *q, const oct_quant_kept *kept, int n_kept,
                               int batch, oct_model **out, oct_quant_info *info)
{
    oct_quant_info own;
    oct_options o = q->options;
    *out = NULL;
    if (!q->dynamic && !oct_calibration_samples(q->c))
        return oct_fail(OCT_ERR_FORMAT, "quantize: no samples: a static quantization needs some of "
                        "your own");
    if (!q->dynamic) OCT_TRY(oct_calibration_check(q->c));
    o.passes = "fold_bn,fuse,dce";
    if (batch) o.batch = batch;
    o.keep_values = 0;
    OCT_TRY(oct_model_describe(q->path, &o, out));
    const oct_status status = quantize(q, kept, n_kept, *out, info ? info : &own);
    if (status == OCT_OK) return OCT_OK;
    oct_model_free(*out);
    *out = NULL;
    return status;
}

oct_status oct_quantizer_write(oct_quantizer *q, const char *path, const oct_quant_kept *kept,
                               int n_kept, const oct_quantizer_save_info *info)
{
    oct_model *m;
    oct_quant_info quant;
    OCT_TRY(oct_quantizer_build(q, kept, n_kept, 0, &m, &quant));
    quant.forced = info->forced;
    const oct_status status = oct_quantized_save(m, path, &info->save, &quant, info->measured);
    oct_model_free(m);
    return status;
}

oct_status oct_quantizer_save(oct_quantizer *q, const char *path)
{
    /* What a folder says of its tokenizer is not known here. */
    const int known = q->m->max_length ? oct_weights_meta(q->m->weights, "octet.input") != NULL
                                       : !q->m->recipe_is_guess;
    const oct_quantizer_save_info info = { .save = {
        .recipe = known ? q->m->recipe : NULL, .label = q->m->label,
        .command = "oct_quantizer_save" } };
    const int n = q->how.n_keep;
    oct_quant_kept *kept = oct_arena_zalloc(&q->arena, ((size_t)n + 1) * sizeof *kept);
    if (!kept) return oct_fail(OCT_ERR_MEMORY, "quantize: out of memory");
    for (int i = 0; i < n; i++) kept[i] = (oct_quant_kept){ q->how.keep[i], "asked for" };
    return oct_quantizer_write(q, path, kept, n, &info);
}
