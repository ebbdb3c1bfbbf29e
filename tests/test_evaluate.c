/* A labelled set through a model: what is kept of it. */
#include <math.h>
#include <string.h>
#include <unistd.h>

#include "programs/evaluate.h"
#include "programs/npy.h"
#include "programs/scores.h"
#include "tests/suite.h"

enum { SAMPLES = 3, CLASSES = 10, RECORD = 1 + 3 * 32 * 32 };

static const char *in_tree(char path[4096], const char *name)
{
    const char *folder = getenv("srcdir");
    snprintf(path, 4096, "%s/%s", folder ? folder : ".", name);
    return path;
}

/* The first records of CIFAR's test set. */
static void write_data(const char *path)
{
    char from[4096];
    unsigned char record[SAMPLES][RECORD];
    FILE *f = fopen(in_tree(from, "tests/data/cifar/test_256.bin"), "rb");
    ck_assert(f && fread(record, 1, sizeof record, f) == sizeof record);
    fclose(f);
    f = fopen(path, "wb");
    ck_assert(f && fwrite(record, 1, sizeof record, f) == sizeof record && !fclose(f));
}

START_TEST(keeps_what_is_asked)
{
    static const cli_command command = { .program = "test" };
    const cli_args a = { .command = &command, .quiet = 1, .threads = { 1, { 1 } } };
    char model[4096], data[] = "test_evaluate.XXXXXX.bin", logits[] = "test_evaluate.XXXXXX";
    float row[SAMPLES][CLASSES];
    npy_reader r;
    oct_source *source;
    job j;
    eval_result kept, plain;

    ck_assert_int_ge(close(mkstemps(data, 4)), 0);
    ck_assert_int_ge(close(mkstemp(logits)), 0);
    write_data(data);
    ck_assert_int_eq(oct_source_open(data, &source), OCT_OK);
    in_tree(model, "weights/pretrained/cifar_cnn.safetensors");
    job_settings how = job_defaults(&a, model, 2);
    how.source = source;
    ck_assert_int_eq(job_open(&a, &how, &j), CLI_OK);

    eval_settings s = { .path = model, .data = data, .source = source, .logits = logits,
                        .keep_logits = 1 };
    ck_assert_int_eq(eval_run(&a, &j, &s, &kept), CLI_OK);
    s = (eval_settings){ .path = model, .data = data, .source = source };
    ck_assert_int_eq(eval_run(&a, &j, &s, &plain), CLI_OK); /* the source can be run again */
    ck_assert(kept.logits && !plain.logits);
    ck_assert_int_eq(npy_open(logits, &r), OCT_OK);
    ck_assert_int_eq(npy_read(&r, 0, SAMPLES, row[0]), OCT_OK);
    npy_close(&r);
    ck_assert(!memcmp(row, kept.logits, sizeof row));

    int correct = 0;
    for (int i = 0; i < SAMPLES; i++) {
        ck_assert_int_eq(kept.label[i], oct_source_label(source, i));
        ck_assert_int_eq(kept.answer[i], scores_argmax(row[i], CLASSES));
        correct += kept.label[i] == kept.answer[i];
    }
    ck_assert(kept.samples == SAMPLES && kept.correct == correct);
    ck_assert(kept.n_batches == 1 && kept.batch_ms[0] == kept.ms_p50); /* of 2 and 1 */
    ck_assert(kept.ms_total > kept.ms_p50 && kept.batch == 2 && kept.threads == 1);
    ck_assert_double_eq(eval_agreement(&kept, &plain), 1);
    plain.answer[0] = (plain.answer[0] + 1) % CLASSES;
    ck_assert_double_eq_tol(eval_agreement(&kept, &plain), 2 / 3.0, 1e-15);
    plain.samples--;
    ck_assert(isnan(eval_agreement(&kept, &plain)));
    eval_free(&kept);
    eval_free(&plain);
    ck_assert_ptr_null(plain.label);
    job_close(&j);
    oct_source_close(source);
    unlink(data);
    unlink(logits);
}
END_TEST

int main(void)
{
    const TTest *const tests[] = { keeps_what_is_asked };
    return suite_run("evaluate", tests, sizeof tests / sizeof *tests);
}
