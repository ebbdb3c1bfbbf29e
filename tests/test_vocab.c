/* Where the tokenizer's vocabulary and rules come from: vocab.txt, tokenizer.json, folders. */
#include "tests/fail_alloc.h"
#include "tests/wordpiece_case.h"

static char folder[64];

static void setup(void) { snprintf(folder, sizeof folder, "%s", scratch_folder()); }

static void teardown(void)
{
    char command[160];
    snprintf(command, sizeof command, "rm -rf '%s'", folder);
    ck_assert_int_eq(system(command), 0);
}

static void put_file(const char *name, const char *text)
{
    char path[200];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    if (text) file_write(path, text, strlen(text));
    else unlink(path);
}

static void vocab_encodes(const char *vocab, const char *text, const char *ids, int count)
{
    oct_wordpiece *w = open_vocab(vocab, strlen(vocab));
    encodes(w, text, ids);
    ck_assert_int_eq(oct_wordpiece_count(w), count);
    size_t size;
    const char *again = oct_wordpiece_vocab(w, &size);
    oct_wordpiece *same = open_vocab(again, size);
    encodes(same, text, ids);
    ck_assert_int_eq(oct_wordpiece_count(same), count);
    oct_wordpiece_close(same);
    oct_wordpiece_close(w);
}

/* As the tokenizer reads such files. */
START_TEST(vocab_txt)
{
    vocab_encodes(FIVE "a\nb\n##b\nc\n##c", "a b ab abc C", "5 6 5 7 5 7 9 8", 10);
    vocab_encodes(FIVE "a\nb\n##b\nc\n##c\n", "a b ab abc C", "5 6 5 7 5 7 9 8", 10);
    vocab_encodes("[PAD]\r\n[UNK]\r\n[CLS]\r\n[SEP]\r\na\r\n##b\r\n", "a ab", "4 4 5", 6);
    vocab_encodes(FIVE "a\nb\na\nd\n", "a b d", "7 6 8", 9);          /* the later one counts */
    vocab_encodes(FIVE "a\n[CLS]\n", "a [CLS]", "5 6", 7);
    vocab_encodes(FIVE "d \ne\u00a0\nf\xc2\x85\ng\u2028\nh\x0b\ni\x1c\nj\u200b\nk\t\n l\nz\n",
                  "d e f g h i j k l z", "5 6 7 8 9 1 1 12 1 14", 15);
    vocab_encodes(FIVE "\n\nz\n\n", "a z", "1 7", 9);
    vocab_encodes("\ufeff" FIVE "a", "a [PAD]", "5 1 1 1", 6);       /* a mark is part of a token */
    vocab_encodes("[UNK]\n[CLS]\n[SEP]\na", "a [MASK]", "3 0 0 0", 4); /* not in the vocabulary */
    vocab_encodes(FIVE "##\n###\na\n#", "a## #", "7 8 8 8", 9);
    /* the longest piece, from the longest of several that begin alike */
    vocab_encodes(FIVE "a\nab\nabcde\nabcdefgh\nabcdefghij\n##c\n##cd\n##k\nabd\n##\xc3\xa9",
                  "abc abcd abcdefghijk abcdefghik abcdef ab", "6 10 6 11 9 12 1 1 6", 15);
}
END_TEST

static void refused(const char *vocab, size_t size, const char *why)
{
    oct_wordpiece *w;
    ck_assert_int_eq(oct_wordpiece_open(vocab, size, &plain_rules, &w), OCT_ERR_FORMAT);
    ck_assert_ptr_null(w);
    ck_assert_msg(strstr(oct_last_error(), why), "\"%s\" without \"%s\"", oct_last_error(), why);
}

START_TEST(bad_vocab_txt)
{
    refused("", 0, "no token [UNK]");
    refused("[PAD]\n[UNK]\n[SEP]\n", 18, "no token [CLS]");
    refused("[UNK]\n[CLS]\n", 12, "no token [SEP]");
    refused(FIVE "\xff\n", sizeof FIVE + 1, "line 6: not UTF-8");
    refused(FIVE "a\n\xc3\n", sizeof FIVE + 3, "line 7: not UTF-8");
    refused(FIVE, OCT_WORDPIECE_BYTES + (size_t)1, "16777217 bytes, at most 16777216");
    char *lines = malloc(OCT_WORDPIECE_TOKENS + 1);
    memset(lines, '\n', OCT_WORDPIECE_TOKENS + 1);
    refused(lines, OCT_WORDPIECE_TOKENS + 1, "more than 600000 lines");
    memcpy(lines, FIVE, sizeof FIVE - 1);
    oct_wordpiece *w = open_vocab(lines, OCT_WORDPIECE_TOKENS);
    ck_assert_int_lt(oct_wordpiece_count(w), OCT_WORDPIECE_TOKENS);
    encodes(w, "[MASK]", "4");
    oct_wordpiece_close(w);
    free(lines);
}
END_TEST

#define NORMALIZER(lower) "\"normalizer\":{\"type\":\"BertNormalizer\",\"clean_text\":true," \
    "\"handle_chinese_chars\":true,\"strip_accents\":null,\"lowercase\":" lower "}"
#define PARTS "\"pre_tokenizer\":{\"type\":\"BertPreTokenizer\"}," \
    "\"post_processor\":{\"type\":\"TemplateProcessing\",\"single\":[{\"A\":[1,-2.5e3,{}]}]}"
#define MODEL(more) "\"model\":{\"type\":\"WordPiece\",\"unk_token\":\"[UNK]\"," \
    "\"continuing_subword_prefix\":\"##\",\"max_input_chars_per_word\":100,\"vocab\":{" \
    "\"[PAD]\":0,\"[UNK]\":1,\"[CLS]\":2,\"[SEP]\":3,\"[MASK]\":4,\"a\":5,\"\\u0041\":7" more "}}"
#define ADDED(id, content, flag) "{\"id\":" id ",\"content\":\"" content "\",\"" flag "\":true}"
#define TOKENIZER(lower, added, more) \
    "{\"version\":\"1.0\",\"truncation\":null,\"added_tokens\":[" added "]," \
    NORMALIZER(lower) "," PARTS "," MODEL(more) "}"

static oct_wordpiece *open_folder(oct_recipe *r)
{
    oct_wordpiece *w = NULL;
    ck_assert_msg(oct_wordpiece_open_folder(folder, r, &w) == OCT_OK, "%s", oct_last_error());
    return w;
}

static void folder_refused(oct_status status, const char *why)
{
    oct_wordpiece *w;
    oct_recipe r;
    ck_assert_int_eq(oct_wordpiece_open_folder(folder, &r, &w), status);
    ck_assert_ptr_null(w);
    ck_assert_msg(strstr(oct_last_error(), why), "\"%s\" without \"%s\"", oct_last_error(), why);
}

START_TEST(tokenizer_json)
{
    oct_recipe r;
    size_t size;
    put_file("vocab.txt", FIVE "b\n"); /* tokenizer.json is preferred */
    put_file("tokenizer.json", TOKENIZER("false", ADDED("2", "[CLS]", "special"),
                                         ",\"\\u00e9\\ud83d\\ude00\":6,\" x\":9,\"##\\n\":10"));
    oct_wordpiece *w = open_folder(&r);
    ck_assert(r.text && !r.lowercase && r.strip_accents == -1 && r.tokenize_chinese_chars);
    ck_assert_int_eq(r.max_length, OCT_RECIPE_MAX_LENGTH);
    encodes(w, "a A b \u00e9\U0001f600 [CLS] x", "5 7 1 6 2 1");
    ck_assert_int_eq(oct_wordpiece_count(w), 11);
    const char *text = oct_wordpiece_vocab(w, &size);
    ck_assert_uint_eq(size, strlen(FIVE "a\n\u00e9\U0001f600\nA\n\n x\n\n"));
    ck_assert_int_eq(memcmp(text, FIVE "a\n\u00e9\U0001f600\nA\n\n x\n\n", size), 0);
    oct_wordpiece_close(w);

    put_file("tokenizer.json", TOKENIZER("true", ADDED("7", "A", "special") ","
                                         ADDED("8", "[E1]", "special"), ""));
    w = open_folder(&r);
    encodes(w, "aa[E1]aAa [e1]", "1 8 5 7 5 1 1 1");
    ck_assert_int_eq(oct_wordpiece_count(w), 9);
    ck_assert_ptr_null(oct_wordpiece_vocab(w, &size)); /* it has special tokens of its own */
    oct_wordpiece_close(w);
}
END_TEST

START_TEST(bad_tokenizer_json)
{
    static const struct { const char *json, *why; oct_status status; } cases[] = {
        { "", "no '{'", OCT_ERR_FORMAT },
        { "[]", "no '{'", OCT_ERR_FORMAT },
        { "{} x", "more after the end", OCT_ERR_FORMAT },
        { "{}", "model.vocab is \"null\": not a BERT tokenizer", OCT_ERR_UNSUPPORTED },
        { "{\"a\":[1,]}", "not a value", OCT_ERR_FORMAT },
        { "{\"a\":01}", "no ','", OCT_ERR_FORMAT },
        { "{\"a\":1.}", "no digit", OCT_ERR_FORMAT },
        { "{\"a\":{\"b\":[}]}", "not a value", OCT_ERR_FORMAT },
        { "{\"a\":\"\\x\"}", "unknown escape", OCT_ERR_FORMAT },
        { "{\"a\":\"\\ud800\"}", "half a surrogate pair", OCT_ERR_FORMAT },
        { "{\"a\":\"\\udc00\\ud800\"}", "half a surrogate pair", OCT_ERR_FORMAT },
        { "{\"a\":\"\\u12g4\"}", "hexadecimal", OCT_ERR_FORMAT },
        { "{\"a\":\"\x01\"}", "control character", OCT_ERR_FORMAT },
        { "{\"a\":\"\xc3\"}", "not UTF-8 (byte 6)", OCT_ERR_FORMAT },
        { "{\"a\":\"x", "no '\"'", OCT_ERR_FORMAT },
        { "{\"model\":{\"type\":\"BPE\"}}", "model.type is \"BPE\"", OCT_ERR_UNSUPPORTED },
        { "{\"model\":{\"merges\":[]}}", "BPE", OCT_ERR_UNSUPPORTED },
        { "{\"model\":{\"unk_token\":\"<unk>\"}}", "\"<unk>\"", OCT_ERR_UNSUPPORTED },
        { "{\"model\":{\"continuing_subword_prefix\":\"@\"}}", "\"@\"", OCT_ERR_UNSUPPORTED },
        { "{\"model\":{\"max_input_chars_per_word\":200}}", "100 to 100", OCT_ERR_FORMAT },
        { "{\"model\":{\"vocab\":[]}}", "model.vocab", OCT_ERR_UNSUPPORTED },
        { "{\"model\":{\"vocab\":{\"a\":-1}}}", "from 0 to 599999", OCT_ERR_FORMAT },
        { "{\"model\":{\"vocab\":{\"a\":600000}}}", "from 0 to 599999", OCT_ERR_FORMAT },
        { "{\"model\":{\"vocab\":{\"a\":1e3}}}", "from 0 to 599999", OCT_ERR_FORMAT },
        { "{\"model\":{\"vocab\":{\"a\":99999999999999999999}}}", "from 0", OCT_ERR_FORMAT },
        { "{\"normalizer\":{\"type\":\"Lowercase\"}}", "\"Lowercase\"", OCT_ERR_UNSUPPORTED },
        { "{\"normalizer\":{\"clean_text\":false}}", "clean_text", OCT_ERR_UNSUPPORTED },
        { "{\"pre_tokenizer\":{\"type\":\"Whitespace\"}}", "Whitespace", OCT_ERR_UNSUPPORTED },
        { "{\"post_processor\":{\"type\":\"Roberta\"}}", "\"Roberta\"", OCT_ERR_UNSUPPORTED },
        { "{" MODEL("") "," PARTS "}", "normalizer is \"null\"", OCT_ERR_UNSUPPORTED },
        { "{" MODEL("") "," NORMALIZER("true") "}", "pre_tokenizer", OCT_ERR_UNSUPPORTED },
        { TOKENIZER("true", "", ",\"b\":7"), "two tokens with the id 7", OCT_ERR_FORMAT },
        { TOKENIZER("true", "", ",\"a\":8"), "twice", OCT_ERR_FORMAT },
        { TOKENIZER("true", ADDED("3", "[CLS]", "special"), ""), "expected 2", OCT_ERR_FORMAT },
        { TOKENIZER("true", ADDED("33", "yy", "special"), ""), "expected 8", OCT_ERR_FORMAT },
        { TOKENIZER("true", "{\"id\":8}", ""), "a special token of 0 bytes", OCT_ERR_FORMAT },
        { TOKENIZER("true", ADDED("8", "y", "lstrip"), ""), "lstrip", OCT_ERR_UNSUPPORTED },
        { TOKENIZER("true", ADDED("8", "y", "normalized"), ""), "normal", OCT_ERR_UNSUPPORTED },
        { TOKENIZER("7", "", ""), "neither true nor false", OCT_ERR_FORMAT },
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        put_file("tokenizer.json", cases[i].json);
        folder_refused(cases[i].status, cases[i].why);
    }
    char *deep = malloc(200000); /* brackets, as deep as the file is long */
    memset(deep, '[', 199999);
    memcpy(deep, "{\"a\":", 5);
    deep[199999] = 0;
    put_file("tokenizer.json", deep);
    folder_refused(OCT_ERR_FORMAT, "nested too deeply");
    free(deep);
}
END_TEST

START_TEST(config)
{
    static const struct { const char *config; int lower, strip, cjk, longest; } cases[] = {
        { NULL, 1, -1, 1, OCT_RECIPE_MAX_LENGTH },
        { "{}", 1, -1, 1, OCT_RECIPE_MAX_LENGTH },
        { "{\"do_lower_case\":false,\"model_max_length\":512}", 0, -1, 1, 512 },
        { "{\"strip_accents\":false,\"tokenize_chinese_chars\":false,\"extra\":[{}]}", 1, 0, 0,
          OCT_RECIPE_MAX_LENGTH },
        { "{\"strip_accents\":true,\"do_lower_case\":false}", 0, 1, 1, OCT_RECIPE_MAX_LENGTH },
        { "{\"model_max_length\":1000000000000000019884624838656,\"strip_accents\":null,"
          "\"cls_token\":{\"content\":\"[CLS]\",\"lstrip\":false},\"unk_token\":\"[UNK]\","
          "\"tokenizer_class\":\"DistilBertTokenizer\",\"mask_token\":null,"
          "\"added_tokens_decoder\":{\"0\":{\"content\":\"[PAD]\",\"special\":true}}}",
          1, -1, 1, OCT_RECIPE_MAX_LENGTH },
    };
    oct_recipe r;
    put_file("vocab.txt", FIVE "a\nA\n\u00e9\n\u4e2d\u4e2d\n\u00e1\n\u00c1");
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        put_file("tokenizer_config.json", cases[i].config);
        oct_wordpiece *w = open_folder(&r);
        ck_assert(r.lowercase == cases[i].lower && r.strip_accents == cases[i].strip &&
                  r.tokenize_chinese_chars == cases[i].cjk && r.max_length == cases[i].longest);
        const int strips = r.strip_accents < 0 ? r.lowercase : r.strip_accents;
        encodes(w, "A", r.lowercase ? "5" : "6");
        encodes(w, "\u00c1", strips ? r.lowercase ? "5" : "6" : r.lowercase ? "9" : "10");
        encodes(w, "\u4e2d\u4e2d", r.tokenize_chinese_chars ? "1 1" : "8");
        oct_wordpiece_close(w);
    }
    put_file("tokenizer_config.json", "{\"do_lower_case\":true}"); /* the config is stronger */
    put_file("tokenizer.json", TOKENIZER("false", "", ""));
    oct_wordpiece *w = open_folder(&r);
    encodes(w, "A", "5");
    oct_wordpiece_close(w);
}
END_TEST

START_TEST(bad_config)
{
    static const struct { const char *config, *why; oct_status status; } cases[] = {
        { "{", "tokenizer_config.json: no '\"'", OCT_ERR_FORMAT },
        { "{}{}", "more after the end", OCT_ERR_FORMAT },
        { "{\"do_lower_case\":\"true\"}", "neither true nor false", OCT_ERR_FORMAT },
        { "{\"cls_token\":\"<s>\"}", "cls_token is \"<s>\", not [CLS]", OCT_ERR_UNSUPPORTED },
        { "{\"unk_token\":{\"content\":\"?\"}}", "unk_token is \"?\"", OCT_ERR_UNSUPPORTED },
        { "{\"tokenizer_class\":\"BertJapaneseTokenizer\"}", "BertJapanese", OCT_ERR_UNSUPPORTED },
        { "{\"added_tokens_decoder\":{\"9\":{\"content\":\"x\"}}}", "\"x\" is not among",
          OCT_ERR_UNSUPPORTED },
        { "{\"added_tokens_decoder\":{\"0\":{\"content\":\"[PAD]\",\"lstrip\":true}}}", "lstrip",
          OCT_ERR_UNSUPPORTED },
    };
    folder_refused(OCT_ERR_IO, "neither tokenizer.json nor vocab.txt");
    put_file("vocab.txt", FIVE);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        put_file("tokenizer_config.json", cases[i].config);
        folder_refused(cases[i].status, cases[i].why);
    }
}
END_TEST

/* Allocation after allocation fails; nothing is kept. */
static void each_allocation(void)
{
    const long before = fail_alloc_live();
    for (long n = 1;; n++) {
        oct_wordpiece *w;
        oct_recipe r;
        fail_alloc_begin(n, 0);
        const oct_status status = oct_wordpiece_open_folder(folder, &r, &w);
        const long used = fail_alloc_end();
        oct_wordpiece_close(w);
        ck_assert_int_eq(fail_alloc_live(), before);
        if (used < n) {
            ck_assert_int_eq(status, OCT_OK);
            ck_assert_int_gt(n, 8);
            return;
        }
        ck_assert_msg(status == OCT_ERR_MEMORY || status == OCT_OK, "allocation %ld: %s", n,
                      oct_last_error());
    }
}

START_TEST(out_of_memory)
{
    if (!fail_alloc_works()) return;
    put_file("vocab.txt", FIVE "a\n##a\n");
    put_file("tokenizer_config.json", "{}");
    each_allocation();
    put_file("tokenizer.json", TOKENIZER("true", ADDED("8", "[E1]", "special"), ""));
    each_allocation();
}
END_TEST

int main(void)
{
    const TTest *const tests[] = { vocab_txt, bad_vocab_txt, tokenizer_json, bad_tokenizer_json,
                                   config, bad_config, out_of_memory };
    return suite_run_in("vocab", tests, sizeof tests / sizeof *tests, setup, teardown);
}
