/* conv2d by Winograd's F(m x m, 3x3), m = 4 or 2, in integers.  Contract, limits:
 * ops/kernels/winograd_s8.h; tiles and loops: ops/conv2d_tiles.h.
 *
 *   V [xi][block of 64 channels][tile][64]     M [xi][tile][nr]     U [panel][xi]
 * One xi of V and M is an odd number of 64-byte lines long, as in conv2d_winograd.c. */
#include "ops/conv2d_winograd_s8.h"

#include <string.h>

#include "ops/conv2d_tiles.h"
#include "ops/kernels/gemm_s8.h"
#include "ops/kernels/winograd_s8.h"
#include "ops/quantized.h"
#include "tensor/cpu.h"

enum { ALL_SIZE = 300 << 10, BLOCK_SIZE = 300 << 10 };

enum { ALONE = 800 };          /* as in conv2d_s8.c, multiply-adds of a product */

typedef struct state {
    oct_conv2d_tiles t;
    const oct_winograd_s8 *wino;
    oct_requant out;
    int last[2];               /* points of the last tiles down and across */
    size_t v_block;            /* elements of V: from a block of channels to the next */
    size_t v_step, m_step;     /* from one xi to the next */
    size_t panel_size;
    const char *packed;
} state;

static int ceil_div(int a, int b) { return a / b + (a % b != 0); }
static int n_xi_of(const state *s) { return s->t.p * s->t.p; }

/* ---- the choice ---- */

static int possible(const oct_conv2d_shape *c)
{
    enum { MAX_PIXELS = 1 << 28 }; /* so that an int counts tiles */
    for (int i = 0; i < 2; i++)
        if (c->kernel[i] != 3 || c->stride[i] != 1 || c->dilation[i] != 1 || c->pad[i] > 2)
            return 0;
    return c->groups == 1 && c->oh <= MAX_PIXELS / c->ow;
}

/* Where it pays, measured (bench/RESULTS.md): the transforms need channels to be spread over, and U
 * of F(4x4) is eight times the weights, so it must stay in a cache or serve many tiles.  A dot
 * product of bytes does twice the products of a pair of words, which leaves F(4x4) half of its four
 * and F(2x2) nothing; NEON's does four times as many. */
typedef struct rule {
    unsigned cpu;              /* the first whose flag is there; 0: all others */
    int m;                     /* the smallest that pays; 0: none */
    int min_c, min_out;
    int min_tiles;             /* of the batch: as many as a product has rows */
    int max_filters;           /* c * out */
    int many, share;           /* tiles of the batch, and c * out / tiles, from and to which there
                                  is no such limit; 0: never */
    int few;                   /* tiles of a block at least, see conv2d_tiles.h */
} rule;

static const rule rules[] = {
    { OCT_CPU_AVX512, 4, 32, 64, 14, 1 << 14, 28, 1 << 12, 32 },
    { OCT_CPU_AVXVNNI, 4, 32, 32, 1, 1 << 16, 0, 0, 14 },
    { OCT_CPU_AVX2, 2, 16, 16, 1, 1 << 16, 32, 1 << 13, 14 },
    { OCT_CPU_NEONDOT, .few = 14 },
    { OCT_CPU_NEON, 2, 16, 16, 1, 1 << 16, 32, 1 << 13, 14 },
    { 0, .few = 14 },
};

static const rule *rule_of(unsigned cpu)
{
    const rule *r = rules;
    while (r->cpu && !(cpu & r->cpu)) r++;
    return r;
}

/* Of the last tile of an axis of n outputs; of all its tiles. */
static int last_points(int m, int n)
{
    return oct_winograd_s8_points(m, n - (ceil_div(n, m) - 1) * m);
}
static int all_points(int m, int n)
{
    return (ceil_div(n, m) - 1) * (m + 2) + last_points(m, n);
}

static int pays(const oct_args *args, const oct_conv2d_shape *c, int m, unsigned cpu)
{
    const rule *r = rule_of(cpu);
    const int across = ceil_div(c->ow, m), down = ceil_div(c->oh, m);
    const double tiles = (double)across * down, all = tiles * args->out->dim[0];
    if (!r->m || m < r->m || c->c < r->min_c || c->out < r->min_out ||
        all < r->min_tiles)
        return 0;
    const double points = (double)all_points(m, c->oh) * all_points(m, c->ow);
    const double dense = (double)(m + 2) * (m + 2) / (m * m); /* of an output, none outside */
    if (points > 1.5 * dense * c->oh * c->ow) return 0; /* too much lies outside the map */
    return c->c <= r->max_filters / c->out ||
           (r->many && all >= r->many && (double)c->c * c->out <= r->share * all);
}

static size_t packed_size(const oct_winograd_s8 *g, const oct_conv2d_shape *c, int m)
{
    return (size_t)ceil_div(c->out, g->nr) * oct_winograd_s8_panel_size(g, m, c->c);
}

static int fits(const oct_args *args, int m)
{
    const oct_tensor *x = args->in[OCT_CONV2D_X], *w = args->in[OCT_CONV2D_W];
    const oct_winograd_s8_weights rows = { .m = m, .c = w->dim[1], .b = w->data };
    return oct_winograd_s8_fits(&rows, 0, w->dim[0], x->max);
}

int oct_conv2d_winograd_s8_pick(const oct_args *args, const oct_prepare *how)
{
    const oct_conv2d_shape c = oct_conv2d_shape_of(args);
    if (!possible(&c)) return 0;
    for (int m = 4; m >= 2; m -= 2) {
        const size_t size = packed_size(oct_winograd_s8_pick(how->cpu), &c, m);
        const int taken = how->given ? how->n_given && how->given->size == oct_packed_size(size)
                                     : pays(args, &c, m, how->cpu) && fits(args, m);
        if (taken) return m;
    }
    return 0;
}

/* ---- prepare ---- */

static oct_status pack(const oct_args *args, const state *s, void *packed, oct_arena *tmp)
{
    const oct_tensor *x = args->in[OCT_CONV2D_X], *w = args->in[OCT_CONV2D_W];
    oct_gemm_s8_weights rows = { .bias = NULL }; /* its biases are ours */
    float *scale = oct_arena_alloc(tmp, (size_t)w->dim[0] * sizeof *scale);
    if (!scale) return oct_fail(OCT_ERR_MEMORY, "conv2d: out of memory");
    OCT_TRY(oct_quant_scales("conv2d", x, w, args->out, scale));
    OCT_TRY(oct_quant_bias("conv2d", args, tmp, &rows));
    oct_winograd_s8_pack(s->wino, &(oct_winograd_s8_weights){
        .m = s->t.m, .c = s->t.c.c, .b = w->data, .zero = x->zero, .scale = scale,
        .bias = rows.bias, .fbias = rows.fbias }, 0, s->t.c.out, packed);
    return OCT_OK;
}

/* n elements of `size` bytes, rounded up to an odd number of 64-byte lines; elements. */
static size_t odd_lines(size_t n, size_t size)
{
    return ((n * size + 63) / 64 | 1) * 64 / size;
}

static oct_status make_tiles(const oct_args *args, int m, unsigned cpu, state *s)
{
    const int c = args->in[OCT_CONV2D_X]->dim[3];
    oct_conv2d_tiles_cache cache = {
        .tile = (size_t)((m + 2) * (m + 2)) * ((size_t)(ceil_div(c, 32) * 32) * sizeof(int16_t) +
                                               (size_t)s->wino->nr * sizeof(int32_t)),
        .all = ALL_SIZE, .block = BLOCK_SIZE, .few = rule_of(cpu)->few };
    OCT_TRY(oct_conv2d_tiles_make(args, m, s->wino->nr, &cache, &s->t));
    s->last[0] = last_points(m, s->t.c.oh);
    s->last[1] = last_points(m, s->t.c.ow);
    const size_t n = (size_t)s->t.capacity;
    s->v_block = n * OCT_BLOCK;
    s->v_step = odd_lines((size_t)oct_block_count(c) * s->v_block, sizeof(int16_t));
    s->m_step = odd_lines(n * (size_t)s->wino->nr, sizeof(int32_t));
    return OCT_OK;
}

oct_status oct_conv2d_winograd_s8_prepare(const oct_args *args, oct_prepare *how, int m,
                                          void **out)
{
    static const char *const family[2] = { "winograd2x2_s8", "winograd4x4_s8" };
    const oct_conv2d_attr *attr = args->attr;
    state *s = oct_arena_zalloc(how->arena, sizeof *s);
    if (!s) return oct_fail(OCT_ERR_MEMORY, "conv2d: out of memory");
    *out = s;
    s->wino = oct_winograd_s8_pick(how->cpu);
    s->out = oct_quant_requant(args->out, attr->act, args->in[OCT_CONV2D_RESIDUAL]);
    OCT_TRY(make_tiles(args, m, how->cpu, s));
    s->panel_size = oct_winograd_s8_panel_size(s->wino, m, s->t.c.c);
    const size_t size = packed_size(s->wino, &s->t.c, m);
    void *packed;
    int ready;
    how->type = OCT_S8;
    OCT_TRY(oct_prepare_packed("conv2d", how, size, &packed, &ready));
    s->packed = packed;
    how->weight_size = size;
    how->thread_size = (size_t)n_xi_of(s) * (s->v_step * sizeof(int16_t) +
                                             s->m_step * sizeof(int32_t));
    OCT_TRY(oct_kernel_name(how, family[m == 4], s->wino->isa));
    oct_status status = OCT_OK;
    oct_arena tmp = { 0 };
    if (!ready) status = pack(args, s, packed, &tmp);
    oct_arena_free(&tmp);
    oct_gemm_s8_classify(&s->out, s->wino->nr, packed, s->panel_size, s->t.n_panels);
    return status;
}

/* ---- run ---- */

typedef struct work {
    const state *s;
    const uint8_t *x;          /* of the first image */
    int zero;                  /* of x */
    const char *residual;
    char *y;
    size_t y_size;             /* bytes of an element of y and residual */
} work;

/* Tiles of a block in V and M: first those short across, then the full ones, those short down,
 * those short both ways.  So the tiles that have a point are neighbours.  begin[k]: of the k-th
 * kind; begin[KINDS]: all. */
enum { ACROSS, FULL, DOWN, BOTH, KINDS };

typedef struct order { int begin[KINDS + 1]; } order;

static int is_short(const state *s, oct_conv2d_tile_pos at, int axis)
{
    const int last = axis ? s->t.across - 1 : s->t.count / s->t.across - 1;
    return (axis ? at.tx : at.ty) == last && s->last[axis] < s->t.p;
}

static int kind_of(const state *s, oct_conv2d_tile_pos at)
{
    const int down = is_short(s, at, 0), across = is_short(s, at, 1);
    return down ? across ? BOTH : DOWN : across ? ACROSS : FULL;
}

static order order_of(const state *s, int first, int n)
{
    order o = { { 0 } };
    oct_conv2d_tile_pos at = oct_conv2d_tile_pos_of(&s->t, first);
    for (int t = 0; t < n; t++, oct_conv2d_tile_next(&s->t, &at)) o.begin[kind_of(s, at) + 1]++;
    for (int k = 0; k < KINDS; k++) o.begin[k + 1] += o.begin[k];
    return o;
}

/* Points of a tile, an axis. */
static int points_of(const state *s, oct_conv2d_tile_pos at, int axis)
{
    return is_short(s, at, axis) ? s->last[axis] : s->t.p;
}

static void transform_input(const void *own, int first, int n, void *scratch)
{
    const work *w = own;
    const state *s = w->s;
    int16_t *v = scratch;
    for (int b = 0; b < oct_block_count(s->t.c.c); b++, v += s->v_block) {
        order next = order_of(s, first, n);
        oct_conv2d_tile_pos at = oct_conv2d_tile_pos_of(&s->t, first);
        for (int t = 0; t < n; t++, oct_conv2d_tile_next(&s->t, &at)) {
            const oct_conv2d_tile_in in = oct_conv2d_tile_input(&s->t, at, b);
            s->wino->input(&(oct_winograd_s8_in){
                .m = s->t.m, .points = { points_of(s, at, 0), points_of(s, at, 1) },
                .y0 = in.y0, .y1 = in.y1, .x0 = in.x0, .x1 = in.x1, .zero = w->zero,
                .x = w->x + in.at, .row = (size_t)s->t.c.w * (size_t)in.width,
                .pixel = (size_t)in.width, .lanes = in.width, .step = s->v_step,
                .v = v + next.begin[kind_of(s, at)]++ * OCT_BLOCK });
        }
    }
}

static void transform_output(const work *w, int p, const char *packed, int first, int n,
                             order next, const int32_t *mm)
{
    const state *s = w->s;
    oct_conv2d_tile_pos at = oct_conv2d_tile_pos_of(&s->t, first);
    for (int t = 0; t < n; t++, oct_conv2d_tile_next(&s->t, &at)) {
        const oct_conv2d_tile_out to = oct_conv2d_tile_output(&s->t, at, p);
        const size_t from = to.at * w->y_size;
        s->wino->output(&(oct_winograd_s8_out){
            .m = s->t.m, .points = { points_of(s, at, 0), points_of(s, at, 1) },
            .rows = to.rows, .cols = to.cols, .lanes = to.lanes,
            .mm = mm + next.begin[kind_of(s, at)]++ * s->wino->nr, .step = s->m_step,
            .panel = packed, .out = &s->out,
            .row = (size_t)s->t.c.ow * (size_t)to.width, .pixel = (size_t)to.width,
            .y = w->y + from, .residual = w->residual ? w->residual + from : NULL });
    }
}

static void panel(const void *own, int p, int more, int first, int n, void *scratch)
{
    const work *w = own;
    const state *s = w->s;
    const char *packed = s->packed + (size_t)p * s->panel_size;
    const int n_xi = n_xi_of(s), m = s->t.m, c = s->t.c.c, pairs = ceil_div(c, 2);
    const int16_t *v = scratch;
    int32_t *mm = (void *)((int16_t *)scratch + (size_t)n_xi * s->v_step);
    const order o = order_of(s, first, n);
    (void)more; /* a product prefetches what follows its U: the next one, or the next panel */
    for (int xi = 0; xi < n_xi; xi++) {
        const int down = oct_winograd_s8_has(m, s->last[0], xi / s->t.p);
        const int across = oct_winograd_s8_has(m, s->last[1], xi % s->t.p);
        const int from = o.begin[across ? ACROSS : FULL];
        const int to = o.begin[!down ? DOWN : across ? KINDS : BOTH];
        if (from < to)
            s->wino->product(to - from, pairs,
                             v + (size_t)xi * s->v_step + from * OCT_BLOCK, s->v_block,
                             oct_winograd_s8_u(s->wino, packed, xi, c),
                             mm + (size_t)xi * s->m_step + from * s->wino->nr);
    }
    transform_output(w, p, packed, first, n, o, mm);
}

void oct_conv2d_winograd_s8_run(const oct_args *args, const void *opaque, const oct_run *r)
{
    const state *s = opaque;
    const oct_tensor *x = args->in[OCT_CONV2D_X], *residual = args->in[OCT_CONV2D_RESIDUAL];
    const work w = { .s = s, .x = x->data, .zero = x->zero, .y = args->out->data,
                     .residual = residual ? residual->data : NULL,
                     .y_size = oct_dtype_size(args->out->dtype) };
    oct_conv2d_tiles_job job = { .t = &s->t, .own = &w, .input = transform_input, .panel = panel,
                                 .alone = (double)ALONE * s->wino->nr * s->wino->nr };
    oct_conv2d_tiles_run(&job, r);
}
