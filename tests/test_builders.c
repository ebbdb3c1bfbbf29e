/* models/: small model files made here, with every way to be wrong; no weights of real models. */
#include <math.h>
#include <string.h>
#include <unistd.h>

#include "models/model.h"
#include "ops/attr.h"
#include "tests/suite.h"

enum { MAX = 64 };

static char path[64];
static oct_arena arena;
static oct_save_tensor tensor[MAX];
static int n_tensors;
static oct_save_meta meta[4];
static int n_meta;

static void file_new(void)
{
    oct_arena_free(&arena);
    n_tensors = n_meta = 0;
    snprintf(path, sizeof path, "test_builders_%ld.safetensors", (long)getpid());
}

static void file_add_as(const char *name, oct_dtype dtype, int rank, const int *dim)
{
    ck_assert_int_lt(n_tensors, MAX);
    oct_tensor *t = oct_arena_zalloc(&arena, sizeof *t);
    *t = (oct_tensor){ .dtype = dtype, .rank = rank };
    memcpy(t->dim, dim, (size_t)rank * sizeof *dim);
    t->data = oct_arena_zalloc(&arena, oct_tensor_size(t));
    for (size_t i = 0; dtype == OCT_F32 && i < oct_tensor_count(t); i++)
        ((float *)t->data)[i] = strstr(name, "var") ? 1 : (float)(test_rand() % 200) / 200 - .5f;
    tensor[n_tensors++] = (oct_save_tensor){ oct_arena_strdup(&arena, name), t };
}

#define ADD(name, ...)                                                            \
    file_add_as(name, OCT_F32, (int)(sizeof(int[]){ __VA_ARGS__ } / sizeof(int)), \
                (int[]){ __VA_ARGS__ })

static void file_say(const char *key, const char *value)
{
    meta[n_meta++] = (oct_save_meta){ key, value };
}

/* What loading answers; the file is gone again. */
static oct_status load(const oct_options *o, oct_model **m)
{
    ck_assert_msg(oct_weights_save(path, tensor, n_tensors, meta, n_meta) == OCT_OK, "%s",
                  oct_last_error());
    const oct_status status = oct_model_load(path, o, m);
    unlink(path);
    ck_assert(!status == !!*m);
    return status;
}

static void refused(const oct_options *o, oct_status want, const char *message)
{
    oct_model *m;
    const oct_status got = load(o, &m);
    ck_assert_msg(got == want && strcmp(oct_last_error(), message) == 0,
                  "status %d says '%s'\nexpected %d '%s'", got, oct_last_error(), want, message);
}

static oct_model *loaded(const oct_options *o)
{
    oct_model *m;
    ck_assert_msg(load(o, &m) == OCT_OK, "%s", oct_last_error());
    return m;
}

/* conv 2 -> 4, batch norm, linear 4 * 3 * 3 -> 5 */
static void small_file(void)
{
    file_new();
    ADD("conv.weight", 4, 2, 3, 3);
    ADD("conv.bias", 4);
    ADD("bn.weight", 4);
    ADD("bn.bias", 4);
    ADD("bn.running_mean", 4);
    ADD("bn.running_var", 4);
    ADD("norm.weight", 4);
    ADD("odd.weight", 4, 3, 3);
    ADD("fc.weight", 5, 36);
    ADD("fc.bias", 5);
    ADD("head.weight", 3, 4);
}

#define LINE(input, layers) "{\"kind\":\"cnn\",\"input\":" input ",\"layers\":\"" layers "\"}"
#define GOOD "conv:p1 bn relu maxpool:2 flatten fc"

START_TEST(a_chain)
{
    small_file();
    file_say("octet.arch", LINE("[2,6,7]", GOOD));
    file_say("octet.labels", "[\"a\",\"b\",\"c\",\"d\",\"e\"]");
    oct_model *m = loaded(&(oct_options){ .batch = 3, .threads = 1 });
    ck_assert_str_eq(m->kind, "cnn");
    ck_assert_str_eq(m->arch, "{\"input\":[2,6,7],\"kind\":\"cnn\",\"layers\":\"" GOOD "\"}");
    ck_assert_int_eq(m->classes, 5);
    ck_assert_str_eq(m->label[4], "e");
    ck_assert(m->recipe_is_guess && strstr(m->recipe, "\"scale\":0.00392156862745098"));
    ck_assert_uint_eq(m->n_parameters, 72 + 4 + 8 + 4 + 36 + 180 + 5 + 12);
    ck_assert_int_eq(m->n_passes, 3);
    ck_assert_int_eq(m->pass_changes[0], 1); /* bn */
    ck_assert_int_eq(m->pass_changes[1], 2); /* relu, flatten */
    ck_assert_int_eq(m->pass_changes[2], 3); /* what they left */
    ck_assert_int_eq(m->plan->n_steps, 4);
    ck_assert_str_eq(m->plan->step[2].node->name, "maxpool:2@4");
    const oct_tensor *x = oct_model_input(m, 0), *y = oct_model_output(m, 0);
    ck_assert(x->rank == 4 && x->dim[0] == 3 && x->dim[1] == 2 && x->dim[2] == 6 &&
              x->dim[3] == 7);
    ck_assert(y->rank == 2 && y->dim[0] == 3 && y->dim[1] == 5);
    ck_assert(!oct_model_input(m, 1) && !oct_model_input(m, -1) && !oct_model_output(m, 1));
    memset(x->data, 0, oct_tensor_size(x));
    ck_assert_int_eq(oct_model_run(m, 3), OCT_OK);
    ck_assert_int_eq(oct_model_run(m, 0), OCT_ERR_SHAPE);
    ck_assert_int_eq(oct_model_run(m, 4), OCT_ERR_SHAPE);
    ck_assert_str_eq(oct_last_error(), "run: 4 samples, the plan is made for 1 to 3");
    oct_model_free(m);
    oct_model_free(NULL);
}
END_TEST

START_TEST(the_input_may_come_from_the_caller)
{
    small_file();
    const char *arch = "{\"kind\":\"cnn\",\"layers\":\"" GOOD "\"}";
    refused(&(oct_options){ .arch = arch }, OCT_ERR_FORMAT, "octet.arch: the shape of the input "
            "is not known: pass \"input\": [channels, height, width]");
    oct_model *m = loaded(&(oct_options){ .arch = arch, .height = 7, .width = 6 });
    ck_assert_str_eq(m->arch, "{\"input\":[2,7,6],\"kind\":\"cnn\",\"layers\":\"" GOOD "\"}");
    ck_assert_int_eq(oct_model_input(m, 0)->dim[1], 2);
    oct_model_free(m);

    m = loaded(&(oct_options){ .arch = "{\"kind\":\"cnn\",\"layers\":\"flatten fc\"}",
                               .height = 6, .width = 3 }); /* 36 / 18 channels */
    ck_assert_int_eq(oct_model_input(m, 0)->dim[1], 2);
    oct_model_free(m);

    m = loaded(&(oct_options){ .arch = LINE("[36]", "fc softmax") });
    const oct_tensor *y = oct_model_output(m, 0);
    ck_assert_int_eq(oct_model_input(m, 0)->rank, 2);
    for (int i = 0; i < 36; i++) ((float *)oct_model_input(m, 0)->data)[i] = (float)i / 36;
    ck_assert_int_eq(oct_model_run(m, 1), OCT_OK);
    float sum = 0;
    for (int i = 0; i < 5; i++) sum += ((const float *)y->data)[i];
    ck_assert(fabsf(sum - 1) < 6 * 0x1p-24f); /* five rounded quotients, four additions */
    oct_model_free(m);

    m = loaded(&(oct_options){ .arch = LINE("[2,6,7]", "conv bn tanh dropout globalavgpool head"),
                               .height = 9, .width = 5, .passes = "none", .keep_values = 1 });
    ck_assert_int_eq(oct_model_input(m, 0)->dim[2], 9);
    ck_assert_int_eq(m->n_passes, 0);
    ck_assert_int_eq(m->plan->n_steps, 6);
    oct_model_free(m);
}
END_TEST

START_TEST(options_of_words_reach_their_operators)
{
    small_file();
    ADD("two.weight", 6, 1, 3, 3);
    oct_model *m = loaded(&(oct_options){ .passes = "none",
        .arch = LINE("[2,16,16]", "two:g2s2p3d4 avgpool:4s2p1 maxpool:3s1p1d2 flatten") });
    const oct_conv2d_attr *c = m->graph.node[1].args.attr;
    const oct_pool_attr *a = m->graph.node[2].args.attr, *p = m->graph.node[3].args.attr;
    for (int i = 0; i < 2; i++) {
        ck_assert(c->stride[i] == 2 && c->pad[i] == 3 && c->dilation[i] == 4 && c->groups == 2);
        ck_assert(a->kernel[i] == 4 && a->stride[i] == 2 && a->pad[i] == 1);
        ck_assert(p->kernel[i] == 3 && p->stride[i] == 1 && p->pad[i] == 1 && p->dilation[i] == 2);
    }
    ck_assert(a->kind == OCT_POOL_AVG && a->count_include_pad && p->kind == OCT_POOL_MAX);
    oct_model_free(m);
}
END_TEST

START_TEST(lines_that_do_not_fit)
{
    static const struct { const char *arch; oct_status status; const char *message; } bad[] = {
        { LINE("[2,6,7]", "conv conv9"), OCT_ERR_FORMAT,
          "layers: word 2 'conv9' is neither a module of the file nor an operation" },
        { LINE("[2,6,7]", "conv:p1 fc"), OCT_ERR_SHAPE, "layers: word 2 'fc' is a linear layer "
          "and needs 'flatten' before it, the value before it is [1, 6, 7, 4]" },
        { LINE("[2,6,7]", "conv"), OCT_ERR_SHAPE, "layers: the last value is [1, 4, 5, 4], "
          "expected [batch, classes]: a linear layer, or flatten, is missing" },
        { LINE("[2,6,7]", "flatten conv"), OCT_ERR_SHAPE, "layers: word 2 'conv' is a convolution "
          "and needs an image, the value before it is [1, 84]" },
        { LINE("[36]", "maxpool:2"), OCT_ERR_SHAPE, "layers: word 1 'maxpool:2' is a pool and "
          "needs an image, the value before it is [1, 36]" },
        { LINE("[2,6,7]", "maxpool"), OCT_ERR_SHAPE, "layers: word 1 'maxpool' needs a kernel "
          "size (maxpool:2), the value before it is [1, 6, 7, 2]" },
        { LINE("[2,6,7]", "conv:g3"), OCT_ERR_SHAPE, "layers: word 1 'conv:g3' has groups that do "
          "not divide the channels, the value before it is [1, 6, 7, 2]" },
        { LINE("[2,6,7]", "conv:3"), OCT_ERR_FORMAT,
          "layers: word 1 'conv:3': takes no kernel size" },
        { LINE("[2,6,7]", "relu:2"), OCT_ERR_FORMAT,
          "layers: word 1 'relu:2': takes no kernel size" },
        { LINE("[2,6,7]", "avgpool:2g2"), OCT_ERR_FORMAT,
          "layers: word 1 'avgpool:2g2': takes no 'g'" },
        { LINE("[2,6,7]", "norm"), OCT_ERR_UNSUPPORTED, "layers: word 1 'norm': a weight of rank 1 "
          "is neither a convolution's (4) nor a linear layer's (2)" },
        { LINE("[2,6,7]", "odd"), OCT_ERR_UNSUPPORTED, "layers: word 1 'odd': a weight of rank 3 "
          "is neither a convolution's (4) nor a linear layer's (2)" },
        { LINE("[2,6,7]", "conv:p1 relu conv"), OCT_ERR_UNSUPPORTED,
          "layers: word 3 'conv' is a module that stands in the line already, as word 1" },
        { LINE("[2,6,7]", "conv:p9999"), OCT_ERR_SHAPE, "layers: word 1 'conv:p9999' makes "
          "1600400024 elements, at most 67108864" },
        { LINE("[2,6,7]", ""), OCT_ERR_FORMAT, "layers: no word in the line" },
        { LINE("[2,6]", GOOD), OCT_ERR_FORMAT,
          "octet.arch: 'input' is neither [c, h, w] nor [features]" },
        { LINE("7", GOOD), OCT_ERR_FORMAT,
          "octet.arch: 'input' is neither [c, h, w] nor [features]" },
        { LINE("[2,0,7]", GOOD), OCT_ERR_FORMAT,
          "octet.arch: entry 1 of 'input' is not an integer from 1 to 65536" },
        { LINE("[2,6.0,7]", GOOD), OCT_ERR_FORMAT,
          "octet.arch: entry 1 of 'input' is not an integer from 1 to 65536" },
        { LINE("[65536,65536,65536]", GOOD), OCT_ERR_SHAPE,
          "input [65536, 65536, 65536] has more than 67108864 elements" },
        { "{\"kind\":\"cnn\",\"layers\":7}", OCT_ERR_FORMAT,
          "octet.arch: 'layers' is not a string" },
        { "{\"kind\":\"cnn\"}", OCT_ERR_FORMAT, "octet.arch: 'layers' is missing" },
        { "{\"kind\":\"cnn\",\"layers\":\"fc\",\"depth\":3}", OCT_ERR_FORMAT,
          "octet.arch: unknown key 'depth'" },
        { "{\"kind\":\"cnn\",\"classes\":6,\"input\":[36],\"layers\":\"fc\"}", OCT_ERR_SHAPE,
          "octet.arch: 6 classes, the layers give 5" },
        { "{\"kind\":\"gnn\"}", OCT_ERR_UNSUPPORTED, "octet.arch: unknown kind 'gnn'" },
        { "{\"kind\":3}", OCT_ERR_FORMAT, "octet.arch: 'kind' is not a string" },
        { "{}", OCT_ERR_FORMAT, "octet.arch: 'kind' is missing" },
        { "[]", OCT_ERR_FORMAT, "octet.arch: not a JSON object" },
    };
    small_file();
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        refused(&(oct_options){ .arch = bad[i].arch }, bad[i].status, bad[i].message);
    oct_model *m; /* JSON's own mistakes: jansson's words */
    const char *const broken[] = { "{", "", "{\"kind\":\"cnn\",\"kind\":\"cnn\"}", "{}x" };
    for (size_t i = 0; i < sizeof broken / sizeof *broken; i++) {
        ck_assert_int_eq(load(&(oct_options){ .arch = broken[i] }, &m), OCT_ERR_FORMAT);
        ck_assert_msg(strncmp(oct_last_error(), "octet.arch: ", 12) == 0, "%s", oct_last_error());
    }
}
END_TEST

START_TEST(tensors_that_do_not_fit)
{
    static const char arch[] = LINE("[2,6,7]", GOOD);
    const oct_options o = { .arch = arch };
    small_file();
    tensor[1].name = "conv.Bias"; /* no bias is fine */
    oct_model_free(loaded(&o));

    const struct { int which; const char *message; } bad[] = {
        { 1, "conv.bias: shape [7], expected [4]" },
        { 4, "bn.running_mean: shape [7], expected [4]" },
        { 9, "fc.bias: shape [7], expected [5]" },
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        small_file();
        ADD("seven", 7);
        const oct_tensor *seven = tensor[n_tensors - 1].tensor;
        tensor[bad[i].which].tensor = seven;
        refused(&o, OCT_ERR_SHAPE, bad[i].message);
    }
    oct_model *m;
    small_file();
    tensor[5].name = "bn.variance";
    ck_assert_int_eq(load(&o, &m), OCT_ERR_FORMAT);
    ck_assert_msg(strstr(oct_last_error(), "bn.running_var") != NULL, "%s", oct_last_error());

    small_file();
    refused(&(oct_options){ .arch = LINE("[2,9,7]", GOOD) }, OCT_ERR_SHAPE,
            "fc.weight: shape [5, 36], expected [any, 48]");
    refused(&(oct_options){ .arch = LINE("[3,6,7]", GOOD) }, OCT_ERR_SHAPE,
            "conv.weight: shape [4, 2, 3, 3], expected [any, 3, any, any]");

    small_file();
    ADD("x", 1);
    file_add_as("ints.weight", OCT_S32, 2, (int[]){ 4, 84 });
    refused(&(oct_options){ .arch = LINE("[2,6,7]", "flatten ints") }, OCT_ERR_UNSUPPORTED,
            "ints.weight: dtype I32, expected F32, F16, BF16 or F64");

    small_file();
    ((float *)tensor[5].tensor->data)[2] = -1;
    refused(&o, OCT_ERR_FORMAT, "pass fold_bn: bn: variance 2 is -1");
}
END_TEST

START_TEST(metadata_that_does_not_fit)
{
    oct_model *m;
    small_file();
    refused(NULL, OCT_ERR_UNSUPPORTED, "the tensors do not tell the layers: pass them (--layers "
            "\"conv1 relu maxpool:2 flatten fc1\")");
    const char *const labels[] = { "[\"a\"]", "[1,2,3,4,5]", "{}", "[", "[\"a\",\"b\",\"c\",\"d\",",
                                   "[\"a\",\"b\",\"c\",\"d\",\"\\u0000\"]" };
    for (size_t i = 0; i < sizeof labels / sizeof *labels; i++) {
        small_file();
        file_say("octet.arch", LINE("[2,6,7]", GOOD));
        file_say("octet.labels", labels[i]);
        ck_assert_int_eq(load(NULL, &m), OCT_ERR_FORMAT);
        ck_assert_msg(strncmp(oct_last_error(), "octet.labels: ", 14) == 0, "%s",
                      oct_last_error());
    }
    small_file();
    file_say("octet.arch", LINE("[2,6,7]", GOOD));
    file_say("octet.labels", labels[0]);
    refused(NULL, OCT_ERR_FORMAT, "octet.labels: 1 labels, the model has 5 classes");
}
END_TEST

START_TEST(options_that_do_not_fit)
{
    static const char arch[] = LINE("[2,6,7]", GOOD);
    small_file();
    refused(&(oct_options){ .arch = arch, .batch = -1 }, OCT_ERR_UNSUPPORTED,
            "batch -1, expected 1 to 65536");
    refused(&(oct_options){ .arch = arch, .threads = -2 }, OCT_ERR_UNSUPPORTED,
            "-2 threads, expected 1 to 1024");
    refused(&(oct_options){ .arch = arch, .device = "gpu" }, OCT_ERR_UNSUPPORTED,
            "device 'gpu': unknown; cpu or cuda expected");
    refused(&(oct_options){ .arch = arch, .gemm = "mkl" }, OCT_ERR_UNSUPPORTED,
            "gemm 'mkl' is neither 'ours' nor 'openblas'");
    refused(&(oct_options){ .arch = arch, .passes = "fold" }, OCT_ERR_UNSUPPORTED,
            "pass 'fold' is none of: none, fold_bn, fuse, dce");
    refused(&(oct_options){ .arch = arch, .height = 5 }, OCT_ERR_SHAPE,
            "input of height 5 and width 0, each from 1 to 65536");
    oct_model *m;
    ck_assert_int_eq(load(&(oct_options){ .arch = arch, .isa = "mmx" }, &m), OCT_ERR_UNSUPPORTED);
    m = loaded(&(oct_options){ .arch = arch, .device = "cpu", .gemm = "ours", .isa = "ref" });
    ck_assert(m->cpu == 0 && strstr(m->plan->step[1].kernel, "/ref"));
    oct_model_free(m);
    ck_assert_int_ne(oct_model_load("no such file", NULL, &m), OCT_OK);
    ck_assert_ptr_null(m);
}
END_TEST

/* A CIFAR ResNet of `blocks` blocks a stage, with small random weights. */
static void resnet_file(int blocks)
{
    static const char *const parts[] = { "weight", "bias", "running_mean", "running_var" };
    char name[80];
    file_new();
    ADD("conv1.weight", 16, 3, 3, 3);
    for (int p = 0; p < 4; p++) {
        snprintf(name, sizeof name, "bn1.%s", parts[p]);
        ADD(name, 16);
    }
    for (int s = 0; s < 3; s++)
        for (int b = 0; b < blocks; b++)
            for (int i = 1; i <= 2; i++) {
                const int c = 16 << s, in = s && !b && i == 1 ? c / 2 : c;
                snprintf(name, sizeof name, "layer%d.%d.conv%d.weight", s + 1, b, i);
                ADD(name, c, in, 3, 3);
                for (int p = 0; p < 4; p++) {
                    snprintf(name, sizeof name, "layer%d.%d.bn%d.%s", s + 1, b, i, parts[p]);
                    ADD(name, c);
                }
            }
    ADD("linear.weight", 7, 64);
    ADD("linear.bias", 7);
}

START_TEST(a_cifar_resnet)
{
    resnet_file(1);
    oct_model *m = loaded(&(oct_options){ .batch = 2 });
    ck_assert_str_eq(m->kind, "cifar_resnet");
    ck_assert_str_eq(m->arch, "{\"classes\":7,\"depth\":8,\"kind\":\"cifar_resnet\"}");
    ck_assert(!m->recipe_is_guess && strstr(m->recipe, "\"std\":[0.229,0.224,0.225]"));
    ck_assert_int_eq(m->pass_changes[0], 7);
    /* 7 relus, 3 adds, flatten; every add went into the second convolution of its block */
    ck_assert_int_eq(m->pass_changes[1], 11);
    for (int i = 0; i < m->graph.n_nodes; i++)
        ck_assert(m->graph.node[i].kind != OCT_OP_ADD &&
                  m->graph.node[i].kind != OCT_OP_ACTIVATION);
    ck_assert_int_eq(oct_model_input(m, 0)->dim[3], 32);
    oct_model_free(m);
    oct_model_free(loaded(&(oct_options){ .height = 40, .width = 24, .passes = "none" }));
}
END_TEST

START_TEST(cifar_resnets_that_do_not_fit)
{
    resnet_file(1);
    refused(&(oct_options){ .arch = "{\"kind\":\"cifar_resnet\",\"depth\":20}" }, OCT_ERR_SHAPE,
            "octet.arch: depth 20, 7 classes, the tensors are of depth 8, 7 classes");
    refused(&(oct_options){ .height = 2, .width = 9 }, OCT_ERR_SHAPE,
            "input of height 2 and width 9, each from 4 to 8192");
    ADD("layer2.1.conv1.weight", 32, 32, 3, 3);
    refused(NULL, OCT_ERR_FORMAT, "cifar_resnet: layer1 has 1 blocks, layer2 has 2; expected as "
            "many, 1 to 200");

    resnet_file(1);
    ADD("layer2.0.shortcut.0.weight", 32, 16, 1, 1); /* option B is another network */
    refused(NULL, OCT_ERR_UNSUPPORTED, "the tensors do not tell the layers: pass them (--layers "
            "\"conv1 relu maxpool:2 flatten fc1\")");

    resnet_file(1);
    for (int i = 0; i < n_tensors; i++)
        if (strcmp(tensor[i].name, "layer3.0.bn2.bias") == 0) tensor[i].tensor = tensor[1].tensor;
    refused(NULL, OCT_ERR_SHAPE, "layer3.0.bn2.bias: shape [16], expected [64]");
}
END_TEST

START_TEST(described_only)
{
    oct_model *m;
    small_file();
    file_say("octet.arch", LINE("[2,6,7]", GOOD));
    ck_assert_int_eq(oct_weights_save(path, tensor, n_tensors, meta, n_meta), OCT_OK);
    ck_assert_int_eq(oct_model_describe(path, NULL, &m), OCT_OK);
    ck_assert_int_eq(m->graph.n_nodes, 7); /* as built */
    oct_model_free(m);
    ck_assert_int_eq(oct_model_describe(path, &(oct_options){ .passes = "fold_bn,fuse,dce" }, &m),
                     OCT_OK);
    unlink(path);
    ck_assert(!m->plan && m->graph.n_nodes == 4 && m->classes == 5);
    ck_assert_int_eq(oct_model_input(m, 0)->dim[1], 2);
    ck_assert_int_eq(oct_model_output(m, 0)->dim[1], 5);
    ck_assert_int_eq(oct_model_run(m, 1), OCT_ERR_UNSUPPORTED);
    oct_model_free(m);
    oct_arena_free(&arena);
}
END_TEST

int main(void)
{
    const TTest *const tests[] = {
        a_chain, the_input_may_come_from_the_caller,
        options_of_words_reach_their_operators, lines_that_do_not_fit,
        tensors_that_do_not_fit, metadata_that_does_not_fit, options_that_do_not_fit,
        a_cifar_resnet, cifar_resnets_that_do_not_fit, described_only,
    };
    return suite_run("builders", tests, sizeof tests / sizeof *tests);
}
