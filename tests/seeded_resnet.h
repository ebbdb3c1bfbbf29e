#ifndef OCT_TESTS_SEEDED_RESNET_H
#define OCT_TESTS_SEEDED_RESNET_H

#include "weights/weights.h"

/* A ResNet with the names and shapes of torchvision's and seeded random weights: those that
 * tests/golden/make_resnets.py gave PyTorch, to the bit, so that no file of 100 MB is kept.
 * How an element is made of its network's and tensor's name and its number is said there. */
typedef struct seeded_resnet {
    const char *name;       /* seeds; tests/golden/resnets/NAME.npy */
    int blocks[4];          /* of each stage; { 0 }: He et al.'s for CIFAR, of three with one each */
    int bottleneck;
    int groups, group_width; /* torchvision's; 1, 64: a plain ResNet */
    int classes;
    oct_dtype dtype;        /* of convolutions and fc.weight; the rest is F32 */
    const char *recipe;     /* octet.input, or NULL: the file says nothing */
} seeded_resnet;

/* The safetensors file at path; 0 and a sentence on standard error if that fails. */
int seeded_resnet_save(const seeded_resnet *r, const char *path);

#endif
