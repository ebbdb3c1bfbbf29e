/* octet compile: passes done and weights packed once, for good. */
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "models/compiled.h"
#include "programs/cmd.h"
#include "programs/job.h"
#include "programs/labels.h"
#include "programs/report.h"
#include "tensor/cpu.h"
#include "tensor/text.h"

static void put_ints(oct_text *t, const char *option, const cli_ints *list)
{
    for (int i = 0; i < list->n; i++) oct_text_put(t, "%s%d", i ? "," : option, list->v[i]);
}

static void put_numbers(oct_text *t, const char *option, const cli_numbers *list)
{
    for (int i = 0; i < list->n; i++) oct_text_put(t, "%s%.15g", i ? "," : option, list->v[i]);
}

/* octet.origin's command line: the options that change the file and are no path (the ISA is in the
 * plan, the labels in octet.labels), in this order, whatever order they were given in. */
static char *command_line(const cli_args *a, const job *j, oct_arena *arena)
{
    const size_t numbers = 24 * 6 * CLI_MAX_LIST + 200;
    const size_t size = numbers + (a->layers ? strlen(a->layers) : 0) +
                        (a->passes ? strlen(a->passes) : 0);
    char *line = oct_arena_alloc(arena, size);
    if (!line) return NULL;
    oct_text t = { line, size };
    oct_text_put(&t, "octet compile");
    if (a->layers) oct_text_put(&t, " --layers \"%s\"", a->layers);
    put_ints(&t, " --input ", &a->input);
    if (a->passes) oct_text_put(&t, " --passes %s", a->passes);
    if (strcmp(j->model->precision, "fp32") && strcmp(j->model->precision, "int8"))
        oct_text_put(&t, " --precision %s", j->model->precision);
    if (a->channels) oct_text_put(&t, " --channels %s", a->channels);
    put_ints(&t, " --resize ", &a->resize);
    put_ints(&t, " --crop ", &a->crop);
    put_numbers(&t, " --scale ", &a->scale);
    put_numbers(&t, " --mean ", &a->mean);
    put_numbers(&t, " --std ", &a->std);
    return line;
}

static int is_same_file(const char *a, const char *b)
{
    struct stat x, y;
    return stat(a, &x) == 0 && stat(b, &y) == 0 && x.st_dev == y.st_dev && x.st_ino == y.st_ino;
}

static void report(const cli_args *a, const oct_model *m, double ms)
{
    const oct_plan *p = m->plan;
    const char *isa = oct_cpu_isa_name(m->cpu);
    if (a->json)
        report_json_line(json_pack("{s:o, s:s, s:s, s:i, s:I, s:o}", "output",
                                   report_string(a->output), "kind", m->kind, "isa", isa, "steps",
                                   p->n_steps, "weight_bytes", (json_int_t)p->weight_size, "ms",
                                   report_number(ms)));
    else if (!a->quiet) {
        cli_print_escaped(stdout, a->output);
        printf("\t%s\t%s\t%d steps\t%zu bytes of packed weights\n", m->kind, isa, p->n_steps,
               p->weight_size);
    }
}

static int save(const cli_args *a, const job *j, char *const *label, double start)
{
    oct_arena arena = { 0 };
    oct_compiled_info info = { .label = label };
    oct_status status = job_recipe(a, j, &arena, &info.recipe);
    info.command = status ? NULL : command_line(a, j, &arena);
    if (!status && !info.command) status = oct_fail(OCT_ERR_MEMORY, "out of memory");
    if (!status) status = oct_compiled_save(j->model, a->output, &info);
    oct_arena_free(&arena);
    if (status) return cli_fail(a, a->output, status);
    report(a, j->model, report_now_ms() - start);
    for (int i = 0; i < j->model->n_doubts; i++)
        cli_note(a, "%s: in doubt, and now in %s: %s", a->arg[0], a->output,
                 j->model->in_doubt[i]);
    return CLI_OK;
}

static int run(const cli_args *a)
{
    const double start = report_now_ms();
    if (!a->output) return cli_usage(a->command, "-o OUT expected");
    if (a->gemm && strcmp(a->gemm, "ours"))
        return cli_usage(a->command, "--gemm %s: it packs no weights", a->gemm);
    if (is_same_file(a->arg[0], a->output))
        return cli_usage(a->command, "--output '%s': the model itself, which has more than the "
                         "compiled one", a->output);
    job_settings settings = job_defaults(a, a->arg[0], 1);
    settings.pack = 1;
    job j;
    char **own_label = NULL;
    int code = job_open(a, &settings, &j);
    if (!code && a->labels) code = labels_read(a, a->labels, j.classes, &own_label);
    if (!code) code = save(a, &j, own_label ? own_label : j.model->label, start);
    labels_free(own_label);
    job_close(&j);
    return code;
}

const cli_command cmd_compile = {
    .program = "octet", .name = "compile", .set = CLI_COMPILE, .min_args = 1, .max_args = 1,
    .operands = "MODEL -o OUT", .run = run,
    .summary = "Write a model optimized: passes done, weights packed for a CPU, mapped at load.",
    .details =
        "OUT is a safetensors file with the graph after the passes, the weights in the layout of\n"
        "the kernels of one instruction set (--isa: any, not only this CPU's; default the best it\n"
        "has), recipe and labels. Every program takes it as a MODEL; it starts faster, gives the\n"
        "same bits, and is refused on a CPU without that instruction set. The input's size is\n"
        "fixed (--crop), the batch and the number of threads are not. The same MODEL and options\n"
        "give the same bytes on every machine. Keep MODEL: OUT has no plain weights.",
    .examples =
        "  octet compile resnet50.pth -o resnet50.octet\n"
        "  octet compile resnet50.pth -o resnet50-avx2.octet --isa avx2 --labels names.txt\n"
        "  octet compile mnist_classifier.pt -o mnist.octet --input 1,28,28 --channels L \\\n"
        "      --mean 0.1307 --std 0.3081 \\\n"
        "      --layers \"conv1 relu maxpool:2 conv2 relu maxpool:2 flatten fc1 relu fc2\"\n"
        "  resnet_infer resnet50.octet photo.jpg\n",
};
