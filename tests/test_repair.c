/* models/prune_repair.c, quant/repair.c: the repaired weights are the least squares that a plain
 * solver finds, batch norms have moved by what pruning did, nothing depends on how it was run. */
#include <math.h>
#include <string.h>
#include <unistd.h>

#include "models/prune_repair.h"
#include "tests/chain_case.h"
#include "tests/same_pruned.h"
#include "tests/starve.h"
#include "tests/suite.h"

static char source[64], made[64];

static void setup(void)
{
    snprintf(source, sizeof source, "test_repair-%ld.a", (long)getpid());
    snprintf(made, sizeof made, "test_repair-%ld.b", (long)getpid());
    chain_write(source);
}

static void teardown(void)
{
    unlink(source);
    unlink(made);
}

#define OK(call) ck_assert_msg((call) == OCT_OK, "%s", oct_last_error())

static const oct_save_info info = { .command = "octet prune" };

/* p: pruned as `how` says, repaired on `samples` of the chain's. */
static oct_status add_samples(oct_prune_repair *r, int samples, int batch)
{
    for (int i = 0; i < samples; i += batch) {
        const int n = samples - i < batch ? samples - i : batch;
        float *x = oct_prune_repair_input(r, 0)->data;
        for (int k = 0; k < n; k++) chain_sample(i + k, x + k * CHAIN_SAMPLE);
        OCT_TRY(oct_prune_repair_add(r, n));
    }
    return OCT_OK;
}

static oct_status repair(const oct_prune_options *how, oct_options o, int samples, oct_pruned *p)
{
    oct_prune_repair *r = NULL;
    oct_status status = oct_prune(source, &o, how, p);
    if (status == OCT_OK) status = oct_pruned_save(p, made, &info, NULL);
    if (status == OCT_OK) status = oct_prune_repair_open(p, source, made, &o, &r);
    if (status == OCT_OK) status = add_samples(r, samples, o.batch ? o.batch : 1);
    if (status == OCT_OK) status = oct_prune_repair_run(r, NULL, NULL);
    oct_prune_repair_close(r);
    return status;
}

static const oct_tensor *tensor(const oct_pruned *p, const char *name)
{
    for (int i = 0; i < p->n_tensors; i++)
        if (strcmp(oct_weights_at(p->model->weights, i)->name, name) == 0) return &p->tensor[i];
    ck_abort_msg("no tensor %s", name);
    return NULL;
}

/* ---- the values of a file's network ---- */

/* Value `name` of sample i, [h, w, c] or [c], without passes. */
static int value(const char *path, const char *name, int i, float *out)
{
    oct_model *m;
    const oct_options o = { .threads = 1, .passes = "none", .keep_values = 1 };
    int count = 0;
    OK(oct_model_load(path, &o, &m));
    chain_sample(i, oct_model_input(m, 0)->data);
    OK(oct_model_run(m, 1));
    for (int s = 0; s < m->plan->n_steps; s++) {
        const oct_tensor *t = m->plan->step[s].args.out;
        if (strcmp(m->plan->step[s].node->name, name) != 0) continue;
        count = (int)oct_tensor_sample_count(t);
        memcpy(out, t->data, (size_t)count * sizeof *out); /* up to 64 channels: plain NHWC */
    }
    ck_assert_msg(count > 0, "no value %s", name);
    oct_model_free(m);
    return count;
}

/* ---- least squares, the plain way ---- */

/* conv3 of the chain: 24 channels in 4 groups, 3 x 3, stride 2, padding 1, 16 x 16 -> 8 x 8. */
enum { C = 24, GROUPS = 4, IN = C / GROUPS, TAPS = 9, K = IN * TAPS, OUT = 20, SIDE = 16, MAP = 8,
       SAMPLES = 3, ROWS = SAMPLES * MAP * MAP };

static double x[ROWS][GROUPS][K], y[ROWS][OUT];

static void read_rows(void)
{
    static float in[SIDE * SIDE * C], out[MAP * MAP * OUT];
    for (int i = 0; i < SAMPLES; i++) {
        ck_assert_int_eq(value(source, "relu6@7", i, in), SIDE * SIDE * C);
        ck_assert_int_eq(value(source, "conv3", i, out), MAP * MAP * OUT);
        for (int r = 0; r < MAP * MAP; r++) {
            for (int o = 0; o < OUT; o++) y[i * MAP * MAP + r][o] = (double)out[r * OUT + o];
            for (int c = 0; c < C; c++)
                for (int t = 0; t < TAPS; t++) {
                    const int v = r / MAP * 2 - 1 + t / 3, h = r % MAP * 2 - 1 + t % 3;
                    const int inside = v >= 0 && v < SIDE && h >= 0 && h < SIDE;
                    x[i * MAP * MAP + r][c / IN][c % IN * TAPS + t] =
                        inside ? (double)in[(v * SIDE + h) * C + c] : 0;
                }
        }
    }
}

/* Takes the mean of each column off. */
static void center(double *column, size_t stride)
{
    double sum = 0;
    for (int r = 0; r < ROWS; r++) sum += column[(size_t)r * stride];
    for (int r = 0; r < ROWS; r++) column[(size_t)r * stride] -= sum / ROWS;
}

/* a w = b of n unknowns, by Gauss without pivots: a is positive definite. */
static void gauss(int n, double a[K][K], double *b)
{
    for (int i = 0; i < n; i++)
        for (int j = i + 1; j < n; j++) {
            const double f = a[j][i] / a[i][i];
            for (int k = i; k < n; k++) a[j][k] -= f * a[i][k];
            b[j] -= f * b[i];
        }
    for (int i = n - 1; i >= 0; i--) {
        for (int k = i + 1; k < n; k++) b[i] -= a[i][k] * b[k];
        b[i] /= a[i][i];
    }
}

/* |X w - y|^2 + damp |w - w0|^2 */
static double objective(int o, const double *w, const double *w0, double damp)
{
    const int g = o / (OUT / GROUPS);
    double sum = 0;
    for (int r = 0; r < ROWS; r++) {
        double e = -y[r][o];
        for (int j = 0; j < K; j++) e += x[r][g][j] * w[j];
        sum += e * e;
    }
    for (int j = 0; j < K; j++) sum += damp * (w[j] - w0[j]) * (w[j] - w0[j]);
    return sum;
}

/* Output o: best: the weights where w0 is not 0; returns the damping. */
static double solve(int o, const double *w0, double *best)
{
    static double a[K][K];
    double b[K], damp = 0;
    int index[K], n = 0;
    const int g = o / (OUT / GROUPS);
    for (int j = 0; j < K; j++) {
        if (w0[j] != 0) index[n++] = j;
        for (int r = 0; r < ROWS; r++) damp += x[r][g][j] * x[r][g][j] * 1e-3 / K;
    }
    for (int i = 0; i < n; i++) {
        b[i] = damp * w0[index[i]];
        for (int r = 0; r < ROWS; r++) b[i] += x[r][g][index[i]] * y[r][o];
        for (int j = 0; j < n; j++) {
            a[i][j] = i == j ? damp : 0;
            for (int r = 0; r < ROWS; r++) a[i][j] += x[r][g][index[i]] * x[r][g][index[j]];
        }
    }
    gauss(n, a, b);
    memset(best, 0, K * sizeof *best);
    for (int i = 0; i < n; i++) best[index[i]] = b[i];
    return damp;
}

/* Conjugate gradients stop at a residual of 1e-4: in the objective that is 1e-8 of the way, times
 * the condition number, which the damping of 1e-3 holds to about 1e3. */
START_TEST(weights_are_the_least_squares_of_those_that_stay)
{
    static const char *const only[] = { "conv3" };
    const oct_prune_options how = { .structure = OCT_MASK_UNSTRUCTURED, .amount = 0.6,
                                    .only = only, .n_only = 1 };
    const oct_options o = { .threads = 1, .batch = 2 };
    oct_pruned cut, p;
    double bias[OUT];
    OK(oct_prune(source, &o, &how, &cut));
    OK(repair(&how, o, SAMPLES, &p));
    read_rows();
    const float *w0 = tensor(&cut, "conv3.weight")->data, *w = tensor(&p, "conv3.weight")->data;
    for (int c = 0; c < OUT; c++) { /* b = mean y - W mean x, before the means go */
        bias[c] = 0;
        for (int r = 0; r < ROWS; r++) {
            bias[c] += y[r][c] / ROWS;
            for (int j = 0; j < K; j++)
                bias[c] -= x[r][c / (OUT / GROUPS)][j] * (double)w[c * K + j] / ROWS;
        }
        ck_assert_double_eq_tol((double)((const float *)tensor(&p, "conv3.bias")->data)[c],
                                bias[c], 1e-5);
    }
    for (int g = 0; g < GROUPS; g++)
        for (int j = 0; j < K; j++) center(&x[0][g][j], GROUPS * K);
    for (int c = 0; c < OUT; c++) center(&y[0][c], OUT);
    for (int c = 0; c < OUT; c++) {
        double before[K], after[K], best[K];
        for (int j = 0; j < K; j++) {
            before[j] = (double)w0[c * K + j];
            after[j] = (double)w[c * K + j];
            ck_assert(before[j] != 0 || w[c * K + j] == 0);
        }
        const double damp = solve(c, before, best), least = objective(c, best, before, damp);
        const double was = objective(c, before, before, damp);
        const double is = objective(c, after, before, damp);
        ck_assert_double_gt(was, 1.02 * least);
        ck_assert_msg(is - least <= 1e-5 * (was - least), "output %d: %g, was %g, least %g", c, is,
                      was, least);
    }
    oct_pruned_free(&cut);
    oct_pruned_free(&p);
}
END_TEST

/* ---- whole neurons ---- */

enum { FC1 = 37, FC2 = 5, IMAGES = 40 };

/* G w - c + damp (w - w0) of output o of fc2: 0 at the least squares. */
static double gradient(const float *x0, const float *y0, int rows, int k, int o, const float *w,
                       const float *w0)
{
    const double few = (double)k / rows - 0.5, share = 1e-3 + (few > 0 ? 0.1 * few : 0);
    double damp = 0, sum = 0, mean[FC1] = { 0 }, mean_y = 0, g[FC1] = { 0 };
    for (int r = 0; r < rows; r++) {
        mean_y += (double)y0[r * FC2 + o] / rows;
        for (int j = 0; j < k; j++) mean[j] += (double)x0[r * FC1 + j] / rows;
    }
    for (int r = 0; r < rows; r++) {
        double off = mean_y - (double)y0[r * FC2 + o];
        for (int j = 0; j < k; j++) off += (double)w[j] * ((double)x0[r * FC1 + j] - mean[j]);
        for (int j = 0; j < k; j++) {
            const double v = (double)x0[r * FC1 + j] - mean[j];
            g[j] += off * v;
            damp += v * v * share / k;
        }
    }
    for (int j = 0; j < k; j++) {
        g[j] += damp * ((double)w[j] - (double)w0[j]);
        sum += g[j] * g[j];
    }
    return sqrt(sum);
}

START_TEST(the_reader_of_fewer_neurons_is_solved_for)
{
    static float x1[IMAGES * FC1], y1[IMAGES * FC2];
    const oct_prune_options how = { .whole = OCT_GROUP_NEURON, .amount = 0.5, .multiple = 1 };
    const oct_options o = { .threads = 1 };
    const int rows = _i ? IMAGES / 4 : IMAGES; /* many, and fewer than there are weights */
    oct_pruned cut, p;
    OK(oct_prune(source, &o, &how, &cut));
    OK(repair(&how, o, rows, &p));
    OK(oct_pruned_save(&p, made, &info, NULL));
    const int k = tensor(&p, "fc2.weight")->dim[1];
    ck_assert(k > FC1 / 3 && k < FC1);
    for (int i = 0; i < rows; i++) {
        ck_assert_int_eq(value(made, "relu@13", i, x1 + i * FC1), k);
        ck_assert_int_eq(value(source, "fc2", i, y1 + i * FC2), FC2);
    }
    const float *w0 = tensor(&cut, "fc2.weight")->data, *w = tensor(&p, "fc2.weight")->data;
    for (int c = 0; c < FC2; c++) {
        const double was = gradient(x1, y1, rows, k, c, w0 + c * k, w0 + c * k);
        const double is = gradient(x1, y1, rows, k, c, w + c * k, w0 + c * k);
        ck_assert_msg(is < 2e-3 * was, "output %d: %g, was %g", c, is, was);
    }
    for (int i = 0; i < p.n_tensors; i++) { /* fc1's neurons read what they did: to the bit */
        const char *name = oct_weights_at(p.model->weights, i)->name;
        ck_assert_msg(!strncmp(name, "fc2", 3) ||
                      !memcmp(p.tensor[i].data, cut.tensor[i].data,
                              oct_tensor_size(&p.tensor[i])), "%s", name);
    }
    oct_pruned_free(&cut);
    oct_pruned_free(&p);
}
END_TEST

/* ---- batch norms ---- */

/* Of channel c of conv1's outputs, at the 64 of 32 x 32 positions that count: (2 i + 1) 8. */
static void moments(const char *path, int c, double *mean, double *var)
{
    static float v[32 * 32 * 16];
    double sum = 0, square = 0;
    int n = 0;
    for (int i = 0; i < SAMPLES; i++) {
        value(path, "conv1", i, v);
        for (int k = 8; k < 32 * 32; k += 16, n++) {
            sum += (double)v[k * 16 + c];
            square += (double)v[k * 16 + c] * (double)v[k * 16 + c];
        }
    }
    *mean = sum / n;
    *var = square / n - *mean * *mean;
}

START_TEST(batch_norms_move_by_what_pruning_did)
{
    static const char *const only[] = { "conv1" };
    const oct_prune_options how = { .structure = OCT_MASK_UNSTRUCTURED, .amount = 0.5,
                                    .only = only, .n_only = 1 };
    oct_pruned whole, p;
    oct_prune_options none = how;
    none.amount = 0;
    OK(oct_prune(source, &(oct_options){ .threads = 1 }, &none, &whole));
    OK(repair(&how, (oct_options){ .threads = 1 }, SAMPLES, &p));
    OK(oct_pruned_save(&p, made, &info, NULL));
    const float *mean0 = tensor(&whole, "bn1.running_mean")->data;
    const float *var0 = tensor(&whole, "bn1.running_var")->data;
    const float *mean = tensor(&p, "bn1.running_mean")->data;
    const float *var = tensor(&p, "bn1.running_var")->data;
    for (int c = 0; c < 16; c++) {
        double m0, v0, m, v;
        moments(source, c, &m0, &v0);
        moments(made, c, &m, &v);
        ck_assert_double_eq_tol((double)(mean[c] - mean0[c]), m - m0, 1e-5);
        ck_assert_double_eq_tol((double)(var[c] / var0[c]), v / v0, 1e-4);
        ck_assert_double_lt(v / v0, 1.0001);
    }
    oct_pruned_free(&whole);
    oct_pruned_free(&p);
}
END_TEST

/* ---- the whole network ---- */

static double distance(const float *a, const float *b)
{
    double sum = 0;
    for (int i = 0; i < CHAIN_BATCH * CHAIN_CLASSES; i++)
        sum += ((double)a[i] - (double)b[i]) * ((double)a[i] - (double)b[i]);
    return sum;
}

START_TEST(answers_come_nearer_to_the_dense_ones)
{
    float want[CHAIN_BATCH * CHAIN_CLASSES], cut[CHAIN_BATCH * CHAIN_CLASSES];
    float got[CHAIN_BATCH * CHAIN_CLASSES];
    const oct_prune_options how = { .structure = OCT_MASK_1X4, .amount = 0.5, .per_layer = 1 };
    const oct_options o = { .threads = 1, .batch = 1 };
    oct_pruned p;
    OK(oct_prune(source, &o, &how, &p));
    OK(oct_pruned_save(&p, made, &info, NULL));
    oct_pruned_free(&p);
    chain_run(source, o, want);
    chain_run(made, o, cut);
    OK(repair(&how, o, 4 * CHAIN_BATCH, &p));
    for (int i = 0; i < p.n_layers; i++) {
        const oct_pruned_layer *l = &p.layer[i];
        ck_assert(l->repaired);
        ck_assert_double_lt(l->error_after, l->error_before);
        ck_assert_uint_ge(l->zeros, l->weights * 2 / 5);
    }
    OK(oct_pruned_save(&p, made, &info, NULL));
    chain_run(made, o, got);
    ck_assert_double_lt(distance(got, want), 0.05 * distance(cut, want));
    ck_assert_int_eq(p.repair.samples, 4 * CHAIN_BATCH);
    oct_pruned_free(&p);
}
END_TEST

/* Batch, threads, ISA. */
START_TEST(the_bits_do_not_depend_on_the_run)
{
    static const oct_options runs[] = {
        { .batch = 1, .threads = 1 }, { .batch = 2, .threads = 3 },
        { .batch = 5, .threads = 2, .isa = "ref" },
    };
    const oct_prune_options how = { .structure = OCT_MASK_4X1, .amount = 0.5 };
    oct_pruned want, got;
    const int samples = test_brief() ? 5 : 20; /* more than a product's rows */
    OK(repair(&how, runs[0], samples, &want));
    OK(repair(&how, runs[_i + 1], samples, &got));
    same_pruned(&want, &got);
    oct_pruned_free(&want);
    oct_pruned_free(&got);
}
END_TEST

/* Nothing pruned, or what was pruned is behind: bit for bit as it was. */
START_TEST(what_is_whole_stays)
{
    static const char *const only[] = { "fc*" };
    const oct_prune_options how = { .amount = _i ? 0.5 : 0, .only = only, .n_only = _i };
    oct_pruned p, whole;
    OK(oct_prune(source, &(oct_options){ .threads = 1 }, &(oct_prune_options){ .amount = 0 },
                 &whole));
    OK(repair(&how, (oct_options){ .threads = 1 }, 2, &p));
    for (int i = 0; i < p.n_tensors; i++) {
        const char *name = oct_weights_at(p.model->weights, i)->name;
        ck_assert_msg(same_tensor(&p, &whole, i) == !(_i && !strncmp(name, "fc", 2)), "%s", name);
    }
    oct_pruned_free(&p);
    oct_pruned_free(&whole);
}
END_TEST

START_TEST(samples_are_needed_and_finite)
{
    const oct_prune_options how = { .amount = 0.5 };
    oct_prune_repair *r;
    oct_pruned p;
    const oct_options o = { .threads = 1 };
    ck_assert_int_eq(repair(&how, o, 0, &p), OCT_ERR_FORMAT);
    oct_pruned_free(&p);
    OK(oct_prune(source, &o, &how, &p));
    OK(oct_pruned_save(&p, made, &info, NULL));
    OK(oct_prune_repair_open(&p, source, made, &o, &r));
    float *in = oct_prune_repair_input(r, 0)->data;
    chain_sample(0, in);
    in[7] = NAN;
    OK(oct_prune_repair_add(r, 1));
    ck_assert_int_eq(oct_prune_repair_run(r, NULL, NULL), OCT_ERR_FORMAT);
    ck_assert_ptr_nonnull(strstr(oct_last_error(), "NaN"));
    oct_prune_repair_close(r);
    oct_pruned_free(&p);
}
END_TEST

/* ---- memory ---- */

static oct_status repair_and_free(void *how)
{
    oct_pruned p;
    const oct_status status = repair(how, (oct_options){ .threads = 1 }, 1, &p);
    oct_pruned_free(&p);
    return status;
}

START_TEST(out_of_memory)
{
    static const char *const only[] = { "fc2" };
    oct_prune_options how = { .amount = 0.5, .only = only, .n_only = 1 };
    starve(1, repair_and_free, &how);
}
END_TEST

int main(void)
{
    const suite_loop loops[] = {
        { weights_are_the_least_squares_of_those_that_stay, 1 },
        { the_reader_of_fewer_neurons_is_solved_for, 2 },
        { batch_norms_move_by_what_pruning_did, 1 },
        { answers_come_nearer_to_the_dense_ones, 1 },
        { the_bits_do_not_depend_on_the_run, 2 },
        { what_is_whole_stays, 2 },
        { samples_are_needed_and_finite, 1 },
        { out_of_memory, 1 },
    };
    Suite *suite = suite_create("repair");
    TCase *tcase = tcase_create("repair");
    tcase_add_checked_fixture(tcase, setup, teardown);
    for (size_t i = 0; i < sizeof loops / sizeof *loops; i++)
        tcase_add_loop_test(tcase, loops[i].test, 0, loops[i].n);
    return suite_finish(suite, tcase);
}
