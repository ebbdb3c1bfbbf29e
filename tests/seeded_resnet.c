#include "tests/seeded_resnet.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "tensor/f16.h"

enum { MAX_TENSORS = 1024 };

typedef struct maker {
    const seeded_resnet *net;
    oct_arena arena;
    oct_save_tensor tensor[MAX_TENSORS];
    int n, failed;
} maker;

static uint64_t fnv1a(uint64_t hash, const char *text)
{
    for (; *text; text++) hash = (hash ^ (unsigned char)*text) * 0x100000001b3u;
    return hash;
}

/* -1 .. 1 in steps of 2^-23, exact */
static double uniform(uint64_t seed, size_t i)
{
    uint64_t z = seed + (i + 1) * 0x9e3779b97f4a7c15u; /* splitmix64 */
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
    z = (z ^ z >> 27) * 0x94d049bb133111ebu;
    z ^= z >> 31;
    return (double)(z >> 40) * 0x1p-23 - 1;
}

static int ends_with(const char *s, const char *end)
{
    const size_t n = strlen(s), m = strlen(end);
    return n >= m && strcmp(s + n - m, end) == 0;
}

static void fill(const maker *m, const char *name, oct_tensor *t)
{
    const uint64_t seed = fnv1a(fnv1a(fnv1a(0xcbf29ce484222325u, m->net->name), ":"), name);
    const size_t count = oct_tensor_count(t);
    double scale = 0.125, shift = 0;
    if (ends_with(name, "running_var")) scale = 0.5, shift = 1;
    else if (t->rank > 1) scale = sqrt(6.0 / (double)(count / (size_t)t->dim[0]));
    else if (ends_with(name, ".weight")) scale = 0.25, shift = 0.75;
    for (size_t i = 0; i < count; i++) {
        const float value = (float)(uniform(seed, i) * scale + shift);
        if (t->dtype == OCT_F32) ((float *)t->data)[i] = value;
        else ((uint16_t *)t->data)[i] = t->dtype == OCT_F16 ? oct_f16_of_f32(value)
                                                            : oct_bf16_of_f32(value);
    }
}

static void add(maker *m, const char *module, const char *what, int rank, const int *dim)
{
    char name[80];
    snprintf(name, sizeof name, "%s.%s", module, what);
    oct_tensor *t = oct_arena_zalloc(&m->arena, sizeof *t);
    const char *kept = oct_arena_strdup(&m->arena, name);
    if (t && kept && m->n < MAX_TENSORS) {
        t->dtype = rank > 1 ? m->net->dtype : OCT_F32;
        t->rank = rank;
        memcpy(t->dim, dim, (size_t)rank * sizeof *dim);
        t->data = oct_arena_alloc(&m->arena, oct_tensor_size(t));
        m->tensor[m->n++] = (oct_save_tensor){ kept, t };
    }
    if (!t || !kept || !t->data) m->failed = 1;
    else fill(m, name, t);
}

static void conv_bn(maker *m, const char *conv, const char *bn, int in, int out, int kernel)
{
    static const char *const parts[] = { "weight", "bias", "running_mean", "running_var" };
    add(m, conv, "weight", 4, (int[]){ out, in, kernel, kernel });
    for (int i = 0; i < 4; i++) add(m, bn, parts[i], 1, &out);
}

static void layer(maker *m, const char *block, int number, int in, int out, int kernel)
{
    char conv[40], bn[40];
    snprintf(conv, sizeof conv, "%s.conv%d", block, number);
    snprintf(bn, sizeof bn, "%s.bn%d", block, number);
    conv_bn(m, conv, bn, in, out, kernel);
}

/* torchvision.models.resnet.ResNet */
static int network(maker *m)
{
    const seeded_resnet *r = m->net;
    const int expansion = r->bottleneck ? 4 : 1;
    int in = 64;
    conv_bn(m, "conv1", "bn1", 3, 64, 7);
    for (int s = 0; s < 4; s++)
        for (int b = 0; b < r->blocks[s]; b++) {
            const int planes = 64 << s, out = planes * expansion;
            const int width = planes * r->group_width / 64 * r->groups;
            char name[32], conv[48], bn[48];
            snprintf(name, sizeof name, "layer%d.%d", s + 1, b);
            if (r->bottleneck) {
                layer(m, name, 1, in, width, 1);
                layer(m, name, 2, width / r->groups, width, 3);
                layer(m, name, 3, width, out, 1);
            } else {
                layer(m, name, 1, in, planes, 3);
                layer(m, name, 2, planes, planes, 3);
            }
            snprintf(conv, sizeof conv, "%s.downsample.0", name);
            snprintf(bn, sizeof bn, "%s.downsample.1", name);
            if (b == 0 && (s > 0 || in != out)) conv_bn(m, conv, bn, in, out, 1);
            in = out;
        }
    add(m, "fc", "weight", 2, (int[]){ r->classes, in });
    add(m, "fc", "bias", 1, &r->classes);
    return !m->failed;
}

/* He et al., section 4.2, as tests/golden/make_channels.py has it. */
static int cifar_network(maker *m)
{
    int in = 16;
    conv_bn(m, "conv1", "bn1", 3, in, 3);
    for (int s = 0; s < 3; s++, in = 16 << (s - 1)) {
        char name[32];
        snprintf(name, sizeof name, "layer%d.0", s + 1);
        layer(m, name, 1, in, 16 << s, 3);
        layer(m, name, 2, 16 << s, 16 << s, 3);
    }
    add(m, "linear", "weight", 2, (int[]){ m->net->classes, in });
    add(m, "linear", "bias", 1, &m->net->classes);
    return !m->failed;
}

int seeded_resnet_save(const seeded_resnet *r, const char *path)
{
    maker m = { .net = r };
    const oct_save_meta meta = { "octet.input", r->recipe };
    int ok = r->blocks[0] ? network(&m) : cifar_network(&m);
    if (!ok) fprintf(stderr, "%s: out of memory\n", path);
    if (ok && oct_weights_save(path, m.tensor, m.n, &meta, r->recipe != NULL) != OCT_OK) {
        fprintf(stderr, "%s: %s\n", path, oct_last_error());
        ok = 0;
    }
    oct_arena_free(&m.arena);
    return ok;
}
