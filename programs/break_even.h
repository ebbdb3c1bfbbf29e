#ifndef OCT_PROGRAMS_BREAK_EVEN_H
#define OCT_PROGRAMS_BREAK_EVEN_H

#include "programs/cli.h"

/* octet prune MODEL --break-even: for each distinct convolution of the network, batch 1, or linear
 * layer of a model of texts, 128 tokens, how long the dense kernel takes here and the sparse one at
 * several densities, and the density at which the sparse one begins to win: INT8 (7-bit
 * activations; of linear layers quantized at run time) in blocks of 1x4, FP32 in 1x4 and 4x1; or
 * what --structure says.  Prints a row each (--json: an object) and returns the exit code.  A
 * linear layer behind one image is always dense: it has one row.  So are FP32 convolutions by
 * Winograd, whose sums are other ones. */
int break_even_run(const cli_args *a);

#endif
