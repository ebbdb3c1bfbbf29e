#ifndef OCT_PROGRAMS_BREAK_EVEN_H
#define OCT_PROGRAMS_BREAK_EVEN_H

#include "programs/cli.h"

/* octet prune MODEL --break-even: for each distinct convolution of the network, 7-bit activations,
 * batch 1, or linear layer of a model of texts, activations quantized at run time, 128 tokens, how
 * long the dense INT8 kernel takes here and the sparse one at several densities, and the density at
 * which the sparse one begins to win.  Prints a row each (--json: an object) and returns the exit
 * code.  A linear layer behind one image is always dense: it has one row. */
int break_even_run(const cli_args *a);

#endif
