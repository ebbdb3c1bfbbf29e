/* octet compile: passes done and weights packed once, for good. */
#include <stdlib.h>
#include <string.h>

#include "models/compiled.h"
#include "programs/cmd.h"
#include "programs/job.h"
#include "programs/labels.h"
#include "programs/origin.h"
#include "programs/output.h"
#include "programs/report.h"
#include "programs/text_job.h"
#include "tensor/cpu.h"

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

typedef struct result {
    const oct_model *m;
    const oct_save_info *info;
} result;

static oct_status write_file(void *arg, const char *to)
{
    const result *r = arg;
    return oct_compiled_save(r->m, to, r->info);
}

/* info has what the kind of model needs; strings are the arena's or the model's. */
static int save(const cli_args *a, const oct_model *m, oct_save_info *info, oct_arena *arena,
                double start)
{
    char **own_label = NULL;
    int code = a->labels ? labels_read(a, a->labels, m->classes, &own_label) : CLI_OK;
    if (code) return code;
    info->label = own_label ? own_label : m->label;
    info->command = origin_command(a, arena);
    oct_status status = info->command ? OCT_OK : oct_fail(OCT_ERR_MEMORY, "out of memory");
    if (!status) status = output_save(a->output, write_file, &(result){ m, info });
    labels_free(own_label);
    if (status) return cli_fail(a, a->output, status);
    report(a, m, report_now_ms() - start);
    for (int i = 0; i < m->n_doubts && !info->vocab; i++) /* of texts the tokenizer settles it */
        cli_note(a, "%s: in doubt, and now in %s: %s", a->arg[0], a->output, m->in_doubt[i]);
    return CLI_OK;
}

static int compile(const cli_args *a, const job_settings *settings, int texts, double start)
{
    job j = { .batch = 0 };
    text_job t = { .batch = 0 };
    oct_arena arena = { 0 };
    oct_save_info info = { .recipe = NULL };
    int code = texts ? text_job_open(a, settings, 0, &t) : job_open(a, settings, &j);
    if (!code) {
        const oct_status status = texts ? text_job_save_info(&t, &arena, &info)
                                        : job_recipe(a, &j, &arena, &info.recipe);
        code = status ? cli_fail(a, a->arg[0], status)
                      : save(a, texts ? t.model : j.model, &info, &arena, start);
    }
    oct_arena_free(&arena);
    text_job_close(&t);
    job_close(&j);
    return code;
}

static int run(const cli_args *a)
{
    const double start = report_now_ms();
    if (!a->output) return cli_usage(a->command, "-o OUT expected");
    if (a->gemm && strcmp(a->gemm, "ours"))
        return cli_usage(a->command, "--gemm %s: it packs no weights", a->gemm);
    if (origin_is(a->arg[0], a->output))
        return cli_usage(a->command, "--output '%s': the model itself, which has more than the "
                         "compiled one", a->output);
    job_settings settings = job_defaults(a, a->arg[0], 1);
    settings.pack = 1;
    return compile(a, &settings, job_takes_texts(a, a->arg[0]), start);
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
        "give the same bytes on every machine. Keep MODEL: OUT has no plain weights. A model of\n"
        "texts is one file then: the vocabulary is in it, and texts may have any length.",
    .examples =
        "  octet compile resnet50.pth -o resnet50.octet\n"
        "  octet compile resnet50.pth -o resnet50-avx2.octet --isa avx2 --labels names.txt\n"
        "  octet compile mnist_classifier.pt -o mnist.octet --input 1,28,28 --channels L \\\n"
        "      --mean 0.1307 --std 0.3081 \\\n"
        "      --layers \"conv1 relu maxpool:2 conv2 relu maxpool:2 flatten fc1 relu fc2\"\n"
        "  resnet_infer resnet50.octet photo.jpg\n"
        "  octet compile distilbert_sst2 -o sst2.octet --precision int8\n"
        "  distilbert_infer sst2.octet \"I love this\"\n",
};
