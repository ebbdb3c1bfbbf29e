/* models/prune_channels.c: a network without channels answers what PyTorch does with zeros in their
 * place (make_channels.py), and nothing else of it changes. */
#include <math.h>
#include <string.h>
#include <unistd.h>

#include "models/prune_repair.h"
#include "tests/golden/channels.h"
#include "tests/same_pruned.h"
#include "tests/seeded_resnet.h"
#include "tests/starve.h"
#include "tests/suite.h"

enum { SAMPLES = 2, N_GOLDENS = sizeof channels_goldens / sizeof *channels_goldens };

static char source[64], made[64]; /* files beside the test, one pair a process */

static void setup(void)
{
    snprintf(source, sizeof source, "test_channels-%ld.a", (long)getpid());
    snprintf(made, sizeof made, "test_channels-%ld.b", (long)getpid());
}

static void teardown(void)
{
    unlink(source);
    unlink(made);
}

#define OK(call) ck_assert_msg((call) == OCT_OK, "%s", oct_last_error())

static const oct_save_info info = { .command = "octet prune" };

/* ---- networks ---- */

typedef struct subject {
    const char *name;
    const char *file;         /* under srcdir; NULL: seeded */
    seeded_resnet seeded;
    int side;                 /* of an image; 0: texts */
    int vocabulary;
} subject;

static const subject subjects[] = {
    { "mnist_cnn", "weights/pretrained/mnist_cnn.safetensors", { .name = "" }, 28, 0 },
    { "narrow", "tests/golden/resnets/narrow.pth", { .name = "" }, 40, 0 },
    { "bottle", NULL, { "bottle", { 2, 1, 1, 1 }, 1, 1, 8, 3, OCT_F32, NULL }, 40, 0 },
    { "grouped", NULL, { "grouped", { 1, 2, 1, 1 }, 1, 4, 4, 3, OCT_F32, NULL }, 40, 0 },
    { "cifar", NULL, { "cifar", { 0 }, 0, 1, 16, 3, OCT_F32, NULL }, 32, 0 },
    { "distilbert", "tests/golden/encoders/distilbert", { .name = "" }, 0, 999 },
    { "bert", "tests/golden/encoders/bert", { .name = "" }, 0, 333 },
};

static const subject *find_subject(const char *name)
{
    const subject *s = subjects;
    while (strcmp(s->name, name) != 0) s++;
    return s;
}

static const char *path_of(const subject *s)
{
    static char full[512];
    const char *src = getenv("srcdir");
    if (!s->file) {
        ck_assert(seeded_resnet_save(&s->seeded, source));
        return source;
    }
    snprintf(full, sizeof full, "%s/%s", src ? src : ".", s->file);
    return full;
}

static oct_options options_of(const subject *s)
{
    return (oct_options){ .batch = SAMPLES, .height = s->side, .width = s->side, .threads = 1 };
}

/* Samples first .. first + SAMPLES - 1. */
static void fill_images(const oct_tensor *x, int first)
{
    const int n = (int)oct_tensor_sample_count(x);
    for (int s = 0; s < SAMPLES; s++)
        for (int k = 0; k < n; k++) {
            const int64_t i = k + 101 * (first + s);
            ((float *)x->data)[s * n + k] = (float)((i * i * 7 + 31 * i) % 2001 - 1000) / 1000;
        }
}

static void fill_texts(oct_tensor *const in[3], int vocabulary, int first)
{
    int32_t *ids = in[0]->data, *starts = in[1]->data, *types = in[2] ? in[2]->data : NULL;
    starts[0] = 0;
    for (int s = 0; s < SAMPLES; s++) {
        const int length = 16 + s, begin = starts[s];
        for (int i = 0; i < length; i++) {
            ids[begin + i] = (i * i * 7 + 31 * i + 101 * (first + s) + 5) % vocabulary;
            if (types) types[begin + i] = 2 * i > length;
        }
        starts[s + 1] = begin + length;
    }
}

static void fill(const subject *s, oct_tensor *const in[3], int first)
{
    if (s->side) fill_images(in[0], first);
    else fill_texts(in, s->vocabulary, first);
}

/* n batches, [n, SAMPLES, classes]. */
static void run(const subject *s, const char *path, int n, int classes, float *logits)
{
    const oct_options o = options_of(s);
    const int count = SAMPLES * classes;
    oct_model *m;
    ck_assert_msg(oct_model_load(path, &o, &m) == OCT_OK, "%s: %s", path, oct_last_error());
    ck_assert_int_eq(m->classes, classes);
    for (int i = 0; i < n; i++) {
        fill(s, (oct_tensor *[3]){ oct_model_input(m, 0), oct_model_input(m, 1),
                                   oct_model_input(m, 2) }, i * SAMPLES);
        OK(oct_model_run(m, SAMPLES));
        memcpy(logits + i * count, oct_model_output(m, 0)->data, (size_t)count * sizeof *logits);
    }
    oct_model_free(m);
}

/* ---- against PyTorch ---- */

static void prune(const char *path, const subject *s, const oct_prune_options *how, oct_pruned *p)
{
    const oct_options o = options_of(s);
    ck_assert_msg(oct_prune(path, &o, how, p) == OCT_OK, "%s: %s", s->name, oct_last_error());
    OK(oct_pruned_save(p, made, &info, NULL));
}

static const oct_pruned_layer *find_layer(const oct_pruned *p, const char *name)
{
    for (int i = 0; i < p->n_layers; i++)
        if (strcmp(p->layer[i].name, name) == 0) return &p->layer[i];
    ck_abort_msg("no layer %s", name);
    return NULL;
}

/* Rows of the layers that make channels; outputs of all others stay. */
static void check_rows(const struct channels_golden *g, const oct_pruned *p)
{
    int changed = 0, wanted = 0;
    for (int k = 0; g->kept[k].tensor; k++) {
        const oct_pruned_layer *l = find_layer(p, g->kept[k].tensor);
        ck_assert_msg(l->out == g->kept[k].rows, "%s: %d rows, PyTorch keeps %d", l->name, l->out,
                      g->kept[k].rows);
        wanted += l->out != l->out_before;
    }
    for (int i = 0; i < p->n_layers; i++) changed += p->layer[i].out != p->layer[i].out_before;
    ck_assert_int_eq(changed, wanted);
}

START_TEST(answers_are_those_of_zeros)
{
    const struct channels_golden *g = &channels_goldens[_i];
    const subject *s = find_subject(g->net);
    oct_prune_options how = { .amount = g->amount, .per_layer = g->per_layer,
                              .multiple = g->multiple };
    oct_pruned p;
    float logits[SAMPLES * 10], largest = 0, off = 0;
    OK(oct_prune_find(g->structure, &how));
    ck_assert_str_eq(oct_prune_name(&how), g->structure);
    prune(path_of(s), s, &how, &p);
    check_rows(g, &p);
    oct_pruned_free(&p);
    run(s, made, 1, g->classes, logits);
    for (int i = 0; i < SAMPLES * g->classes; i++) {
        largest = fmaxf(largest, fabsf(g->logits[i]));
        off = fmaxf(off, fabsf(logits[i] - g->logits[i]));
    }
    ck_assert_msg(off <= 1e-4f * largest, "%s %s %g: off by %g of %g", g->net, g->structure,
                  g->amount, (double)off, (double)largest);
}
END_TEST

/* ---- what stays ---- */

/* Nothing gone: every tensor is the source's, to the byte. */
START_TEST(an_amount_of_0_changes_nothing)
{
    const subject *s = find_subject("bottle");
    const oct_prune_options how = { .whole = OCT_GROUP_CHANNEL, .multiple = 1 };
    const char *path = path_of(s);
    oct_pruned p;
    oct_weights *a, *b;
    prune(path, s, &how, &p);
    oct_pruned_free(&p);
    OK(oct_weights_open(path, &a));
    OK(oct_weights_open(made, &b));
    ck_assert_int_eq(oct_weights_count(a), oct_weights_count(b));
    for (int i = 0; i < oct_weights_count(a); i++) {
        oct_tensor x, y;
        OK(oct_weights_require(a, oct_weights_at(a, i)->name, -1, NULL, &x));
        OK(oct_weights_require(b, oct_weights_at(a, i)->name, x.rank, x.dim, &y));
        ck_assert_int_eq(x.dtype, y.dtype);
        ck_assert_mem_eq(x.data, y.data, oct_tensor_size(&x));
    }
    oct_weights_close(a);
    oct_weights_close(b);
}
END_TEST

/* A group goes only if all its layers are named; a pruned file can be pruned again. */
START_TEST(only_names_whole_groups)
{
    static const char *const one[] = { "layer1.0.conv3" };
    static const char *const all[] = { "layer1.0.conv3", "layer1.0.downsample.0",
                                       "layer1.1.conv3" };
    const subject *s = find_subject("bottle");
    const oct_options o = options_of(s);
    oct_prune_options how = { .whole = OCT_GROUP_CHANNEL, .multiple = 16, .amount = 0.5,
                              .only = one, .n_only = 1 };
    const char *path = path_of(s);
    oct_pruned p;
    ck_assert_int_eq(oct_prune(path, &o, &how, &p), OCT_ERR_UNSUPPORTED);
    ck_assert_str_eq(oct_last_error(), "there is no whole channel that can be removed, of layers "
                     "all named by --only");
    oct_pruned_free(&p);
    how.only = all;
    how.n_only = 3;
    prune(path, s, &how, &p);
    ck_assert_int_eq(find_layer(&p, "layer1.1.conv3.weight")->out, 128);
    ck_assert_int_eq(find_layer(&p, "layer2.0.conv1.weight")->in, 128);
    ck_assert_int_eq(find_layer(&p, "layer2.0.conv1.weight")->out_before, 16);
    ck_assert_int_eq(find_layer(&p, "layer2.0.conv1.weight")->out, 16);
    oct_pruned_free(&p);
    OK(oct_prune(made, &o, &how, &p));
    ck_assert_int_eq(find_layer(&p, "layer1.1.conv3.weight")->out_before, 128);
    ck_assert_int_eq(find_layer(&p, "layer1.1.conv3.weight")->out, 64);
    ck_assert_double_eq(oct_pruned_density(find_layer(&p, "layer1.1.conv3.weight")), 0.5);
    oct_pruned_free(&p);
}
END_TEST

START_TEST(no_heads_in_images)
{
    const subject *s = find_subject("mnist_cnn");
    const oct_options o = options_of(s);
    const oct_prune_options how = { .whole = OCT_GROUP_HEAD, .multiple = 1, .amount = 0.5 };
    oct_pruned p;
    ck_assert_int_eq(oct_prune(path_of(s), &o, &how, &p), OCT_ERR_UNSUPPORTED);
    ck_assert_str_eq(oct_last_error(), "there is no whole head that can be removed");
    oct_pruned_free(&p);
}
END_TEST

/* ---- repaired ---- */

enum { ASKED = 8, ADDED = 40 }; /* batches */

static oct_status add_samples(const subject *s, oct_prune_repair *r)
{
    for (int i = 0; i < ADDED; i++) { /* not those that are asked */
        oct_tensor *const in[3] = { oct_prune_repair_input(r, 0), oct_prune_repair_input(r, 1),
                                    oct_prune_repair_input(r, 2) };
        fill(s, in, (ASKED + i) * SAMPLES);
        OCT_TRY(oct_prune_repair_add(r, SAMPLES));
    }
    return OCT_OK;
}

/* p: pruned into `made`, then repaired into it, too. */
static void repair(const char *path, const subject *s, const oct_prune_options *how,
                   const oct_options *options, oct_pruned *p)
{
    oct_prune_repair *r;
    prune(path, s, how, p);
    OK(oct_prune_repair_open(p, path, made, options, &r));
    OK(add_samples(s, r));
    OK(oct_prune_repair_run(r, NULL, NULL));
    oct_prune_repair_close(r);
    OK(oct_pruned_save(p, made, &info, NULL));
}

static double distance(const float *a, const float *b, int n)
{
    double sum = 0;
    for (int i = 0; i < n; i++) {
        const double off = (double)a[i] - (double)b[i];
        sum += off * off;
    }
    return sqrt(sum);
}

/* Networks of random weights have little to spare: without heads, nothing for others to make up. */
static const struct cut {
    const char *net, *structure;
    double amount;
    int multiple, classes;
} cuts[] = {
    { "bottle", "channel", 0.3, 4, 3 },
    { "narrow", "channel", 0.1, 2, 3 },
    { "distilbert", "neuron", 0.3, 1, 3 },
    { "bert", "channel", 0.2, 1, 2 },
};
enum { N_CUTS = sizeof cuts / sizeof *cuts };

START_TEST(repaired_answers_come_nearer_to_the_dense_ones)
{
    const subject *s = find_subject(cuts[_i].net);
    const oct_options o = options_of(s);
    const int classes = cuts[_i].classes, n = ASKED * SAMPLES * classes;
    static float want[ASKED * SAMPLES * 10], cut[ASKED * SAMPLES * 10], got[ASKED * SAMPLES * 10];
    oct_prune_options how = { .amount = cuts[_i].amount, .multiple = cuts[_i].multiple };
    char path[512];
    oct_pruned p;
    snprintf(path, sizeof path, "%s", path_of(s));
    OK(oct_prune_find(cuts[_i].structure, &how));
    run(s, path, ASKED, classes, want);
    prune(path, s, &how, &p);
    oct_pruned_free(&p);
    run(s, made, ASKED, classes, cut);
    repair(path, s, &how, &o, &p);
    for (int i = 0; i < p.n_layers; i++) {
        const oct_pruned_layer *l = &p.layer[i];
        ck_assert_msg(!l->repaired || (l->error_before < 1.5 && l->error_after < l->error_before),
                      "%s: %g, %g before", l->name, l->error_after, l->error_before);
    }
    oct_pruned_free(&p);
    run(s, made, ASKED, classes, got);
    const double was = distance(cut, want, n), is = distance(got, want, n);
    ck_assert_msg(is < 0.8 * was, "%s %s: off by %g, before the repair %g", s->name,
                  cuts[_i].structure, is, was);
}
END_TEST

START_TEST(a_repair_has_the_same_bits_everywhere)
{
    const subject *s = find_subject(_i ? "bert" : "bottle");
    const oct_options one = options_of(s), other = { .batch = SAMPLES + 1, .height = s->side,
                                                     .width = s->side, .threads = 3, .isa = "ref" };
    const oct_prune_options how = { .whole = OCT_GROUP_CHANNEL, .amount = 0.3, .multiple = 8 };
    char path[512];
    oct_pruned want, got;
    snprintf(path, sizeof path, "%s", path_of(s));
    repair(path, s, &how, &one, &want);
    repair(path, s, &how, &other, &got);
    same_pruned(&want, &got);
    oct_pruned_free(&want);
    oct_pruned_free(&got);
}
END_TEST

/* ---- hostile shapes ---- */

static void refuses(const char *name, int rows, const char *why)
{
    const subject *s = find_subject("distilbert");
    const oct_options o = options_of(s);
    const oct_prune_options how = { .whole = OCT_GROUP_HEAD, .multiple = 1 };
    oct_pruned p;
    oct_model *m;
    OK(oct_prune(path_of(s), &o, &how, &p));
    p.tensor[find_layer(&p, name)->tensor].dim[0] = rows;
    OK(oct_pruned_save(&p, made, &info, NULL));
    oct_pruned_free(&p);
    ck_assert_int_eq(oct_model_load(made, &o, &m), OCT_ERR_SHAPE);
    ck_assert_str_eq(oct_last_error(), why);
}

#define LAYER "distilbert.transformer.layer.0.attention."

START_TEST(rows_that_are_no_heads)
{
    refuses(LAYER "q_lin.weight", 59,
            LAYER "q_lin.weight: 59 rows are not a number of heads of 12");
    refuses(LAYER "q_lin.weight", 11,
            LAYER "q_lin.weight: 11 rows are not a number of heads of 12");
    refuses(LAYER "k_lin.weight", 48, LAYER "k_lin.weight: shape [48, 60], expected [60, 60]");
    refuses(LAYER "q_lin.weight", 48, LAYER "k_lin.weight: shape [60, 60], expected [48, 60]");
}
END_TEST

/* ---- memory ---- */

static oct_status prune_and_free(void *path)
{
    const oct_options o = options_of(find_subject("distilbert"));
    const oct_prune_options how = { .whole = OCT_GROUP_CHANNEL, .multiple = 8, .amount = 0.5 };
    oct_pruned p;
    const oct_status status = oct_prune(path, &o, &how, &p);
    oct_pruned_free(&p);
    return status;
}

START_TEST(out_of_memory)
{
    char path[512];
    snprintf(path, sizeof path, "%s", path_of(find_subject("distilbert")));
    starve(test_brief() ? 7 : 1, prune_and_free, path);
}
END_TEST

int main(void)
{
    const suite_loop loops[] = {
        { answers_are_those_of_zeros, N_GOLDENS },
        { an_amount_of_0_changes_nothing, 1 },
        { only_names_whole_groups, 1 },
        { no_heads_in_images, 1 },
        { repaired_answers_come_nearer_to_the_dense_ones, test_brief() ? 1 : N_CUTS },
        { a_repair_has_the_same_bits_everywhere, test_brief() ? 1 : 2 },
        { rows_that_are_no_heads, 1 },
        { out_of_memory, 1 },
    };
    Suite *suite = suite_create("channels");
    TCase *tcase = tcase_create("channels");
    tcase_add_checked_fixture(tcase, setup, teardown);
    for (size_t i = 0; i < sizeof loops / sizeof *loops; i++)
        tcase_add_loop_test(tcase, loops[i].test, 0, loops[i].n);
    return suite_finish(suite, tcase);
}
