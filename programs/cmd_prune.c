/* octet prune: the smallest weights become zero, or the smallest channels go, and what that does to
 * the answers. */
#include <stdlib.h>
#include <string.h>

#include "config.h"
#include "programs/break_even.h"
#include "programs/cmd.h"
#include "programs/measured.h"
#include "programs/origin.h"
#include "programs/output.h"
#include "programs/prune.h"
#include "programs/report.h"

enum { DEFAULT_BATCH = 64,
       MULTIPLE = 32 }; /* outputs of a tile with AVX-512; docs/pruning.md has the times */

/* ---- the models ---- */

/* One that only writes needs no plan; of images the recipe may depend on the input's size. */
static int open_model(prune_work *w)
{
    const cli_args *a = w->a;
    oct_status status;
    job_settings s = job_defaults(a, w->path, DEFAULT_BATCH);
    s.source = w->eval ? w->eval : w->calib;
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

static eval_settings settings_of(const prune_work *w)
{
    return (eval_settings){ .path = w->path, .data = w->a->eval, .source = w->eval };
}

/* Writing left its own peak. */
static int evaluate_before(prune_work *w)
{
    const cli_args *a = w->a;
    const eval_settings s = settings_of(w);
    (void)eval_forget_peak();
    return w->texts ? eval_run_texts(a, &w->text, &s, &w->report.before)
                    : eval_run(a, &w->job, &s, &w->report.before);
}

/* The file as it is so far. */
static int evaluate_file(prune_work *w, eval_result *out)
{
    const eval_settings s = settings_of(w);
    const int code = eval_file(w->a, w->temporary, w->texts, DEFAULT_BATCH, &s, out,
                               &w->report.bytes_after);
    out->model_bytes = w->report.bytes_after;
    return code;
}

/* ---- the file ---- */

static int open_pruned(prune_work *w)
{
    oct_pruned_free(&w->pruned);
    const oct_status status = oct_prune(w->path, &w->job.options, &w->how, &w->pruned);
    if (w->pruned.unknown)
        return cli_usage(w->a->command, "--only: there is no layer '%.80s'", w->pruned.unknown);
    return status ? cli_fail(w->a, w->path, status) : CLI_OK;
}

static int save(void *arg, const char *measured)
{
    prune_work *w = arg;
    const oct_status status = oct_pruned_save(&w->pruned, w->temporary, &w->save, measured);
    oct_pruned_let_go(&w->pruned); /* not to be counted in what evaluating takes */
    return status ? cli_fail(w->a, w->a->output, status) : CLI_OK;
}

static int write_first(prune_work *w)
{
    return measured_write(w->a, w->temporary, NULL, NULL, &w->report.bytes_after, save, w);
}

static int read_back(prune_work *w)
{
    const oct_status status = oct_pruned_read_back(&w->pruned, w->temporary);
    return status ? cli_fail(w->a, w->a->output, status) : CLI_OK;
}

static int write_again(void *arg, const char *measured)
{
    const int code = read_back(arg);
    return code ? code : save(arg, measured);
}

int prune_make(prune_work *w, eval_result *cut)
{
    int code = open_pruned(w);
    if (!code) code = write_first(w);
    if (!code && cut) code = evaluate_file(w, cut);
    if (!code && w->calib) code = read_back(w);
    if (!code && w->calib) code = prune_repair(w);
    if (!code && w->calib) code = write_first(w);
    return !code && w->eval ? evaluate_file(w, &w->report.after) : code;
}

/* Samples that depart are refused, as octet quantize does. */
static int check_samples(prune_work *w)
{
    const int code = lint_samples_check(w->a, w->path, w->texts, w->calib, &w->arena, &w->lint);
    w->report.lint = w->lint.sentence;
    w->report.forced = w->lint.forced != NULL;
    return code;
}

/* What cannot be pruned is told before anything runs: the file is written first, again when all is
 * chosen and repaired, and with what was found. */
static int make(prune_work *w)
{
    prune_report *r = &w->report;
    int code = open_model(w);
    if (!code) code = open_pruned(w);
    if (!code) code = write_first(w);
    if (code || (!w->eval && !w->calib)) return code;
    code = check_samples(w);
    if (!code && w->eval) code = evaluate_before(w);
    oct_model_unplan(w->texts ? w->text.model : w->job.model);
    if (!code && w->a->max_drop.n) code = prune_search(w);
    if (!code) code = prune_make(w, w->eval && w->calib ? &r->cut : NULL);
    if (code || !w->eval) return code;
    code = measured_write(w->a, w->temporary, &r->before, &r->after, &r->bytes_after, write_again,
                          w);
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
    if (oct_prune_find(a->structure ? a->structure : oct_mask_name(OCT_MASK_UNSTRUCTURED), &w->how))
        return cli_usage(a->command, "--%s", oct_last_error());
    const int two_of_four = !w->how.whole && w->how.structure == OCT_MASK_2_4;
    w->how.amount = a->amount.n ? a->amount.v[0] : PER_CENT_OF_2_4 / 100.0;
    w->how.multiple = a->multiple.n ? a->multiple.v[0] : MULTIPLE;
    if (two_of_four && w->how.amount != PER_CENT_OF_2_4 / 100.0)
        return cli_usage(a->command, "--amount %g: 2:4 leaves two of each four, it is 0.5",
                         w->how.amount);
    if (a->max_drop.n && (a->amount.n || two_of_four))
        return cli_usage(a->command, "--max-drop finds the amount: %s", a->amount.n
                         ? "--amount is not for it" : "2:4 has none");
    if (!two_of_four && !a->amount.n && !a->max_drop.n)
        return cli_usage(a->command, "--amount A expected: the share that becomes zero, or goes, "
                         "0 to 1");
    if (a->multiple.n && !w->how.whole)
        return cli_usage(a->command, "--multiple: only where whole channels go, not with "
                         "--structure %s", oct_prune_name(&w->how));
    return CLI_OK;
}

static int check_usage(prune_work *w)
{
    const cli_args *a = w->a;
    if (!a->output) return cli_usage(a->command, "-o OUT expected");
    if (a->max_drop.n && !a->eval) return cli_usage(a->command, "--max-drop needs --eval DATA");
    if (a->samples.n && !a->calib) return cli_usage(a->command, "--samples needs --calib DATA");
    if (a->force && !a->calib) return cli_usage(a->command, "--force needs --calib DATA");
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
                               .eval_data = a->eval, .calib_data = a->calib };
    w.save.command = w.report.command = origin_command(a, &w.arena);
    if (!w.save.command) code = cli_refuse(a, NULL, OCT_ERR_MEMORY, "out of memory");
    if (!code) code = job_open_source(a, w.texts, a->calib, &w.calib);
    if (!code) code = job_open_source(a, w.texts, a->eval, &w.eval);
    if (!code) code = prune(&w);
    oct_pruned_free(&w.pruned);
    job_close(&w.job);
    text_job_close(&w.text);
    eval_free(&w.report.before);
    eval_free(&w.report.cut);
    eval_free(&w.report.after);
    oct_source_close(w.calib);
    oct_source_close(w.eval);
    oct_arena_free(&w.arena);
    return code;
}

const cli_command cmd_prune = {
    .program = "octet", .name = "prune", .set = CLI_PRUNE, .min_args = 1, .max_args = 1,
    .operands = "MODEL --amount A -o OUT | MODEL --break-even", .run = run,
    .summary = "Remove the smallest weights or channels, and see what that does to the accuracy.",
    .details =
        "The weights of convolutions and linear layers with the smallest magnitudes become zero:\n"
        "singly, as torch.nn.utils.prune does it, or in blocks of four by their mean magnitude.\n"
        "Or whole channels go, with the smallest L1 norms, through residual connections and batch\n"
        "norms: the network gets smaller and faster (--structure channel; of models of texts heads\n"
        "and neurons). The file's own weights are pruned, before any folding; OUT is a safetensors\n"
        "file with the same tensors under the same names and types, recipe and labels inside.\n"
        "With --calib what is left is repaired without training: layer by layer the weights that\n"
        "stayed are solved for, so that they answer your samples as the whole layer did, and\n"
        "batch norms are corrected; samples that octet lint refuses are refused. With --eval the\n"
        "models answer labelled data: accuracy, loss, agreement, time, before and after, and\n"
        "between pruning and repair; --max-drop finds the amount. Blocks of four that are all\n"
        "zero are not stored, where that is smaller, and where it is faster they are left out of\n"
        "the sums, too, here in FP32 and after octet quantize in INT8: by a table that lies below\n"
        "what --break-even measures.\n"
        "The same MODEL, DATA and options give the same bytes on every machine.",
    .examples =
        "  octet prune mnist_cnn.safetensors --amount 0.5 -o pruned.safetensors \\\n"
        "      --eval t10k-images-idx3-ubyte.gz\n"
        "  octet prune resnet50.pth --amount 0.3 --structure 1x4 --only 'layer*' -o r50.safetensors\n"
        "  octet prune resnet50.pth --amount 0.3 --structure channel -o smaller.safetensors\n"
        "  octet prune resnet50.pth --amount 0.5 --structure 1x4 --calib some/train --eval val \\\n"
        "      -o r50.safetensors\n"
        "  octet prune cifar_cnn.safetensors --structure 2:4 -o cifar.safetensors --report r.json\n"
        "  octet prune resnet50.pth --break-even --isa avx2 --threads 1\n",
};
