/* octet prune: the smallest weights become zero, and what that does to the answers. */
#include <stdlib.h>
#include <string.h>

#include "config.h"
#include "programs/break_even.h"
#include "programs/cmd.h"
#include "programs/measured.h"
#include "programs/origin.h"
#include "programs/output.h"
#include "programs/prune_report.h"
#include "programs/report.h"

enum { DEFAULT_BATCH = 64 };

typedef struct prune_work {
    const cli_args *a;
    char *path;                   /* MODEL */
    int texts;                    /* it takes texts */
    job job;                      /* of images */
    text_job text;
    oct_source *eval;             /* NULL: not given */
    oct_prune_options how;
    oct_pruned pruned;
    const char *temporary;        /* where OUT is until all is known */
    oct_save_info save;
    prune_report report;
    oct_arena arena;
} prune_work;

/* ---- the models ---- */

/* One that only writes needs no plan; of images the recipe may depend on the input's size. */
static int open_model(prune_work *w)
{
    const cli_args *a = w->a;
    oct_status status;
    job_settings s = job_defaults(a, w->path, DEFAULT_BATCH);
    s.source = w->eval;
    const int code = w->texts ? text_job_open(a, &s, !w->eval, &w->text)
                              : job_open(a, &s, &w->job);
    if (code) return code;
    if (w->texts) status = text_job_save_info(&w->text, &w->arena, &w->save);
    else status = job_recipe(a, &w->job, &w->arena, &w->save.recipe);
    oct_model *m = w->texts ? w->text.model : w->job.model;
    if (!status) status = oct_weights_sha256(m->weights, w->report.source_sha256);
    w->save.label = m->label;
    w->report.bytes_before = (double)oct_weights_file_size(m->weights);
    return status ? cli_fail(a, w->path, status) : CLI_OK;
}

/* Both on the same data; writing left its own peak. */
static int evaluate(prune_work *w)
{
    const cli_args *a = w->a;
    prune_report *r = &w->report;
    const eval_settings s = { .path = w->path, .data = a->eval, .source = w->eval };
    (void)eval_forget_peak();
    const int code = w->texts ? eval_run_texts(a, &w->text, &s, &r->before)
                              : eval_run(a, &w->job, &s, &r->before);
    oct_model_unplan(w->texts ? w->text.model : w->job.model);
    return code ? code : eval_file(a, w->temporary, w->texts, DEFAULT_BATCH, &s, &r->after,
                                   &r->bytes_after);
}

/* ---- the file ---- */

static int write_file(void *arg, const char *measured)
{
    prune_work *w = arg;
    oct_pruned_free(&w->pruned);
    oct_status status = oct_prune(w->path, &w->job.options, &w->how, &w->pruned);
    if (w->pruned.unknown)
        return cli_usage(w->a->command, "--only: there is no layer '%.80s'", w->pruned.unknown);
    if (status) return cli_fail(w->a, w->path, status);
    status = oct_pruned_save(&w->pruned, w->temporary, &w->save, measured);
    oct_pruned_let_go(&w->pruned); /* not to be counted in what evaluating takes */
    return status ? cli_fail(w->a, w->a->output, status) : CLI_OK;
}

/* What cannot be pruned is told before anything runs: the file is written first, and once more with
 * what was found. */
static int make(prune_work *w)
{
    prune_report *r = &w->report;
    int code = open_model(w);
    if (!code)
        code = measured_write(w->a, w->temporary, NULL, NULL, &r->bytes_after, write_file, w);
    if (code || !w->eval) return code;
    code = evaluate(w);
    if (!code)
        code = measured_write(w->a, w->temporary, &r->before, &r->after, &r->bytes_after,
                              write_file, w);
    r->after.model_bytes = r->bytes_after;
    return code;
}

/* ---- in order ---- */

/* Takes page over: what --report writes, NULL: nothing. */
static int tell(const prune_work *w, output *page)
{
    const cli_args *a = w->a;
    if (page) {
        oct_status status = report_json_file(output_stream(page), prune_report_json(&w->report));
        if (status) output_drop(page);
        else status = output_commit(page);
        if (status) return cli_fail(a, a->report, status);
    }
    if (a->json) report_json_line(prune_report_json(&w->report));
    else prune_report_text(stdout, &w->report);
    return CLI_OK;
}

/* OUT appears when all is known; until then there is a temporary file beside it. */
static int prune(prune_work *w)
{
    output *o, *page = NULL;
    oct_status status = output_open(w->a->output, &o);
    if (status) return cli_fail(w->a, w->a->output, status);
    if (w->a->report && (status = output_open(w->a->report, &page)))
        return output_drop(o), cli_fail(w->a, w->a->report, status);
    w->temporary = output_temporary(o);
    int code = make(w);
    if (code) output_drop(o);
    else if ((status = output_commit(o))) code = cli_fail(w->a, w->a->output, status);
    if (!code) code = tell(w, page);
    else output_drop(page);
    return code;
}

static int read_structure(prune_work *w)
{
    enum { PER_CENT_OF_2_4 = 50 };
    const cli_args *a = w->a;
    const char *name = a->structure ? a->structure : oct_mask_name(OCT_MASK_UNSTRUCTURED);
    if (!strcmp(name, "channel"))
        return cli_usage(a->command, "--structure channel: whole channels cannot be removed yet; "
                         "unstructured, 2:4, 1x4 or 4x1 expected");
    if (oct_mask_find(name, &w->how.structure))
        return cli_usage(a->command, "--%s", oct_last_error());
    w->how.amount = a->amount.n ? a->amount.v[0] : PER_CENT_OF_2_4 / 100.0;
    if (w->how.structure == OCT_MASK_2_4 && w->how.amount != PER_CENT_OF_2_4 / 100.0)
        return cli_usage(a->command, "--amount %g: 2:4 leaves two of each four, it is 0.5",
                         w->how.amount);
    if (w->how.structure != OCT_MASK_2_4 && !a->amount.n)
        return cli_usage(a->command, "--amount A expected: the share that becomes zero, 0 to 1");
    return CLI_OK;
}

static int check_usage(prune_work *w)
{
    const cli_args *a = w->a;
    if (!a->output) return cli_usage(a->command, "-o OUT expected");
    if (a->report && !report_ends_with(a->report, ".json"))
        return cli_usage(a->command, "--report '%s': a name ending in .json expected", a->report);
    if (origin_is(a->arg[0], a->output))
        return cli_usage(a->command, "--output '%s': the model itself, which has more than the "
                         "pruned one", a->output);
    w->how.per_layer = a->per_layer;
    w->how.only = a->only.v;
    w->how.n_only = a->only.n;
    return read_structure(w);
}

static int run(const cli_args *a)
{
    if (a->break_even) return break_even_run(a);
    prune_work w = { .a = a, .path = a->arg[0], .texts = job_takes_texts(a, a->arg[0]) };
    int code = check_usage(&w);
    if (code) return code;
    w.report = (prune_report){ .model = w.path, .output = a->output, .version = PACKAGE_VERSION,
                               .pruned = &w.pruned, .has_eval = a->eval != NULL,
                               .eval_data = a->eval };
    w.save.command = w.report.command = origin_command(a, &w.arena);
    if (!w.save.command) code = cli_refuse(a, NULL, OCT_ERR_MEMORY, "out of memory");
    if (!code) code = job_open_source(a, w.texts, a->eval, &w.eval);
    if (!code) code = prune(&w);
    oct_pruned_free(&w.pruned);
    job_close(&w.job);
    text_job_close(&w.text);
    eval_free(&w.report.before);
    eval_free(&w.report.after);
    oct_source_close(w.eval);
    oct_arena_free(&w.arena);
    return code;
}

const cli_command cmd_prune = {
    .program = "octet", .name = "prune", .set = CLI_PRUNE, .min_args = 1, .max_args = 1,
    .operands = "MODEL --amount A -o OUT | MODEL --break-even", .run = run,
    .summary = "Set the smallest weights to zero, and see what that does to the accuracy.",
    .details =
        "The weights of convolutions and linear layers with the smallest magnitudes become zero:\n"
        "singly, as torch.nn.utils.prune does it, or in blocks of four by their mean magnitude.\n"
        "The file's own weights are pruned, before any folding; OUT is a safetensors file with\n"
        "the same tensors under the same names and types, recipe and labels inside. With --eval\n"
        "both models answer labelled data: accuracy, loss, agreement, time, before and after.\n"
        "Blocks of four inputs that are all zero are not stored, where that is smaller. FP32\n"
        "multiplies zeros like other weights; octet quantize has convolutions leave such blocks\n"
        "out where that is faster, which --break-even measures. The same MODEL, DATA and\n"
        "options give the same bytes on every machine.",
    .examples =
        "  octet prune mnist_cnn.safetensors --amount 0.5 -o pruned.safetensors \\\n"
        "      --eval t10k-images-idx3-ubyte.gz\n"
        "  octet prune resnet50.pth --amount 0.3 --structure 1x4 --only 'layer*' -o r50.safetensors\n"
        "  octet prune cifar_cnn.safetensors --structure 2:4 -o cifar.safetensors --report r.json\n"
        "  octet prune resnet50.pth --break-even --isa avx2 --threads 1\n",
};
