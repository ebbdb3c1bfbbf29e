/* conv2d by Winograd's F(m x m, 3x3), m = 4 or 2, in FP32.  Contract, numerics:
 * ops/kernels/winograd_f32.h; tiles and loops: ops/conv2d_tiles.h.
 *
 *   V [xi][c / 64][tile][min(64, c..)]     M [xi][tile][nr]     U [panel][xi] a panel of gemm_f32
 * With --precision fp16 or bf16 U is held in half and widened as it is multiplied; all else is
 * FP32.
 * One xi of V and M is an odd number of 64-byte lines long: the p*p values of one lane then lie in
 * different sets of the caches. */
#include "ops/conv2d_winograd.h"

#include <string.h>

#include "ops/conv2d_tiles.h"
#include "ops/kernels/winograd_f32.h"
#include "ops/precision.h"

/* Where it pays, measured on a Zen 5, one thread, batch 1 and 32, AVX-512 and AVX2
 * (bench/bench_conv --shape).  Below MIN_C input channels the transforms cost what the products
 * save.  Maps of up to 3x3 leave most of a tile idle, 4x4 to 6x6 that of F(4).  Of four tiles or
 * fewer a product waits for its weights, 36 floats for each of the filter's 9: F(4) still wins
 * while they stay in L3, F(2) beyond. */
enum {
    MIN_C = 16, MIN_OUT = 8,
    MIN_SIDE2 = 4, MIN_SIDE4 = 7,
    FEW_TILES = 4, MAX_FILTERS = 1 << 17, /* 19 MB of U */
    MAX_PIXELS = 1 << 28,                 /* so that an int counts tiles */
};

/* Blocks of tiles.  All of V in one block if it fits L2 as well as can be; else smaller ones, so
 * that M fits too, but not below FEW tiles, because each block reads all of U. */
enum { ALL_SIZE = 900 << 10, BLOCK_SIZE = 450 << 10, FEW = 28 };

enum {
    ALONE = 400000, /* multiply-adds of a product: about 3 us, not worth a parallel region */
};

typedef struct state {
    oct_conv2d_tiles t;
    const oct_winograd_f32 *wino;
    const oct_gemm_f32 *gemm;
    oct_gemm_f32_seg *seg;     /* blocks of input channels in V */
    size_t v_step, m_step;     /* floats from one xi to the next */
    size_t panel_size;         /* floats' room of U of one panel and xi */
    float *u;
    float *bias;               /* [out], zeros if there is none */
} state;

static int min_int(int a, int b) { return a < b ? a : b; }
static int max_int(int a, int b) { return a > b ? a : b; }
static int ceil_div(int a, int b) { return a / b + (a % b != 0); }
static int n_xi_of(const state *s) { return s->t.p * s->t.p; }

int oct_conv2d_winograd_pick(const oct_conv2d_shape *c)
{
    for (int i = 0; i < 2; i++)
        if (c->kernel[i] != 3 || c->stride[i] != 1 || c->dilation[i] != 1 || c->pad[i] > 2)
            return 0;
    if (c->groups != 1 || c->c < MIN_C || c->out < MIN_OUT || c->oh > MAX_PIXELS / c->ow) return 0;
    const int side = min_int(c->oh, c->ow), tiles4 = ceil_div(c->oh, 4) * ceil_div(c->ow, 4);
    if (side < MIN_SIDE4) return side >= MIN_SIDE2 ? 2 : 0;
    return tiles4 <= FEW_TILES && c->c > MAX_FILTERS / c->out ? 2 : 4;
}

/* ---- prepare ---- */

/* n rounded up to an odd number of 64-byte lines, in floats. */
static size_t odd_lines(size_t n) { return ((n + 15) / 16 | 1) * 16; }

static int rounded_width(int c, int b) { return (oct_block_width(c, b) + 15) / 16 * 16; }

/* U of the 16 or fewer columns of a panel from `first` on; rows are read in runs of RUN channels,
 * so that the 9 taps of a channel, which lie together in every row, are read from L1. */
static void pack_columns(const state *s, const oct_tensor *w, int first, int lanes, float *u,
                         size_t step)
{
    enum { N = OCT_WINOGRAD_F32_FILTERS, RUN = 16 };
    const int c_all = s->t.c.c, have = min_int(lanes, s->t.c.out - first);
    float row[N][RUN * 9], taps[9 * N];
    memset(row, 0, sizeof row); /* columns past the last output channel */
    for (int c0 = 0; c0 < c_all; c0 += RUN) {
        const int n = min_int(RUN, c_all - c0);
        for (int l = 0; l < have; l++)
            oct_tensor_read_f32(w, ((size_t)(first + l) * (size_t)c_all + (size_t)c0) * 9,
                                (size_t)n * 9, row[l]);
        for (int c = 0; c < n; c++, u += s->gemm->nr) {
            for (int q = 0; q < 9; q++)
                for (int l = 0; l < N; l++) taps[q * N + l] = row[l][c * 9 + q];
            oct_winograd_f32_weights(s->t.m, lanes, taps, u, step);
        }
    }
}

/* U of the panel that begins with output channel k, all xi, in FP32, `step` floats apart. */
static void pack_panel(const state *s, const oct_tensor *w, int k, float *u, size_t step)
{
    const int nr = s->gemm->nr, n_xi = n_xi_of(s);
    for (int xi = 0; xi < n_xi; xi++) /* no bias */
        memset(u + (size_t)xi * step, 0, (size_t)nr * sizeof *u);
    for (int j = 0; j < nr; j += OCT_WINOGRAD_F32_FILTERS)
        pack_columns(s, w, k + j, min_int(nr - j, OCT_WINOGRAD_F32_FILTERS), u + nr + j, step);
}

/* Where U is in half a panel of it is made in FP32 first. */
static oct_status pack(const state *s, const oct_tensor *w, const oct_tensor *bias)
{
    const size_t bias_size = (size_t)s->t.c.out * sizeof *s->bias;
    if (bias) memcpy(s->bias, bias->data, bias_size);
    else memset(s->bias, 0, bias_size);

    const int nr = s->gemm->nr, n_xi = n_xi_of(s), half = s->gemm->type != OCT_F32;
    const size_t step = half ? (size_t)nr * (size_t)(s->t.c.c + 1) : s->panel_size;
    oct_arena tmp = { 0 };
    float *u = s->u, *wide = half ? oct_arena_alloc(&tmp, (size_t)n_xi * step * sizeof *u) : NULL;
    if (half && !wide) return oct_fail(OCT_ERR_MEMORY, "conv2d: out of memory");
    for (int k = 0; k < s->t.n_panels * nr; k += nr, u += (size_t)n_xi * s->panel_size) {
        pack_panel(s, w, k, half ? wide : u, step);
        for (int xi = 0; half && xi < n_xi; xi++)
            oct_gemm_f32_narrow(s->gemm, s->t.c.c, wide + (size_t)xi * step,
                                u + (size_t)xi * s->panel_size);
    }
    oct_arena_free(&tmp);
    return OCT_OK;
}

/* U may be larger than w by the rows of G: their sums of |g| are at most 1.5, and both sides of w
 * have one.  Half serves bfloat16 as well: it is nearer. */
static oct_dtype choose_type(const oct_tensor *w, const oct_prepare *how)
{
    oct_prepare half = *how;
    if (how->precision == OCT_BF16) half.precision = OCT_F16;
    return oct_precision_choose(&half, w, 2.25f) == OCT_F16 ? OCT_F16 : OCT_F32;
}

oct_status oct_conv2d_winograd_prepare(const oct_args *args, oct_prepare *how, int m, void **out)
{
    state *s = oct_arena_zalloc(how->arena, sizeof *s);
    if (!s) return oct_fail(OCT_ERR_MEMORY, "conv2d: out of memory");
    *out = s;
    s->wino = oct_winograd_f32_pick(how->cpu);
    how->type = choose_type(args->in[OCT_CONV2D_W], how);
    s->gemm = oct_precision_gemm(how->type, how->cpu);
    const size_t lines = ((size_t)args->in[OCT_CONV2D_X]->dim[3] + 15) / 16;
    oct_conv2d_tiles_cache cache = { .tile = (size_t)((m + 2) * (m + 2)) * lines * 64,
                                     .all = ALL_SIZE, .block = BLOCK_SIZE };
    cache.few = max_int(min_int(FEW, (int)(ALL_SIZE / cache.tile)), 2 * s->gemm->rows);
    OCT_TRY(oct_conv2d_tiles_make(args, m, s->gemm->nr, &cache, &s->t));

    const int n_xi = n_xi_of(s), n_segs = oct_block_count(s->t.c.c);
    s->panel_size = oct_gemm_f32_panel_size(s->gemm, s->t.c.c);
    /* no overflow: a small multiple of the weights, which are in memory */
    const size_t size = (size_t)s->t.n_panels * (size_t)n_xi * s->panel_size * sizeof(float);
    const size_t bias_size = (size_t)s->t.c.out * sizeof *s->bias;
    void *u, *bias;
    int ready;
    OCT_TRY(oct_prepare_packed("conv2d", how, size, &u, &ready));
    OCT_TRY(oct_prepare_packed("conv2d", how, bias_size, &bias, &ready));
    s->u = u;
    s->bias = bias;
    if (!ready) OCT_TRY(pack(s, args->in[OCT_CONV2D_W], args->in[OCT_CONV2D_BIAS]));
    s->seg = oct_arena_alloc(how->arena, (size_t)n_segs * sizeof *s->seg);
    if (!s->seg) return oct_fail(OCT_ERR_MEMORY, "conv2d: out of memory");

    size_t v = 0;
    for (int b = 0; b < n_segs; b++) {
        const int width = rounded_width(s->t.c.c, b);
        s->seg[b] = (oct_gemm_f32_seg){ (ptrdiff_t)v, oct_block_width(s->t.c.c, b), width };
        v += (size_t)s->t.capacity * (size_t)width;
    }
    s->v_step = odd_lines(v);
    s->m_step = odd_lines((size_t)s->t.capacity * (size_t)s->gemm->nr);
    how->thread_size = (size_t)n_xi * (s->v_step + s->m_step) * sizeof(float);
    how->weight_size = size;
    how->macs = 9.0 * s->t.c.c * s->t.c.out * s->t.c.oh * s->t.c.ow;
    static const char *const family[2][2] = { { "winograd2x2_f32", "winograd2x2_f16w" },
                                              { "winograd4x4_f32", "winograd4x4_f16w" } };
    return oct_kernel_name(how, family[s->t.m == 4][how->type == OCT_F16], s->wino->isa);
}

/* ---- run ---- */

typedef struct work {
    const state *s;
    const float *x, *residual; /* of the first image */
    float *y;
    oct_act act;
} work;

static void transform_input(const void *own, int first, int n, void *scratch)
{
    const work *w = own;
    const state *s = w->s;
    float *v = scratch;
    for (int b = 0; b < oct_block_count(s->t.c.c); b++) {
        oct_conv2d_tile_pos at = oct_conv2d_tile_pos_of(&s->t, first);
        for (int t = 0; t < n; t++, oct_conv2d_tile_next(&s->t, &at)) {
            const oct_conv2d_tile_in in = oct_conv2d_tile_input(&s->t, at, b);
            s->wino->input(&(oct_winograd_f32_in){
                .m = s->t.m, .y0 = in.y0, .y1 = in.y1, .x0 = in.x0, .x1 = in.x1,
                .x = w->x + in.at, .row = (size_t)s->t.c.w * (size_t)in.width,
                .pixel = (size_t)in.width, .lanes = in.width, .step = s->v_step,
                .v = v + s->seg[b].offset + (ptrdiff_t)t * s->seg[b].width });
        }
    }
}

/* M[xi] = V[xi] U[xi] for n tiles and all xi of one panel.  Rows of a product come in two groups of
 * equal length; of an odd number one row is computed twice.  The first product prefetches. */
static void multiply(const state *s, int n, const float *v, const float *u, const float *after,
                     float *mm)
{
    const int most = 2 * s->gemm->rows, parts = ceil_div(n, most), pairs = ceil_div(n, 2);
    const int n_xi = n_xi_of(s);
    const size_t nr = (size_t)s->gemm->nr;
    oct_gemm_f32_args a = { .n_segs = oct_block_count(s->t.c.c), .seg = s->seg, .step = 1,
                            .cols = s->gemm->nr, .ldc = nr, .act = OCT_ACT_NONE,
                            .ahead_parts = parts >= 4 ? 4 : parts >= 2 ? 2 : 1 };
    for (int xi = 0; xi < n_xi; xi++, u += s->panel_size, v += s->v_step, mm += s->m_step) {
        a.panel = u;
        const float *next = xi + 1 < n_xi ? u + s->panel_size : after;
        a.a[0] = a.a[1] = v;
        for (int i = 0, t = 0; i < parts; i++) {
            const int rows = min_int(2 * (pairs / parts + (i < pairs % parts)), n - t);
            a.groups = rows > s->gemm->rows ? 2 : 1;
            a.rows = a.groups == 2 ? (rows + 1) / 2 : rows;
            a.pos[0] = t;
            a.pos[1] = t + rows - a.rows;
            a.c[0] = mm + (size_t)t * nr;
            a.c[1] = mm + (size_t)a.pos[1] * nr;
            a.ahead = next && i < a.ahead_parts
                    ? next + (size_t)i * (s->panel_size / (size_t)a.ahead_parts) : NULL;
            s->gemm->tile(&a);
            t += rows;
        }
    }
}

/* Y of the channels of a panel. */
static void transform_output(const work *w, int panel, int first, int n, const float *mm)
{
    const state *s = w->s;
    oct_conv2d_tile_pos at = oct_conv2d_tile_pos_of(&s->t, first);
    for (int t = 0; t < n; t++, oct_conv2d_tile_next(&s->t, &at)) {
        const oct_conv2d_tile_out to = oct_conv2d_tile_output(&s->t, at, panel);
        s->wino->output(&(oct_winograd_f32_out){
            .m = s->t.m, .rows = to.rows, .cols = to.cols, .lanes = to.lanes,
            .mm = mm + (size_t)t * (size_t)s->gemm->nr, .step = s->m_step,
            .bias = s->bias + panel * s->gemm->nr, .act = w->act,
            .row = (size_t)s->t.c.ow * (size_t)to.width, .pixel = (size_t)to.width,
            .y = w->y + to.at, .residual = w->residual ? w->residual + to.at : NULL });
    }
}

static void panel(const void *own, int p, int more, int first, int n, void *scratch)
{
    const work *w = own;
    const state *s = w->s;
    const size_t all_xi = (size_t)n_xi_of(s) * s->panel_size;
    const float *u = s->u + (size_t)p * all_xi;
    float *v = scratch, *mm = v + (size_t)n_xi_of(s) * s->v_step;
    multiply(s, n, v, u, more ? u + all_xi : NULL, mm);
    transform_output(w, p, first, n, mm);
}

void oct_conv2d_winograd_run(const oct_args *args, const void *opaque, const oct_run *r)
{
    const state *s = opaque;
    const oct_tensor *residual = args->in[OCT_CONV2D_RESIDUAL];
    const work w = { .s = s, .x = args->in[OCT_CONV2D_X]->data, .y = args->out->data,
                     .residual = residual ? residual->data : NULL,
                     .act = ((const oct_conv2d_attr *)args->attr)->act };
    oct_conv2d_tiles_job job = { .t = &s->t, .own = &w, .input = transform_input, .panel = panel,
                                 .alone = ALONE };
    oct_conv2d_tiles_run(&job, r);
}
