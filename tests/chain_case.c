#include "tests/chain_case.h"

#include <stdlib.h>
#include <string.h>

#include "tests/suite.h"
#include "weights/weights.h"

typedef struct made { const char *name; int rank, dim[4]; } made;
static const made parts[] = {
    { "conv1.weight", 4, { 16, 3, 3, 3 } }, { "bn1.weight", 1, { 16 } }, { "bn1.bias", 1, { 16 } },
    { "bn1.running_mean", 1, { 16 } }, { "bn1.running_var", 1, { 16 } },
    { "conv2.weight", 4, { 24, 16, 3, 3 } }, { "conv2.bias", 1, { 24 } },
    { "bn2.weight", 1, { 24 } }, { "bn2.bias", 1, { 24 } },
    { "bn2.running_mean", 1, { 24 } }, { "bn2.running_var", 1, { 24 } },
    { "conv3.weight", 4, { 20, 6, 3, 3 } }, { "conv3.bias", 1, { 20 } },
    { "fc1.weight", 2, { 37, 320 } }, { "fc1.bias", 1, { 37 } },
    { "fc2.weight", 2, { 5, 37 } }, { "fc2.bias", 1, { 5 } },
};
enum { N_PARTS = sizeof parts / sizeof *parts };

void chain_write(const char *path)
{
    static oct_tensor tensor[N_PARTS];
    oct_save_tensor list[N_PARTS];
    const oct_save_meta meta[] = { { "octet.arch", CHAIN_ARCH }, { "octet.format", "1" },
                                   { "octet.labels", "[\"a\",\"b\",\"c\",\"d\",\"e\"]" },
                                   { "note", "kept" } };
    test_seed = 7;
    for (int i = 0; i < N_PARTS; i++) {
        oct_tensor *t = &tensor[i];
        *t = (oct_tensor){ .dtype = OCT_F32, .rank = parts[i].rank };
        memcpy(t->dim, parts[i].dim, sizeof parts[i].dim);
        float *data = t->data = calloc(oct_tensor_count(t), sizeof *data);
        for (size_t k = 0; k < oct_tensor_count(t); k++) { /* -0.5 .. 0.5; variances 0.5 .. 1.5 */
            data[k] = (float)(test_rand() >> 8) * 0x1p-24f - 0.5f;
            if (strstr(parts[i].name, "var")) data[k] += 1;
        }
        list[i] = (oct_save_tensor){ parts[i].name, t };
    }
    ck_assert_int_eq(oct_weights_save(path, list, N_PARTS, meta, 4), OCT_OK);
    for (int i = 0; i < N_PARTS; i++) free(tensor[i].data);
}

void chain_sample(int i, float *x)
{
    test_seed = 11 + (unsigned)i;
    for (int k = 0; k < CHAIN_SAMPLE; k++) x[k] = (float)(test_rand() >> 8) * 0x1p-23f - 1;
}

void chain_run(const char *path, oct_options o, float *logits)
{
    oct_model *m;
    ck_assert_msg(oct_model_load(path, &o, &m) == OCT_OK, "%s", oct_last_error());
    for (int i = 0; i < CHAIN_BATCH; i += o.batch) {
        const int n = CHAIN_BATCH - i < o.batch ? CHAIN_BATCH - i : o.batch;
        float *x = oct_model_input(m, 0)->data;
        for (int k = 0; k < n; k++) chain_sample(i + k, x + k * CHAIN_SAMPLE);
        ck_assert_int_eq(oct_model_run(m, n), OCT_OK);
        memcpy(logits + i * CHAIN_CLASSES, oct_model_output(m, 0)->data,
               (size_t)(n * CHAIN_CLASSES) * sizeof *logits);
    }
    oct_model_free(m);
}
