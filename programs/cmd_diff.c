/* octet diff: two models, or one model run in two ways, layer by layer. */
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "programs/cmd.h"
#include "programs/diff.h"
#include "programs/feed.h"
#include "programs/report.h"
#include "programs/scores.h"
#include "programs/text_job.h"

enum { DEFAULT_BATCH = 16, RANDOM_SAMPLES = 64 };

typedef struct state {
    const cli_args *a;
    const char *path_a, *path_b;
    job job_a, job_b;         /* of images; job_b.model NULL: dumps, or texts */
    text_job text_a, text_b;  /* of texts, likewise */
    int dumps;                /* b is a folder of .npy files */
    oct_source *source;       /* NULL: random input */
    diff d;
} state;

/* Both ran n samples and gave x and y, NULL of dumps: adds what they say. */
static int compare(state *s, const float *x, const float *y, int n)
{
    diff_set *set = &s->d.set;
    const size_t classes = oct_tensor_sample_count(set->logits);
    const oct_status status = diff_add(set, s->d.samples, n);
    if (status) return cli_fail(s->a, s->path_b, status);
    if (!y && !strcmp(set->layer[set->n - 1].op, "output"))
        y = set->y; /* the output came last: its dump is still there */
    for (int i = 0; y && i < n; i++)
        s->d.agree += scores_argmax(x + (size_t)i * classes, (int)classes)
                      == scores_argmax(y + (size_t)i * classes, (int)classes);
    if (!y) s->d.agree = -1;
    s->d.samples += n;
    return CLI_OK;
}

/* How many samples of the data are wanted: as many as the dumps have, else all. */
static int find_wanted(const state *s, int *wanted)
{
    const int count = oct_source_count(s->source), dumped = s->d.set.samples;
    *wanted = dumped ? dumped : count;
    if (*wanted <= count) return CLI_OK;
    return cli_refuse(s->a, s->path_b, OCT_ERR_SHAPE, "holds %d samples, the data %d", dumped,
                      count);
}

/* ---- images ---- */

static int run_images(state *s, const float *data, int n)
{
    const float *x, *y = NULL;
    oct_status status = job_run(&s->job_a, data, n, &x, NULL);
    if (status) return cli_fail(s->a, s->path_a, status);
    if (s->job_b.model) status = job_run(&s->job_b, data, n, &y, NULL);
    return status ? cli_fail(s->a, s->path_b, status) : compare(s, x, y, n);
}

static int images_of_data(state *s)
{
    feed *f;
    feed_batch b;
    int wanted, code = find_wanted(s, &wanted);
    if (code) return code;
    const oct_status status = feed_open(&s->job_a, (char *const *)&s->a->data, 1, s->source,
                                        s->a->threads.n ? s->a->threads.v[0] : 0, &f);
    if (status) return cli_fail(s->a, s->path_a, status);
    report_progress bar;
    report_progress_start(&bar, s->a->quiet, "images", wanted);
    while (!code && s->d.samples < wanted) {
        feed_next(f, &b);
        const int left = wanted - s->d.samples, n = b.n < left ? b.n : left;
        int bad = 0;
        while (bad < n && !b.item[bad].status) bad++;
        if (bad == n) code = run_images(s, b.data, n);
        else code = cli_refuse(s->a, b.item[bad].name, b.item[bad].status, "%s", b.item[bad].error);
        report_progress_step(&bar, s->d.samples);
    }
    report_progress_end(&bar);
    feed_close(f);
    return code;
}

static int random_images(state *s)
{
    const int batch = s->job_a.batch;
    float *data = job_random(&s->job_a, batch);
    int code = data ? CLI_OK : cli_refuse(s->a, NULL, OCT_ERR_MEMORY, "out of memory");
    while (!code && s->d.samples < RANDOM_SAMPLES) {
        const int left = RANDOM_SAMPLES - s->d.samples;
        code = run_images(s, data, left < batch ? left : batch);
    }
    free(data);
    return code;
}

/* ---- texts ---- */

/* Runs what was added to text_a. */
static int run_texts(state *s)
{
    text_job *one = &s->text_a, *two = &s->text_b;
    const int n = one->n;
    const float *x, *y = NULL;
    if (two->model) text_job_copy(one, two);
    oct_status status = text_job_run(one, &x, NULL);
    if (status) return cli_fail(s->a, s->path_a, status);
    if (two->model) status = text_job_run(two, &y, NULL);
    return status ? cli_fail(s->a, s->path_b, status) : compare(s, x, y, n);
}

static int texts_of_data(state *s)
{
    text_job *j = &s->text_a;
    int wanted, code = find_wanted(s, &wanted);
    report_progress bar;
    report_progress_start(&bar, s->a->quiet, "texts", wanted);
    while (!code && s->d.samples < wanted) {
        oct_status status = OCT_OK;
        for (int i = s->d.samples, cut; !status && i < wanted && j->n < j->batch; i++) {
            const char *text = oct_source_text(s->source, i);
            status = text_job_add(j, text, strlen(text), &cut);
        }
        code = status ? cli_fail(s->a, s->path_a, status) : run_texts(s);
        report_progress_step(&bar, s->d.samples);
    }
    report_progress_end(&bar);
    return code;
}

static int random_texts(state *s)
{
    int code = CLI_OK;
    uint64_t seed = 1;
    while (!code && s->d.samples < RANDOM_SAMPLES) {
        const int left = RANDOM_SAMPLES - s->d.samples;
        text_job *j = &s->text_a;
        while (j->n < j->batch && j->n < left) text_job_add_random(j, 0, &seed);
        code = run_texts(s);
    }
    return code;
}

/* ---- the two sides ---- */

/* A folder without a model in it holds dumps. */
static int is_dumps(const char *path)
{
    static const char *const of_model[] = {
        "model.safetensors", "pytorch_model.bin", "config.json",
    };
    struct stat st;
    if (stat(path, &st) || !S_ISDIR(st.st_mode)) return 0;
    for (size_t i = 0; i < sizeof of_model / sizeof *of_model; i++) {
        char name[4096];
        snprintf(name, sizeof name, "%s/%s", path, of_model[i]);
        if (!access(name, F_OK)) return 0;
    }
    return 1;
}

static int pair(state *s, const oct_model *x, const oct_model *y)
{
    const oct_status status = s->dumps ? diff_pair_dumps(x, s->path_b, &s->d.set)
                                       : diff_pair_models(x, y, &s->d.set);
    return status ? cli_fail(s->a, s->path_b, status) : CLI_OK;
}

static int open_images(state *s, job_settings *one, job_settings *two)
{
    const job *x = &s->job_a, *y = &s->job_b;
    one->source = two->source = s->source;
    int code = job_open(s->a, one, &s->job_a);
    if (!code && !s->dumps) code = job_open(s->a, two, &s->job_b);
    if (code) return code;
    if (y->model && (y->channels != x->channels || y->height != x->height || y->width != x->width))
        return cli_refuse(s->a, s->path_b, OCT_ERR_SHAPE, "takes [%d, %d, %d], the other [%d, %d, "
                          "%d]", y->channels, y->height, y->width, x->channels, x->height,
                          x->width);
    return pair(s, x->model, y->model);
}

/* Both get the same ids: A's tokenizer makes them. */
static int open_texts(state *s, const job_settings *one, const job_settings *two)
{
    text_job *x = &s->text_a, *y = &s->text_b;
    int code = s->source ? text_job_open(s->a, one, 0, x) : text_job_open_ids(s->a, one, x);
    if (!code && !s->dumps) code = text_job_open_ids(s->a, two, y);
    if (code) return code;
    if (y->model && y->model->vocabulary != x->model->vocabulary)
        return cli_refuse(s->a, s->path_b, OCT_ERR_SHAPE, "takes ids of %d tokens, the other of %d",
                          y->model->vocabulary, x->model->vocabulary);
    if (y->model && y->max_length < x->max_length) x->max_length = y->max_length;
    return pair(s, x->model, y->model);
}

/* Dumps are of the network as it was written, so A runs as built; else --passes and
 * --precision are for B. */
static int open_sides(state *s, int texts)
{
    const cli_args *a = s->a;
    job_settings one = job_defaults(a, s->path_a, DEFAULT_BATCH), two = one;
    one.keep_values = two.keep_values = 1;
    two.path = s->path_b;
    if (!s->dumps) one.precision = NULL;
    one.passes = !s->dumps ? NULL : a->passes ? a->passes : "none";
    return texts ? open_texts(s, &one, &two) : open_images(s, &one, &two);
}

static int run(const cli_args *a)
{
    state s = { .a = a, .path_a = a->arg[0], .path_b = a->arg[a->n_args - 1],
                .d = { .a = a, .tolerance = a->tolerance.n ? a->tolerance.v[0] : 1e-4 } };
    if (a->n_args == 1 && !a->passes && !a->precision.n)
        return cli_usage(a->command, "B expected, or --passes or --precision to run A in a second "
                         "way");
    s.dumps = a->n_args == 2 && is_dumps(s.path_b);
    if (s.dumps && !a->data) return cli_usage(a->command, "--data expected: what the dumps are of");

    const int texts = job_takes_texts(a, s.path_a);
    int code = job_open_source(a, texts, a->data, &s.source);
    if (!code) code = open_sides(&s, texts);
    if (!code && !s.source) cli_note(a, "no --data: comparing on seeded random input");
    if (!code && s.source) code = texts ? texts_of_data(&s) : images_of_data(&s);
    else if (!code) code = texts ? random_texts(&s) : random_images(&s);
    if (!code) {
        diff_print(&s.d);
        if (a->tolerance.n && diff_first_departure(&s.d)) code = CLI_PROMISE;
    }
    diff_free(&s.d.set);
    job_close(&s.job_a);
    job_close(&s.job_b);
    text_job_close(&s.text_a);
    text_job_close(&s.text_b);
    oct_source_close(s.source);
    return code;
}

const cli_command cmd_diff = {
    .program = "octet", .name = "diff", .set = CLI_DIFF, .min_args = 1, .max_args = 2,
    .operands = "A [B] --data DATA", .run = run,
    .summary = "Compare two models, or one model run in two ways, layer by layer.",
    .details =
        "B is a model, or a folder of NAME.npy, float32 [n, c, h, w] or [n, k], what\n"
        "PyTorch's modules of these names gave for the first n samples of DATA, and\n"
        "logits.npy; of texts also [n, tokens, k], padded behind a text's end. --passes and\n"
        "--precision are for B, or, with dumps, for A (--passes is then none by default).\n"
        "Without B, A is compared with itself under them. A's recipe, or tokenizer, is used\n"
        "for both. Without --data the input is seeded random numbers, or ids. For each layer\n"
        "that both have: the largest difference, and that relative to the largest value of A.",
    .examples =
        "  octet diff mnist_cnn.safetensors --passes none --data t10k-images-idx3-ubyte.gz\n"
        "  octet diff cifar_cnn.safetensors other.safetensors --data test_batch.bin --json\n"
        "  octet diff resnet20.th dumps/ --data test_batch.bin --tolerance 1e-5\n"
        "  octet diff distilbert_sst2 --precision int8 --data dev.tsv\n",
};
