/* 1x1 convolutions and linear layers in halves are plain products: by our kernel, or by cuBLAS
 * and the second half of our kernel, whichever is faster. */
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
    return step->x.type == OCT_F16 && c->groups == 1 && c->kernel[0] == 1 && c->kernel[1] == 1 &&
           c->stride[0] == 1 && c->stride[1] == 1 && !c->pad[0] && !c->pad[1];
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
        if (s->ours_ms > 0 && o->rows.most == c->rows.most && o->rows.per == c->rows.per &&
            o->n == c->n && s->x.pitch == step->x.pitch && o->act == c->act &&
            !o->residual == !c->residual)
            return s;
    }
    return NULL;
}

/* Rows that a run reads are zeros, so that nothing is counted, and there are as many as may be. */
static oct_status make_ready(oct_device *d, const oct_cuda_step *s)
{
    const size_t bytes = (size_t)s->rows.most * (size_t)s->rows.per * sizeof(uint16_t);
    const int counts[] = { s->rows.most, s->rows.most }; /* samples or tokens, and texts */
    OCT_TRY(oct_cuda_upload(d->cuda, d->count, counts, sizeof counts));
    OCT_TRY(oct_cuda_clear(d->cuda, s->x.data, bytes * (size_t)s->x.pitch));
    return s->b.data ? oct_cuda_clear(d->cuda, s->b.data, bytes * (size_t)s->b.pitch) : OCT_OK;
}

static oct_status time_both(oct_device *d, oct_cuda_step *ours, oct_cuda_step *library)
{
    OCT_TRY(make_ready(d, ours));
    OCT_TRY(oct_cuda_measure(d->cuda, launch_step, ours, &ours->ours_ms));
    return oct_cuda_measure(d->cuda, launch_step, library, &ours->library_ms);
}

/* The memory between cuBLAS and the second half is kept where it is used. */
static void settle(oct_device *d, oct_cuda_step *step)
{
    void *const before = d->scratch[OCT_CUDA_PARTS];
    const size_t size = d->scratch_size[OCT_CUDA_PARTS];
    oct_cuda_step library;
    const oct_cuda_step *timed = find_timed(d, step);
    oct_status status = OCT_OK;
    if (timed) step->ours_ms = timed->ours_ms, step->library_ms = timed->library_ms;
    if (timed && timed->launch != launch_library) return;
    status = make_library(d, step, &library);
    if (!status && !timed) status = time_both(d, step, &library);
    if (!status && step->library_ms < clearly * step->ours_ms) {
        library.ours_ms = step->ours_ms;
        library.library_ms = step->library_ms;
        *step = library;
        return;
    }
    if (status) step->ours_ms = step->library_ms = 0; /* ours needs nothing of all this */
    if (d->scratch[OCT_CUDA_PARTS] == before) return;
    oct_cuda_free(d->cuda, d->scratch[OCT_CUDA_PARTS]);
    d->scratch[OCT_CUDA_PARTS] = before;
    d->scratch_size[OCT_CUDA_PARTS] = size;
}

oct_status oct_cuda_choose_product(oct_device *d, oct_cuda_step *step, oct_prepare *how)
{
    if (d->library == OCT_LIBRARY_NEVER || !is_product(step)) return OCT_OK;
    if (d->library == OCT_LIBRARY_ALWAYS) {
        const oct_cuda_step ours = *step;
        OCT_TRY(make_library(d, &ours, step));
    } else {
        if (!d->library_is_open && oct_cuda_open_cublas(d->cuda) != OCT_OK)
            d->library = OCT_LIBRARY_NEVER;
        if (d->library == OCT_LIBRARY_NEVER) return OCT_OK;
        d->library_is_open = 1;
        settle(d, step);
    }
    how->ours_ms = step->ours_ms;
    how->library_ms = step->library_ms;
    if (step->launch == launch_library) how->kernel = "conv2d_f16/cublas";
    return OCT_OK;
}
