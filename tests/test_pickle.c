/* The restricted pickle machine: what it builds, and the sentence for everything it does not. */
#include "tests/suite.h"

#include <string.h>

#include "weights/pickle.h"

typedef struct bytes { const char *text; size_t size; } bytes;
#define BYTES(literal) { literal, sizeof literal - 1 }

static oct_status read_bytes(void *arg, uint64_t at, void *to, size_t size)
{
    memcpy(to, ((const bytes *)arg)->text + at, size);
    return OCT_OK;
}

typedef struct run {
    oct_slab slab;
    oct_pickle p;
    oct_pickle_input in;
    oct_pickle_value *root;
} run;

/* The input lies in a block of its own size, so that reading past it is seen. */
static oct_status start(run *r, bytes b)
{
    char *copy = malloc(b.size + 1);
    memcpy(copy, b.text, b.size);
    bytes exact = { realloc(copy, b.size ? b.size : 1), b.size };
    *r = (run){ .slab.budget = 1 << 20 };
    r->p.slab = &r->slab;
    r->in = (oct_pickle_input){ .read = read_bytes, .arg = &exact, .end = b.size };
    const oct_status status = oct_pickle_run(&r->p, &r->in, &r->root);
    free((void *)(uintptr_t)exact.text);
    return status;
}

static void finish(run *r) { oct_slab_free(&r->slab); }

START_TEST(refusals)
{
    static const struct { bytes b; const char *sentence; } table[] = {
        { BYTES("\x80\2cos\nsystem\n."), "global 'os.system' is not allowed (byte 2)" },
        { BYTES("\x80\4\x8c\2os\x8c\6system\x93."), "global 'os.system' is not allowed (byte 14)" },
        { BYTES("\x80\2c__builtin__\neval\n."), "global 'builtins.eval' is not allowed (byte 2)" },
        { BYTES("\x80\2c__torch__\nNet\n."), "global '__torch__.Net' is not allowed (byte 2)" },
        { BYTES("\x80\2ctorch.nn.modules.linear\nLinear\n."),
          "global 'torch.nn.modules.linear.Linear' is not allowed: a pickled object; save its "
          "state_dict() instead (byte 2)" },
        { BYTES("\x80\2K\1K\2K\3K\4K\5K\6K\7\x87\x9e"), "unknown opcode 0x9e (byte 17)" },
        { BYTES(""), "the pickle ends in the middle (byte 0)" },
        { BYTES("\x80\2N"), "the pickle ends in the middle (byte 3)" },
        { BYTES("\x80\2J\1\2\3"), "the pickle ends in the middle (byte 2)" },
        { BYTES("\x80\1N."), "pickle protocol 1, only 2 to 5 are read (byte 0)" },
        { BYTES("\x80\6N."), "pickle protocol 6, only 2 to 5 are read (byte 0)" },
        { BYTES("\x80\2."), "0 values at the end, expected 1 (byte 2)" },
        { BYTES("\x80\2NN."), "2 values at the end, expected 1 (byte 4)" },
        { BYTES("\x80\2(N."), "a mark without its end (byte 4)" },
        { BYTES("X\xff\xff\xff\xff" "abc."), "a string of 4294967295 bytes, 4 are left (byte 0)" },
        { BYTES("\x8d\0\0\0\0\0\0\0\x80" "a."), "a string of 9223372036854775808 bytes, 2 are left "
                                               "(byte 0)" },
        { BYTES("\x95\3\0\0\0\0\0\0\0N."), "a frame of 3 bytes, 2 are left (byte 0)" },
        { BYTES("\x8b\0\1\0\0N."), "an integer of 256 bytes (byte 0)" },
        { BYTES("h\0."), "memo 0 is empty (byte 0)" },
        { BYTES("Nq\5."), "memo 5 after 0 (byte 1)" },
        { BYTES("Nr\xff\xff\xff\xff."), "memo 4294967295 after 0 (byte 1)" },
        { BYTES("q\0."), "the stack has too few values (byte 0)" },
        { BYTES("N\x86."), "the stack has too few values (byte 1)" },
        { BYTES("N(\x85."), "the stack has too few values (byte 2)" }, /* not through a mark */
        { BYTES("t."), "there is no mark (byte 0)" },
        { BYTES("(u."), "the stack has too few values (byte 1)" },
        { BYTES("NNa."), "items for what is not a list (byte 2)" },
        { BYTES("]NNs."), "items for what is not a dictionary (byte 3)" },
        { BYTES("}(Nu."), "a key without a value (byte 3)" },
        { BYTES("N)R."), "a call of what is not an allowed function (byte 2)" },
        { BYTES("ctorch\nfloat32\n)R."), "a call of what is not an allowed function (byte 16)" },
        { BYTES("ctorch\nFloatStorage\n)R."),
          "a call of what is not an allowed function (byte 21)" },
        { BYTES("ccollections\nOrderedDict\nNR."), "arguments are no tuple (byte 26)" },
        { BYTES("ccollections\nOrderedDict\nN\x85R."),
          "'collections.OrderedDict' with unexpected arguments (byte 27)" },
        { BYTES("ctorch._utils\n_rebuild_tensor_v2\n)R."),
          "'torch._utils._rebuild_tensor_v2' with unexpected arguments (byte 34)" },
        { BYTES("N)\x81."), "an object of a class that is not allowed (byte 2)" },
        { BYTES("K\1}b."), "state for what is not an allowed object (byte 3)" },
        { BYTES("K\1Q."), "a persistent id that is not a storage's (byte 2)" },
        { BYTES("X\6\0\0\0module\x85Q."), "a persistent id that is not a storage's (byte 12)" },
        { BYTES("X\7\0\0\0storage\x85Q."), "a storage's id with unexpected items (byte 13)" },
        { BYTES("cno newline"), "the pickle ends in the middle (byte 0)" },
        { BYTES("ca\0b\nc\n."), "the name of a global is no text of less than 256 bytes (byte 0)" },
        { BYTES("NN\x93."), "the name of a global is no text (byte 2)" },
    };
    run r;
    for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
        ck_assert_int_eq(start(&r, table[i].b), OCT_ERR_FORMAT);
        ck_assert_str_eq(oct_last_error(), table[i].sentence);
        finish(&r);
    }
}
END_TEST

/* The fixed list: a new opcode in the machine has to be entered here too. */
START_TEST(opcodes)
{
    static const char known[] =
        ".()]}NJKMGXTUBCtaesuqrhjcRbQ\x80\x81\x85\x86\x87\x88\x89\x8a\x8b\x8c\x8d\x8e\x8f\x90"
        "\x93\x94\x95\x96";
    run r;
    for (int op = 0; op < 256; op++) {
        const char text[] = { (char)op };
        if (start(&r, (bytes){ text, 1 }) != OCT_OK) {
            const int refused = strncmp(oct_last_error(), "unknown opcode", 14) == 0;
            ck_assert_msg(refused == (memchr(known, op, sizeof known - 1) == NULL), "0x%02x", op);
        }
        finish(&r);
    }
}
END_TEST

START_TEST(plain_values)
{
    run r;
    bytes b = BYTES("\x80\2}q\0(X\1\0\0\0aK\xffX\1\0\0\0bJ\xff\xff\xff\xffX\1\0\0\0c"
                    "\x8a\1\x80X\1\0\0\0d\x8a\x8\1\2\3\4\5\6\7\x8X\1\0\0\0e\x8a\0"
                    "X\1\0\0\0aM\1\2u.rest");
    ck_assert_int_eq(start(&r, b), OCT_OK);
    ck_assert_int_eq(r.root->kind, OCT_PICKLE_DICT);
    ck_assert_int_eq(r.root->n, 6);
    ck_assert_int_eq(oct_pickle_get(r.root, "a")->i, 513); /* the last one, as in Python */
    ck_assert_int_eq(oct_pickle_get(r.root, "b")->i, -1);
    ck_assert_int_eq(oct_pickle_get(r.root, "c")->i, -128);
    ck_assert_int_eq(oct_pickle_get(r.root, "d")->i, 0x0807060504030201);
    ck_assert_int_eq(oct_pickle_get(r.root, "e")->i, 0);
    ck_assert_ptr_null(oct_pickle_get(r.root, "f"));
    ck_assert_uint_eq(r.in.at, b.size - 4); /* behind the STOP, whatever was read ahead */
    finish(&r);
}
END_TEST

#define STORAGE "(X\7\0\0\0storagectorch\nFloatStorage\nX\1\0\0\0" "0X\3\0\0\0cpuK\x06tQ"
#define REBUILD "ctorch._utils\n_rebuild_tensor_v2\n("

START_TEST(a_tensor)
{
    run r;
    bytes b = BYTES("\x80\2" REBUILD STORAGE "K\1K\2K\3\x86K\3K\1\x86\x89}tR.");
    ck_assert_msg(start(&r, b) == OCT_OK, "%s", oct_last_error());
    ck_assert_int_eq(r.root->kind, OCT_PICKLE_TENSOR);
    const oct_pickle_tensor *t = r.root->tensor;
    ck_assert(t->rank == 2 && t->dim[0] == 2 && t->dim[1] == 3 && t->offset == 1);
    ck_assert(t->stride[0] == 3 && t->stride[1] == 1);
    ck_assert(t->storage->numel == 6 && t->storage->dtype == OCT_F32);
    ck_assert_str_eq(t->storage->key->text, "0");
    ck_assert_ptr_eq(r.p.storages, t->storage);
    finish(&r);
    static const bytes wrong[] = {
        BYTES(REBUILD STORAGE "J\xff\xff\xff\xffK\2\x85K\1\x85\x89}tR."), /* offset -1 */
        BYTES(REBUILD STORAGE "K\0J\xff\xff\xff\xff\x85K\1\x85\x89}tR."), /* size -1 */
        BYTES(REBUILD STORAGE "K\0K\2\x85J\xff\xff\xff\xff\x85\x89}tR."), /* stride -1 */
        BYTES(REBUILD STORAGE "K\0K\2\x85)\x89}tR."),                     /* one size, no stride */
        BYTES(REBUILD STORAGE "K\0NN\x89}tR."),
        BYTES(REBUILD "NK\0))\x89}tR."),
    };
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        ck_assert_int_eq(start(&r, wrong[i]), OCT_ERR_FORMAT);
        ck_assert_ptr_nonnull(strstr(oct_last_error(), "with unexpected arguments"));
        finish(&r);
    }
}
END_TEST

#define QUANTIZED(params) "ctorch._utils\n_rebuild_qtensor\n(" STORAGE "K\0K\2K\3\x86K\3K\1\x86" \
    params "\x89}tR."
#define ONE_HALF "G\x3f\xe0\0\0\0\0\0\0"
#define WHOLE "(ctorch\nper_tensor_affine\n"
#define EACH "(ctorch\nper_channel_affine\n"

START_TEST(a_quantized_tensor)
{
    run r;
    bytes b = BYTES(QUANTIZED(WHOLE ONE_HALF "J\xfe\xff\xff\xff" "t"));
    ck_assert_msg(start(&r, b) == OCT_OK, "%s", oct_last_error());
    ck_assert_int_eq(r.root->kind, OCT_PICKLE_TENSOR);
    const oct_pickle_quantizer *q = r.root->tensor->quantizer;
    ck_assert(q && q->scale->f == 0.5 && q->zero->i == -2 && q->axis == 0);
    finish(&r);
    bytes lists = BYTES(QUANTIZED(EACH "](" ONE_HALF ONE_HALF "e](K\0K\1eK\1t"));
    ck_assert_msg(start(&r, lists) == OCT_OK, "%s", oct_last_error());
    q = r.root->tensor->quantizer;
    ck_assert(q->scale->kind == OCT_PICKLE_LIST && q->scale->n == 2 && q->axis == 1);
    finish(&r);
    static const bytes wrong[] = {
        BYTES(QUANTIZED("N")), BYTES(QUANTIZED(")")), BYTES(QUANTIZED("K\1\x85")),
        BYTES(QUANTIZED(WHOLE ONE_HALF "t")),
        BYTES(QUANTIZED(WHOLE "K\1K\0t")),
        BYTES(QUANTIZED(WHOLE ONE_HALF ONE_HALF "t")),
        BYTES(QUANTIZED(WHOLE ONE_HALF "K\0K\0t")),
        BYTES(QUANTIZED(EACH ONE_HALF "K\0K\0t")),
        BYTES(QUANTIZED(EACH "](" ONE_HALF "e](K\0et")),
        BYTES(QUANTIZED(EACH "](" ONE_HALF "e](K\0eJ\xff\xff\xff\xff" "t")),
        BYTES(QUANTIZED(EACH "NNK\0t")),
    };
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        ck_assert_int_eq(start(&r, wrong[i]), OCT_ERR_FORMAT);
        ck_assert_msg(strstr(oct_last_error(), "with unexpected arguments") != NULL, "%zu: %s", i,
                      oct_last_error());
        finish(&r);
    }
}
END_TEST

static void fill_and_run(const char *head, char op, size_t n, const char *tail, oct_status want,
                         const char *words)
{
    const size_t h = strlen(head), t = strlen(tail);
    char *text = malloc(h + n + t);
    memcpy(text, head, h);
    memset(text + h, op, n);
    memcpy(text + h + n, tail, t);
    run r;
    ck_assert_int_eq(start(&r, (bytes){ text, h + n + t }), want);
    if (want != OCT_OK)
        ck_assert_msg(strstr(oct_last_error(), words) != NULL, "%s", oct_last_error());
    finish(&r);
    free(text);
}

START_TEST(depth_and_cycles)
{
    run r;
    fill_and_run("", '(', 5000, ".", OCT_ERR_FORMAT, "nested deeper than 4096");
    fill_and_run("N", '\x85', 10000, ".", OCT_OK, NULL); /* ((((None,),),),) */
    fill_and_run("N", '\x85', 100000, ".", OCT_ERR_FORMAT, "describing the tensors takes more");
    fill_and_run("", '}', 100000, ".", OCT_ERR_FORMAT, "describing the tensors takes more");
    fill_and_run("Nq\1", 'h', 1 << 20, ".", OCT_ERR_FORMAT, "empty"); /* h h: memo 104 */
    fill_and_run("N", '\x94', 3 << 20, ".", OCT_ERR_FORMAT, "more than 2097152 values in the memo");
    bytes list = BYTES("]q\0h\0a."), dict = BYTES("}q\0X\1\0\0\0ah\0s.");
    ck_assert_int_eq(start(&r, list), OCT_OK); /* a list that holds itself */
    ck_assert_ptr_eq(r.root->list.first->value, r.root);
    finish(&r);
    ck_assert_int_eq(start(&r, dict), OCT_OK);
    ck_assert_ptr_eq(oct_pickle_get(r.root, "a"), r.root);
    finish(&r);
}
END_TEST

static void mutate(bytes b) /* every run ends with a status; sanitizers watch */
{
    char *text = malloc(b.size);
    run r;
    for (size_t i = 0; i < b.size; i++) {
        memcpy(text, b.text, b.size);
        for (int v = 0; v < 256; v++) {
            text[i] = (char)v;
            r.p.modules = v & 1;
            if (start(&r, (bytes){ text, b.size }) != OCT_OK) ck_assert(*oct_last_error());
            finish(&r);
        }
        if (start(&r, (bytes){ text, i }) == OCT_OK) ck_abort_msg("%zu bytes are no pickle", i);
        finish(&r);
    }
    free(text);
}

START_TEST(every_mutation_of_a_small_pickle)
{
    bytes b = BYTES("\x80\2}q\0(X\1\0\0\0aq\1" REBUILD STORAGE "K\0K\2K\3\x86q\2K\3K\1\x86\x89"
                    "ccollections\nOrderedDict\n)RtRq\3X\1\0\0\0b(h\1h\2l" "]q\4(h\3h\3eu}bb.");
    bytes q = BYTES(QUANTIZED(EACH "](" ONE_HALF ONE_HALF "e](K\0K\1eK\1t"));
    mutate(b);
    mutate(q);
}
END_TEST

int main(void)
{
    setenv("CK_DEFAULT_TIMEOUT", "120", 0);
    const TTest *const tests[] = { refusals, opcodes, plain_values, a_tensor, a_quantized_tensor,
                                   depth_and_cycles, every_mutation_of_a_small_pickle };
    return suite_run("pickle", tests, sizeof tests / sizeof *tests);
}
