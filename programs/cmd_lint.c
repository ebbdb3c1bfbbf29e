/* octet lint: does this data look like what the model was trained on? */
#include <math.h>

#include "programs/cmd.h"
#include "programs/lint_data.h"
#include "programs/lint_words.h"
#include "programs/report.h"

static json_t *numbers(const double *v, int n)
{
    json_t *list = json_array();
    for (int i = 0; i < n && i < OCT_LINT_MAX_CHANNELS; i++)
        json_array_append_new(list, report_number(v[i]));
    return list;
}

static void print_json(const oct_lint_report *r)
{
    json_t *layers = json_array();
    for (int i = 0; i < r->n_layers; i++)
        json_array_append_new(layers, json_pack(
            "{s:o, s:o, s:o, s:o}", "name", report_string(r->layer[i].name),
            "distance", report_number(r->layer[i].distance),
            "shift", report_number(r->layer[i].shift),
            "log_ratio", report_number(r->layer[i].log_ratio)));
    const char *cause = r->cause ? oct_lint_cause_name(r->cause) : NULL;
    const double none = NAN;
    report_json_line(json_pack(
        "{s:s, s:o, s:s, s:i, s:i, s:i, s:o, s:o, s:o, s:o, s:o, s:o, s:b, s:o, s:o, s:o, s:o, "
        "s:o}",
        "verdict", r->cause ? "departs" : "clean", "cause", report_string(cause),
        "sentence", r->sentence, "samples", r->samples, "distinct", r->distinct,
        "constant", r->constant, "low", report_number(r->low), "high", report_number(r->high),
        "mean", numbers(r->mean, r->channels), "std", numbers(r->std, r->channels),
        "neighbour_correlation", report_number(r->correlation),
        "top_class_share", report_number(r->top_share), "batch_norms", r->n_layers > 0,
        "distance", report_number(r->n_layers ? r->distance : none),
        "threshold", report_number(r->n_layers ? r->threshold : none),
        "corrected_distance", report_number(r->n_layers ? r->corrected : none),
        "clearer", report_number(r->n_layers ? r->clearer : none), "layers", layers));
}

static void print_json_of_texts(const oct_lint_texts_report *r)
{
    report_json_line(json_pack(
        "{s:s, s:o, s:s, s:i, s:i, s:i, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:b}",
        "verdict", r->cause ? "departs" : "clean",
        "cause", report_string(r->cause ? oct_lint_cause_name(r->cause) : NULL),
        "sentence", r->sentence, "samples", r->samples, "distinct", r->distinct,
        "empty", r->empty, "tokens", report_number(r->tokens),
        "unknown_share", report_number(r->unknown_share),
        "rest_share", report_number(r->rest_share),
        "capital_share", report_number(r->capital_share), "norm_rank",
        report_number(r->norm_rank), "norm_z", report_number(r->norm_z),
        "top_class_share", report_number(r->top_share), "batch_norms", 0));
}

/* Data that departs is a bad input file: one line on standard error, exit 2. */
static int tell(const cli_args *a, oct_lint_cause cause, const char *sentence)
{
    if (cause)
        return cli_refuse(a, a->calib, OCT_ERR_FORMAT, "%s: the data %s",
                          oct_lint_cause_name(cause), sentence);
    if (!a->json) {
        printf("clean: ");
        cli_print_escaped(stdout, a->calib);
        printf(": the data %s\n", sentence);
    }
    return CLI_OK;
}

static int run_texts(const cli_args *a, oct_source *source)
{
    oct_lint_texts_report r;
    const int code = lint_words_run(a, a->arg[0], a->calib, source, &r);
    if (code) return code;
    if (a->json) print_json_of_texts(&r);
    return tell(a, r.cause, r.sentence);
}

static int run_images(const cli_args *a, oct_source *source)
{
    lint_data d;
    int code = lint_data_run(a, a->arg[0], a->calib, source, &d);
    if (!code && a->json) print_json(&d.report);
    if (!code) code = tell(a, d.report.cause, d.report.sentence);
    lint_data_close(&d);
    return code;
}

static int run(const cli_args *a)
{
    oct_source *source = NULL;
    if (!a->calib) return cli_usage(a->command, "--calib DATA expected");
    const int texts = job_takes_texts(a, a->arg[0]);
    int code = job_open_source(a, texts, a->calib, &source);
    if (!code) code = (texts ? run_texts : run_images)(a, source);
    oct_source_close(source);
    return code;
}

const cli_command cmd_lint = {
    .program = "octet", .name = "lint", .set = CLI_LINT, .min_args = 1, .max_args = 1,
    .operands = "MODEL --calib DATA", .run = run,
    .summary = "Does this data look like what the model was trained on?",
    .details =
        "The data runs through the network; what its first batch norms see is compared with\n"
        "the running statistics they recorded in training.  Data that departs is refused, with\n"
        "the cause that explains it: not_finite constant few_samples duplicates wrong_size\n"
        "nhwc scale_255 scale_1 no_mean_std mean_std noise one_class bgr inverted\n"
        "wrong_dataset.  A model without batch norm gets range rules only, and is told so.\n"
        "One of texts (DATA is a TSV of text<TAB>label, or a text a line) gets rules on samples,\n"
        "tokenizer and vocabulary: all_padding empty_texts few_samples duplicates wrong_case\n"
        "other_vocabulary one_class.\n"
        "--json prints one object: verdict (clean, departs), cause, sentence, samples,\n"
        "distinct, constant, low, high, mean, std, neighbour_correlation, top_class_share,\n"
        "batch_norms, distance, threshold, corrected_distance, clearer, layers; of texts\n"
        "verdict, cause, sentence, samples, distinct, empty, tokens, unknown_share, rest_share,\n"
        "capital_share, norm_rank, norm_z, top_class_share, batch_norms.",
    .examples =
        "  octet lint cifar_cnn.safetensors --calib data_batch.bin\n"
        "  octet lint resnet50.pth --calib photos/ --json\n"
        "  octet lint distilbert_sst2 --calib reviews.tsv\n",
};
