#ifndef OCT_QUANT_TABLE_H
#define OCT_QUANT_TABLE_H

#include "graph/graph.h"

/* The tables of an embedding node: each of floats becomes S8, scale[r] = max|row r| / 127, unless
 * that with its scales takes no fewer bytes (rows of a few numbers).  The constants are changed,
 * data in arena.  *changed: 1 if one was.  ERR_UNSUPPORTED if a number is not finite. */
OCT_MUST_CHECK oct_status oct_quantize_tables(const oct_node *node, oct_arena *arena,
                                              int *changed);

#endif
