/* A model of texts in one file (octet quantize FOLDER): the bits of --precision int8, the names of
 * Hugging Face, and a vocabulary, tables and scales that may be anything. */
#include <math.h>
#include <string.h>
#include <unistd.h>

#include "models/quantizer.h"
#include "programs/text_job.h"
#include "tensor/cpu.h"
#include "tests/files.h"

enum { LENGTH = 9, MAX_CLASSES = 3, MAX_TENSORS = 128, MAX_META = 16 };

typedef struct subject {
    const char *name, *word, *query, *key; /* in the file */
    int tokens, layers;
} subject;

static const subject subjects[] = {
    { "distilbert", "distilbert.embeddings.word_embeddings.weight",
      "distilbert.transformer.layer.0.attention.q_lin.weight",
      "distilbert.transformer.layer.0.attention.k_lin.weight", 999, 2 },
    { "bert", "bert.embeddings.word_embeddings.weight",
      "bert.encoder.layer.0.attention.self.query.weight",
      "bert.encoder.layer.0.attention.self.key.weight", 333, 2 },
};
enum { N_SUBJECTS = sizeof subjects / sizeof *subjects };

#define OK(call) ck_assert_msg((call) == OCT_OK, "%s", oct_last_error())

static char folder[64], made[96], other[96], said[96];
static char *vocab;           /* of the golden tokenizer, all lines */
static size_t vocab_size;

static void setup(void)
{
    snprintf(folder, sizeof folder, "%s", scratch_folder());
    snprintf(made, sizeof made, "%s/made", folder);
    snprintf(other, sizeof other, "%s/other", folder);
    snprintf(said, sizeof said, "%s/said", folder);
    vocab = (char *)file_read(file_of("golden/wordpiece/vocab.txt"), &vocab_size);
}

static void teardown(void)
{
    unlink(made);
    unlink(other);
    unlink(said);
    rmdir(folder);
    free(vocab);
}

static size_t lines_size(int n) /* of the first n lines of vocab */
{
    size_t size = 0;
    while (n) n -= vocab[size++] == '\n';
    return size;
}

static const char *source_of(const subject *s)
{
    char name[64];
    snprintf(name, sizeof name, "golden/encoders/%s", s->name);
    return file_of(name);
}

static void make(const subject *s, const oct_quant_kept *kept, int n_kept, const char *path)
{
    const oct_quantizer_options how = { .method = "dynamic" };
    const oct_quantizer_save_info info = { .save = {
        .recipe = "{\"lowercase\":true,\"max_length\":40,\"type\":\"text\"}", .command = "test",
        .vocab = vocab, .vocab_size = lines_size(s->tokens) } };
    oct_quantizer *q;
    OK(oct_quantizer_open(source_of(s), NULL, &how, &q));
    OK(oct_quantizer_write(q, path, kept, n_kept, &info));
    oct_quantizer_free(q);
}

static void answer(const subject *s, const char *path, oct_options o, float logits[MAX_CLASSES])
{
    oct_model *m;
    OK(oct_model_load(path, &o, &m));
    int32_t *ids = oct_model_input(m, 0)->data, *starts = oct_model_input(m, 1)->data;
    oct_tensor *types = oct_model_input(m, 2);
    for (int i = 0; i < LENGTH; i++) {
        ids[i] = (i * 131 + 7) % s->tokens;
        if (types) ((int32_t *)types->data)[i] = i > 4;
    }
    starts[0] = 0;
    starts[1] = LENGTH;
    OK(oct_model_run(m, 1));
    ck_assert_str_eq(m->precision, "int8");
    ck_assert_str_eq(m->kind, s->name);
    memcpy(logits, oct_model_output(m, 0)->data, (size_t)m->classes * sizeof *logits);
    oct_model_free(m);
}

START_TEST(has_the_bits_of_int8)
{
    static const char *const isas[] = { "ref", "avx2", "avxvnni", "avx512", "neon", "neondot",
                                        "neoni8mm" };
    unsigned flags;
    for (int i = 0; i < N_SUBJECTS; i++) {
        float want[MAX_CLASSES] = { 0 }, got[MAX_CLASSES] = { 0 };
        make(&subjects[i], NULL, 0, made);
        answer(&subjects[i], source_of(&subjects[i]), (oct_options){ .precision = "int8" }, want);
        for (size_t k = 0; k < sizeof isas / sizeof *isas; k++) {
            if (oct_cpu_isa(isas[k], &flags) != OCT_OK) continue;
            answer(&subjects[i], made, (oct_options){ .isa = isas[k] }, got);
            ck_assert_msg(!memcmp(want, got, sizeof want), "%s, %s", subjects[i].name, isas[k]);
        }
    }
}
END_TEST

START_TEST(is_made_twice_the_same)
{
    size_t m, n;
    make(&subjects[0], NULL, 0, made);
    make(&subjects[0], NULL, 0, other);
    uint8_t *x = file_read(made, &m), *y = file_read(other, &n);
    ck_assert(m == n && !memcmp(x, y, m));
    free(x);
    free(y);
}
END_TEST

/* Each matrix of the source, under its own name, within half a step of each row's scale. */
static int compare_matrix(oct_weights *from, oct_weights *to, const oct_weights_entry *e)
{
    char name[200];
    oct_tensor a, b, scale;
    OK(oct_weights_require(from, e->name, 2, e->dim, &a));
    OK(oct_weights_require(to, e->name, 2, e->dim, &b));
    if (b.dtype != OCT_S8) return 0;
    float *wide = malloc(oct_tensor_count(&a) * sizeof *wide);
    oct_tensor_read_f32(&a, 0, oct_tensor_count(&a), wide);
    snprintf(name, sizeof name, "%s.scale", e->name);
    OK(oct_weights_require(to, name, 1, e->dim, &scale));
    for (int r = 0; r < a.dim[0]; r++)
        for (int i = 0; i < a.dim[1]; i++) {
            const size_t at = (size_t)(r * a.dim[1] + i);
            const float s = ((const float *)scale.data)[r];
            const float got = (float)((int8_t *)b.data)[at] * s;
            ck_assert_msg(fabsf(wide[at] - got) <= 0.501f * s, "%s[%d][%d]", e->name, r, i);
        }
    free(wide);
    return 1;
}

START_TEST(keeps_hugging_faces_names)
{
    for (int i = 0; i < N_SUBJECTS; i++) {
        oct_weights *from, *to;
        int matrices = 0, integers = 0;
        make(&subjects[i], NULL, 0, made);
        OK(oct_weights_open(source_of(&subjects[i]), &from));
        OK(oct_weights_open(made, &to));
        for (int k = 0; k < oct_weights_count(from); k++) {
            const oct_weights_entry *e = oct_weights_at(from, k);
            if (e->rank != 2 || strstr(e->name, "position_ids")) continue;
            matrices++;
            integers += compare_matrix(from, to, e);
        }
        ck_assert_int_gt(matrices, 6 * subjects[i].layers);
        ck_assert_int_eq(integers, matrices);
        oct_weights_close(from);
        oct_weights_close(to);
    }
}
END_TEST

/* q, k and v go back to their own tensors in FP32, too; tables keep the source's dtype. */
START_TEST(keeps_layers)
{
    static const oct_quant_kept kept[] = {
        { "distilbert.embeddings", "test" }, { "distilbert.transformer.layer.0.attention.qkv", "" },
    };
    oct_weights *w;
    float got[MAX_CLASSES];
    make(&subjects[0], kept, 2, made);
    OK(oct_weights_open(made, &w));
    ck_assert_int_eq(oct_weights_find(w, subjects[0].word)->dtype, OCT_F16);
    ck_assert_int_eq(oct_weights_find(w, subjects[0].query)->dtype, OCT_F32);
    ck_assert_int_eq(oct_weights_find(w, subjects[0].key)->dtype, OCT_F32);
    ck_assert_int_eq(oct_weights_find(w, "classifier.weight")->dtype, OCT_S8);
    oct_weights_close(w);
    answer(&subjects[0], made, (oct_options){ .threads = 1 }, got);
}
END_TEST

/* ---- hostile files ---- */

/* The tensors and metadata of `made`, to be changed and written to `other`. */
typedef struct copy {
    oct_weights *w;
    oct_save_tensor list[MAX_TENSORS];
    oct_tensor tensor[MAX_TENSORS];
    oct_save_meta meta[MAX_META];
    int n, n_meta;
} copy;

static void copy_open(copy *c)
{
    c->n = c->n_meta = 0;
    OK(oct_weights_open(made, &c->w));
    for (; c->n < oct_weights_count(c->w); c->n++) {
        const oct_weights_entry *e = oct_weights_at(c->w, c->n);
        ck_assert_int_lt(c->n, MAX_TENSORS);
        OK(oct_weights_require(c->w, e->name, -1, NULL, &c->tensor[c->n]));
        c->list[c->n] = (oct_save_tensor){ e->name, &c->tensor[c->n] };
    }
    for (const char *key; (key = oct_weights_meta_at(c->w, c->n_meta, &c->meta[c->n_meta].value));)
        c->meta[c->n_meta++].key = key;
}

static oct_tensor *tensor_of(copy *c, const char *name, const char *suffix)
{
    char full[200];
    snprintf(full, sizeof full, "%s%s", name, suffix);
    for (int i = 0; i < c->n; i++)
        if (!strcmp(c->list[i].name, full)) return &c->tensor[i];
    ck_abort_msg("%s", full);
    return NULL;
}

static void drop(copy *c, const char *name, const char *suffix)
{
    const int i = (int)(tensor_of(c, name, suffix) - c->tensor);
    c->n--;
    memmove(&c->list[i], &c->list[i + 1], (size_t)(c->n - i) * sizeof *c->list);
}

static void set_meta(copy *c, const char *key, const char *value)
{
    for (int i = 0; i < c->n_meta; i++)
        if (!strcmp(c->meta[i].key, key)) c->meta[i].value = value;
}

/* The file cannot be used, and one line tells why. */
static void refused(copy *c, const char *why)
{
    static const cli_command command = { .program = "test" };
    static const cli_args a = { .command = &command, .quiet = 1, .threads = { 1, { 1 } } };
    const job_settings s = job_defaults(&a, other, 1);
    text_job j;
    size_t size;
    OK(oct_weights_save(other, c->list, c->n, c->meta, c->n_meta));
    oct_weights_close(c->w);
    const int err = dup(STDERR_FILENO);
    ck_assert(freopen(said, "w", stderr) != NULL);
    const int code = text_job_open(&a, &s, 0, &j);
    fflush(stderr);
    dup2(err, STDERR_FILENO);
    close(err);
    text_job_close(&j);
    char *text = (char *)file_read(said, &size);
    ck_assert_uint_gt(size, 0);
    text[size - 1] = 0;
    ck_assert_msg(code == CLI_BAD_FILE && strstr(text, why), "exit %d, '%s', expected '%s'", code,
                  text, why);
    ck_assert_ptr_null(strchr(text, '\n'));
    free(text);
}

static void set_vocab(copy *c, const char *bytes, size_t size)
{
    oct_tensor *t = tensor_of(c, OCT_MODEL_VOCAB, "");
    t->data = (void *)(uintptr_t)bytes;
    t->dim[0] = (int)size;
}

START_TEST(hostile_vocabularies)
{
    const subject *s = &subjects[0];
    static const char not_utf8[] = "[UNK]\n[CLS]\n[SEP]\n\xff\xfe\n";
    char *one_line = malloc(3000);
    copy c;
    make(s, NULL, 0, made);
    copy_open(&c), drop(&c, OCT_MODEL_VOCAB, "");
    refused(&c, "octet.vocab: no such tensor in the file");
    copy_open(&c), tensor_of(&c, OCT_MODEL_VOCAB, "")->dtype = OCT_S8;
    refused(&c, "octet.vocab: dtype I8, expected U8");
    copy_open(&c);
    tensor_of(&c, OCT_MODEL_VOCAB, "")->rank = 2;
    tensor_of(&c, OCT_MODEL_VOCAB, "")->dim[1] = 1;
    refused(&c, "octet.vocab: shape");
    copy_open(&c), set_vocab(&c, vocab, 0);
    refused(&c, "[UNK]");
    copy_open(&c), set_vocab(&c, "a\nb\n[UNK]\n[CLS]\n", 16);
    refused(&c, "[SEP]");
    copy_open(&c), set_vocab(&c, memset(one_line, 'x', 3000), 3000);
    refused(&c, "[UNK]");
    copy_open(&c), set_vocab(&c, not_utf8, sizeof not_utf8 - 1);
    refused(&c, "UTF-8");
    copy_open(&c), set_vocab(&c, vocab, lines_size(s->tokens + 1));
    refused(&c, "the vocabulary has 1000 tokens, the model's embedding 999 rows");
    copy_open(&c), set_meta(&c, "octet.input", "{\"type\":\"image\"}");
    refused(&c, "octet.input: a recipe for images, the model takes texts");
    copy_open(&c), set_meta(&c, "octet.input", "{\"type\":\"text\",\"max_length\":0}");
    refused(&c, "max_length");
    free(one_line);
}
END_TEST

START_TEST(hostile_tables_and_scales)
{
    const subject *s = &subjects[0];
    const char *position = "distilbert.embeddings.position_embeddings.weight";
    copy c;
    make(s, NULL, 0, made);
    copy_open(&c), drop(&c, s->word, ".scale");
    refused(&c, "word_embeddings.weight.scale: no such tensor");
    copy_open(&c), tensor_of(&c, s->word, ".scale")->dim[0]--;
    refused(&c, "word_embeddings.weight.scale: shape [998], expected [999]");
    copy_open(&c), ((float *)tensor_of(&c, s->word, ".scale")->data)[998] = NAN;
    refused(&c, "entry 998 is nan, not a scale");
    copy_open(&c), ((float *)tensor_of(&c, position, ".scale")->data)[3] = -1;
    refused(&c, "entry 3 is -1, not a scale");
    copy_open(&c), tensor_of(&c, position, "")->dim[1]--;
    refused(&c, "position_embeddings.weight: shape");
    /* One scale too few for q, one too many for k: together as many as there are rows. */
    copy_open(&c), tensor_of(&c, s->query, ".scale")->dim[0]--, tensor_of(&c, s->key, ".scale")
        ->dim[0]++;
    refused(&c, "q_lin.weight.scale: shape [59], expected [60]");
    copy_open(&c), tensor_of(&c, s->key, "")->dim[0]--;
    refused(&c, "k_lin.weight: shape [59, 60]");
    copy_open(&c), *tensor_of(&c, s->key, "") = (oct_tensor){
        .rank = 2, .dim = { 60, 60 }, .data = tensor_of(&c, s->word, "")->data };
    refused(&c, "k_lin.weight: dtype F32");
}
END_TEST

/* Cut short anywhere; with every byte of its header changed. */
START_TEST(hostile_bytes)
{
    size_t size;
    uint64_t header;
    oct_model *m;
    make(&subjects[1], NULL, 0, made);
    uint8_t *bytes = file_read(made, &size);
    memcpy(&header, bytes, sizeof header);
    for (size_t n = 0; n < size; n += n < 64 ? 1 : 997) {
        file_write(other, bytes, n);
        ck_assert_int_ne(oct_model_load(other, NULL, &m), OCT_OK);
    }
    for (size_t i = 0; i < 8 + header; i += 13) {
        bytes[i] ^= 5;
        file_write(other, bytes, size);
        if (oct_model_load(other, &(oct_options){ .threads = 1 }, &m) == OCT_OK) oct_model_free(m);
        bytes[i] ^= 5;
    }
    free(bytes);
}
END_TEST

int main(void)
{
    const TTest *const tests[] = {
        has_the_bits_of_int8, is_made_twice_the_same, keeps_hugging_faces_names, keeps_layers,
        hostile_vocabularies, hostile_tables_and_scales, hostile_bytes,
    };
    return suite_run_in("text_file", tests, sizeof tests / sizeof *tests, setup, teardown);
}
