/* Who computes a conv2d or linear layer on tensor cores, by the clock if that is asked for: a tile
 * and parts of k of ours, or, of halves that are plain products (1x1 convolutions, linear layers),
 * cuBLAS and the second half of our kernel. */
#include <stdio.h>
#include <string.h>

#include "cuda/steps.h"

/* Beyond what two timings of the same differ by: near ties are ours, on every load. */
static const float clearly = 0.9f;

static int launch_library(void *stream, const oct_cuda_step *s)
{
    const int error = oct_cuda_multiply(s->cuda, &s->product);
    return error ? error : oct_cuda_conv2d_join_f16(stream, &s->u.conv);
}

static int launch_step(void *arg, void *stream)
{
    const oct_cuda_step *s = arg;
    return s->launch(stream, s);
}

/* cuBLAS can do it: x's rows, as they lie, are what is multiplied. */
static int is_product(const oct_cuda_step *step)
{
    const oct_cuda_conv *c = &step->u.conv;
    return step->x.type == OCT_F16 && c->groups == 1 && oct_cuda_conv_is_product(c);
}

/* All rows that there may be: their number is not known when the launch is captured.  k runs over
 * x's pitch, zeros at its end. */
static oct_status make_library(oct_device *d, const oct_cuda_step *ours, oct_cuda_step *library)
{
    enum { HALVES = OCT_CUDA_STEP / 2 };
    *library = *ours;
    oct_cuda_conv *c = &library->u.conv;
    const int rows = c->rows.most * c->rows.per;
    c->splits = 1;
    OCT_TRY(oct_cuda_scratch(d, OCT_CUDA_PARTS, (size_t)rows * (size_t)c->n_pad * sizeof(float),
                             &c->partial));
    library->cuda = d->cuda;
    library->product = (oct_cuda_product){
        .m = rows, .n = c->n_pad, .k = library->x.pitch, .x = c->x, .w = c->w,
        .y = c->partial, .x_pitch = library->x.pitch, .w_pitch = c->steps * HALVES,
        .y_pitch = c->n_pad };
    library->launch = launch_library;
    return OCT_OK;
}

/* ---- which is faster ---- */

/* An earlier step whose times are this one's, too. */
static const oct_cuda_step *find_timed(const oct_device *d, const oct_cuda_step *step)
{
    const oct_cuda_conv *c = &step->u.conv;
    for (const oct_cuda_step *s = d->step; s < d->step + d->n_steps; s++) {
        const oct_cuda_conv *o = &s->u.conv;
        if (s->ours_ms > 0 && s->x.type == step->x.type && s->y.type == step->y.type &&
            o->rows.most == c->rows.most && o->rows.per == c->rows.per && o->n == c->n &&
            o->x_pitch == c->x_pitch && o->width == c->width && o->groups == c->groups &&
            memcmp(o->kernel, c->kernel, sizeof c->kernel) == 0 &&
            memcmp(o->stride, c->stride, sizeof c->stride) == 0 &&
            memcmp(o->pad, c->pad, sizeof c->pad) == 0 &&
            memcmp(o->dilation, c->dilation, sizeof c->dilation) == 0 && o->act == c->act &&
            !o->residual == !c->residual)
            return s;
    }
    return NULL;
}

/* Rows that a run reads are zeros, so that nothing is counted, and there are as many as may be. */
static oct_status make_ready(oct_device *d, const oct_cuda_step *s)
{
    const oct_cuda_conv *c = &s->u.conv;
    const size_t samples = (size_t)s->rows.most;
    const int counts[] = { s->rows.most, s->rows.most }; /* samples or tokens, and texts */
    OCT_TRY(oct_cuda_upload(d->cuda, d->count, counts, sizeof counts));
    OCT_TRY(oct_cuda_clear(d->cuda, s->x.data, samples * (size_t)c->h * (size_t)c->width *
                                               (size_t)c->x_pitch));
    if (!s->b.data) return OCT_OK;
    return oct_cuda_clear(d->cuda, s->b.data, samples * (size_t)s->rows.per *
                                              (size_t)s->b.pitch * oct_dtype_size(s->b.type));
}

/* step in that tile, k in so many parts, becomes *best if it is faster: clearly, where it has other
 * sums than step. */
static oct_status time_way(oct_device *d, const oct_cuda_step *step, int tile, int splits,
                           oct_cuda_step *best)
{
    oct_cuda_step one = *step;
    oct_cuda_conv *c = &one.u.conv;
    const int same = splits == c->splits || step->x.type == OCT_U8;
    c->tile = (oct_cuda_tile)tile;
    c->splits = splits;
    if (!oct_cuda_conv_fits(c, c->tile)) return OCT_OK;
    OCT_TRY(oct_cuda_parts(d, c));
    OCT_TRY(oct_cuda_measure(d->cuda, launch_step, &one, &one.ours_ms));
    if (!(best->ours_ms > 0) || one.ours_ms < (same ? 1 : clearly) * best->ours_ms) *best = one;
    return OCT_OK;
}

/* The fastest of ours: other tiles, and half and twice the parts of k. */
static oct_status time_ours(oct_device *d, oct_cuda_step *step)
{
    const oct_cuda_step first = *step;
    const oct_cuda_tile tile = first.u.conv.tile;
    const int splits = first.u.conv.splits, others[] = { splits / 2, 2 * splits };
    OCT_TRY(make_ready(d, step));
    OCT_TRY(time_way(d, &first, tile, splits, step));
    for (int i = 0; i < OCT_CUDA_TILE_COUNT; i++)
        if (i != (int)tile) OCT_TRY(time_way(d, &first, i, splits, step));
    for (int i = 0; i < 2; i++)
        OCT_TRY(time_way(d, &first, OCT_CUDA_TILE_64X64, others[i], step));
    return OCT_OK;
}

/* The memory between cuBLAS and the second half is kept where it is used. */
static void time_library(oct_device *d, oct_cuda_step *step, const oct_cuda_step *timed)
{
    void *const before = d->scratch[OCT_CUDA_PARTS];
    const size_t size = d->scratch_size[OCT_CUDA_PARTS];
    oct_cuda_step library;
    if (timed) step->library_ms = timed->library_ms;
    if (timed && timed->launch != launch_library) return;
    oct_status status = make_library(d, step, &library);
    if (!status && !timed)
        status = oct_cuda_measure(d->cuda, launch_step, &library, &step->library_ms);
    if (!status && step->library_ms < clearly * step->ours_ms) {
        library.ours_ms = step->ours_ms;
        library.library_ms = step->library_ms;
        *step = library;
        return;
    }
    if (status) step->library_ms = 0; /* ours needs nothing of all this */
    if (d->scratch[OCT_CUDA_PARTS] == before) return;
    oct_cuda_free(d->cuda, d->scratch[OCT_CUDA_PARTS]);
    d->scratch[OCT_CUDA_PARTS] = before;
    d->scratch_size[OCT_CUDA_PARTS] = size;
}

static int has_library(oct_device *d)
{
    if (d->library_state == OCT_CUDA_UNKNOWN)
        d->library_state = oct_cuda_open_cublas(d->cuda) == OCT_OK ? OCT_CUDA_OPEN
                                                                   : OCT_CUDA_MISSING;
    return d->library_state == OCT_CUDA_OPEN;
}

static oct_status settle(oct_device *d, oct_cuda_step *step)
{
    const oct_cuda_step *timed = find_timed(d, step);
    if (timed) {
        step->ours_ms = timed->ours_ms;
        step->u.conv.tile = timed->u.conv.tile;
        step->u.conv.splits = timed->u.conv.splits;
        step->u.conv.partial = timed->u.conv.partial;
    } else {
        OCT_TRY(time_ours(d, step));
    }
    if (is_product(step) && has_library(d)) time_library(d, step, timed);
    return OCT_OK;
}

/* "conv2d_f16_128x64/cuda"; "_k4": k is cut into four parts. */
static oct_status name_kernel(const oct_cuda_conv *c, oct_prepare *how)
{
    static const char *const tiles[] = { "64x64", "128x64", "128x128" };
    char parts[16] = "", family[64];
    if (c->splits > 1) snprintf(parts, sizeof parts, "_k%d", c->splits);
    snprintf(family, sizeof family, "%s_%s%s", how->kernel, tiles[c->tile], parts);
    return oct_kernel_name(how, family, "cuda");
}

oct_status oct_cuda_choose_product(oct_device *d, oct_cuda_step *step, oct_prepare *how)
{
    if (!step->u.conv.tiles) return OCT_OK;
    if (d->library == OCT_LIBRARY_ALWAYS && is_product(step)) {
        const oct_cuda_step ours = *step;
        OCT_TRY(make_library(d, &ours, step));
    } else if (d->library == OCT_LIBRARY_FASTER) {
        OCT_TRY(settle(d, step));
    }
    how->ours_ms = step->ours_ms;
    how->library_ms = step->library_ms;
    if (step->launch != launch_library) return name_kernel(&step->u.conv, how);
    how->kernel = "conv2d_f16/cublas";
    return OCT_OK;
}
