/* Operators of text models, each alone: embedding, layernorm, attention, first, and linear on many
 * rows.  What a row or a text gives must not depend on what lies beside it. */
#include <math.h>
#include <string.h>

#include "ops/attr.h"
#include "ops/kernels/vec.h"
#include "tensor/f16.h"
#include "tests/run_op.h"
#include "tests/suite.h"

enum { TEXTS = 5, TOKENS = 1 + 5 + 33 + 2 + 70 };

static int32_t starts_data[TEXTS + 1] = { 0, 1, 6, 39, 41, TOKENS };
static oct_tensor starts = { .dtype = OCT_S32, .rank = 1, .dim = { TEXTS + 1 },
                             .data = starts_data };

static oct_tensor matrix(test_op *t, int rows, int columns)
{
    oct_tensor x = { .rank = 2, .dim = { rows, columns } };
    test_op_fill(t, &x);
    return x;
}

static oct_tensor vector(test_op *t, int n)
{
    oct_tensor x = { .rank = 1, .dim = { n } };
    test_op_fill(t, &x);
    return x;
}

static const float *row(const oct_tensor *x, int i)
{
    return (const float *)x->data + (size_t)i * oct_tensor_sample_count(x);
}

static void same_row(const oct_tensor *a, int i, const oct_tensor *b, int j)
{
    ck_assert_mem_eq(row(a, i), row(b, j), oct_tensor_sample_count(a) * sizeof(float));
}

/* ---- linear ---- */

typedef struct linear_case { int m, k, n; oct_act act; int residual; } linear_case;

/* All rows at once give what each gives alone; the act is the row kernel's, applied last. */
static void linear_rows(unsigned cpu, void *arg)
{
    const linear_case *c = arg;
    for (int threads = 1; threads <= 3; threads += 2) {
        test_op t = { .cpu = cpu, .threads = threads };
        srand(5);
        const oct_linear_attr attr = { .act = c->act }, plain = { .act = OCT_ACT_NONE };
        oct_tensor x = matrix(&t, c->m, c->k), w = matrix(&t, c->n, c->k), b = vector(&t, c->n);
        oct_tensor r = matrix(&t, c->m, c->n), y = { 0 }, y0 = { 0 };
        oct_args args = { &attr, { &x, &w, &b, c->residual ? &r : NULL }, &y };
        test_op_run(&t, OCT_OP_LINEAR, &args, c->m);
        args.attr = &plain;
        args.out = &y0;
        test_op_run(&t, OCT_OP_LINEAR, &args, c->m);
        oct_vec_ref.act(c->act, oct_tensor_count(&y0), y0.data, y0.data);
        ck_assert_mem_eq(y.data, y0.data, oct_tensor_size(&y));
        for (int i = 0; i < c->m; i += c->m < 20 ? 1 : 11) {
            oct_tensor one = x, one_r = r, one_y = { 0 };
            one.dim[0] = one_r.dim[0] = 1;
            one.data = (float *)x.data + i * c->k;
            one_r.data = (float *)r.data + i * c->n;
            args = (oct_args){ &attr, { &one, &w, &b, c->residual ? &one_r : NULL }, &one_y };
            test_op_run(&t, OCT_OP_LINEAR, &args, 1);
            same_row(&y, i, &one_y, 0);
        }
        oct_arena_free(&t.arena);
    }
}

START_TEST(linear_gives_each_row_alone)
{
    static linear_case cases[] = {
        { 2, 1, 1, OCT_ACT_GELU, 0 },     { 7, 31, 33, OCT_ACT_TANH, 1 },
        { 14, 96, 200, OCT_ACT_NONE, 1 }, { 15, 64, 31, OCT_ACT_RELU, 0 },
        { 33, 130, 65, OCT_ACT_GELU, 1 }, { 130, 3072, 40, OCT_ACT_GELU, 1 },
        { 70, 1025, 257, OCT_ACT_SIGMOID, 0 }, { 130, 2048, 16, OCT_ACT_RELU6, 1 },
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        test_each_isa(linear_rows, &cases[i]);
}
END_TEST

/* With operands in 16 bits as well, where a row is another number of floats. */
START_TEST(linear_in_half_and_bfloat16)
{
    static const oct_dtype types[] = { OCT_F16, OCT_BF16 };
    const oct_linear_attr attr = { .act = OCT_ACT_GELU };
    for (size_t i = 0; i < 2; i++) {
        test_op t = { .threads = 2, .precision = types[i], .cpu = 0 };
        oct_tensor x = matrix(&t, 37, 97), w = matrix(&t, 21, 97), y = { 0 };
        oct_tensor one = x, one_y = { 0 };
        oct_args args = { &attr, { &x, &w }, &y };
        test_op_run(&t, OCT_OP_LINEAR, &args, 37);
        ck_assert_int_eq(t.how.type, types[i]);
        one.dim[0] = 1;
        one.data = (float *)x.data + 36 * 97;
        args = (oct_args){ &attr, { &one, &w }, &one_y };
        test_op_run(&t, OCT_OP_LINEAR, &args, 1);
        same_row(&y, 36, &one_y, 0);
        oct_arena_free(&t.arena);
    }
}
END_TEST

/* ---- layernorm, first ---- */

static void layernorm(unsigned cpu, void *arg)
{
    const oct_layernorm_attr attr = { 1e-5f };
    test_op t = { .cpu = cpu, .threads = 3 };
    (void)arg;
    oct_tensor x = matrix(&t, 900, 67), gamma = vector(&t, 67), beta = vector(&t, 67), y = { 0 };
    oct_args args = { &attr, { &x, &gamma, &beta }, &y };
    test_op_run(&t, OCT_OP_LAYERNORM, &args, 899);
    for (int i = 0; i < 899; i++) {
        float want[67];
        oct_vec_ref.norm(67, row(&x, i), gamma.data, beta.data, 1e-5f, want);
        ck_assert_mem_eq(row(&y, i), want, sizeof want);
    }
    ck_assert(isnan(row(&y, 899)[0])); /* not asked for */
    oct_arena_free(&t.arena);
}

START_TEST(layernorm_is_norm_of_each_row) { test_each_isa(layernorm, NULL); }
END_TEST

START_TEST(first_takes_each_texts_first_token)
{
    test_op t = { .texts = TEXTS };
    oct_tensor x = matrix(&t, TOKENS, 9), y = { 0 };
    oct_args args = { NULL, { &x, &starts }, &y };
    test_op_run(&t, OCT_OP_FIRST, &args, TEXTS);
    ck_assert_int_eq(y.dim[0], TEXTS);
    for (int i = 0; i < TEXTS; i++) same_row(&y, i, &x, starts_data[i]);
    oct_arena_free(&t.arena);
}
END_TEST

/* ---- embedding ---- */

enum { WORDS = 11, POSITIONS = 70, KINDS = 3, WIDTH = 35 };

/* A copy of x in 16 bits; x becomes what it stands for. */
static oct_tensor narrow(test_op *t, oct_tensor *x, oct_dtype type)
{
    oct_tensor y = *x;
    float *from = x->data;
    uint16_t *to = oct_arena_alloc(&t->arena, oct_tensor_count(x) * sizeof *to);
    y.dtype = type;
    y.data = to;
    for (size_t i = 0; i < oct_tensor_count(x); i++) {
        to[i] = type == OCT_F16 ? oct_f16_of_f32(from[i]) : oct_bf16_of_f32(from[i]);
        from[i] = type == OCT_F16 ? oct_f32_of_f16(to[i]) : oct_f32_of_bf16(to[i]);
    }
    return y;
}

/* A copy of x in bytes, -128 .. 127, with a scale a row; x becomes what it stands for. */
static oct_tensor bytes_of(test_op *t, oct_tensor *x)
{
    oct_tensor y = *x;
    const size_t rows = (size_t)x->dim[0], d = oct_tensor_sample_count(x);
    float *f = x->data, *scale = oct_arena_alloc(&t->arena, rows * sizeof *scale);
    int8_t *to = oct_arena_alloc(&t->arena, rows * d);
    y.dtype = OCT_S8;
    y.data = to;
    y.scale = scale;
    for (size_t r = 0; r < rows; r++) {
        scale[r] = 0.013f * (float)(r + 1);
        for (size_t i = r * d; i < (r + 1) * d; i++) {
            to[i] = (int8_t)(i * 37 % 256 - 128);
            f[i] = (float)to[i] * scale[r];
        }
    }
    return y;
}

typedef struct embedding_case { oct_dtype type; int kinds; } embedding_case;

static void embedding(unsigned cpu, void *arg)
{
    const embedding_case *c = arg;
    const oct_embedding_attr attr = { 1e-12f };
    int32_t ids[TOKENS], kinds[TOKENS];
    for (int i = 0; i < TOKENS; i++) ids[i] = i * 7 % WORDS, kinds[i] = i % KINDS;
    oct_tensor x = { .dtype = OCT_S32, .rank = 1, .dim = { TOKENS }, .data = ids }, k = x;
    k.data = kinds;
    test_op t = { .cpu = cpu, .threads = 3, .texts = TEXTS };
    oct_tensor f[3] = { matrix(&t, WORDS, WIDTH), matrix(&t, POSITIONS, WIDTH),
                        matrix(&t, KINDS, WIDTH) };
    oct_tensor table[3] = { f[0], f[1], f[2] };
    for (int i = 0; i < 3 && c->type != OCT_F32; i++)
        table[i] = c->type == OCT_S8 ? bytes_of(&t, &f[i]) : narrow(&t, &f[i], c->type);
    oct_tensor gamma = vector(&t, WIDTH), beta = vector(&t, WIDTH), y = { 0 };
    oct_args args = { &attr, { &x, &starts, c->kinds ? &k : NULL, &table[0], &table[1],
                               c->kinds ? &table[2] : NULL, &gamma, &beta }, &y };
    test_op_run(&t, OCT_OP_EMBEDDING, &args, TOKENS);
    for (int text = 0, i = 0; text < TEXTS; text++)
        for (int p = 0; i < starts_data[text + 1]; i++, p++) {
            float want[WIDTH];
            for (int j = 0; j < WIDTH; j++) {
                want[j] = row(&f[0], ids[i])[j];
                if (c->kinds) want[j] += row(&f[2], kinds[i])[j];
                want[j] += row(&f[1], p)[j];
            }
            oct_vec_ref.norm(WIDTH, want, gamma.data, beta.data, attr.eps, want);
            ck_assert_mem_eq(row(&y, i), want, sizeof want);
        }
    oct_arena_free(&t.arena);
}

START_TEST(embedding_is_a_sum_then_norm)
{
    static embedding_case cases[] = { { OCT_F32, 0 }, { OCT_F32, 1 }, { OCT_F16, 1 },
                                      { OCT_BF16, 0 }, { OCT_S8, 0 }, { OCT_S8, 1 } };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) test_each_isa(embedding, &cases[i]);
}
END_TEST

/* ---- attention ---- */

typedef struct attention_case {
    int heads, width;
    float size;           /* of q, k and v */
    float *ref;           /* [TOKENS, d] of ref, after its run */
} attention_case;

/* One head of query i of a text of n tokens against double, to first order, u = 2^-24.
 *   scores   k / sqrt(w) is off by 2 u, the chain by w u: D = (w + 2) u sum |q k| / sqrt(w)
 *   e        relative: D of its own and of the largest score, u |s - largest|, exp's 2.5 u
 *   z        as the worst e, and (n/16 + 5) u;  the last chain n u, the division u */
static void check_head(const attention_case *c, const oct_tensor *x, int begin, int n, int i, int h,
                       const float *got)
{
    const int w = c->width, d = w * c->heads;
    const double u = 0x1p-24, root = 1 / sqrt(w);
    double s[TOKENS], most = -INFINITY, size = 0, rho = 0, z = 0;
    const float *q = row(x, begin + i) + h * w;
    for (int t = 0; t < n; t++) {
        const float *k = row(x, begin + t) + d + h * w;
        double sum = 0;
        s[t] = 0;
        for (int j = 0; j < w; j++) {
            s[t] += (double)q[j] * (double)k[j] * root;
            sum += fabs((double)q[j] * (double)k[j]) * root;
        }
        most = fmax(most, s[t]);
        size = fmax(size, sum);
    }
    for (int t = 0; t < n; t++) {
        rho = fmax(rho, 2 * (w + 2) * u * size + u * (most - s[t]) + 2.5 * u);
        z += exp(s[t] - most);
    }
    for (int j = 0; j < w; j++) {
        double want = 0, sum = 0;
        for (int t = 0; t < n; t++) {
            const double p = exp(s[t] - most) / z, v = (double)row(x, begin + t)[2 * d + h * w + j];
            want += p * v;
            sum += p * fabs(v);
        }
        const double bound = 1.01 * (2 * rho + (n + n / 16.0 + 6) * u) * sum;
        ck_assert_msg(fabs((double)got[j] - want) <= bound, "%d tokens, query %d, head %d: %g, "
                      "expected %g +- %g", n, i, h, (double)got[j], want, bound);
    }
}

static void attention(unsigned cpu, void *arg)
{
    attention_case *c = arg;
    const int d = c->heads * c->width;
    const oct_attention_attr attr = { c->heads, 70 };
    for (int threads = 1; threads <= 7; threads += 3) {
        test_op t = { .cpu = cpu, .threads = threads, .texts = TEXTS };
        srand(9);
        oct_tensor x = matrix(&t, TOKENS, 3 * d), y = { 0 };
        float *p = x.data;
        for (size_t i = 0; i < oct_tensor_count(&x); i++) p[i] *= c->size;
        oct_args args = { &attr, { &x, &starts }, &y };
        test_op_run(&t, OCT_OP_ATTENTION, &args, TOKENS);
        if (!c->ref) {
            c->ref = malloc(oct_tensor_size(&y));
            ck_assert_ptr_nonnull(c->ref);
            memcpy(c->ref, y.data, oct_tensor_size(&y));
            for (int text = 0; text < TEXTS; text++)
                for (int i = starts_data[text]; i < starts_data[text + 1]; i++)
                    for (int h = 0; h < c->heads; h++)
                        check_head(c, &x, starts_data[text], starts_data[text + 1] -
                                   starts_data[text], i - starts_data[text], h,
                                   row(&y, i) + h * c->width);
        }
        ck_assert_mem_eq(y.data, c->ref, oct_tensor_size(&y));
        oct_arena_free(&t.arena);
    }
}

START_TEST(attention_is_softmax_of_products)
{
    static attention_case cases[] = { { 3, 7, 1, NULL }, { 1, 64, 1, NULL }, { 2, 33, 3, NULL },
                                      { 5, 12, 9, NULL }, { 1, 1, 20, NULL } };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        test_each_isa(attention, &cases[i]);
        free(cases[i].ref);
    }
}
END_TEST

/* The last text alone; and with one query a text, k and v from [tokens, 2 d]. */
static void attention_alone(unsigned cpu, void *arg)
{
    enum { HEADS = 3, D = 36, LAST = TEXTS - 1 };
    const oct_attention_attr attr = { HEADS, 70 };
    test_op t = { .cpu = cpu, .threads = 2, .texts = TEXTS };
    (void)arg;
    oct_tensor x = matrix(&t, TOKENS, 3 * D), y = { 0 }, alone = x, y1 = { 0 }, y2 = { 0 };
    oct_args args = { &attr, { &x, &starts }, &y };
    test_op_run(&t, OCT_OP_ATTENTION, &args, TOKENS);

    const int n = TOKENS - starts_data[LAST];
    oct_tensor one = { .dtype = OCT_S32, .rank = 1, .dim = { 2 }, .data = (int32_t[]){ 0, n } };
    alone.dim[0] = n;
    alone.data = (float *)x.data + starts_data[LAST] * 3 * D;
    args = (oct_args){ &attr, { &alone, &one }, &y1 };
    t.texts = 1;
    test_op_run(&t, OCT_OP_ATTENTION, &args, n);
    for (int i = 0; i < n; i++) same_row(&y, starts_data[LAST] + i, &y1, i);

    oct_tensor kv = matrix(&t, TOKENS, 2 * D), q = matrix(&t, TEXTS, D);
    for (int i = 0; i < TOKENS; i++)
        memcpy((float *)kv.data + i * 2 * D, row(&x, i) + D, 2 * D * sizeof(float));
    for (int i = 0; i < TEXTS; i++)
        memcpy((float *)q.data + i * D, row(&x, starts_data[i]), D * sizeof(float));
    args = (oct_args){ &attr, { &kv, &starts, &q }, &y2 };
    t.texts = TEXTS;
    test_op_run(&t, OCT_OP_ATTENTION, &args, TEXTS);
    ck_assert_int_eq(y2.dim[0], TEXTS);
    for (int i = 0; i < TEXTS; i++) same_row(&y, starts_data[i], &y2, i);
    oct_arena_free(&t.arena);
}

START_TEST(attention_knows_no_other_text) { test_each_isa(attention_alone, NULL); }
END_TEST

/* ---- what infer refuses ---- */

static void refused(oct_op_kind kind, oct_args args, const char *why)
{
    oct_tensor y = { 0 };
    args.out = &y;
    ck_assert_int_ne(oct_ops[kind]->infer(&args), OCT_OK);
    ck_assert_str_eq(oct_last_error(), why);
}

START_TEST(what_does_not_fit_is_refused)
{
    test_op t = { 0 };
    const oct_layernorm_attr norm = { 0 }, bad_norm = { -1 };
    const oct_attention_attr three = { 3, 4 }, four = { 4, 4 }, longer = { 3, 5 };
    const oct_embedding_attr embed = { 0 };
    int32_t ids_data[4] = { 0 };
    oct_tensor x = matrix(&t, 4, 18), six = vector(&t, 6), wide = vector(&t, 18);
    oct_tensor q = matrix(&t, TEXTS - 1, 9), table = matrix(&t, 5, 6), other = matrix(&t, 5, 7);
    oct_tensor ids = { .dtype = OCT_S32, .rank = 1, .dim = { 4 }, .data = ids_data };
    oct_tensor three_ids = ids, small = table;
    three_ids.dim[0] = 3;
    small.dtype = OCT_S8;
    refused(OCT_OP_LAYERNORM, (oct_args){ &norm, { &x, &six, &wide }, NULL },
            "layernorm: a parameter is no F32 [18]");
    refused(OCT_OP_LAYERNORM, (oct_args){ &bad_norm, { &x, &wide, &wide }, NULL },
            "layernorm: eps -1, expected 0 or more");
    refused(OCT_OP_LAYERNORM, (oct_args){ &norm, { &wide, &wide, &wide }, NULL },
            "layernorm: [18] is not dense [m, d]");
    refused(OCT_OP_FIRST, (oct_args){ NULL, { &x, &wide }, NULL },
            "first: the texts' begins are no I32 [texts + 1]");
    refused(OCT_OP_ATTENTION, (oct_args){ &four, { &x, &starts }, NULL },
            "attention: 18 columns are not 3 times 4 heads");
    refused(OCT_OP_ATTENTION, (oct_args){ &longer, { &x, &starts }, NULL },
            "attention: texts of up to 5 tokens, of 4 in all");
    refused(OCT_OP_ATTENTION, (oct_args){ &three, { &x, &starts, &q }, NULL },
            "attention: queries [4, 9], expected [5, 9]");
    refused(OCT_OP_EMBEDDING, (oct_args){ &embed, { &x, &starts, NULL, &table, &table, NULL, &six,
                                                    &six }, NULL },
            "embedding: the ids are no I32 [tokens]");
    refused(OCT_OP_EMBEDDING, (oct_args){ &embed, { &ids, &starts, &three_ids, &table, &table,
                                                    &table, &six, &six }, NULL },
            "embedding: the token types are no I32 [4]");
    refused(OCT_OP_EMBEDDING, (oct_args){ &embed, { &ids, &starts, &ids, &table, &table, NULL, &six,
                                                    &six }, NULL },
            "embedding: token types without a table, or a table alone");
    refused(OCT_OP_EMBEDDING, (oct_args){ &embed, { &ids, &starts, NULL, &table, &other, NULL, &six,
                                                    &six }, NULL },
            "embedding: a table is not [rows, 6]");
    refused(OCT_OP_EMBEDDING, (oct_args){ &embed, { &ids, &starts, NULL, &small, &table, NULL, &six,
                                                    &six }, NULL },
            "embedding: a table of I8, expected F32, F16, BF16 or I8 with scales");
    refused(OCT_OP_EMBEDDING, (oct_args){ &embed, { &ids, &starts, NULL, &table, &table, NULL, &six,
                                                    &wide }, NULL },
            "embedding: a parameter is no F32 [6]");
    oct_arena_free(&t.arena);
}
END_TEST

int main(void)
{
    const TTest *const tests[] = {
        linear_gives_each_row_alone, linear_in_half_and_bfloat16, layernorm_is_norm_of_each_row,
        first_takes_each_texts_first_token, embedding_is_a_sum_then_norm,
        attention_is_softmax_of_products, attention_knows_no_other_text,
        what_does_not_fit_is_refused,
    };
    return suite_run("ops_text", tests, sizeof tests / sizeof *tests);
}
