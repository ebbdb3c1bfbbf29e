#include "programs/cli.h"

#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <signal.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "config.h"

int cli_int(const char *s, int min, int max, int *out)
{
    if (*s != '-' && (*s < '0' || *s > '9')) return 0; /* strtol would skip blanks and a plus */
    char *end;
    errno = 0;
    const long v = strtol(s, &end, 10);
    if (end == s || *end || errno || v < min || v > max) return 0;
    *out = (int)v;
    return 1;
}

int cli_number(const char *s, double min, double max, double *out)
{
    if (!*s || s[strspn(s, "+-.0123456789eE")] || *s == '+') return 0; /* no inf, nan, 0x, blanks */
    char *end;
    const double v = strtod(s, &end);
    if (end == s || *end || !isfinite(v) || v < min || v > max) return 0;
    *out = v;
    return 1;
}

/* Changes the direction of the text around it: U+202A-202E, U+2066-2069. */
static int turns_text(unsigned u)
{
    return (u >= 0x202a && u <= 0x202e) || (u >= 0x2066 && u <= 0x2069);
}

/* Bytes of the character at s that may be shown as it is; 0: escape one byte.  Strict UTF-8 (no
 * overlong forms, no surrogates) without the control characters U+0000-1F, U+7F-9F and those that
 * turn text. */
static int printable(const unsigned char *s)
{
    if (*s < 0x80) return *s >= 0x20 && *s != 0x7f;
    const int n = *s >= 0xf0 && *s < 0xf5 ? 4 : *s >= 0xe0 && *s < 0xf0 ? 3
                : *s >= 0xc2 && *s < 0xe0 ? 2 : 0;
    static const unsigned least[] = { 0, 0, 0xa0, 0x800, 0x10000 };
    unsigned u = *s & (n == 2 ? 31u : n == 3 ? 15u : 7u);
    for (int i = 1; i < n; i++) { /* stops at the final 0: it is no continuation byte */
        if ((s[i] & 0xc0) != 0x80) return 0;
        u = u << 6 | (s[i] & 63u);
    }
    if (u < least[n] || u > 0x10ffff || (u >= 0xd800 && u < 0xe000) || turns_text(u)) return 0;
    return n;
}

size_t cli_escape_one(const char **s, char out[5])
{
    const unsigned char *u = (const unsigned char *)*s;
    const int n = printable(u);
    *s += n ? n : 1;
    if (n) memcpy(out, u, (size_t)n);
    else if (*u == '\n' || *u == '\t' || *u == '\r')
        return (size_t)snprintf(out, 5, "\\%c", *u == '\n' ? 'n' : *u == '\t' ? 't' : 'r');
    else return (size_t)snprintf(out, 5, "\\x%02x", *u);
    return (size_t)n;
}

size_t cli_escape(const char *s, char *out, size_t size)
{
    size_t n = 0, cut = 0; /* cut: the last place where "..." still fits */
    while (*s) {
        char one[5];
        const size_t k = cli_escape_one(&s, one);
        if (n + k + 1 > size) {
            memcpy(out + cut, "...", 4);
            return cut + 3;
        }
        memcpy(out + n, one, k);
        n += k;
        if (n + 4 <= size) cut = n;
    }
    out[n] = 0;
    return n;
}

void cli_print_bytes(FILE *to, const char *s, size_t size)
{
    for (const char *end = s + size; s < end;) {
        char one[5];
        fwrite(one, 1, cli_escape_one(&s, one), to);
    }
}

void cli_print_escaped(FILE *to, const char *s) { cli_print_bytes(to, s, strlen(s)); }

int cli_exit_code(oct_status status)
{
    switch (status) {
    case OCT_OK:              return CLI_OK;
    case OCT_ERR_FORMAT:
    case OCT_ERR_SHAPE:
    case OCT_ERR_UNSUPPORTED: return CLI_BAD_FILE;
    case OCT_ERR_MEMORY:
    case OCT_ERR_IO:
    case OCT_ERR_DEVICE:      return CLI_FAILED;
    default:                  return CLI_BUG;
    }
}

size_t cli_line(const char *program, const char *path, const char *reason, char line[CLI_MAX_LINE])
{
    const size_t size = CLI_MAX_LINE;
    size_t n = cli_escape(program, line, 100);
    n += (size_t)snprintf(line + n, size - n, ": ");
    if (path) { /* it may take 600 bytes: the reason must still fit */
        n += cli_escape(path, line + n, 600);
        n += (size_t)snprintf(line + n, size - n, ": ");
    }
    n += cli_escape(reason, line + n, size - n);
    line[n++] = '\n'; /* over the final 0 */
    return n;
}

/* One write of one line, so that lines of several processes do not mix. */
static void print_line(const char *program, const char *path, const char *reason)
{
    char line[CLI_MAX_LINE];
    const size_t n = cli_line(program, path, reason, line);
    fflush(stdout);
    fwrite(line, 1, n, stderr);
}

int cli_fail(const cli_args *a, const char *path, oct_status status)
{
    const char *reason = oct_last_error();
    print_line(a->command->program, path, *reason ? reason : oct_status_name(status));
    return cli_exit_code(status);
}

int cli_refuse(const cli_args *a, const char *path, oct_status status, const char *fmt, ...)
{
    char reason[CLI_MAX_LINE];
    va_list args;
    va_start(args, fmt);
    vsnprintf(reason, sizeof reason, fmt, args);
    va_end(args);
    print_line(a->command->program, path, reason);
    return cli_exit_code(status);
}

int cli_usage(const cli_command *c, const char *fmt, ...)
{
    char reason[CLI_MAX_LINE / 2], line[CLI_MAX_LINE];
    va_list args;
    va_start(args, fmt);
    const int length = vsnprintf(reason, sizeof reason, fmt, args);
    va_end(args);
    if (length >= (int)sizeof reason) memcpy(reason + sizeof reason - 4, "...", 4);
    snprintf(line, sizeof line, "%s (try '%s%s%s --help')", reason, c->program,
             c->name ? " " : "", c->name ? c->name : "");
    print_line(c->program, NULL, line);
    return CLI_USAGE;
}

void cli_note(const cli_args *a, const char *fmt, ...)
{
    if (a->quiet) return;
    char reason[CLI_MAX_LINE];
    va_list args;
    va_start(args, fmt);
    vsnprintf(reason, sizeof reason, fmt, args);
    va_end(args);
    print_line(a->command->program, NULL, reason);
}

void cli_start(void)
{
    /* Were 1 closed, the first file opened would become standard output.  Read-only: writing to
     * it stays an error. */
    int fd;
    do fd = open("/dev/null", O_RDONLY);
    while (fd >= 0 && fd < 3);
    if (fd >= 0) close(fd);
    signal(SIGPIPE, SIG_IGN);
    signal(SIGXFSZ, SIG_IGN); /* a file larger than the limit is a write error, too */
}

int cli_finish(const char *program, int code)
{
    errno = 0;
    if (fflush(stdout) == 0 && !ferror(stdout)) return code;
    print_line(program, "standard output", errno ? strerror(errno) : "write error");
    return CLI_FAILED;
}

int cli_main(const cli_command *command, int argc, char **argv)
{
    cli_args a;
    int code = cli_parse(command, argc, argv, &a);
    if (code) return code;
    if (a.help) cli_print_help(command);
    else if (a.version) printf("%s (octet) %s\n", command->program, PACKAGE_VERSION);
    else code = command->run(&a);
    return cli_finish(command->program, code);
}
