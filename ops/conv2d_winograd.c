/* conv2d by Winograd's F(m x m, 3x3), m = 4 or 2.  Contract, numerics: ops/kernels/winograd_f32.h.
 *
 *   tiles      m x m outputs each; those of all images are numbered in one row
 *   items      a block of tiles x some panels of nr output channels, one thread, one region for
 *              the whole layer:
 *                V of the block, all input channels                     stays in L2
 *                  panel: U is read once, in the order of memory, prefetched one panel ahead
 *                    xi: matrix product of V[xi] and U[xi]              sums stay in registers
 *                    output transform of the block
 *   cut        where there are more threads than blocks, several threads take the same block and
 *              different panels: each transforms the block's input for itself, which costs less
 *              than a second parallel region and keeps V in its own L2
 *
 *   V [xi][c / 64][tile][min(64, c..)]     M [xi][tile][nr]     U [panel][xi] a panel of gemm_f32
 * With --precision fp16 or bf16 U is held in half and widened as it is multiplied; all else is
 * FP32.
 * One xi of V and M is an odd number of 64-byte lines long: the p*p values of one lane then lie in
 * different sets of the caches.  No result depends on blocks, panels or threads. */
#include "ops/conv2d_winograd.h"

#include <limits.h>
#include <string.h>

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
    WAIT = 12,      /* reading a line of U from L3 takes as long as multiplying it by 12 rows */
};

typedef struct state {
    oct_conv2d_shape c;
    int m, p;
    int tiles_x, tiles;        /* of an image: in a row, in all */
    int capacity;              /* tiles of a block */
    int n_panels;
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

static int block_capacity(const state *s, int all)
{
    const size_t lines = ((size_t)s->c.c + 15) / 16, tile = (size_t)(s->p * s->p) * lines * 64;
    const int most = (int)(ALL_SIZE / tile);
    if (all <= most) return all;
    const int few = max_int(min_int(FEW, most), 2 * s->gemm->rows);
    const int block = max_int((int)(BLOCK_SIZE / tile), few);
    return min_int(all, block);
}

/* U of the 16 or fewer columns of a panel from `first` on; rows are read in runs of RUN channels,
 * so that the 9 taps of a channel, which lie together in every row, are read from L1. */
static void pack_columns(const state *s, const oct_tensor *w, int first, int lanes, float *u,
                         size_t step)
{
    enum { N = OCT_WINOGRAD_F32_FILTERS, RUN = 16 };
    const int c_all = s->c.c, have = min_int(lanes, s->c.out - first);
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
            oct_winograd_f32_weights(s->m, lanes, taps, u, step);
        }
    }
}

/* U of the panel that begins with output channel k, all xi, in FP32, `step` floats apart. */
static void pack_panel(const state *s, const oct_tensor *w, int k, float *u, size_t step)
{
    const int nr = s->gemm->nr, n_xi = s->p * s->p;
    for (int xi = 0; xi < n_xi; xi++) /* no bias */
        memset(u + (size_t)xi * step, 0, (size_t)nr * sizeof *u);
    for (int j = 0; j < nr; j += OCT_WINOGRAD_F32_FILTERS)
        pack_columns(s, w, k + j, min_int(nr - j, OCT_WINOGRAD_F32_FILTERS), u + nr + j, step);
}

/* Where U is in half a panel of it is made in FP32 first. */
static oct_status pack(const state *s, const oct_tensor *w, const oct_tensor *bias)
{
    const size_t bias_size = (size_t)s->c.out * sizeof *s->bias;
    if (bias) memcpy(s->bias, bias->data, bias_size);
    else memset(s->bias, 0, bias_size);

    const int nr = s->gemm->nr, n_xi = s->p * s->p, half = s->gemm->type != OCT_F32;
    const size_t step = half ? (size_t)nr * (size_t)(s->c.c + 1) : s->panel_size;
    oct_arena tmp = { 0 };
    float *u = s->u, *wide = half ? oct_arena_alloc(&tmp, (size_t)n_xi * step * sizeof *u) : NULL;
    if (half && !wide) return oct_fail(OCT_ERR_MEMORY, "conv2d: out of memory");
    for (int k = 0; k < s->n_panels * nr; k += nr, u += (size_t)n_xi * s->panel_size) {
        pack_panel(s, w, k, half ? wide : u, step);
        for (int xi = 0; half && xi < n_xi; xi++)
            oct_gemm_f32_narrow(s->gemm, s->c.c, wide + (size_t)xi * step,
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
    s->c = oct_conv2d_shape_of(args);
    s->m = m;
    s->p = m + 2;
    s->wino = oct_winograd_f32_pick(how->cpu);
    how->type = choose_type(args->in[OCT_CONV2D_W], how);
    s->gemm = oct_precision_gemm(how->type, how->cpu);
    s->tiles_x = ceil_div(s->c.ow, m);
    s->tiles = s->tiles_x * ceil_div(s->c.oh, m);
    if (args->out->dim[0] > INT_MAX / s->tiles)
        return oct_fail(OCT_ERR_UNSUPPORTED, "conv2d: %d images of %d tiles", args->out->dim[0],
                        s->tiles);
    s->capacity = block_capacity(s, args->out->dim[0] * s->tiles);
    s->n_panels = ceil_div(s->c.out, s->gemm->nr);

    const int n_xi = s->p * s->p, n_segs = oct_block_count(s->c.c);
    s->panel_size = oct_gemm_f32_panel_size(s->gemm, s->c.c);
    /* no overflow: a small multiple of the weights, which are in memory */
    const size_t size = (size_t)s->n_panels * (size_t)n_xi * s->panel_size * sizeof(float);
    const size_t bias_size = (size_t)s->c.out * sizeof *s->bias;
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
        const int width = rounded_width(s->c.c, b);
        s->seg[b] = (oct_gemm_f32_seg){ (ptrdiff_t)v, oct_block_width(s->c.c, b), width };
        v += (size_t)s->capacity * (size_t)width;
    }
    s->v_step = odd_lines(v);
    s->m_step = odd_lines((size_t)s->capacity * (size_t)s->gemm->nr);
    how->thread_size = (size_t)n_xi * (s->v_step + s->m_step) * sizeof(float);
    how->weight_size = size;
    how->macs = 9.0 * s->c.c * s->c.out * s->c.oh * s->c.ow;
    static const char *const family[2][2] = { { "winograd2x2_f32", "winograd2x2_f16w" },
                                              { "winograd4x4_f32", "winograd4x4_f16w" } };
    return oct_kernel_name(how, family[m == 4][how->type == OCT_F16], s->wino->isa);
}

/* ---- run ---- */

typedef struct work {
    const state *s;
    const oct_run *r;
    const float *x, *residual; /* of the first image */
    float *y;
    oct_act act;
    int total;                 /* tiles of all images */
    int blocks, panel_items;   /* items are blocks * panel_items */
} work;

typedef struct place { int image, ty, tx; } place; /* of a tile */

static place place_of(const state *s, int t)
{
    const int in_image = t % s->tiles;
    return (place){ t / s->tiles, in_image / s->tiles_x, in_image % s->tiles_x };
}

static void next_place(const state *s, place *at)
{
    if (++at->tx < s->tiles_x) return;
    at->tx = 0;
    if (++at->ty * s->tiles_x < s->tiles) return;
    at->ty = 0;
    at->image++;
}

/* V of block b of channels, tiles first .. first + n. */
static void transform_input(const work *w, int b, int first, int n, float *v)
{
    const state *s = w->s;
    const oct_conv2d_shape *c = &s->c;
    const int width = oct_block_width(c->c, b);
    const size_t pixels = (size_t)c->h * (size_t)c->w;
    const float *image = w->x + (size_t)b * OCT_BLOCK * pixels;
    place at = place_of(s, first);
    oct_winograd_f32_in in = { .m = s->m, .row = (size_t)c->w * (size_t)width,
                               .pixel = (size_t)width, .lanes = width, .step = s->v_step };
    for (int t = 0; t < n; t++, next_place(s, &at)) {
        const int y = at.ty * s->m - c->pad[0], x = at.tx * s->m - c->pad[1];
        in.y0 = max_int(0, -y), in.y1 = min_int(s->p, c->h - y);
        in.x0 = max_int(0, -x), in.x1 = min_int(s->p, c->w - x);
        in.x = image + (size_t)at.image * pixels * (size_t)c->c +
               ((ptrdiff_t)y * c->w + x) * width;
        in.v = v + s->seg[b].offset + (ptrdiff_t)t * s->seg[b].width;
        s->wino->input(&in);
    }
}

/* M[xi] = V[xi] U[xi] for n tiles and all xi of one panel.  Rows of a product come in two groups of
 * equal length; of an odd number one row is computed twice.  The first product prefetches. */
static void multiply(const state *s, int n, const float *v, const float *u, const float *after,
                     float *mm)
{
    const int most = 2 * s->gemm->rows, parts = ceil_div(n, most), pairs = ceil_div(n, 2);
    const size_t nr = (size_t)s->gemm->nr;
    oct_gemm_f32_args a = { .n_segs = oct_block_count(s->c.c), .seg = s->seg, .step = 1,
                            .cols = s->gemm->nr, .ldc = nr, .act = OCT_ACT_NONE,
                            .ahead_parts = parts >= 4 ? 4 : parts >= 2 ? 2 : 1 };
    for (int xi = 0; xi < s->p * s->p; xi++, u += s->panel_size, v += s->v_step, mm += s->m_step) {
        a.panel = u;
        const float *next = xi + 1 < s->p * s->p ? u + s->panel_size : after;
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

/* Y of the channels of a panel, tiles first .. first + n. */
static void transform_output(const work *w, int panel, int first, int n, const float *mm)
{
    const state *s = w->s;
    const oct_conv2d_shape *c = &s->c;
    const int k = panel * s->gemm->nr, b = k / OCT_BLOCK, width = oct_block_width(c->out, b);
    const size_t pixels = (size_t)c->oh * (size_t)c->ow;
    place at = place_of(s, first);
    oct_winograd_f32_out out = {
        .m = s->m, .step = s->m_step, .bias = s->bias + k, .act = w->act,
        .lanes = min_int(s->gemm->nr, c->out - k),
        .row = (size_t)c->ow * (size_t)width, .pixel = (size_t)width };
    for (int t = 0; t < n; t++, next_place(s, &at)) {
        const int y = at.ty * s->m, x = at.tx * s->m;
        const size_t to = (size_t)at.image * pixels * (size_t)c->out +
                          (size_t)b * OCT_BLOCK * pixels + (size_t)(k % OCT_BLOCK) +
                          ((size_t)y * (size_t)c->ow + (size_t)x) * (size_t)width;
        out.rows = min_int(s->m, c->oh - y);
        out.cols = min_int(s->m, c->ow - x);
        out.mm = mm + (size_t)t * (size_t)s->gemm->nr;
        out.y = w->y + to;
        out.residual = w->residual ? w->residual + to : NULL;
        s->wino->output(&out);
    }
}

static int share(int n, int i, int parts) { return (int)((long long)n * i / parts); }

static void item(void *arg, int i, int thread)
{
    const work *w = arg;
    const state *s = w->s;
    const int block = i / w->panel_items, pi = i % w->panel_items;
    const int t0 = share(w->total, block, w->blocks), t1 = share(w->total, block + 1, w->blocks);
    const int p0 = share(s->n_panels, pi, w->panel_items);
    const int p1 = share(s->n_panels, pi + 1, w->panel_items);
    const size_t all_xi = (size_t)(s->p * s->p) * s->panel_size;
    float *v = oct_run_scratch(w->r, thread), *mm = v + (size_t)(s->p * s->p) * s->v_step;
    for (int b = 0; b < oct_block_count(s->c.c); b++) transform_input(w, b, t0, t1 - t0, v);
    for (int p = p0; p < p1; p++) {
        const float *u = s->u + (size_t)p * all_xi;
        multiply(s, t1 - t0, v, u, p + 1 < p1 ? u + all_xi : NULL, mm);
        transform_output(w, p, t0, t1 - t0, mm);
    }
}

/* Threads side by side on panels or on tiles?  Costs per input channel, in steps of a product (one
 * row, one panel, one c); a pass over a tile's input costs 6 of them, F(2) 2.5. */
static void cut(work *w, int threads)
{
    const state *s = w->s;
    const double in = s->m == 4 ? 6 : 2.5;
    const int least = ceil_div(w->total, s->capacity);
    double best = 0;
    for (int side = 1; side <= threads && side <= s->n_panels; side++) {
        const int groups = threads / side, more = max_int(ceil_div(least, groups), 1) * groups;
        const int blocks = min_int(more, w->total), tiles = ceil_div(w->total, blocks);
        const double product = (double)ceil_div(s->n_panels, side) * s->p * s->p;
        const double cost = ceil_div(blocks * side, threads) *
                            (in * tiles + product * max_int(tiles, WAIT));
        if (side > 1 && cost >= best) continue;
        best = cost;
        w->blocks = blocks;
        w->panel_items = side;
    }
}

void oct_conv2d_winograd_run(const oct_args *args, const void *opaque, const oct_run *r)
{
    const state *s = opaque;
    const oct_tensor *x = args->in[OCT_CONV2D_X];
    const oct_tensor *residual = args->in[OCT_CONV2D_RESIDUAL];
    work w = { .s = s, .r = r, .x = x->data, .residual = residual ? residual->data : NULL,
               .y = args->out->data, .act = ((const oct_conv2d_attr *)args->attr)->act,
               .total = r->n * s->tiles };
    const double macs = (double)w.total * s->p * s->p * s->c.c * s->c.out;
    const int alone = macs < ALONE;
    cut(&w, alone ? 1 : r->pool->threads);
    const int items = w.blocks * w.panel_items;
    if (!alone) oct_parallel_for(r->pool, items, item, &w);
    else for (int i = 0; i < items; i++) item(&w, i, 0);
}
