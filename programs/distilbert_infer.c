/* distilbert_infer: classify texts with DistilBERT or BERT. */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "programs/answers.h"
#include "programs/lines.h"
#include "programs/report.h"
#include "programs/text_job.h"

/* A text of the batch. */
typedef struct item {
    char *own;                /* the copy of a line, to be freed; NULL: an operand's */
    const char *text;
    size_t size;
    int code;                 /* of a bad one, of which a line was printed */
} item;

typedef struct state {
    const cli_args *a;
    text_job job;
    answers answers;
    lines *lines;             /* NULL: texts are operands */
    long taken;               /* operands or lines so far */
    item *item;               /* [batch] */
    int n;
    int32_t *ids;             /* [max_length] of --tokens */
} state;

/* ---- texts come ---- */

static const char *const standard_input = "standard input";

static lines_result next_operand(const state *s, const char **text, size_t *size)
{
    if (s->taken == s->a->n_args - 1) return LINES_END;
    *text = s->a->arg[1 + s->taken];
    *size = strlen(*text);
    return LINES_LINE;
}

/* The next text; a line is copied if it must outlive the next call. */
static lines_result next_text(state *s, int wait, int copy, item *out)
{
    *out = (item){ 0 };
    const lines_result got = s->lines ? lines_next(s->lines, wait, &out->text, &out->size)
                                      : next_operand(s, &out->text, &out->size);
    if (got == LINES_FAILED) cli_fail(s->a, standard_input, OCT_ERR_IO);
    if (got != LINES_LINE && got != LINES_TOO_LONG) return got;
    s->taken++;
    if (got == LINES_TOO_LONG)
        out->code = cli_refuse(s->a, standard_input, OCT_ERR_FORMAT,
                               "line %ld: more than %d bytes", s->taken, LINES_MAX);
    if (!s->lines || !copy) return LINES_LINE;
    out->own = malloc(out->size + 1);
    if (!out->own) {
        cli_refuse(s->a, NULL, OCT_ERR_MEMORY, "out of memory");
        return LINES_FAILED;
    }
    memcpy(out->own, out->text, out->size + 1);
    out->text = out->own;
    return LINES_LINE;
}

static void note_cut(const state *s, int cut)
{
    if (cut)
        cli_note(s->a, "%s %ld: only its first %d tokens count", s->lines ? "line" : "text",
                 s->taken, s->job.max_length);
}

/* ---- answers go ---- */

static int show_batch(state *s)
{
    const float *logits = NULL;
    double ms = 0;
    const int good = s->job.n;
    const oct_status status = good ? text_job_run(&s->job, &logits, &ms) : OCT_OK;
    int code = status ? cli_fail(s->a, s->a->arg[0], status) : CLI_OK;
    for (int i = 0; i < s->n; i++) {
        const item *t = &s->item[i];
        if (t->code) answers_bad(&s->answers, t->code);
        else if (!code) {
            code = answers_show(&s->answers, t->text, t->size, logits, ms / good);
            logits += s->job.classes;
        }
        free(t->own);
    }
    s->n = 0;
    return code;
}

/* A batch is run when it is full or when no more lines are there to be read. */
static int run_all(state *s)
{
    const int batch = s->job.batch;
    for (;;) {
        item *t = &s->item[s->n];
        const lines_result got = next_text(s, s->n == 0, batch > 1, t);
        if (got == LINES_FAILED) return CLI_FAILED;
        if (got == LINES_LINE) {
            int cut = 0;
            s->n++;
            const oct_status status = t->code ? OCT_OK : text_job_add(&s->job, t->text, t->size,
                                                                      &cut);
            if (status) return cli_fail(s->a, s->a->arg[0], status);
            note_cut(s, cut);
            if (s->n < batch) continue;
        }
        const int code = show_batch(s);
        if (code || got == LINES_END) return code;
        if (fflush(stdout) || ferror(stdout)) return CLI_OK; /* cli_finish says so */
    }
}

static int classify(state *s)
{
    s->item = calloc((size_t)s->job.batch, sizeof *s->item);
    if (!s->item) return cli_refuse(s->a, NULL, OCT_ERR_MEMORY, "out of memory");
    int code = answers_open(s->a, s->job.model, 0, &s->answers);
    if (!code) code = run_all(s);
    for (int i = 0; i < s->n; i++) free(s->item[i].own);
    free(s->item);
    return answers_close(&s->answers, code);
}

/* ---- --tokens ---- */

static void print_tokens(const state *s, const item *t, int n)
{
    if (!s->a->json) {
        for (int i = 0; i < n; i++) printf("%s%d", i ? " " : "", (int)s->ids[i]);
        putchar('\n');
        return;
    }
    json_t *tokens = json_array();
    for (int i = 0; i < n; i++) json_array_append_new(tokens, json_integer(s->ids[i]));
    report_json_line(json_pack("{s:o, s:o}", "input", report_bytes(t->text, t->size), "tokens",
                               tokens));
}

static int print_all_tokens(state *s)
{
    item t;
    int bad = 0;
    s->ids = calloc((size_t)s->job.max_length, sizeof *s->ids);
    if (!s->ids) return cli_refuse(s->a, NULL, OCT_ERR_MEMORY, "out of memory");
    for (;;) {
        const lines_result got = next_text(s, 1, 0, &t);
        if (got == LINES_FAILED) return CLI_FAILED;
        if (got == LINES_END) return bad ? CLI_BAD_FILE : CLI_OK;
        bad |= t.code;
        if (t.code) continue;
        int n, cut;
        const oct_wordpiece_text text = { .text = t.text, .size = t.size };
        const oct_status status = oct_wordpiece_encode(s->job.words, &text, s->job.max_length,
                                                       s->ids, NULL, &n, &cut);
        if (status) return cli_fail(s->a, s->a->arg[0], status);
        note_cut(s, cut);
        print_tokens(s, &t, n);
        if (fflush(stdout) || ferror(stdout)) return CLI_OK;
    }
}

/* ---- the program ---- */

static int run(const cli_args *a)
{
    state s = { .a = a };
    if (a->tokens && a->logits)
        return cli_usage(a->command, "--tokens computes no answers for --logits");
    const job_settings settings = job_defaults(a, a->arg[0], 1);
    int code = text_job_open(a, &settings, a->tokens, &s.job);
    if (!code && (a->n_args == 1 || (a->n_args == 2 && !strcmp(a->arg[1], "-")))) {
        const oct_status status = lines_open(STDIN_FILENO, &s.lines);
        if (status) code = cli_fail(a, standard_input, status);
    }
    if (!code) code = a->tokens ? print_all_tokens(&s) : classify(&s);
    lines_close(s.lines);
    text_job_close(&s.job);
    free(s.ids);
    return code;
}

static const cli_command command = {
    .program = "distilbert_infer", .set = CLI_TEXT, .min_args = 1, .max_args = -1,
    .operands = "MODEL [TEXT...]", .run = run,
    .summary = "Classify texts with DistilBERT or BERT.",
    .details =
        "MODEL is a Hugging Face folder (config.json, model.safetensors or pytorch_model.bin,\n"
        "tokenizer.json or vocab.txt), or the file that octet quantize made of one. Without\n"
        "TEXT, or for -, texts are the lines of standard input; an empty line is an empty text.\n"
        "For each text a line, tab separated, as soon as it is known:\n"
        "    input  rank  index  label  probability\n"
        "--json: {\"input\", \"top\": [{\"index\", \"label\", \"probability\"}], \"ms\"}; ms is\n"
        "the text's share of its batch. With --batch N, up to N lines that are there already\n"
        "are run at once; no answer waits for a line that is not, and none depends on the\n"
        "others. A line of more than 16 MiB is reported on standard error and the others are\n"
        "done; then the exit status is 2 and no --logits file is written.",
    .examples =
        "  distilbert_infer distilbert_sst2 \"I love this\" \"what a bore\"\n"
        "  distilbert_infer distilbert_sst2 --batch 16 --json <reviews.txt\n"
        "  distilbert_infer distilbert_sst2 --precision int8 --logits logits.npy <reviews.txt\n"
        "  distilbert_infer distilbert_sst2 --tokens \"I love this\"\n"
        "  distilbert_infer sst2_int8.safetensors \"I love this\"\n",
};

int main(int argc, char **argv)
{
    cli_start();
    return cli_main(&command, argc, argv);
}
