#include "models/cnn_input.h"

#include <stdio.h>

enum { MAX_SIDE = 1 << 16 };

/* "input" of the arch into dim: [c, h, w] or [features].  Returns its length in *rank, 0: none. */
static oct_status read_input(const json_t *arch, int dim[3], int *rank)
{
    const json_t *list = json_object_get(arch, "input");
    *rank = 0;
    if (!list) return OCT_OK;
    const size_t n = json_array_size(list);
    if (n != 1 && n != 3)
        return oct_fail(OCT_ERR_FORMAT, "octet.arch: 'input' is neither [c, h, w] nor [features]");
    for (size_t i = 0; i < n; i++) {
        const json_int_t side = json_integer_value(json_array_get(list, i));
        if (side < 1 || side > (n == 1 ? OCT_MAX_SAMPLE : MAX_SIDE))
            return oct_fail(OCT_ERR_FORMAT, "octet.arch: entry %zu of 'input' is not an integer "
                            "from 1 to %d", i, n == 1 ? OCT_MAX_SAMPLE : MAX_SIDE);
        dim[i] = (int)side;
    }
    *rank = (int)n;
    return OCT_OK;
}

/* Channels the first module of the line takes in an image of `pixels`; 0: cannot be told. */
static int first_channels(const oct_model *m, const oct_layer *layer, int n, int pixels)
{
    for (int i = 0; i < n; i++) {
        char name[256];
        snprintf(name, sizeof name, "%s.weight", layer[i].name);
        const oct_weights_entry *w = oct_weights_find(m->weights, name);
        if (!w) continue;
        const int64_t c = w->dim[1] * (int64_t)oct_layer_get(&layer[i], OCT_LAYER_GROUPS, 1);
        if (w->rank == 4) return c <= MAX_SIDE ? (int)c : 0;
        if (w->rank == 2) return w->dim[1] % pixels ? 0 : w->dim[1] / pixels;
        return w->rank == 1 ? w->dim[0] : 0;
    }
    return 0;
}

oct_status oct_cnn_input(const oct_model *m, const json_t *arch, const oct_layer *layer, int n,
                         const oct_options *options, int dim[3], int *rank)
{
    OCT_TRY(read_input(arch, dim, rank));
    const int h = options->height, w = options->width;
    if (h < 0 || w < 0 || h > MAX_SIDE || w > MAX_SIDE || !h != !w)
        return oct_fail(OCT_ERR_SHAPE, "input of height %d and width %d, each from 1 to %d", h, w,
                        MAX_SIDE);
    if (h && *rank != 1) {
        if (!*rank && (size_t)h * (size_t)w <= OCT_MAX_SAMPLE)
            dim[0] = first_channels(m, layer, n, h * w);
        dim[1] = h;
        dim[2] = w;
        *rank = dim[0] ? 3 : 0;
    }
    if (!*rank)
        return oct_fail(OCT_ERR_FORMAT, "octet.arch: the shape of the input is not known: "
                        "pass \"input\": [channels, height, width]");
    if (*rank == 3 && (size_t)dim[0] * (size_t)dim[1] > OCT_MAX_SAMPLE / (size_t)dim[2])
        return oct_fail(OCT_ERR_SHAPE, "input [%d, %d, %d] has more than %d elements", dim[0],
                        dim[1], dim[2], OCT_MAX_SAMPLE);
    return OCT_OK;
}
