/* conv2d as an implicit GEMM: rows are output pixels, k is (block of 64 channels, kh, kw, c).
 *
 *   padding    with pad > 0 the input is copied once into a frame of zeros (shared workspace), a
 *              few images at a time, so that the kernel knows no edges
 *   bfloat16   the frame is where the input is rounded, so there always is one: its channels come
 *              in pairs of four bytes, units, that take a float's place in segments and strides
 *   tiles      a row of the map is cut into runs of up to `rows` pixels, nearly equal; two runs of
 *              equal length make a tile.  The table is made once, for one image
 *   panels     nr output channels that lie in one block of the output and one group
 *   loops      item: some images x some tiles x some panels, one thread
 *                chunk of tiles whose input stays in L2
 *                  panel: its weights stay in L1 and L2
 *                    tile: sums stay in registers */
#include <string.h>

#include "ops/conv2d.h"
#include "ops/precision.h"

enum {
    CHUNK_SIZE = 256 << 10,    /* bytes of input of a chunk: a quarter of a 1 MB L2 */
    FRAMES_SIZE = 2 << 20,     /* bytes of padded images at a time */
    BANDS = 4,                 /* of a frame, so that few channels keep all threads busy */
    ALONE = 400000,            /* multiply-adds: about 3 us, not worth a parallel region */
};

typedef struct tile_pos {
    int in[2], out[2];         /* pixel of each run's start, padded input and output */
    int rows, groups;
} tile_pos;

typedef struct panel_pos {
    int first, cols;           /* output channels */
    int group;
} panel_pos;

typedef struct segs {          /* of one group */
    int n;
    oct_gemm_f32_seg *seg;
} segs;

typedef struct state {
    oct_conv2d_shape c;
    const oct_gemm_f32 *gemm;
    int ph, pw;                /* padded image */
    int step[2];               /* pixels of the input between those of the frame */
    int stride[2];             /* between outputs, on the padded image */
    int n_tiles, n_panels;
    segs *segs;                /* [groups] */
    tile_pos *tile;
    panel_pos *panel;
    float *packed;             /* n_panels of panel_size floats */
    size_t panel_size;
    int images;                /* framed at a time; 0: no frame */
    int per;                   /* channels of a unit: 1, in bfloat16 2 */
} state;

static int min_int(int a, int b) { return a < b ? a : b; }
static int max_int(int a, int b) { return a > b ? a : b; }

static int units(const state *s, int channels) { return (channels + s->per - 1) / s->per; }

/* Elements of k of a group, with what fills the last pairs. */
static int packed_k(const state *s)
{
    const oct_conv2d_shape *c = &s->c;
    return units(s, c->c / c->groups) * s->per * c->kernel[0] * c->kernel[1];
}

/* Segments of one group, in the order of the contract; neighbours in memory become one. */
static int make_segs(const state *s, int group, oct_gemm_f32_seg *seg, int32_t *perm)
{
    const oct_conv2d_shape *c = &s->c;
    const int cg = c->c / c->groups, c0 = group * cg, taps = c->kernel[0] * c->kernel[1];
    int n = 0, k = 0;
    for (int b = c0 / OCT_BLOCK; b * OCT_BLOCK < c0 + cg; b++) {
        const int from = max_int(c0, b * OCT_BLOCK), to = min_int(c0 + cg, (b + 1) * OCT_BLOCK);
        const int width = units(s, oct_block_width(c->c, b)), len = units(s, to - from);
        const ptrdiff_t base = (ptrdiff_t)b * units(s, OCT_BLOCK) * s->ph * s->pw +
                               units(s, from % OCT_BLOCK);
        for (int t = 0; t < taps; t++) {
            const int ky = t / c->kernel[1] * c->dilation[0];
            const int kx = t % c->kernel[1] * c->dilation[1];
            const oct_gemm_f32_seg next = { base + ((ptrdiff_t)ky * s->pw + kx) * width, len,
                                            width };
            oct_gemm_f32_seg *last = n ? &seg[n - 1] : NULL;
            if (last && last->width == width && last->offset + last->len == next.offset)
                last->len += next.len;
            else
                seg[n++] = next;
            for (int ch = from; ch < from + len * s->per; ch++)
                perm[k++] = ch < to ? (ch - c0) * taps + t : -1;
        }
    }
    return n;
}

/* Runs of up to `rows` pixels; `most` of a row nearly equal. A 1x1 convolution without stride may
 * run over the ends of rows: its map is one long row. */
static int make_tiles(const state *s, tile_pos *tile)
{
    const oct_conv2d_shape *c = &s->c;
    const int flat = s->pw == c->ow && s->stride[0] == 1 && s->stride[1] == 1 && s->ph == c->oh;
    const int width = flat ? c->oh * c->ow : c->ow, height = flat ? 1 : c->oh;
    const int runs = (width + s->gemm->rows - 1) / s->gemm->rows;
    int waiting[2] = { -1, -1 }, n = 0; /* tile that lacks its second run, by length */
    for (int y = 0; y < height; y++)
        for (int r = 0; r < runs; r++) {
            const int x0 = (int)((long long)width * r / runs);
            const int x1 = (int)((long long)width * (r + 1) / runs);
            const int in = y * s->stride[0] * s->pw + x0 * s->stride[1], out = y * width + x0;
            int *w = &waiting[x1 - x0 > width / runs];
            if (*w < 0) {
                if (tile) tile[n] = (tile_pos){ { in, in }, { out, out }, x1 - x0, 1 };
                *w = n++;
            } else {
                if (tile) tile[*w].in[1] = in, tile[*w].out[1] = out, tile[*w].groups = 2;
                *w = -1;
            }
        }
    return n;
}

/* A panel ends where its block of output channels or its group ends. */
static int make_panels(const state *s, panel_pos *panel)
{
    const int og = s->c.out / s->c.groups;
    int n = 0;
    for (int o = 0; o < s->c.out; n++) {
        const int left = min_int(og - o % og, OCT_BLOCK - o % OCT_BLOCK);
        const int cols = min_int(left, s->gemm->nr);
        if (panel) panel[n] = (panel_pos){ o, cols, o / og };
        o += cols;
    }
    return n;
}

/* Segments of each group, and its weights unless they are ready. */
static oct_status pack(const oct_args *args, state *s, oct_prepare *how, int ready, oct_arena *tmp)
{
    const oct_conv2d_shape *c = &s->c;
    const oct_tensor *b = args->in[OCT_CONV2D_BIAS];
    const int taps = c->kernel[0] * c->kernel[1], cg = c->c / c->groups, k = packed_k(s);
    const size_t most = (size_t)taps * (size_t)(cg / OCT_BLOCK + 2);
    int32_t *perm = oct_arena_alloc(tmp, (size_t)k * sizeof *perm);
    float *row = oct_arena_alloc(tmp, (size_t)k * sizeof *row);
    oct_gemm_f32_seg *seg = oct_arena_alloc(tmp, most * sizeof *seg);
    s->segs = oct_arena_alloc(how->arena, (size_t)c->groups * sizeof *s->segs);
    if (!perm || !row || !seg || !s->segs) return oct_fail(OCT_ERR_MEMORY, "conv2d: out of memory");
    for (int p = 0, group = -1; p < s->n_panels; p++) {
        if (s->panel[p].group != group) {
            group = s->panel[p].group;
            segs *own = &s->segs[group];
            own->n = make_segs(s, group, seg, perm);
            own->seg = oct_arena_alloc(how->arena, (size_t)own->n * sizeof *seg);
            if (!own->seg) return oct_fail(OCT_ERR_MEMORY, "conv2d: out of memory");
            memcpy(own->seg, seg, (size_t)own->n * sizeof *seg);
        }
        if (ready) continue;
        oct_gemm_f32_pack(s->gemm, args->in[OCT_CONV2D_W], s->panel[p].first, s->panel[p].cols, k,
                          perm, b ? b->data : NULL, row, s->packed + (size_t)p * s->panel_size);
    }
    return OCT_OK;
}

static size_t frame_count(const state *s) /* units of a padded image */
{
    return (size_t)units(s, s->c.c) * (size_t)s->ph * (size_t)s->pw;
}

/* Groups of an odd number of channels do not come in pairs. */
static oct_dtype choose_type(const oct_conv2d_shape *c, const oct_tensor *w, const oct_prepare *how)
{
    const oct_dtype type = oct_precision_choose(how, w, 1);
    return type == OCT_BF16 && c->groups > 1 && c->c / c->groups % 2 ? OCT_F32 : type;
}

/* A 1x1 convolution that is rounded on the way needs no more than the pixels it will read. */
static void make_frame(state *s)
{
    const oct_conv2d_shape *c = &s->c;
    const int pick = s->per > 1 && c->kernel[0] == 1 && c->kernel[1] == 1 &&
                     !c->pad[0] && !c->pad[1];
    for (int i = 0; i < 2; i++) {
        s->step[i] = pick ? c->stride[i] : 1;
        s->stride[i] = pick ? 1 : c->stride[i];
    }
    s->ph = pick ? c->oh : c->h + 2 * c->pad[0];
    s->pw = pick ? c->ow : c->w + 2 * c->pad[1];
}

oct_status oct_conv2d_direct_prepare(const oct_args *args, oct_prepare *how, void **out)
{
    state *s = oct_arena_zalloc(how->arena, sizeof *s);
    if (!s) return oct_fail(OCT_ERR_MEMORY, "conv2d: out of memory");
    *out = s;
    s->c = oct_conv2d_shape_of(args);
    const oct_dtype type = choose_type(&s->c, args->in[OCT_CONV2D_W], how);
    how->type = type;
    s->gemm = oct_precision_gemm(type, how->cpu);
    s->per = type == OCT_BF16 ? 2 : 1;
    make_frame(s);
    s->n_tiles = make_tiles(s, NULL);
    s->n_panels = make_panels(s, NULL);
    s->panel_size = oct_gemm_f32_panel_size(s->gemm, packed_k(s));
    const size_t size = (size_t)s->n_panels * s->panel_size * sizeof(float);
    void *packed;
    int ready;
    OCT_TRY(oct_prepare_packed("conv2d", how, size, &packed, &ready));
    s->packed = packed;
    s->tile = oct_arena_alloc(how->arena, (size_t)s->n_tiles * sizeof *s->tile);
    s->panel = oct_arena_alloc(how->arena, (size_t)s->n_panels * sizeof *s->panel);
    if (!s->tile || !s->panel) return oct_fail(OCT_ERR_MEMORY, "conv2d: out of memory");
    make_tiles(s, s->tile);
    make_panels(s, s->panel);
    if (s->c.pad[0] || s->c.pad[1] || s->per > 1) {
        const size_t frame = frame_count(s) * sizeof(float);
        s->images = frame > FRAMES_SIZE ? 1 : (int)(FRAMES_SIZE / frame);
        s->images = min_int(s->images, args->in[OCT_CONV2D_X]->dim[0]);
        how->shared_size = (size_t)s->images * frame;
    }
    how->weight_size = size;
    OCT_TRY(oct_kernel_name(how, type == OCT_BF16 ? "conv2d_bf16" : type == OCT_F16 ? "conv2d_f16w"
                            : "conv2d_f32", s->gemm->isa));
    oct_arena tmp = { 0 };
    const oct_status status = pack(args, s, how, ready, &tmp);
    oct_arena_free(&tmp);
    return status;
}

/* One parallel region: `images` of them, cut into items along images, tiles or panels. */
typedef struct work {
    const state *s;
    const float *x, *residual; /* of the first image; x may be the frames */
    float *y;
    size_t x_count, y_count;   /* units, floats of an image */
    int images, image_items, tile_items, panel_items;
    int by_panel;
    oct_act act;
} work;

/* Which of its panel the tile is; the first few prefetch the next panel, a part each, so that the
 * memory is asked for no more in a cycle than it can give. */
typedef struct turn_of {
    int n, of;                 /* tile n of `of` */
    const float *next;         /* panel, or NULL */
} turn_of;

static void one_tile(const work *w, const panel_pos *panel, const float *packed,
                     turn_of turn, const tile_pos *tile, int image)
{
    const state *s = w->s;
    const int parts = turn.of >= 4 ? 4 : turn.of >= 2 ? 2 : 1;
    const float *ahead = turn.next && turn.n < parts
                       ? turn.next + (size_t)turn.n * (s->panel_size / (size_t)parts) : NULL;
    const segs *k = &s->segs[panel->group];
    const float *x = w->x + (size_t)image * w->x_count;
    const int b = panel->first / OCT_BLOCK;
    const size_t width = (size_t)oct_block_width(s->c.out, b);
    const size_t base = (size_t)image * w->y_count + (size_t)(panel->first % OCT_BLOCK) +
                        (size_t)b * OCT_BLOCK * (size_t)s->c.oh * (size_t)s->c.ow;
    const size_t at0 = base + (size_t)tile->out[0] * width;
    const size_t at1 = base + (size_t)tile->out[1] * width;
    s->gemm->tile(&(oct_gemm_f32_args){
        .n_segs = k->n, .seg = k->seg, .a = { x, x }, .pos = { tile->in[0], tile->in[1] },
        .step = s->stride[1], .rows = tile->rows, .groups = tile->groups, .cols = panel->cols,
        .panel = packed, .ahead = ahead, .ahead_parts = parts,
        .c = { w->y + at0, w->y + at1 },
        .residual = { w->residual ? w->residual + at0 : NULL,
                      w->residual ? w->residual + at1 : NULL },
        .ldc = width, .act = w->act });
}

static int share(int n, int i, int parts) { return (int)((long long)n * i / parts); }

/* Panels p0 .. p1 of the tiles t0 .. t1 of the images i0 .. i1. */
static void panels(const work *w, int p0, int p1, int t0, int t1, int i0, int i1)
{
    const state *s = w->s;
    for (int p = p0; p < p1; p++) {
        const float *packed = s->packed + (size_t)p * s->panel_size;
        turn_of turn = { 0, (t1 - t0) * (i1 - i0), p + 1 < p1 ? packed + s->panel_size : NULL };
        for (int i = i0; i < i1; i++)
            for (int t = t0; t < t1; t++, turn.n++)
                one_tile(w, &s->panel[p], packed, turn, &s->tile[t], i);
    }
}

static void item(void *arg, int i, int thread)
{
    const work *w = arg;
    const state *s = w->s;
    (void)thread;
    const int pi = i % w->panel_items, rest = i / w->panel_items;
    const int ti = rest % w->tile_items, ii = rest / w->tile_items;
    const int p0 = share(s->n_panels, pi, w->panel_items);
    const int p1 = share(s->n_panels, pi + 1, w->panel_items);
    const int t0 = share(s->n_tiles, ti, w->tile_items);
    const int t1 = share(s->n_tiles, ti + 1, w->tile_items);
    const int i0 = share(w->images, ii, w->image_items);
    const int i1 = share(w->images, ii + 1, w->image_items);
    if (w->by_panel) { /* the weights are read once, the images once for each panel */
        panels(w, p0, p1, t0, t1, i0, i1);
        return;
    }
    const size_t tile_size = w->x_count * sizeof(float) / (size_t)s->n_tiles + 1;
    const int chunk = 1 + (int)(CHUNK_SIZE / tile_size);
    for (int image = i0; image < i1; image++)
        for (int c = t0; c < t1; c += chunk)
            panels(w, p0, p1, c, min_int(c + chunk, t1), image, image + 1);
}

/* As many items as keep all threads busy to the end.  Where the weights are the larger half of what
 * is read they are cut by panel first, else by image, then by tile. */
static void compute(work *w, const oct_run *r)
{
    enum { PER_THREAD = 4 };
    const state *s = w->s;
    const double macs = (double)w->y_count * packed_k(s) * w->images;
    const int want = macs < ALONE ? 1 : r->pool->threads * PER_THREAD;
    w->by_panel = (size_t)s->n_panels * s->panel_size > w->x_count;
    int *first = w->by_panel ? &w->panel_items : &w->image_items;
    int *last = w->by_panel ? &w->image_items : &w->panel_items;
    const int n_first = w->by_panel ? s->n_panels : w->images;
    const int n_last = w->by_panel ? w->images : s->n_panels;
    *first = min_int(want, n_first);
    w->tile_items = min_int((want + *first - 1) / *first, s->n_tiles);
    const int so_far = *first * w->tile_items;
    *last = min_int((want + so_far - 1) / so_far, n_last);
    const int items = w->image_items * w->tile_items * w->panel_items;
    if (want > 1) oct_parallel_for(r->pool, items, item, w);
    else for (int i = 0; i < items; i++) item(w, i, 0);
}

typedef struct framing {
    const state *s;
    const float *x;
    float *to;
    int bands;
} framing;

/* The pixels of one row of one block, units to the frame. */
static void frame_row(const state *s, const float *x, int width, float *to)
{
    const size_t w = (size_t)(s->pw - 2 * s->c.pad[1]), floats = (size_t)width;
    const size_t step = (size_t)s->step[1] * floats;
    if (!s->gemm->pairs) {
        memcpy(to, x, w * floats * sizeof *to);
        return;
    }
    uint16_t *pairs = (uint16_t *)(void *)to;
    if (s->step[1] == 1) s->gemm->pairs(w, width, x, pairs);
    else for (size_t i = 0; i < w; i++)
        s->gemm->pairs(1, width, x + i * step, pairs + i * (size_t)units(s, width) * 2);
}

/* A band of rows of one block of one image into its frame. */
static void frame(void *arg, int i, int thread)
{
    const framing *f = arg;
    const state *s = f->s;
    const oct_conv2d_shape *c = &s->c;
    const int blocks = oct_block_count(c->c), band = i % f->bands, b = i / f->bands % blocks;
    const int image = i / f->bands / blocks, width = oct_block_width(c->c, b);
    const int h = s->ph - 2 * c->pad[0];
    const size_t unit = (size_t)units(s, width), row = (size_t)s->pw * unit;
    const size_t left = (size_t)c->pad[1] * unit;
    const float *x = f->x + (size_t)image * (size_t)c->h * (size_t)c->w * (size_t)c->c +
                     (size_t)b * OCT_BLOCK * (size_t)c->h * (size_t)c->w;
    float *to = f->to + (size_t)image * frame_count(s) +
                (size_t)b * (size_t)units(s, OCT_BLOCK) * (size_t)s->ph * (size_t)s->pw;
    const int y1 = (int)((long long)s->ph * (band + 1) / f->bands);
    (void)thread;
    for (int y = (int)((long long)s->ph * band / f->bands); y < y1; y++) {
        float *at = to + (size_t)y * row;
        const int from = y - c->pad[0];
        if (from < 0 || from >= h) {
            memset(at, 0, row * sizeof *at);
            continue;
        }
        memset(at, 0, left * sizeof *at);
        const size_t source = (size_t)from * (size_t)s->step[0] * (size_t)c->w * (size_t)width;
        frame_row(s, x + source, width, at + left);
        memset(at + row - left, 0, left * sizeof *at);
    }
}

/* `images` of them into the frames. */
static void make_frames(const state *s, const float *x, int images, const oct_run *r)
{
    enum { SMALL = 64 << 10 }; /* bytes framed in a few microseconds */
    const int alone = (size_t)images * frame_count(s) * sizeof(float) <= SMALL;
    framing f = { s, x, r->shared, alone ? 1 : min_int(BANDS, s->ph) };
    const int items = images * oct_block_count(s->c.c) * f.bands;
    if (!alone) oct_parallel_for(r->pool, items, frame, &f);
    else for (int i = 0; i < items; i++) frame(&f, i, 0);
}

void oct_conv2d_direct_run(const oct_args *args, const void *opaque, const oct_run *r)
{
    const state *s = opaque;
    const oct_conv2d_attr *attr = args->attr;
    const oct_tensor *residual = args->in[OCT_CONV2D_RESIDUAL];
    const size_t in = oct_tensor_sample_count(args->in[OCT_CONV2D_X]);
    work w = { .s = s, .x_count = s->images ? frame_count(s) : in,
               .y_count = oct_tensor_sample_count(args->out), .act = attr->act };
    const int step = s->images ? s->images : r->n;
    for (int n = 0; n < r->n; n += step) {
        const float *x = (const float *)args->in[OCT_CONV2D_X]->data + (size_t)n * in;
        w.images = min_int(step, r->n - n);
        w.x = x;
        w.y = (float *)args->out->data + (size_t)n * w.y_count;
        w.residual = residual ? (const float *)residual->data + (size_t)n * w.y_count : NULL;
        if (s->images) {
            make_frames(s, x, w.images, r);
            w.x = r->shared;
        }
        compute(&w, r);
    }
}
