/* SIGBUS of a mapped model file that was cut short: one line and exit code 3, not a signal. */
#include <errno.h>
#include <signal.h>
#include <stdint.h>
#include <string.h>
#include <unistd.h>

#include "programs/cli.h"

/* What the handler may read: the line is complete before the range makes it findable. */
typedef struct guard {
    const char *path;
    volatile uintptr_t base, end;  /* of the mapping; 0: not known yet */
    char line[CLI_MAX_LINE];
    volatile size_t length;
} guard;

static guard guards[CLI_MAX_GUARDS];
static volatile sig_atomic_t n_guards, newest;

char *volatile cli_unfinished;

/* Only what a handler may do: reads memory, unlinks, writes a line, ends. */
static void on_bus_error(int number, siginfo_t *info, void *context)
{
    const uintptr_t at = (uintptr_t)info->si_addr;
    const guard *found = NULL;
    (void)context;
    for (int i = 0; i < n_guards; i++)
        if (guards[i].base && at >= guards[i].base && at < guards[i].end) found = &guards[i];
    if (!found && n_guards && !guards[newest].base) found = &guards[newest]; /* being opened */
    if (!found) { /* none of ours: die of it as if there were no handler */
        signal(number, SIG_DFL);
        return;
    }
    if (cli_unfinished) unlink(cli_unfinished);
    size_t done = 0;
    while (done < found->length) {
        const ssize_t n = write(STDERR_FILENO, found->line + done, found->length - done);
        if (n <= 0 && errno != EINTR) break;
        if (n > 0) done += (size_t)n;
    }
    _exit(CLI_FAILED);
}

static guard *find(const char *path)
{
    for (int i = 0; i < n_guards; i++)
        if (strcmp(guards[i].path, path) == 0) return &guards[i];
    return n_guards < CLI_MAX_GUARDS ? &guards[n_guards] : &guards[0];
}

void cli_guard(const cli_args *a, const char *path, const void *base, size_t size)
{
    guard *g = find(path);
    g->base = 0;
    g->end = (uintptr_t)base + size;
    g->path = path;
    g->length = cli_line(a->command->program, path, "cut short while in use", g->line);
    g->base = (uintptr_t)base;
    const int i = (int)(g - guards);
    if (i == n_guards) n_guards = i + 1;
    newest = i;

    struct sigaction action = { .sa_sigaction = on_bus_error, .sa_flags = SA_SIGINFO };
    sigemptyset(&action.sa_mask);
    sigaction(SIGBUS, &action, NULL);
}
