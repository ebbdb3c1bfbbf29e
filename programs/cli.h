#ifndef OCT_PROGRAMS_CLI_H
#define OCT_PROGRAMS_CLI_H

#include <stddef.h>
#include <stdio.h>

#include "tensor/status.h"

/* What every program shares: options, the error line, exit codes.  SPEC.md, sections 1 and 2. */
enum {
    CLI_OK = 0,
    CLI_USAGE = 1,    /* the command line, or an ISA this machine, a device this build lacks */
    CLI_BAD_FILE = 2, /* a malformed or unfitting input file */
    CLI_FAILED = 3,   /* input, output, memory, device */
    CLI_BUG = 4,      /* an internal check */
    CLI_PROMISE = 5,  /* a bound the user set, such as --tolerance, was not kept */
};

enum { CLI_MAX_LIST = 16, CLI_MAX_LINE = 1024 /* bytes of an error line, newline included */ };

/* Comma separated values of one option; n = 0: not given. */
typedef struct cli_ints {
    int n, v[CLI_MAX_LIST];
} cli_ints;
typedef struct cli_numbers {
    int n;
    double v[CLI_MAX_LIST];
} cli_numbers;
typedef struct cli_words {
    int n;
    const char *v[CLI_MAX_LIST];
} cli_words;

/* Which commands an option belongs to: the rows of the table in options.c carry these. */
enum {
    CLI_INFER = 1 << 0, CLI_INSPECT = 1 << 1, CLI_EVAL = 1 << 2, CLI_DIFF = 1 << 3,
    CLI_BENCH = 1 << 4, CLI_COMPILE = 1 << 5, CLI_LINT = 1 << 6, CLI_QUANTIZE = 1 << 7,
    CLI_TEXT = 1 << 8 /* distilbert_infer */, CLI_PRUNE = 1 << 9, CLI_ALL = (1 << 10) - 1,
};

typedef struct cli_command cli_command;

/* A parsed command line; strings are argv's. */
typedef struct cli_args {
    const cli_command *command;
    int n_args;              /* operands: MODEL INPUT... */
    char **arg;

    cli_ints threads, batch, top, length;
    cli_words isa, precision, keep, only;
    char *eval, *method, *report, *structure;
    cli_ints bits, multiple, samples;
    cli_numbers percentile, smooth, max_drop, amount;
    char *gemm, *device, *labels, *logits, *output, *data, *calib, *layers, *passes, *channels;
    cli_ints resize, crop, input, max_length;
    cli_numbers mean, std, scale, seconds, tolerance;
    int json, quiet, tokens, plan, measure, by_layer, check, help, version;
    int dynamic, no_bias_correction, tune, force, per_layer, break_even;
} cli_args;

/* One program, or one subcommand of octet. */
struct cli_command {
    const char *program;     /* "octet" */
    const char *name;        /* "eval"; NULL: the program has no subcommands */
    unsigned set;            /* CLI_INFER ... */
    int min_args, max_args;  /* operands; max_args < 0: any number */
    int lists;               /* --batch, --threads, --isa ... may be lists */
    const char *operands;    /* "MODEL --data DATA" */
    const char *summary, *details, *examples; /* of --help; details may be NULL */
    int (*run)(const cli_args *a); /* returns the exit code, having said why it is not 0 */
};

/* The whole of main: options, --help, --version, run, standard output checked.  argv[0] is skipped,
 * whatever it is.  Returns the exit code. */
int cli_main(const cli_command *command, int argc, char **argv);

/* First in main: standard descriptors are open, and a closed pipe is an error and not a signal. */
void cli_start(void);
/* Flushes standard output: code, or CLI_FAILED and a line if not everything could be written. */
int cli_finish(const char *program, int code);

/* options.c: 0, or CLI_USAGE and the line was printed. */
int cli_parse(const cli_command *command, int argc, char **argv, cli_args *out);
void cli_print_help(const cli_command *command);

/* Prints "PROGRAM: PATH: REASON" and returns the exit code of status; fail takes oct_last_error()
 * for the reason.  PATH is left out where it is NULL. */
int cli_fail(const cli_args *a, const char *path, oct_status status);
int cli_refuse(const cli_args *a, const char *path, oct_status status, const char *fmt, ...)
    __attribute__((format(printf, 4, 5)));
/* Prints "PROGRAM: REASON (try 'PROGRAM --help')" and returns CLI_USAGE. */
int cli_usage(const cli_command *c, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* The bytes of such a line, its newline included. */
size_t cli_line(const char *program, const char *path, const char *reason, char line[CLI_MAX_LINE]);
/* A line that is no error: "PROGRAM: ...", unless --quiet. */
void cli_note(const cli_args *a, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
int cli_exit_code(oct_status status);

/* A file cut short while it is mapped raises SIGBUS where it is read: the program then says so in
 * one line and ends with CLI_FAILED.  From guard to unguard, of up to CLI_MAX_GUARDS mappings. */
enum { CLI_MAX_GUARDS = 4 };
void cli_guard(const cli_args *a, const char *path, const void *base, size_t size);
void cli_unguard(const void *base);
/* Unfinished output files, or NULL: a signal that ends the program unlinks them. */
enum { CLI_MAX_UNFINISHED = 4 };
extern char *volatile cli_unfinished[CLI_MAX_UNFINISHED];
void cli_unlink_unfinished(void); /* only what a handler may do */

/* s with control bytes, and bytes that are no UTF-8, as \n, \t, \r or \xNN; what does not fit into
 * out ends with "...".  Returns the bytes written, the final 0 left out. */
size_t cli_escape(const char *s, char *out, size_t size);
/* The same for the character at *s, which moves on: at most 4 bytes.  At the final 0 it is \x00. */
size_t cli_escape_one(const char **s, char out[5]);
/* The same, without a limit, to a stream: a name keeps to its column and its line. */
void cli_print_escaped(FILE *to, const char *s);
/* The same for s[0..size), which may have zeros in it; s[size] is 0. */
void cli_print_bytes(FILE *to, const char *s, size_t size);

/* Strict numbers: the whole of s, nothing before it, in range.  0 if it is not one. */
int cli_int(const char *s, int min, int max, int *out);
int cli_number(const char *s, double min, double max, double *out);

#endif
