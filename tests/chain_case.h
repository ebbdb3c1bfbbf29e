#ifndef OCT_TESTS_CHAIN_CASE_H
#define OCT_TESTS_CHAIN_CASE_H

#include "octet.h"

/* A small CNN in a file, with every operator that has constants: convolutions done directly, in
 * groups and by Winograd, batch norms folded and (--passes none) not, linear on a fused flatten and
 * plain. */
#define CHAIN_LINE "conv1:p1 bn1 relu maxpool:2 conv2:p1 bn2 relu6 conv3:g4s2p1 gelu avgpool:2 " \
                   "flatten fc1 relu fc2"
#define CHAIN_ARCH "{\"input\":[3,32,32],\"kind\":\"cnn\",\"layers\":\"" CHAIN_LINE "\"}"
enum { CHAIN_CLASSES = 5, CHAIN_SAMPLE = 3 * 32 * 32, CHAIN_BATCH = 3 };

/* The same seeded weights every time, five labels, and a key "note". */
void chain_write(const char *path);

/* CHAIN_SAMPLE numbers from -1 to 1 of sample i. */
void chain_sample(int i, float *x);

/* CHAIN_BATCH of them through the model in path, o.batch at a time, to [CHAIN_BATCH, CLASSES]. */
void chain_run(const char *path, oct_options o, float *logits);

#endif
