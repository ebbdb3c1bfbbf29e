#include "ops/conv2d_tiles.h"

#include <limits.h>

enum {
    WAIT = 12, /* reading a line of U from L3 takes as long as multiplying it by 12 rows */
};

static int min_int(int a, int b) { return a < b ? a : b; }
static int max_int(int a, int b) { return a > b ? a : b; }
static int ceil_div(int a, int b) { return a / b + (a % b != 0); }

static int block_capacity(const oct_conv2d_tiles_cache *cache, int all)
{
    const int most = (int)(cache->all / cache->tile);
    if (all <= most) return all;
    const int block = max_int((int)(cache->block / cache->tile), cache->few);
    return min_int(all, block);
}

oct_status oct_conv2d_tiles_make(const oct_args *args, int m, int nr,
                                 const oct_conv2d_tiles_cache *cache, oct_conv2d_tiles *out)
{
    const oct_conv2d_shape c = oct_conv2d_shape_of(args);
    const int images = args->out->dim[0];
    oct_conv2d_tiles t = { .c = c, .m = m, .p = m + 2, .nr = nr, .across = ceil_div(c.ow, m),
                           .input_cost = m == 4 ? 6 : 2.5 };
    t.count = t.across * ceil_div(c.oh, m);
    if (images > INT_MAX / t.count)
        return oct_fail(OCT_ERR_UNSUPPORTED, "conv2d: %d images of %d tiles", images, t.count);
    t.capacity = block_capacity(cache, images * t.count);
    t.n_panels = ceil_div(c.out, nr);
    *out = t;
    return OCT_OK;
}

oct_conv2d_tile_pos oct_conv2d_tile_pos_of(const oct_conv2d_tiles *t, int tile)
{
    const int in_image = tile % t->count;
    return (oct_conv2d_tile_pos){ tile / t->count, in_image / t->across, in_image % t->across };
}

void oct_conv2d_tile_next(const oct_conv2d_tiles *t, oct_conv2d_tile_pos *at)
{
    if (++at->tx < t->across) return;
    at->tx = 0;
    if (++at->ty * t->across < t->count) return;
    at->ty = 0;
    at->image++;
}

oct_conv2d_tile_in oct_conv2d_tile_input(const oct_conv2d_tiles *t, oct_conv2d_tile_pos at, int b)
{
    const oct_conv2d_shape *c = &t->c;
    const int width = oct_block_width(c->c, b);
    const int y = at.ty * t->m - c->pad[0], x = at.tx * t->m - c->pad[1];
    const size_t pixels = (size_t)c->h * (size_t)c->w;
    const size_t block = (size_t)at.image * pixels * (size_t)c->c +
                         (size_t)b * OCT_BLOCK * pixels;
    return (oct_conv2d_tile_in){ .y0 = max_int(0, -y), .y1 = min_int(t->p, c->h - y),
                                 .x0 = max_int(0, -x), .x1 = min_int(t->p, c->w - x),
                                 .at = (ptrdiff_t)block + ((ptrdiff_t)y * c->w + x) * width,
                                 .width = width };
}

oct_conv2d_tile_out oct_conv2d_tile_output(const oct_conv2d_tiles *t, oct_conv2d_tile_pos at,
                                           int panel)
{
    const oct_conv2d_shape *c = &t->c;
    const int k = panel * t->nr, b = k / OCT_BLOCK, width = oct_block_width(c->out, b);
    const int y = at.ty * t->m, x = at.tx * t->m;
    const size_t pixels = (size_t)c->oh * (size_t)c->ow;
    return (oct_conv2d_tile_out){
        .rows = min_int(t->m, c->oh - y), .cols = min_int(t->m, c->ow - x),
        .lanes = min_int(t->nr, c->out - k), .width = width,
        .at = (size_t)at.image * pixels * (size_t)c->out + (size_t)b * OCT_BLOCK * pixels +
              (size_t)(k % OCT_BLOCK) +
              ((size_t)y * (size_t)c->ow + (size_t)x) * (size_t)width };
}

static int share(int n, int i, int parts) { return (int)((long long)n * i / parts); }

static void item(void *arg, int i, int thread)
{
    const oct_conv2d_tiles_job *job = arg;
    const int block = i / job->panel_items, pi = i % job->panel_items;
    const int t0 = share(job->total, block, job->blocks);
    const int t1 = share(job->total, block + 1, job->blocks);
    const int p0 = share(job->t->n_panels, pi, job->panel_items);
    const int p1 = share(job->t->n_panels, pi + 1, job->panel_items);
    void *scratch = oct_run_scratch(job->r, thread);
    job->input(job->own, t0, t1 - t0, scratch);
    for (int p = p0; p < p1; p++) job->panel(job->own, p, p + 1 < p1, t0, t1 - t0, scratch);
}

/* Threads side by side on panels or on tiles?  Costs per input channel, in steps of a product (one
 * row, one panel, one c); a pass over a tile's input costs input_cost of them. */
static void cut(oct_conv2d_tiles_job *job, int threads)
{
    const oct_conv2d_tiles *t = job->t;
    const int least = ceil_div(job->total, t->capacity);
    double best = 0;
    for (int side = 1; side <= threads && side <= t->n_panels; side++) {
        const int groups = threads / side, more = max_int(ceil_div(least, groups), 1) * groups;
        const int blocks = min_int(more, job->total), tiles = ceil_div(job->total, blocks);
        const double product = (double)ceil_div(t->n_panels, side) * t->p * t->p;
        const double cost = ceil_div(blocks * side, threads) *
                            (t->input_cost * tiles + product * max_int(tiles, WAIT));
        if (side > 1 && cost >= best) continue;
        best = cost;
        job->blocks = blocks;
        job->panel_items = side;
    }
}

void oct_conv2d_tiles_run(oct_conv2d_tiles_job *job, const oct_run *r)
{
    const oct_conv2d_tiles *t = job->t;
    job->r = r;
    job->total = r->n * t->count;
    const double macs = (double)job->total * t->p * t->p * t->c.c * t->c.out;
    const int alone = macs < job->alone;
    cut(job, alone ? 1 : r->pool->threads);
    const int items = job->blocks * job->panel_items;
    if (!alone) oct_parallel_for(r->pool, items, item, job);
    else for (int i = 0; i < items; i++) item(job, i, 0);
}
