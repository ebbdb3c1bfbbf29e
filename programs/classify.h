#ifndef OCT_PROGRAMS_CLASSIFY_H
#define OCT_PROGRAMS_CLASSIFY_H

#include "programs/cli.h"

/* The whole of cnn_infer and resnet_infer but their help: MODEL INPUT..., for each input its best
 * classes as text or JSON, as soon as they are known, and the raw logits into a file.  A bad input
 * does not end the others.  For cli_command.run: returns the exit code, all has been said. */
int classify_run(const cli_args *a);

/* Of --help: what both programs read and print. */
#define CLASSIFY_DETAILS                                                                         \
    "MODEL is a .safetensors, .pth, .pt or .th file, or a folder with one. INPUT is a\n"         \
    "JPEG, PNG, BMP or PPM image, a folder of them, - for standard input, an MNIST idx or\n"     \
    "CIFAR .bin file, or one record of it, FILE#7. For each input a line, tab separated:\n"      \
    "    input  rank  index  label  probability\n"                                               \
    "--json: {\"input\", \"top\": [{\"index\", \"label\", \"probability\"}], \"ms\"}; ms is\n"     \
    "the input's share of its batch. A bad input is reported on standard error and the others\n" \
    "are done; then the exit status is 2 and no --logits file is written."

#endif
