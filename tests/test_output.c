/* Files that appear whole or not at all. */
#include <dirent.h>
#include <signal.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "programs/output.h"
#include "tests/suite.h"
#include "weights/weights.h"

static char folder[] = "test_output.XXXXXX";

static const char text[] = "one line\n";

static oct_status save(const char *path, int lines)
{
    output *o;
    OCT_TRY(output_open(path, &o));
    for (int i = 0; i < lines; i++) fputs(text, output_stream(o));
    return output_commit(o);
}

static int files_in(const char *path)
{
    int n = 0;
    DIR *d = opendir(path);
    ck_assert_ptr_nonnull(d);
    for (const struct dirent *e; (e = readdir(d));) n += e->d_name[0] != '.';
    closedir(d);
    return n;
}

START_TEST(files)
{
    char path[100], link[100];
    struct stat st;
    ck_assert_ptr_nonnull(mkdtemp(folder));
    snprintf(path, sizeof path, "%s/file", folder);
    snprintf(link, sizeof link, "%s/link", folder);

    ck_assert_int_eq(save("nosuch/folder/x", 1), OCT_ERR_IO);
    ck_assert_int_eq(save("/dev/full", 1), OCT_ERR_IO);
    ck_assert_int_eq(save(folder, 1), OCT_ERR_IO);
    ck_assert_int_eq(files_in(folder), 0);

    output *o;
    ck_assert_int_eq(output_open(path, &o), OCT_OK);
    fputs(text, output_stream(o));
    ck_assert_int_eq(output_sync(o), OCT_OK);
    ck_assert_int_ne(stat(path, &st), 0);
    output_drop(o);
    ck_assert_int_eq(files_in(folder), 0);

    ck_assert_int_eq(save(path, 1), OCT_OK);
    ck_assert(!stat(path, &st) && st.st_size == sizeof text - 1);
    ck_assert_int_eq(symlink("file", link), 0);
    ck_assert_int_eq(save(link, 2), OCT_OK); /* what the link names is replaced */
    ck_assert(!lstat(link, &st) && S_ISLNK(st.st_mode));
    ck_assert(!stat(path, &st) && st.st_size == 2 * (sizeof text - 1));
    ck_assert_int_eq(files_in(folder), 2);
    unlink(link);
    unlink(path);
    rmdir(folder);
}
END_TEST

/* Room for 4 kB, then, if the disk is not full for long, for all again: bytes are lost. */
START_TEST(a_full_disk)
{
    enum { LINES = 100000 };
    char path[100];
    struct rlimit old, small = { 4096, 4096 };
    ck_assert_ptr_nonnull(mkdtemp(folder));
    snprintf(path, sizeof path, "%s/file", folder);
    ck_assert_int_eq(getrlimit(RLIMIT_FSIZE, &old), 0);
    small.rlim_max = old.rlim_max;
    signal(SIGXFSZ, SIG_IGN);
    for (int for_long = 0; for_long < 2; for_long++) {
        output *o;
        ck_assert_int_eq(output_open(path, &o), OCT_OK);
        setrlimit(RLIMIT_FSIZE, &small);
        for (int i = 0; i < LINES; i++) fputs(text, output_stream(o));
        if (!for_long) setrlimit(RLIMIT_FSIZE, &old);
        const oct_status status = output_commit(o);
        setrlimit(RLIMIT_FSIZE, &old);
        ck_assert_int_eq(status, OCT_ERR_IO);
        ck_assert_ptr_nonnull(strstr(oct_last_error(), "cannot be written: "));
        ck_assert_int_eq(files_in(folder), 0);
    }
    rmdir(folder);
}
END_TEST

START_TEST(a_signal)
{
    char path[2][100];
    ck_assert_ptr_nonnull(mkdtemp(folder));
    for (int i = 0; i < 2; i++) snprintf(path[i], sizeof path[i], "%s/%d", folder, i);
    const pid_t child = fork();
    if (child == 0) {
        output *o[2];
        signal(SIGTERM, SIG_DFL); /* Check's own handler would end the test */
        for (int i = 0; i < 2; i++)
            if (output_open(path[i], &o[i])) _exit(1);
        if (files_in(folder) == 2) raise(SIGTERM);
        _exit(1);
    }
    int status;
    ck_assert_int_eq(waitpid(child, &status, 0), child);
    ck_assert(WIFSIGNALED(status) && WTERMSIG(status) == SIGTERM);
    ck_assert_int_eq(files_in(folder), 0);
    rmdir(folder);
}
END_TEST

static void interrupt(int number)
{
    (void)number;
    raise(files_in(folder) == 2 ? SIGINT : SIGKILL); /* OUT's, and the one being written */
}

/* The disk ends inside the tensor: there SIGINT comes. */
START_TEST(a_signal_while_weights_are_saved)
{
    static float numbers[4096];
    const oct_tensor t = { .dtype = OCT_F32, .rank = 1, .dim = { 4096 }, .data = numbers };
    const oct_save_tensor list = { "numbers", &t };
    char path[100];
    ck_assert_ptr_nonnull(mkdtemp(folder));
    snprintf(path, sizeof path, "%s/model", folder);
    const pid_t child = fork();
    if (child == 0) {
        output *o;
        signal(SIGINT, SIG_DFL);
        signal(SIGXFSZ, interrupt);
        if (output_open(path, &o)) _exit(1);
        setrlimit(RLIMIT_FSIZE, &(struct rlimit){ 4096, RLIM_INFINITY });
        _exit(oct_weights_save(output_temporary(o), &list, 1, NULL, 0) == OCT_OK ? 1 : 2);
    }
    int status;
    ck_assert_int_eq(waitpid(child, &status, 0), child);
    ck_assert_msg(WIFSIGNALED(status) && WTERMSIG(status) == SIGINT, "status %x", status);
    ck_assert_int_eq(files_in(folder), 0);
    rmdir(folder);
}
END_TEST

int main(void)
{
    const TTest *const tests[] = { files, a_full_disk, a_signal,
                                   a_signal_while_weights_are_saved };
    return suite_run("output", tests, sizeof tests / sizeof *tests);
}
