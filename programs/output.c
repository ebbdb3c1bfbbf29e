#include "programs/output.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "programs/cli.h"
#include "weights/weights.h"

struct output {
    char *path, *temporary;
    char *part;                /* what oct_weights_save(temporary) writes first */
    FILE *file;
};

static const int ending[] = { SIGINT, SIGTERM, SIGHUP };

static void clean_up(int number)
{
    cli_unlink_unfinished();
    signal(number, SIG_DFL);
    raise(number);
}

/* The handlers stay once they are there: without an unfinished file they only end the program. */
static void watch(char *temporary)
{
    for (int i = 0; i < CLI_MAX_UNFINISHED; i++)
        if (!cli_unfinished[i]) {
            cli_unfinished[i] = temporary;
            break;
        }
    for (size_t k = 0; k < sizeof ending / sizeof *ending; k++) {
        struct sigaction now;
        if (sigaction(ending[k], NULL, &now) || now.sa_handler == SIG_IGN) continue; /* nohup */
        signal(ending[k], clean_up);
    }
}

static void unwatch(const char *temporary)
{
    for (int i = 0; i < CLI_MAX_UNFINISHED; i++)
        if (cli_unfinished[i] == temporary) cli_unfinished[i] = NULL;
}

void output_drop(output *o)
{
    if (!o) return;
    if (o->file) fclose(o->file);
    if (o->temporary) {
        unwatch(o->temporary);
        unlink(o->temporary);
    }
    if (o->part) unwatch(o->part);
    free(o->part);
    free(o->temporary);
    free(o->path);
    free(o);
}

/* The file that will be replaced: what path points at if it is a link.  A device or a pipe cannot
 * be renamed over without harm. */
static oct_status target(const char *path, char **out)
{
    struct stat st;
    if (stat(path, &st) == 0) {
        if (S_ISDIR(st.st_mode)) return oct_fail(OCT_ERR_IO, "is a folder");
        if (!S_ISREG(st.st_mode)) return oct_fail(OCT_ERR_IO, "is not a plain file");
        *out = realpath(path, NULL);
    } else {
        *out = strdup(path);
    }
    return *out ? OCT_OK : oct_fail(OCT_ERR_MEMORY, "out of memory");
}

/* A new file NAME.XXXXXX beside the target, with the permissions a new file gets. */
static oct_status open_temporary(output *o)
{
    const size_t size = strlen(o->path) + sizeof ".XXXXXX";
    const size_t longer = size + sizeof OCT_SAVE_SUFFIX;
    char *name = malloc(size), *part = malloc(longer);
    if (!name || !part) return free(name), free(part), oct_fail(OCT_ERR_MEMORY, "out of memory");
    snprintf(name, size, "%s.XXXXXX", o->path);
    const int fd = mkstemp(name);
    if (fd < 0) {
        free(name);
        free(part);
        return oct_fail(OCT_ERR_IO, "cannot be created: %s", strerror(errno));
    }
    snprintf(part, longer, "%s%s", name, OCT_SAVE_SUFFIX);
    watch(o->temporary = name);
    watch(o->part = part);
    const mode_t mask = umask(0);
    umask(mask);
    if (fchmod(fd, 0666 & ~mask) == 0) o->file = fdopen(fd, "wb");
    if (o->file) return OCT_OK;
    close(fd);
    return oct_fail(OCT_ERR_IO, "cannot be created: %s", strerror(errno));
}

oct_status output_open(const char *path, output **out)
{
    *out = NULL;
    output *o = calloc(1, sizeof *o);
    if (!o) return oct_fail(OCT_ERR_MEMORY, "out of memory");
    oct_status status = target(path, &o->path);
    if (!status) status = open_temporary(o);
    if (status) output_drop(o);
    else *out = o;
    return status;
}

FILE *output_stream(output *o) { return o->file; }

const char *output_temporary(const output *o) { return o->temporary; }

oct_status output_sync(output *o)
{
    errno = 0; /* of an earlier write it is not known any more */
    if (fflush(o->file) || ferror(o->file) || fsync(fileno(o->file)))
        return oct_fail(OCT_ERR_IO, "cannot be written: %s",
                        errno ? strerror(errno) : "write error");
    return OCT_OK;
}

oct_status output_commit(output *o)
{
    oct_status status = output_sync(o);
    if (!status && rename(o->temporary, o->path))
        status = oct_fail(OCT_ERR_IO, "cannot be replaced: %s", strerror(errno));
    if (!status) { /* nothing to unlink any more */
        unwatch(o->temporary);
        free(o->temporary);
        o->temporary = NULL;
    }
    output_drop(o);
    return status;
}

oct_status output_save(const char *path, oct_status (*save)(void *arg, const char *to), void *arg)
{
    output *o;
    OCT_TRY(output_open(path, &o));
    const oct_status status = save(arg, o->temporary);
    if (!status) return output_commit(o);
    output_drop(o);
    return status;
}
