/* SIGBUS of a mapped model file that was cut short: one line and exit code 3, not a signal. */
#include <errno.h>
#include <signal.h>
#include <stdint.h>
#include <unistd.h>

#include "programs/cli.h"

/* What the handler may read: the line is complete before the range makes it findable. */
typedef struct guard {
    volatile uintptr_t base, end;  /* of the mapping; base 0: none */
    char line[CLI_MAX_LINE];
    volatile size_t length;
} guard;

static guard guards[CLI_MAX_GUARDS];

char *volatile cli_unfinished[CLI_MAX_UNFINISHED];

void cli_unlink_unfinished(void)
{
    for (int i = 0; i < CLI_MAX_UNFINISHED; i++)
        if (cli_unfinished[i]) unlink(cli_unfinished[i]);
}

/* Only what a handler may do: reads memory, unlinks, writes a line, ends. */
static void on_bus_error(int number, siginfo_t *info, void *context)
{
    const uintptr_t at = (uintptr_t)info->si_addr;
    const guard *found = NULL;
    (void)context;
    for (int i = 0; i < CLI_MAX_GUARDS; i++)
        if (guards[i].base && at >= guards[i].base && at < guards[i].end) found = &guards[i];
    if (!found) { /* none of ours: die of it as if there were no handler */
        signal(number, SIG_DFL);
        return;
    }
    cli_unlink_unfinished();
    size_t done = 0;
    while (done < found->length) {
        const ssize_t n = write(STDERR_FILENO, found->line + done, found->length - done);
        if (n <= 0 && errno != EINTR) break;
        if (n > 0) done += (size_t)n;
    }
    _exit(CLI_FAILED);
}

void cli_guard(const cli_args *a, const char *path, const void *base, size_t size)
{
    guard *g = guards;
    while (g < guards + CLI_MAX_GUARDS - 1 && g->base) g++;
    g->base = 0;
    g->end = (uintptr_t)base + size;
    g->length = cli_line(a->command->program, path, "cut short while in use", g->line);
    g->base = (uintptr_t)base;

    struct sigaction action = { .sa_sigaction = on_bus_error, .sa_flags = SA_SIGINFO };
    sigemptyset(&action.sa_mask);
    sigaction(SIGBUS, &action, NULL);
}

void cli_unguard(const void *base)
{
    for (guard *g = guards; g < guards + CLI_MAX_GUARDS; g++)
        if (g->base == (uintptr_t)base) g->base = 0;
}
