#ifndef OCT_MODELS_PRUNE_CHANNELS_H
#define OCT_MODELS_PRUNE_CHANNELS_H

#include "models/prune.h"

/* Whole channels go, with everything that graph/groups.h ties to them: the tensors get smaller.
 *
 *   score of a channel    the L1 norms of its rows, in all layers that make it, as
 *                         torch.nn.utils.prune.ln_structured(n=1, dim=0) has them of one layer,
 *                         added up and divided by how many weights they are: a mean magnitude, as
 *                         graph/mask.h compares blocks.  In a group it orders as the sum does
 *   which                 those with the smallest scores, of all groups' channels together, or of
 *                         each group's; of equal ones the first go, in the order they are made
 *   how many              round(amount * channels), half to even, as near as `multiple` allows:
 *                         channels go so that a multiple of it stays, the smallest n mod multiple
 *                         first, then multiple at once, by their mean score, as long as that brings
 *                         their number nearer to the one asked for.  Heads go one by one.
 *   at least              `multiple` channels of each group stay, or all if it has no more; a head
 *
 * Groups of another kind than how->whole stay, and those of which a layer is not chosen.  Sums are
 * in double in one order: the same file on every machine. */
/* ERR_UNSUPPORTED: there are none.  scratch is the caller's to free. */
OCT_MUST_CHECK oct_status oct_prune_channels(oct_pruned *p, oct_arena *scratch);

#endif
