/* weights/: what is read from the files of tests/golden/weights and from real ones. */
#define _GNU_SOURCE /* memfd_create */
#include "tests/suite.h"

#include <sys/stat.h>

#include "tests/weights_util.h"

/* Splits text at tabs and newlines into lines of n fields; calls row with each. */
static int each_row(const char *name, int n, void (*row)(char **field))
{
    size_t size = 0;
    char *text = slurp(source_path(name), &size), *save = NULL;
    ck_assert_msg(text != NULL, "no %s", name);
    int rows = 0;
    for (char *line = strtok_r(text, "\n", &save); line; line = strtok_r(NULL, "\n", &save)) {
        char *field[8];
        for (int i = 0; i < n; i++) {
            field[i] = line;
            line = strchr(line, '\t');
            if (line) *line++ = '\0';
            ck_assert(i == n - 1 || line);
        }
        row(field);
        rows++;
    }
    free(text);
    return rows;
}

static const char *golden(const char *name)
{
    char relative[512];
    snprintf(relative, sizeof relative, "tests/golden/weights/%s", name);
    return source_path(relative);
}

static void check_tensor(char **field) /* file, tensor, dtype, shape, SHA-256 */
{
    oct_weights *w;
    ck_assert_msg(oct_weights_open(golden(field[0]), &w) == OCT_OK, "%s: %s", field[0],
                  oct_last_error());
    const oct_weights_entry *e = oct_weights_find(w, field[1]);
    ck_assert_msg(e != NULL, "%s: no %s", field[0], field[1]);
    char shape[128], hex[65];
    ck_assert_str_eq(oct_dtype_name(e->dtype), field[2]);
    ck_assert_str_eq(shape_text(e, shape), field[3]);
    oct_tensor t;
    ck_assert_msg(oct_weights_require(w, field[1], e->rank, e->dim, &t) == OCT_OK, "%s: %s",
                  field[0], oct_last_error());
    tensor_sha(&t, hex);
    ck_assert_msg(strcmp(hex, field[4]) == 0, "%s: %s has other data", field[0], field[1]);
    ck_assert_uint_eq(oct_tensor_size(&t), e->size);
    ck_assert_uint_eq((uintptr_t)t.data % 4096, 0);
    ck_assert_int_eq(((const char *)t.data)[e->size + 63], 0); /* readable */
    oct_weights_let_go(w, &t);
    oct_weights_close(w);
}

START_TEST(goldens_have_pytorchs_tensors)
{
    ck_assert_int_gt(each_row("tests/golden/weights/expected.tsv", 5, check_tensor), 200);
}
END_TEST

/* Nothing but what is expected: the number of tensors of each file. */
static char counted[256];
static int count;

static void finish_count(void)
{
    oct_weights *w;
    if (!*counted) return;
    ck_assert_int_eq(oct_weights_open(golden(counted), &w), OCT_OK);
    ck_assert_msg(oct_weights_count(w) == count, "%s: %d tensors, expected %d", counted,
                  oct_weights_count(w), count);
    for (int i = 1; i < count; i++)
        ck_assert_int_lt(strcmp(oct_weights_at(w, i - 1)->name, oct_weights_at(w, i)->name), 0);
    ck_assert_ptr_null(oct_weights_at(w, -1));
    ck_assert_ptr_null(oct_weights_at(w, count));
    oct_weights_close(w);
}

static void count_row(char **field)
{
    if (strcmp(counted, field[0]) != 0) {
        finish_count();
        snprintf(counted, sizeof counted, "%s", field[0]);
        count = 0;
    }
    count++;
}

START_TEST(goldens_have_nothing_else)
{
    each_row("tests/golden/weights/expected.tsv", 5, count_row);
    finish_count();
}
END_TEST

static void check_refused(char **field) /* file, words */
{
    ck_assert_msg(read_everything(golden(field[0])) != OCT_OK, "%s was read", field[0]);
    ck_assert_msg(strstr(oct_last_error(), field[1]) != NULL, "%s: '%s' lacks '%s'", field[0],
                  oct_last_error(), field[1]);
}

START_TEST(goldens_are_refused_with_a_reason)
{
    ck_assert_int_gt(each_row("tests/golden/weights/refused.tsv", 2, check_refused), 12);
}
END_TEST

static int shared_found;

static void check_shared(char **field) /* file, tensors, SHA-256 of all */
{
    char path[256], shape[128], line[512], hex[65];
    snprintf(path, sizeof path, "../shared/weights/%s", field[0]);
    if (access(source_path(path), R_OK) < 0) return;
    shared_found++;
    oct_weights *w;
    ck_assert_msg(oct_weights_open(source_path(path), &w) == OCT_OK, "%s: %s", field[0],
                  oct_last_error());
    ck_assert_int_eq(oct_weights_count(w), atoi(field[1]));
    oct_sha256 s;
    oct_sha256_init(&s);
    for (int i = 0; i < oct_weights_count(w); i++) {
        const oct_weights_entry *e = oct_weights_at(w, i);
        oct_tensor t;
        ck_assert_int_eq(oct_weights_require(w, e->name, -1, NULL, &t), OCT_OK);
        const int n = snprintf(line, sizeof line, "%s %s %s\n", e->name, oct_dtype_name(e->dtype),
                               shape_text(e, shape));
        oct_sha256_add(&s, line, (size_t)n);
        oct_sha256_add(&s, t.data, e->size);
        oct_weights_let_go(w, &t);
    }
    oct_sha256_hex(&s, hex);
    ck_assert_msg(strcmp(hex, field[2]) == 0, "%s: other data than PyTorch's", field[0]);
    oct_weights_close(w);
}

START_TEST(real_files_have_pytorchs_tensors) /* where they are */
{
    each_row("tests/golden/weights/shared.tsv", 3, check_shared);
    if (!shared_found) printf("../shared/weights is not here: real files not checked\n");
}
END_TEST

START_TEST(formats_metadata_and_hash)
{
    static const char *const table[][2] = {
        { "types.pt", "pytorch zip" }, { "types_legacy.pt", "pytorch legacy" },
        { "script.pt", "torchscript" }, { "types.safetensors", "safetensors" },
    };
    oct_weights *w;
    for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
        ck_assert_int_eq(oct_weights_open(golden(table[i][0]), &w), OCT_OK);
        ck_assert_str_eq(oct_weights_format(w), table[i][1]);
        size_t size;
        char *bytes = slurp(golden(table[i][0]), &size), want[65], hex[65];
        ck_assert_uint_eq(oct_weights_file_size(w), size);
        oct_sha256 s;
        oct_sha256_init(&s);
        oct_sha256_add(&s, bytes, size);
        oct_sha256_hex(&s, want);
        ck_assert_int_eq(oct_weights_sha256(w, hex), OCT_OK);
        ck_assert_str_eq(hex, want);
        free(bytes);
        if (i == 3) {
            const char *value;
            ck_assert_str_eq(oct_weights_meta(w, "format"), "pt");
            ck_assert_str_eq(oct_weights_meta(w, "b"), "ä\n\"");
            ck_assert_str_eq(oct_weights_meta(w, "a"), "");
            ck_assert_ptr_null(oct_weights_meta(w, "none"));
            ck_assert_str_eq(oct_weights_meta_at(w, 0, &value), "a");
            ck_assert_str_eq(oct_weights_meta_at(w, 2, &value), "format");
            ck_assert_str_eq(value, "pt");
            ck_assert_ptr_null(oct_weights_meta_at(w, 3, &value));
        } else {
            ck_assert_ptr_null(oct_weights_meta(w, "format"));
        }
        oct_weights_close(w);
    }
    oct_weights_close(NULL);
}
END_TEST

START_TEST(require_checks_name_and_shape)
{
    oct_weights *w;
    oct_tensor t, u;
    ck_assert_int_eq(oct_weights_open(golden("types.safetensors"), &w), OCT_OK);
    ck_assert_int_eq(oct_weights_require(w, "nothing", -1, NULL, &t), OCT_ERR_FORMAT);
    ck_assert_str_eq(oct_last_error(), "nothing: no such tensor in the file");
    ck_assert_int_eq(oct_weights_require(w, "float.F32", 1, (int[]){ 32 }, &t), OCT_ERR_SHAPE);
    ck_assert_str_eq(oct_last_error(), "float.F32: shape [3, 5], expected [32]");
    ck_assert_int_eq(oct_weights_require(w, "float.F32", 2, (int[]){ -1, 4 }, &t), OCT_ERR_SHAPE);
    ck_assert_str_eq(oct_last_error(), "float.F32: shape [3, 5], expected [any, 4]");
    ck_assert_int_eq(oct_weights_require(w, "float.F32", 2, (int[]){ -1, 5 }, &t), OCT_OK);
    ck_assert_int_eq(oct_weights_require(w, "scalar", 0, NULL, &u), OCT_OK);
    ck_assert_int_eq(*(int64_t *)u.data, 1234567);
    ck_assert_int_eq(oct_weights_require(w, "float.F32", -1, NULL, &u), OCT_OK);
    ck_assert_ptr_ne(t.data, u.data); /* so that one reader's let_go does not hurt the other */
    oct_weights_let_go(w, &t);
    ((volatile float *)u.data)[0] = 1;
    ck_assert_ptr_null(oct_weights_find(w, "float"));
    ck_assert_ptr_nonnull(oct_weights_find(w, "float.F16"));
    oct_weights_close(w); /* frees u */
}
END_TEST

static void refused(const char *path, oct_status status, const char *words)
{
    oct_weights *w = (oct_weights *)&status;
    ck_assert_int_eq(oct_weights_open(path, &w), status);
    ck_assert_ptr_null(w);
    ck_assert_msg(strstr(oct_last_error(), words) != NULL, "'%s' lacks '%s'", oct_last_error(),
                  words);
}

START_TEST(paths_that_are_no_files)
{
    char dir[] = "/tmp/octet-test-XXXXXX", path[128], link[128];
    ck_assert_ptr_nonnull(mkdtemp(dir));
    refused("/nonexistent/file", OCT_ERR_IO, "No such file or directory");
    refused("/dev/zero", OCT_ERR_FORMAT, "neither a regular file nor a folder");
    refused(dir, OCT_ERR_FORMAT, "a folder without model.safetensors");
    snprintf(path, sizeof path, "%s/fifo", dir);
    ck_assert_int_eq(mkfifo(path, 0600), 0);
    refused(path, OCT_ERR_FORMAT, "neither a regular file nor a folder");
    unlink(path);
    snprintf(link, sizeof link, "%s/link", dir);
    ck_assert_int_eq(symlink("link", link), 0);
    refused(link, OCT_ERR_IO, "symbolic links");
    unlink(link);
    rmdir(dir);
}
END_TEST

static void copy(const char *from, const char *to)
{
    size_t size = 0;
    char *bytes = slurp(from, &size);
    FILE *f = fopen(to, "wb");
    ck_assert(bytes && f && fwrite(bytes, 1, size, f) == size);
    fclose(f);
    free(bytes);
}

START_TEST(folders)
{
    char dir[] = "/tmp/octet-test-XXXXXX", path[3][128];
    static const char *const names[] = { "model.safetensors", "pytorch_model.bin", "config.json" };
    oct_weights *w;
    struct stat st;
    ck_assert_ptr_nonnull(mkdtemp(dir));
    for (int i = 0; i < 3; i++) snprintf(path[i], sizeof *path, "%s/%s", dir, names[i]);
    copy(golden("types.pt"), path[1]);
    ck_assert_int_eq(oct_weights_open(dir, &w), OCT_OK);
    ck_assert_str_eq(oct_weights_format(w), "pytorch zip");
    oct_weights_close(w);
    copy(golden("refused.tsv"), path[2]);
    char *target = realpath(golden("types.safetensors"), NULL);
    ck_assert_int_eq(symlink(target, path[0]), 0);
    free(target);
    ck_assert_int_eq(oct_weights_open(dir, &w), OCT_OK); /* a link, as in Hugging Face's cache */
    ck_assert_str_eq(oct_weights_format(w), "safetensors");
    size_t sum = 0;
    for (int i = 0; i < 3; i += 2) {
        ck_assert_int_eq(stat(path[i], &st), 0);
        sum += (size_t)st.st_size;
    }
    ck_assert_uint_eq(oct_weights_file_size(w), sum);
    oct_weights_close(w);
    unlink(path[0]);
    ck_assert_int_eq(mkdir(path[0], 0700), 0);
    refused(dir, OCT_ERR_FORMAT, "model.safetensors in it is a folder");
    rmdir(path[0]);
    for (int i = 1; i < 3; i++) unlink(path[i]);
    rmdir(dir);
}
END_TEST

/* Rows of several tensors as one; what does not go together is said by name. */
START_TEST(join_puts_rows_behind_rows)
{
#define LAYER "distilbert.transformer.layer.0.attention."
    static const char *const names[] = { LAYER "k_lin.weight", LAYER "v_lin.weight" };
    static const char *const shapes[] = { LAYER "k_lin.weight",
                                          "distilbert.transformer.layer.0.ffn.lin2.weight" };
    static const char *const missing[] = { LAYER "k_lin.weight", LAYER "z_lin.weight" };
    static const char *const types[] = { "f16", "f32" };
    const int any[] = { -1, -1 }, wide[] = { -1, 61 }, one[] = { -1 };
    oct_weights *w;
    oct_tensor all, part;
    ck_assert_int_eq(oct_weights_open(source_path("tests/golden/encoders/distilbert"), &w), OCT_OK);
    ck_assert_ptr_nonnull(strstr(oct_weights_config(w), "\"model_type\": \"distilbert\""));
    ck_assert_int_eq(oct_weights_join(w, names, 2, 2, any, &all), OCT_OK);
    ck_assert(all.rank == 2 && all.dim[0] == 120 && all.dim[1] == 60 && all.dtype == OCT_F16);
    for (int i = 0; i < 2; i++) {
        ck_assert_int_eq(oct_weights_require(w, names[i], 2, any, &part), OCT_OK);
        ck_assert_mem_eq((char *)all.data + 7200 * i, part.data, 7200);
    }
    oct_weights_let_go(w, &all);
    ck_assert_int_eq(oct_weights_join(w, shapes, 2, 2, any, &all), OCT_ERR_SHAPE);
    ck_assert_str_eq(oct_last_error(), "distilbert.transformer.layer.0.ffn.lin2.weight: its rows "
                     "do not go with those of " LAYER "k_lin.weight");
    ck_assert_int_eq(oct_weights_join(w, missing, 2, 2, any, &all), OCT_ERR_FORMAT);
    ck_assert_str_eq(oct_last_error(), LAYER "z_lin.weight: no such tensor in the file");
    ck_assert_int_eq(oct_weights_join(w, names, 2, 2, wide, &all), OCT_ERR_SHAPE);
    oct_weights_close(w);

    static const char file[] =
        "{\"f16\":{\"dtype\":\"F16\",\"shape\":[2],\"data_offsets\":[0,4]},"
        "\"f32\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[4,8]}}";
    char bytes[8 + sizeof file - 1 + 8] = { (char)(sizeof file - 1) };
    int fd = -1;
    memcpy(bytes + 8, file, sizeof file - 1);
    ck_assert_int_eq(oct_weights_open(memory_file(&fd, bytes, sizeof bytes), &w), OCT_OK);
    ck_assert_ptr_null(oct_weights_config(w));
    ck_assert_int_eq(oct_weights_join(w, types, 2, 1, one, &all), OCT_ERR_UNSUPPORTED);
    ck_assert_str_eq(oct_last_error(), "f32: dtype F32, f16 has F16");
    oct_weights_close(w);
    close(fd);
}
END_TEST

int main(void)
{
    setenv("CK_DEFAULT_TIMEOUT", "120", 0);
    const TTest *const tests[] = {
        goldens_have_pytorchs_tensors, goldens_have_nothing_else,
        goldens_are_refused_with_a_reason, real_files_have_pytorchs_tensors,
        formats_metadata_and_hash, require_checks_name_and_shape, paths_that_are_no_files, folders,
        join_puts_rows_behind_rows,
    };
    return suite_run("weights", tests, sizeof tests / sizeof *tests);
}
