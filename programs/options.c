/* The options of all programs: one table, read by the parser and by --help. */
#include <getopt.h>
#include <stdlib.h>
#include <string.h>

#include "models/backends.h"
#include "models/compiled.h"
#include "models/model.h"
#include "models/openblas.h"
#include "programs/cli.h"
#include "tensor/cpu.h"

typedef enum option_kind { FLAG, TEXT, WORDS, INTS, NUMBERS } option_kind;

typedef struct option_row {
    const char *name, *value;  /* "batch", "N" */
    unsigned sets;             /* commands that take it */
    option_kind kind;
    size_t offset;             /* in cli_args */
    int max;                   /* entries; 0: one, a list where the command takes lists */
    double low, high;          /* of each number */
    const char *help;
} option_row;

enum { RUNS = CLI_INFER | CLI_EVAL | CLI_DIFF | CLI_BENCH,
       RECIPE = RUNS | CLI_COMPILE | CLI_LINT | CLI_QUANTIZE | CLI_PRUNE,
       INFERS = CLI_INFER | CLI_TEXT,
       DEVICES = CLI_INFER | CLI_TEXT | CLI_EVAL | CLI_BENCH | CLI_INSPECT };

#define AT(field) offsetof(cli_args, field)
static const option_row rows[] = {
    { "data", "DATA", CLI_EVAL | CLI_DIFF | CLI_BENCH, TEXT, AT(data), 1, 0, 0,
      "images in a folder for each class, a folder of images, an MNIST idx file,\n"
      "a CIFAR .bin, a TSV of path<TAB>label, or .npy; for a model of texts a TSV\n"
      "of text<TAB>label" },
    { "calib", "DATA", CLI_LINT | CLI_QUANTIZE | CLI_PRUNE, TEXT, AT(calib), 1, 0, 0,
      "samples to calibrate on, repair on or look at: images in a folder, or in one for each\n"
      "class, an MNIST idx file, a CIFAR .bin, a TSV of path<TAB>label, or .npy; for a\n"
      "model of texts a text a line, with <TAB>label or without" },
    { "eval", "DATA", CLI_QUANTIZE | CLI_PRUNE, TEXT, AT(eval), 1, 0, 0,
      "labelled samples that both models answer, before and after" },
    { "samples", "N", CLI_PRUNE, INTS, AT(samples), 1, 1, 1 << 20,
      "repair on N samples of --calib, evenly of all there are (default 256)" },
    { "output", "OUT", CLI_COMPILE | CLI_QUANTIZE | CLI_PRUNE, TEXT, AT(output), 1, 0, 0,
      "the file to write (also -o OUT)" },
    { "output", "OUT", CLI_EVAL, TEXT, AT(output), 1, 0, 0,
      "also write the model there (also -o OUT), with the ranges of its values:\n"
      "FP16 on a GPU then computes in FP32 what half has no room for" },
    { "check", NULL, CLI_EVAL, FLAG, AT(check), 1, 0, 0,
      "count values that are NaN or infinite, in every layer" },
    { "report", "FILE", CLI_QUANTIZE, TEXT, AT(report), 1, 0, 0,
      "also write the report, as FILE.html or FILE.json" },
    { "report", "FILE.json", CLI_PRUNE, TEXT, AT(report), 1, 0, 0, "also write the report there" },
    { "amount", "A", CLI_PRUNE, NUMBERS, AT(amount), 1, 0, 1,
      "the share of weights, or of blocks, that becomes zero, or of channels that go:\n"
      "the smallest" },
    { "structure", "NAME", CLI_PRUNE, TEXT, AT(structure), 1, 0, 0,
      "unstructured (default); 1x4, 4x1: blocks of four inputs, of four outputs; 2:4:\n"
      "two of each four inputs stay, without --amount; channel: whole channels are\n"
      "removed, neurons and heads among them; neuron: of linear layers only; head: of\n"
      "attention" },
    { "multiple", "N", CLI_PRUNE, INTS, AT(multiple), 1, 1, 1 << 16,
      "channels are removed so that a multiple of N stays (32)" },
    { "per-layer", NULL, CLI_PRUNE, FLAG, AT(per_layer), 1, 0, 0,
      "this share of each layer, or group of channels that go together; by default of\n"
      "all together" },
    { "only", "LAYER,...", CLI_PRUNE, WORDS, AT(only), CLI_MAX_LIST, 0, 0,
      "prune these layers; patterns such as 'layer3.*'" },
    { "break-even", NULL, CLI_PRUNE, FLAG, AT(break_even), 1, 0, 0,
      "prune nothing: measure here, for each shape of convolution, the density at\n"
      "which the sparse INT8 kernel begins to beat the dense one" },
    { "method", "NAME", CLI_QUANTIZE, TEXT, AT(method), 1, 0, 0,
      "how ranges follow from the samples: kl (default), percentile, minmax, mse\n"
      "(default of texts)" },
    { "percentile", "P", CLI_QUANTIZE, NUMBERS, AT(percentile), 1, 50, 100,
      "--method percentile with this share inside, per cent (99.93)" },
    { "bits", "N", CLI_QUANTIZE, INTS, AT(bits), 1, 7, 8,
      "of activations: 7 (default) or 8 (default of texts)" },
    { "no-bias-correction", NULL, CLI_QUANTIZE, FLAG, AT(no_bias_correction), 1, 0, 0,
      "leave biases as they are" },
    { "smooth", "A[,B]", CLI_QUANTIZE, NUMBERS, AT(smooth), 2, 0, 1,
      "SmoothQuant in the feed-forward layers of a model of texts, with this strength\n"
      "(of the first layer A, of the second B); 0: none (default)" },
    { "dynamic", NULL, CLI_QUANTIZE, FLAG, AT(dynamic), 1, 0, 0,
      "find activation ranges at run time: no --calib is needed" },
    { "keep", "LAYER,...", CLI_QUANTIZE, WORDS, AT(keep), CLI_MAX_LIST, 0, 0,
      "layers that stay in FP32" },
    { "max-drop", "POINTS", CLI_QUANTIZE, NUMBERS, AT(max_drop), 1, 0, 100,
      "keep as few layers in FP32 as hold this drop of accuracy on --eval; exit 5\n"
      "if none do" },
    { "max-drop", "POINTS", CLI_PRUNE, NUMBERS, AT(max_drop), 1, 0, 100,
      "instead of --amount: as much as holds this drop of accuracy on --eval, in steps\n"
      "of 1/32; exit 5 if not even 1/32 does" },
    { "tune", NULL, CLI_QUANTIZE, FLAG, AT(tune), 1, 0, 0,
      "measure here, and keep layers in FP32 that integers would make slower" },
    { "force", NULL, CLI_QUANTIZE | CLI_PRUNE, FLAG, AT(force), 1, 0, 0,
      "use --calib's data even if lint refuses them; the file says so" },
    { "plan", NULL, CLI_INSPECT, FLAG, AT(plan), 1, 0, 0, "one line a step of what will run" },
    { "measure", NULL, CLI_INSPECT, FLAG, AT(measure), 1, 0, 0,
      "of a pruned or quantized file: time its layers here, and again with zeros\n"
      "multiplied; the ratio is the gain" },
    { "by-layer", NULL, CLI_BENCH, FLAG, AT(by_layer), 1, 0, 0, "print a row a layer, too" },
    { "seconds", "T", CLI_BENCH, NUMBERS, AT(seconds), 1, 0.001, 3600,
      "run each row at least so long (default 1), and 10 times" },
    { "tolerance", "T", CLI_DIFF, NUMBERS, AT(tolerance), 1, 0, 1e6,
      "a layer departs beyond T of its largest value (default 1e-4); given, exit 5\n"
      "if one does" },
    { "batch", "N", RUNS | CLI_TEXT | CLI_LINT | CLI_QUANTIZE | CLI_PRUNE, INTS, AT(batch), 0, 1,
      65536, "samples run at once (default 1; eval, prune 64; diff, lint, quantize 16)" },
    { "length", "N", CLI_BENCH, INTS, AT(length), 0, 1, 1 << 20, "tokens of a text, text models" },
    { "threads", "N", CLI_ALL, INTS, AT(threads), 0, 1, 1024,
      "default: what cgroup quota and affinity mask give" },
    { "isa", "NAME", CLI_ALL, WORDS, AT(isa), 0, 0, 0,
      "ref avx2 avxvnni avx512 neon neondot neoni8mm: use nothing newer\n"
      "(default: the environment's OCT_CPU, else the best this CPU has)" },
    { "gemm", "NAME", CLI_ALL & ~(CLI_QUANTIZE | CLI_PRUNE), TEXT, AT(gemm), 1, 0, 0,
      "FP32 matrix products: ours (default) or openblas;\n"
      "with --device cuda FP16's: ours, cublas or auto (default: the faster one,\n"
      "timed for each layer as the model is loaded)" },
    { "precision", "NAME", CLI_ALL & ~(CLI_QUANTIZE | CLI_PRUNE), WORDS, AT(precision), 0, 0, 0,
      "of an FP32 file: fp32 (default), fp16 (weights in half, half the memory),\n"
      "bf16 (operands in bfloat16; fast with AVX-512 BF16), int8 (activation ranges\n"
      "at run time); in diff: of B. A quantized file is int8" },
    { "device", "NAME", DEVICES, TEXT, AT(device), 1, 0, 0,
      "cpu (default), or cuda: an NVIDIA GPU, in builds with it" },
    { "top", "K", INFERS, INTS, AT(top), 1, 1, 1 << 20, "classes shown (default 1)" },
    { "labels", "FILE", INFERS | CLI_COMPILE | CLI_QUANTIZE, TEXT, AT(labels), 1, 0, 0,
      "names of the classes, one a line" },
    { "logits", "FILE.npy", INFERS | CLI_EVAL, TEXT, AT(logits), 1, 0, 0,
      "write the raw logits, float32 [n, classes]" },
    { "layers", "LINE", CLI_ALL & ~CLI_TEXT, TEXT, AT(layers), 1, 0, 0,
      "the network of a file that does not say it:\n"
      "\"conv1 relu maxpool:2 flatten fc1\"" },
    { "input", "C,H,W", CLI_ALL & ~CLI_TEXT, INTS, AT(input), 3, 1, 1 << 16,
      "size of the input of --layers, where the data does not tell it" },
    { "passes", "LIST", CLI_ALL & ~(CLI_LINT | CLI_QUANTIZE | CLI_PRUNE), TEXT, AT(passes), 1, 0, 0,
      "graph passes to run: none, or fold_bn,fuse,dce (default all; in diff: of B)" },
    { "resize", "N|H,W", RECIPE, INTS, AT(resize), 2, 1, 1 << 16,
      "short side, or exact size, that images are resized to" },
    { "crop", "N|H,W", RECIPE, INTS, AT(crop), 2, 1, 1 << 16, "centre crop" },
    { "scale", "X", RECIPE, NUMBERS, AT(scale), 1, -1e30, 1e30, "bytes times X (default 1/255)" },
    { "mean", "X,...", RECIPE, NUMBERS, AT(mean), 4, -1e30, 1e30,
      "subtracted, one for all or for each channel" },
    { "std", "X,...", RECIPE, NUMBERS, AT(std), 4, 1e-30, 1e30, "divided by, likewise" },
    { "channels", "L|RGB|BGR", RECIPE, TEXT, AT(channels), 1, 0, 0,
      "what images are converted to" },
    { "max-length", "N", RUNS | CLI_TEXT | CLI_LINT | CLI_QUANTIZE | CLI_PRUNE, INTS,
      AT(max_length), 1, 2, 1 << 20,
      "tokens of a text, [CLS] and [SEP] included: longer texts are cut\n"
      "(default: the tokenizer's limit; never more than the model's positions)" },
    { "tokens", NULL, CLI_TEXT, FLAG, AT(tokens), 1, 0, 0,
      "print the token ids of each text instead, blank separated" },
    { "json", NULL, CLI_ALL, FLAG, AT(json), 1, 0, 0, "JSON, one object a line" },
    { "quiet", NULL, CLI_ALL, FLAG, AT(quiet), 1, 0, 0, "no progress bar, no notes" },
    { "help", NULL, CLI_ALL, FLAG, AT(help), 1, 0, 0, "this text" },
    { "version", NULL, CLI_ALL, FLAG, AT(version), 1, 0, 0, "the version" },
};
#undef AT
enum { N_ROWS = sizeof rows / sizeof *rows, FIRST_VAL = 256 };

/* The row of a short option, -o for --output; -1: there is none. */
static int row_of_short(const cli_command *c, int letter)
{
    for (int i = 0; i < N_ROWS && letter == 'o'; i++)
        if (!strcmp(rows[i].name, "output") && rows[i].sets & c->set) return i;
    return -1;
}

/* Entries of a list are cut apart in place: argv is ours to change.  0 if it cannot be. */
static int split(char *s, int max, const char *entry[CLI_MAX_LIST])
{
    for (int n = 0; n < max; n++) {
        entry[n] = s;
        s = strchr(s, ',');
        if (!s) return n + 1;
        *s++ = 0;
    }
    return 0;
}

/* 1 if value was stored into a; 0 if it is not what the row wants. */
static int store(const option_row *row, int lists, char *value, cli_args *a)
{
    void *field = (char *)a + row->offset;
    if (row->kind == FLAG) *(int *)field = 1;
    if (row->kind == TEXT) *(char **)field = value;
    if (row->kind == FLAG || row->kind == TEXT) return 1;

    const char *entry[CLI_MAX_LIST];
    const int n = split(value, row->max ? row->max : lists ? CLI_MAX_LIST : 1, entry);
    int ok = n > 0;
    for (int i = 0; i < n && ok; i++) {
        if (row->kind == WORDS) ((cli_words *)field)->v[i] = entry[i];
        else if (row->kind == NUMBERS)
            ok = cli_number(entry[i], row->low, row->high, &((cli_numbers *)field)->v[i]);
        else ok = cli_int(entry[i], (int)row->low, (int)row->high, &((cli_ints *)field)->v[i]);
    }
    if (row->kind == WORDS) ((cli_words *)field)->n = n;
    else if (row->kind == NUMBERS) ((cli_numbers *)field)->n = n;
    else ((cli_ints *)field)->n = n;
    return ok;
}

static int refuse_value(const cli_command *c, const option_row *row, const char *value)
{
    const int several = row->max > 1 || (!row->max && c->lists);
    const char *what = several ? " (or several, with commas)" : "";
    if (row->kind == WORDS) return cli_usage(c, "--%s '%s': one name expected", row->name, value);
    return cli_usage(c, "--%s '%s': expected %s from %g to %g%s", row->name, value,
                     row->kind == INTS ? "a whole number" : "a number", row->low, row->high, what);
}

/* An option getopt_long would not take: which, and why. */
static int refuse_option(const cli_command *c, int got, char **argv)
{
    if (optopt >= FIRST_VAL)
        return cli_usage(c, "--%s %s", rows[optopt - FIRST_VAL].name,
                         got == ':' ? "needs a value" : "takes no value");
    if (optopt && row_of_short(c, optopt) >= 0)
        return cli_usage(c, "-%c needs a value", optopt);
    if (optopt) return cli_usage(c, "unknown option '-%c'", optopt);
    return cli_usage(c, "unknown option '%s'", argv[optind - 1]);
}

/* Names that must be known before any file is opened. */
static int check_names(const cli_command *c, cli_args *a)
{
    const char *mask = getenv("OCT_CPU");
    const char *origin = "--isa";
    const int on_cpu = !a->device || !strcmp(a->device, "cpu");
    if (!a->isa.n && mask && *mask && on_cpu) {
        a->isa = (cli_words){ 1, { mask } };
        origin = "OCT_CPU";
    }
    for (int i = 0; i < a->isa.n; i++) {
        unsigned flags;
        if ((c->set == CLI_COMPILE ? oct_cpu_isa_any : oct_cpu_isa)(a->isa.v[i], &flags))
            return cli_usage(c, "%s: %s", origin, oct_last_error());
        if (c->set == CLI_COMPILE && oct_compiled_built(flags))
            return cli_usage(c, "%s: %s", origin, oct_last_error());
    }
    int narrow = 0;
    for (int i = 0; i < a->precision.n; i++) {
        oct_dtype type;
        if (oct_model_precision(a->precision.v[i], &type))
            return cli_usage(c, "--%s", oct_last_error());
        narrow |= type != OCT_F32;
    }
    const oct_backend *backend;
    if (oct_backend_find(a->device, &backend)) return cli_usage(c, "--%s", oct_last_error());
    if (backend && a->isa.n)
        return cli_usage(c, "--device %s: --isa is the CPU's", a->device);
    const char *const gemm = a->gemm ? a->gemm : "ours";
    const int known = !strcmp(gemm, "ours") ||
        (backend ? !strcmp(gemm, "cublas") || !strcmp(gemm, "auto") : !strcmp(gemm, "openblas"));
    if (!known)
        return cli_usage(c, "--gemm '%s': unknown; %s expected", gemm,
                         backend ? "ours, cublas or auto" : "ours or openblas");
    if (a->gemm && !strcmp(a->gemm, "openblas") && narrow)
        return cli_usage(c, "--gemm openblas: --precision fp32 expected");
    oct_sgemm *sgemm;
    oct_pass pass[OCT_MODEL_MAX_PASSES];
    int n_passes;
    if (oct_model_passes(a->passes, pass, &n_passes))
        return cli_usage(c, "--passes: %s", oct_last_error());
    if (a->gemm && !strcmp(a->gemm, "openblas") && oct_openblas_open(&sgemm))
        return cli_usage(c, "--gemm openblas: %s", oct_last_error());
    if (a->channels && strcmp(a->channels, "L") && strcmp(a->channels, "RGB")
        && strcmp(a->channels, "BGR"))
        return cli_usage(c, "--channels '%s': L, RGB or BGR expected", a->channels);
    if (a->input.n && a->input.n != 3) return cli_usage(c, "--input: C,H,W expected");
    if (a->input.n && !a->layers) return cli_usage(c, "--input is for --layers");
    return CLI_OK;
}

int cli_parse(const cli_command *command, int argc, char **argv, cli_args *out)
{
    struct option table[N_ROWS + 1];
    int n = 0;
    for (int i = 0; i < N_ROWS; i++)
        if (rows[i].sets & command->set)
            table[n++] = (struct option){ rows[i].name, rows[i].kind != FLAG, NULL, FIRST_VAL + i };
    table[n] = (struct option){ NULL, 0, NULL, 0 };

    *out = (cli_args){ .command = command };
    const char *shorts = row_of_short(command, 'o') < 0 ? ":" : ":o:";
    opterr = 0; /* the line is ours */
    optind = 0; /* start over */
    for (int got; (got = getopt_long(argc, argv, shorts, table, NULL)) != -1;) {
        const int at = got < FIRST_VAL ? row_of_short(command, got) : got - FIRST_VAL;
        if (at < 0) return refuse_option(command, got, argv);
        const option_row *row = &rows[at];
        char shown[100];
        if (optarg) cli_escape(optarg, shown, sizeof shown); /* store cuts it apart */
        if (!store(row, command->lists, optarg, out)) return refuse_value(command, row, shown);
    }
    if (out->help || out->version) return CLI_OK;
    out->n_args = argc - optind;
    out->arg = argv + optind;
    if (out->n_args < command->min_args)
        return cli_usage(command, "%s expected", command->operands);
    if (command->max_args >= 0 && out->n_args > command->max_args)
        return cli_usage(command, "'%s': one operand too many", out->arg[command->max_args]);
    return check_names(command, out);
}

/* help, its lines after the first under the first. */
static void print_row(const option_row *row)
{
    char left[40];
    snprintf(left, sizeof left, "--%s%s%s", row->name, row->value ? " " : "",
             row->value ? row->value : "");
    printf("  %-22s", left);
    for (const char *s = row->help; *s; s++) {
        putchar(*s);
        if (*s == '\n') printf("%24s", "");
    }
    putchar('\n');
}

void cli_print_help(const cli_command *c)
{
    printf("Usage: %s%s%s %s [OPTION]...\n%s\n", c->program, c->name ? " " : "",
           c->name ? c->name : "", c->operands, c->summary);
    if (c->details) printf("\n%s\n", c->details);
    printf("\nOptions%s:\n",
           c->lists ? " (--batch --length --threads --isa --precision take lists: 1,8)" : "");
    for (int i = 0; i < N_ROWS; i++)
        if (rows[i].sets & c->set) print_row(&rows[i]);
    printf("\nExamples:\n%s\n"
           "Exit status: 0 done, 1 usage, 2 bad input file, 3 I/O error or out of memory,\n"
           "4 an internal check failed, 5 a promise such as --tolerance was not met.\n",
           c->examples);
}
