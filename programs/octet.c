/* octet: look at, evaluate, compare and time models. */
#include <string.h>

#include "config.h"
#include "programs/cmd.h"

static const cli_command *const commands[] = { &cmd_inspect, &cmd_eval, &cmd_diff, &cmd_bench,
                                              &cmd_compile, &cmd_lint, &cmd_quantize,
                                              &cmd_prune };
enum { N_COMMANDS = sizeof commands / sizeof *commands };

static const cli_command self = { .program = "octet" };

static void help(void)
{
    printf("Usage: octet COMMAND [OPERAND]... [OPTION]...\n"
           "Look at, evaluate, compare, time, compile, quantize and prune neural networks, and\n"
           "check their data.\n\n"
            "Commands:\n");
    for (int i = 0; i < N_COMMANDS; i++)
        printf("  %-9s %s\n", commands[i]->name, commands[i]->summary);
    printf("\n'octet COMMAND --help' says more.  Examples:\n"
           "  octet inspect mnist_cnn.safetensors\n"
           "  octet eval mnist_cnn.safetensors --data t10k-images-idx3-ubyte.gz\n");
}

int main(int argc, char **argv)
{
    cli_start();
    if (argc < 2) return cli_usage(&self, "a command expected: inspect, eval, diff, bench, "
                                      "compile, lint, quantize, prune");
    for (int i = 0; i < N_COMMANDS; i++)
        if (!strcmp(argv[1], commands[i]->name)) return cli_main(commands[i], argc - 1, argv + 1);
    if (!strcmp(argv[1], "--help")) help();
    else if (!strcmp(argv[1], "--version")) printf("octet (octet) %s\n", PACKAGE_VERSION);
    else return cli_usage(&self, "'%s': no such command", argv[1]);
    return cli_finish("octet", CLI_OK);
}
