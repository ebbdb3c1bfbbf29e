#include "ops/conv2d_geometry.h"

#include <string.h>

enum {
    CHUNK_SIZE = 256 << 10,    /* bytes of input of a chunk: a quarter of a 1 MB L2 */
    FRAMES_SIZE = 2 << 20,     /* bytes of padded images at a time */
};

static int min_int(int a, int b) { return a < b ? a : b; }
static int max_int(int a, int b) { return a > b ? a : b; }

/* Segments of one group, in the order of the contract; neighbours in memory become one.  seg may be
 * NULL (only perm is wanted), and perm. */
static int make_segs(const oct_conv2d_geometry *g, int group, oct_gemm_seg *seg, int32_t *perm)
{
    const oct_conv2d_shape *c = &g->c;
    const int cg = c->c / c->groups, c0 = group * cg, taps = c->kernel[0] * c->kernel[1];
    int n = 0, k = 0;
    for (int b = c0 / OCT_BLOCK; b * OCT_BLOCK < c0 + cg; b++) {
        const int from = max_int(c0, b * OCT_BLOCK), to = min_int(c0 + cg, (b + 1) * OCT_BLOCK);
        const int width = oct_block_width(c->c, b);
        const ptrdiff_t base = (ptrdiff_t)b * OCT_BLOCK * g->ph * g->pw + from % OCT_BLOCK;
        for (int t = 0; t < taps; t++) {
            const int ky = t / c->kernel[1] * c->dilation[0];
            const int kx = t % c->kernel[1] * c->dilation[1];
            const oct_gemm_seg next = { base + ((ptrdiff_t)ky * g->pw + kx) * width, to - from,
                                        width };
            oct_gemm_seg *last = seg && n ? &seg[n - 1] : NULL;
            if (last && last->width == width && last->offset + last->len == next.offset)
                last->len += next.len;
            else if (seg)
                seg[n++] = next;
            for (int ch = from; perm && ch < to; ch++) perm[k++] = (ch - c0) * taps + t;
        }
    }
    return n;
}

void oct_conv2d_geometry_perm(const oct_conv2d_geometry *g, int group, int32_t *perm)
{
    make_segs(g, group, NULL, perm);
}

/* Runs of up to `rows` pixels; `most` of a row nearly equal. A 1x1 convolution without stride may
 * run over the ends of rows: its map is one long row. */
static int make_tiles(const oct_conv2d_geometry *g, oct_conv2d_tile *tile)
{
    const oct_conv2d_shape *c = &g->c;
    const int flat = g->pw == c->ow && c->stride[0] == 1 && c->stride[1] == 1 && g->ph == c->oh;
    const int width = flat ? c->oh * c->ow : c->ow, height = flat ? 1 : c->oh;
    const int runs = (width + g->rows - 1) / g->rows;
    int waiting[2] = { -1, -1 }, n = 0; /* tile that lacks its second run, by length */
    for (int y = 0; y < height; y++)
        for (int r = 0; r < runs; r++) {
            const int x0 = (int)((long long)width * r / runs);
            const int x1 = (int)((long long)width * (r + 1) / runs);
            const int in = y * c->stride[0] * g->pw + x0 * c->stride[1], out = y * width + x0;
            int *w = &waiting[x1 - x0 > width / runs];
            if (*w < 0) {
                if (tile) tile[n] = (oct_conv2d_tile){ { in, in }, { out, out }, x1 - x0, 1 };
                *w = n++;
            } else {
                if (tile) tile[*w].in[1] = in, tile[*w].out[1] = out, tile[*w].groups = 2;
                *w = -1;
            }
        }
    return n;
}

/* A panel ends where its block of output channels or its group ends. */
static int make_panels(const oct_conv2d_geometry *g, oct_conv2d_panel *panel)
{
    const int og = g->c.out / g->c.groups;
    int n = 0;
    for (int o = 0; o < g->c.out; n++) {
        const int left = min_int(og - o % og, OCT_BLOCK - o % OCT_BLOCK);
        const int cols = min_int(left, g->nr);
        if (panel) panel[n] = (oct_conv2d_panel){ o, cols, o / og };
        o += cols;
    }
    return n;
}

static oct_status out_of_memory(void) { return oct_fail(OCT_ERR_MEMORY, "conv2d: out of memory"); }

static oct_status make_all_segs(oct_conv2d_geometry *g, oct_arena *arena, oct_arena *tmp)
{
    const oct_conv2d_shape *c = &g->c;
    const size_t most = (size_t)(c->kernel[0] * c->kernel[1]) *
                        (size_t)(c->c / c->groups / OCT_BLOCK + 2);
    oct_gemm_seg *seg = oct_arena_alloc(tmp, most * sizeof *seg);
    g->segs = oct_arena_alloc(arena, (size_t)c->groups * sizeof *g->segs);
    if (!seg || !g->segs) return out_of_memory();
    for (int group = 0; group < c->groups; group++) {
        oct_conv2d_segs *own = &g->segs[group];
        own->n = make_segs(g, group, seg, NULL);
        own->seg = oct_arena_alloc(arena, (size_t)own->n * sizeof *seg);
        if (!own->seg) return out_of_memory();
        memcpy(own->seg, seg, (size_t)own->n * sizeof *seg);
    }
    return OCT_OK;
}

size_t oct_conv2d_frame_count(const oct_conv2d_geometry *g)
{
    return (size_t)g->c.c * (size_t)g->ph * (size_t)g->pw;
}

int oct_conv2d_frames(const oct_conv2d_geometry *g, int batch)
{
    const size_t frame = oct_conv2d_frame_count(g) * g->x_size;
    return frame > FRAMES_SIZE ? 1 : min_int((int)(FRAMES_SIZE / frame), batch);
}

oct_status oct_conv2d_geometry_make(const oct_args *args, oct_prepare *how, int rows, int nr,
                                    size_t x_size, oct_conv2d_geometry *g)
{
    const oct_conv2d_shape c = oct_conv2d_shape_of(args);
    *g = (oct_conv2d_geometry){ .c = c, .rows = rows, .nr = nr, .x_size = x_size,
                                .ph = c.h + 2 * c.pad[0], .pw = c.w + 2 * c.pad[1],
                                .k = c.c / c.groups * c.kernel[0] * c.kernel[1] };
    g->n_tiles = make_tiles(g, NULL);
    g->n_panels = make_panels(g, NULL);
    g->tile = oct_arena_alloc(how->arena, (size_t)g->n_tiles * sizeof *g->tile);
    g->panel = oct_arena_alloc(how->arena, (size_t)g->n_panels * sizeof *g->panel);
    if (!g->tile || !g->panel) return out_of_memory();
    make_tiles(g, g->tile);
    make_panels(g, g->panel);
    if (c.pad[0] || c.pad[1]) {
        g->images = oct_conv2d_frames(g, args->in[OCT_CONV2D_X]->dim[0]);
        how->shared_size = (size_t)g->images * oct_conv2d_frame_count(g) * x_size;
    }
    oct_arena tmp = { 0 };
    const oct_status status = make_all_segs(g, how->arena, &tmp);
    oct_arena_free(&tmp);
    return status;
}

static int share(int whole, int part, int parts)
{
    return (int)((long long)whole * part / parts);
}

/* Tiles first .. first + n - 1, counted through all images of the job, under panel p; meanwhile
 * comes panel p + 1, if there is more. */
static void chunk_panel(const oct_conv2d_job *j, int first, int n, int p, int more)
{
    const oct_conv2d_geometry *g = j->g;
    const oct_conv2d_panel *panel = &g->panel[p];
    const int b = panel->first / OCT_BLOCK, parts = n >= 4 ? 4 : n >= 2 ? 2 : 1;
    const size_t column = (size_t)b * OCT_BLOCK * (size_t)g->c.oh * (size_t)g->c.ow +
                          (size_t)(panel->first % OCT_BLOCK);
    const char *packed = (const char *)j->packed + (size_t)p * j->panel_size;
    int image = first / g->n_tiles, t = first % g->n_tiles;
    for (int k = 0; k < n; t = 0, image++) {
        const int count = min_int(g->n_tiles - t, n - k);
        j->tiles(j, &(oct_conv2d_stretch){
            .panel = panel, .segs = &g->segs[panel->group], .tile = &g->tile[t], .n = count,
            .last = t + count == g->n_tiles, .packed = packed,
            .ahead = packed + j->panel_size + j->panel_size / (size_t)parts * (size_t)k,
            .n_ahead = more ? max_int(parts - k, 0) : 0, .ahead_parts = parts, .image = image,
            .x = (const char *)j->x + (size_t)image * j->x_count * g->x_size,
            .at = (size_t)image * j->y_count + column,
            .width = (size_t)oct_block_width(g->c.out, b) });
        k += count;
    }
}

static void item(void *arg, int i, int thread)
{
    const oct_conv2d_job *j = arg;
    const oct_conv2d_geometry *g = j->g;
    (void)thread;
    const int pi = i % j->panel_items, ti = i / j->panel_items, tiles = j->images * g->n_tiles;
    const int p0 = share(g->n_panels, pi, j->panel_items);
    const int p1 = share(g->n_panels, pi + 1, j->panel_items);
    const int t0 = share(tiles, ti, j->tile_items), t1 = share(tiles, ti + 1, j->tile_items);
    const size_t tile_size = j->x_count * g->x_size / (size_t)g->n_tiles + 1;
    const int chunk = 1 + (int)(CHUNK_SIZE / tile_size);
    for (int c = t0; c < t1; c += chunk)
        for (int p = p0; p < p1; p++)
            chunk_panel(j, c, min_int(chunk, t1 - c), p, p + 1 < p1);
}

/* As many items as keep all threads busy to the end, cut by panel where the weights are the larger
 * half of what is read, else by tile. */
static void compute(oct_conv2d_job *j, const oct_run *r)
{
    enum { PER_THREAD = 4 };
    const oct_conv2d_geometry *g = j->g;
    const double macs = (double)j->y_count * (double)g->k * j->images;
    const size_t x_size = (size_t)j->images * j->x_count * g->x_size;
    const int want = macs < j->alone ? 1 : r->pool->threads * PER_THREAD;
    const int tiles = j->images * g->n_tiles;
    const int by_panel = (size_t)g->n_panels * j->panel_size > x_size;
    j->panel_items = by_panel ? min_int(want, g->n_panels) : 1;
    j->tile_items = min_int((want + j->panel_items - 1) / j->panel_items, tiles);
    if (!by_panel)
        j->panel_items = min_int((want + j->tile_items - 1) / j->tile_items, g->n_panels);
    const int items = j->tile_items * j->panel_items;
    if (want > 1) oct_parallel_for(r->pool, items, item, j);
    else for (int i = 0; i < items; i++) item(j, i, 0);
}

typedef struct framing {
    const oct_conv2d_geometry *g;
    const char *x;
    char *to;
    int fill;
} framing;

/* Block b of one image into its frame. */
static void frame(void *arg, int i, int thread)
{
    const framing *f = arg;
    const oct_conv2d_shape *c = &f->g->c;
    const int blocks = oct_block_count(c->c), b = i % blocks, image = i / blocks;
    const size_t size = f->g->x_size, width = (size_t)oct_block_width(c->c, b) * size;
    const size_t pw = (size_t)f->g->pw * width, top = (size_t)c->pad[0] * pw;
    const size_t row = (size_t)c->w * width, left = (size_t)c->pad[1] * width;
    const size_t h = (size_t)c->h, before = (size_t)b * OCT_BLOCK * size;
    const char *x = f->x + (size_t)image * h * (size_t)c->w * (size_t)c->c * size +
                    before * h * (size_t)c->w;
    char *to = f->to + (size_t)image * oct_conv2d_frame_count(f->g) * size +
               before * (size_t)f->g->ph * (size_t)f->g->pw;
    (void)thread;
    memset(to, f->fill, top);
    to += top;
    for (size_t y = 0; y < h; y++, to += pw, x += row) {
        memset(to, f->fill, left);
        memcpy(to + left, x, row);
        memset(to + left + row, f->fill, left);
    }
    memset(to, f->fill, top);
}

/* j->x of j->images images into the shared workspace. */
static const void *frame_all(const oct_conv2d_job *j, const oct_run *r)
{
    enum { SMALL = 64 << 10 }; /* bytes framed in a few microseconds */
    framing f = { j->g, j->x, r->shared, j->fill };
    const int blocks = j->images * oct_block_count(j->g->c.c);
    if ((size_t)j->images * j->x_count * j->g->x_size > SMALL)
        oct_parallel_for(r->pool, blocks, frame, &f);
    else
        for (int b = 0; b < blocks; b++) frame(&f, b, 0);
    return r->shared;
}

static void set_counts(oct_conv2d_job *j)
{
    const oct_conv2d_shape *c = &j->g->c;
    j->x_count = oct_conv2d_frame_count(j->g); /* without padding, the image itself */
    j->y_count = (size_t)c->oh * (size_t)c->ow * (size_t)c->out;
}

void oct_conv2d_walk_frames(oct_conv2d_job *j, const oct_run *r)
{
    set_counts(j);
    compute(j, r);
}

void oct_conv2d_walk(oct_conv2d_job *j, const oct_run *r)
{
    const oct_conv2d_geometry *g = j->g;
    const oct_conv2d_shape *c = &g->c;
    const size_t in = (size_t)c->h * (size_t)c->w * (size_t)c->c * g->x_size;
    const char *x = j->x, *residual = j->residual;
    char *y = j->y;
    set_counts(j);
    const int step = g->images ? g->images : r->n;
    for (int n = 0; n < r->n; n += step) {
        const size_t out = (size_t)n * j->y_count * j->y_size;
        j->images = min_int(step, r->n - n);
        j->x = x + (size_t)n * in;
        j->y = y + out;
        j->residual = residual ? residual + out : NULL;
        if (g->images) j->x = frame_all(j, r);
        compute(j, r);
    }
}
