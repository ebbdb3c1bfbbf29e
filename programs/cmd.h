#ifndef OCT_PROGRAMS_CMD_H
#define OCT_PROGRAMS_CMD_H

#include "programs/cli.h"

/* The subcommands of octet, one file each. */
extern const cli_command cmd_inspect, cmd_eval, cmd_diff, cmd_bench, cmd_compile, cmd_lint,
                         cmd_quantize, cmd_prune;

#endif
