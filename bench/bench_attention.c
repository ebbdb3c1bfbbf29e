/* What attention's two products would cost in integers: microseconds of one head of one text, part
 * by part, best of many rounds, beside the FP32 kernels that run.
 *     bench_attention [--isa=NAME] [--width=64] [--rounds=100] [--lengths=128,256,512]
 *
 *     scores   q u8, a scale and zero a token, times k s8, a scale a token, gemm_s8 -> FP32
 *     softmax  largest, exp and sum of a row, the same in both
 *     bytes    exp(score - largest) as u8, in steps of 1 / 255
 *     context  these times v s8, a scale a column, over their sum
 * quantize is what q, k and v take before, pack what makes panels of k and v; FP32 packs, too. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "ops/kernels/gemm_f32.h"
#include "ops/kernels/gemm_s8.h"
#include "ops/kernels/vec.h"
#include "ops/kernels/vec_u8.h"
#include "ops/linear.h"
#include "ops/quantized.h"
#include "tensor/arena.h"
#include "tensor/cpu.h"

enum { MOST = 64 }; /* more rows, or columns, than any tile has */

typedef enum part { QUANTIZE, PACK, SCORES, SOFTMAX, BYTES, CONTEXT, PARTS } part;

typedef struct head {
    int n, width;              /* tokens, columns */
    size_t ld;                 /* of scores */
    const oct_gemm_s8 *s8;
    const oct_gemm_f32 *f32;
    const oct_vec *vec;
    const oct_vec_u8 *u8;
    float *q, *k, *v, *vt, *y, *score, *q_scale, *k_scale, *v_scale, *sum;
    int32_t *q_zero;
    uint8_t *q8, *e8, *row8;
    int8_t *k8, *v8;
    char *k_panel, *v_panel;
    double us[PARTS], started;
} head;

static double now_us(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec * 1e6 + (double)t.tv_nsec * 1e-3;
}

static void *room(oct_arena *arena, size_t size)
{
    void *p = oct_arena_zalloc(arena, size);
    if (!p) exit(3);
    return p;
}

/* The time since the last lap belongs to that part. */
static void lap(head *h, part p)
{
    const double now = now_us();
    h->us[p] += now - h->started;
    h->started = now;
}

/* n floats, symmetric; the scale times `by` goes to *scale. */
static void symmetric(const head *h, size_t n, const float *x, float by, float *scale, int8_t *to)
{
    const oct_range r = h->u8->range(n, x);
    const float most = fmaxf(r.hi, -r.lo), step = most > 0 ? most / 127 : 1;
    h->u8->steps(n, x, 1 / step, 128, 255, h->row8);
    for (size_t i = 0; i < n; i++) to[i] = (int8_t)(h->row8[i] ^ 128);
    *scale = step * by;
}

static void quantize(head *h)
{
    const size_t n = (size_t)h->n, width = (size_t)h->width;
    const float by = (float)(1 / sqrt((double)h->width));
    for (size_t i = 0; i < n; i++) {
        const oct_qparams p = oct_dynamic_qparams(h->u8->range(width, h->q + i * width));
        h->q_scale[i] = p.scale;
        h->q_zero[i] = p.zero;
        h->u8->steps(width, h->q + i * width, 1 / p.scale, p.zero, 255, h->q8 + i * width);
        symmetric(h, width, h->k + i * width, by, &h->k_scale[i], h->k8 + i * width);
    }
    h->vec->transpose(n, width, h->v, width, h->vt, n);
    for (size_t c = 0; c < width; c++)
        symmetric(h, n, h->vt + c * n, 1, &h->v_scale[c], h->v8 + c * n);
}

/* As oct_gemm_s8_pack; where four k of a column lie together, four at a time. */
static void pack(const head *h, const int8_t *b, int n, int k, const float *scale, char *to)
{
    const oct_gemm_s8_seg seg = { 0, k, k };
    const oct_gemm_s8 *g = h->s8;
    const size_t size = oct_gemm_s8_panel_size(g, 1, &seg), nr = (size_t)g->nr;
    if (g->order || g->kr != 4 || k % 4 || n % g->nr) {
        oct_gemm_s8_pack(g, &(oct_gemm_s8_weights){ .b = b, .k = k, .n_segs = 1, .seg = &seg,
                                                    .scale = scale }, 0, n, to);
        return;
    }
    for (int n0 = 0; n0 < n; n0 += g->nr, to += size) {
        int32_t *bias = (void *)to, *colsum = bias + 3 * nr;
        float *scales = (void *)(bias + nr);
        char *body = (char *)(colsum + nr);
        for (int j = 0; j < g->nr; j++) {
            const int8_t *row = b + (size_t)(n0 + j) * (size_t)k;
            char *at = body + g->place(j, 0);
            int32_t sum = 0;
            for (int c = 0; c < k; c += 4, at += 4 * nr) memcpy(at, row + c, 4);
            for (int c = 0; c < k; c++) sum += row[c];
            const int column = oct_gemm_s8_column(g, j);
            colsum[column] = sum;
            bias[column] = g->flip * sum;
            scales[column] = scale[n0 + j];
            scales[nr + (size_t)column] = 0;
        }
    }
}

/* c [rows, n] = a [rows, k] times all panels, by a scale and zero a row. */
static void product_s8(const head *h, oct_linear_rows t, int n, int k, const uint8_t *a,
                       const char *panel, const float *scale, const int32_t *zero, float *c,
                       size_t ldc)
{
    static const oct_requant out = { .kind = OCT_REQUANT_F32 };
    const oct_gemm_s8_seg seg = { 0, k, k };
    const oct_gemm_s8 *g = h->s8;
    const size_t size = oct_gemm_s8_panel_size(g, 1, &seg), second = (size_t)t.rows * ldc;
    for (int j = 0; j < n; j += g->nr, panel += size)
        g->tile(&(oct_gemm_s8_args){
            .n_segs = 1, .seg = &seg, .a = { a, a }, .pos = { 0, t.rows }, .step = 1,
            .rows = t.rows, .groups = t.groups, .cols = n - j < g->nr ? n - j : g->nr,
            .panel = panel, .c = { c + j, c + second + j }, .ldc = ldc, .out = &out,
            .row_scale = { scale, scale + t.rows },
            .row_zero = { zero, zero ? zero + t.rows : NULL } });
}

static void integers(head *h)
{
    const size_t width = (size_t)h->width, n = (size_t)h->n;
    h->started = now_us();
    quantize(h);
    lap(h, QUANTIZE);
    pack(h, h->k8, h->n, h->width, h->k_scale, h->k_panel);
    pack(h, h->v8, h->width, h->n, h->v_scale, h->v_panel);
    lap(h, PACK);
    for (int first = 0; first < h->n;) {
        const oct_linear_rows t = oct_linear_next(first, h->n, h->s8->rows);
        const int rows = t.rows * t.groups;
        product_s8(h, t, h->n, h->width, h->q8 + (size_t)first * width, h->k_panel,
                   h->q_scale + first, h->q_zero + first, h->score, h->ld);
        lap(h, SCORES);
        for (int i = 0; i < rows; i++) {
            float *row = h->score + (size_t)i * h->ld;
            h->sum[i] = 1 / h->vec->exp_sum(n, row, h->vec->max(n, row), row);
        }
        lap(h, SOFTMAX);
        for (int i = 0; i < rows; i++)
            h->u8->steps(n, h->score + (size_t)i * h->ld, 255, 0, 255, h->e8 + (size_t)i * n);
        lap(h, BYTES);
        product_s8(h, t, h->width, h->n, h->e8, h->v_panel, h->sum, NULL,
                   h->y + (size_t)first * width, width);
        lap(h, CONTEXT);
        first += rows;
    }
}

/* As ops/attention.c. */
static void floats(head *h)
{
    const oct_gemm_f32 *g = h->f32;
    const size_t nr = (size_t)g->nr, width = (size_t)h->width, n = (size_t)h->n;
    const size_t k_size = oct_gemm_f32_panel_size(g, h->width);
    const size_t v_size = oct_gemm_f32_panel_size(g, h->n);
    const oct_gemm_f32_seg k_seg = { 0, h->width, h->width }, v_seg = { 0, h->n, (int)h->ld };
    float *keys = (void *)h->k_panel, *values = (void *)h->v_panel, zero[MOST] = { 0 }, by[MOST];
    for (int i = 0; i < MOST; i++) by[i] = (float)(1 / sqrt((double)h->width));
    h->started = now_us();
    for (size_t t = 0; t < n; t += nr) {
        const size_t here = n - t < nr ? n - t : nr;
        h->vec->transpose(here, width, h->k + t * width, width, keys + t / nr * k_size + nr, nr);
        float *to = keys + t / nr * k_size + nr;
        h->vec->scale_bias(width, g->nr, to, zero, by, zero, to);
    }
    for (size_t c = 0; c < width; c += nr)
        for (size_t t = 0; t < n; t++)
            memcpy(values + c / nr * v_size + nr * (t + 1), h->v + t * width + c,
                   (width - c < nr ? width - c : nr) * sizeof(float));
    lap(h, PACK);
    for (int first = 0; first < h->n;) {
        const oct_linear_rows t = oct_linear_next(first, h->n, g->rows);
        const int rows = t.rows * t.groups;
        const size_t second = (size_t)t.rows;
        const float *q = h->q + (size_t)first * width;
        float *y = h->y + (size_t)first * width, *s = h->score;
        for (int j = 0; j < h->n; j += g->nr)
            g->tile(&(oct_gemm_f32_args){
                .n_segs = 1, .seg = &k_seg, .a = { q, q }, .pos = { 0, t.rows }, .step = 1,
                .rows = t.rows, .groups = t.groups, .cols = h->n - j < g->nr ? h->n - j : g->nr,
                .panel = keys + (size_t)(j / g->nr) * k_size,
                .c = { s + j, s + second * h->ld + j }, .ldc = h->ld });
        lap(h, SCORES);
        for (int i = 0; i < rows; i++) {
            float *row = s + (size_t)i * h->ld;
            h->sum[i] = h->vec->exp_sum(n, row, h->vec->max(n, row), row);
        }
        lap(h, SOFTMAX);
        for (int j = 0; j < h->width; j += g->nr)
            g->tile(&(oct_gemm_f32_args){
                .n_segs = 1, .seg = &v_seg, .a = { s, s }, .pos = { 0, t.rows }, .step = 1,
                .rows = t.rows, .groups = t.groups,
                .cols = h->width - j < g->nr ? h->width - j : g->nr,
                .panel = values + (size_t)(j / g->nr) * v_size,
                .c = { y + j, y + second * width + j }, .ldc = width });
        for (int i = 0; i < rows; i++)
            h->vec->divide(width, y + (size_t)i * width, h->sum[i], y + (size_t)i * width);
        lap(h, CONTEXT);
        first += rows;
    }
}

static void best(head *h, const char *name, int rounds, void (*run)(head *))
{
    double least[PARTS], all = 1e30;
    for (int r = 0; r < rounds; r++) {
        double sum = 0;
        memset(h->us, 0, sizeof h->us);
        run(h);
        for (int p = 0; p < PARTS; p++) sum += h->us[p];
        if (sum < all) all = sum, memcpy(least, h->us, sizeof least);
    }
    printf("| %s | %d | %s", h->s8->isa, h->n, name);
    for (int p = 0; p < PARTS; p++) printf(" | %.1f", least[p]);
    printf(" | %.0f |\n", all);
}

static void open_head(head *h, oct_arena *arena, int n, int width)
{
    const size_t tokens = (size_t)n, w = (size_t)width, all = tokens * w;
    h->n = n;
    h->width = width;
    h->ld = (tokens + MOST - 1) / MOST * MOST;
    float **const matrix[] = { &h->q, &h->k, &h->v, &h->vt, &h->y };
    for (int i = 0; i < 5; i++) *matrix[i] = room(arena, (all + MOST) * sizeof(float));
    for (size_t i = 0; i < all; i++) {
        h->q[i] = 2 * sinf(1.1f * (float)i);
        h->k[i] = 2 * cosf(.7f * (float)i);
        h->v[i] = sinf(.3f * (float)i);
    }
    h->score = room(arena, MOST * h->ld * sizeof(float));
    float **const vector[] = { &h->q_scale, &h->k_scale, &h->v_scale, &h->sum };
    for (int i = 0; i < 4; i++) *vector[i] = room(arena, (tokens + w + MOST) * sizeof(float));
    h->q_zero = room(arena, tokens * sizeof *h->q_zero);
    h->q8 = room(arena, all);
    h->row8 = room(arena, all);
    h->k8 = room(arena, all);
    h->v8 = room(arena, all);
    h->e8 = room(arena, MOST * tokens);
    h->k_panel = room(arena, (tokens + MOST) * (w + MOST) * sizeof(float));
    h->v_panel = room(arena, (tokens + MOST) * (w + MOST) * sizeof(float));
}

int main(int argc, char **argv)
{
    const char *isa = NULL, *lengths = "128,256,512";
    int rounds = 100, width = 64;
    unsigned cpu = oct_cpu_flags();
    for (int i = 1; i < argc; i++) {
        if (!strncmp(argv[i], "--isa=", 6)) isa = argv[i] + 6;
        else if (!strncmp(argv[i], "--width=", 8)) width = atoi(argv[i] + 8);
        else if (!strncmp(argv[i], "--rounds=", 9)) rounds = atoi(argv[i] + 9);
        else if (!strncmp(argv[i], "--lengths=", 10)) lengths = argv[i] + 10;
        else return 1;
    }
    if (isa && oct_cpu_isa(isa, &cpu) != OCT_OK) {
        fprintf(stderr, "bench_attention: %s\n", oct_last_error());
        return 1;
    }
    puts("| kernels | tokens | products | quantize | pack | scores | softmax | bytes | context | "
         "all |\n|---|---|---|---|---|---|---|---|---|---|");
    while (*lengths) {
        oct_arena arena = { 0 };
        head h = { .s8 = oct_gemm_s8_pick(cpu, 255), .f32 = oct_gemm_f32_pick(cpu),
                   .vec = oct_vec_pick(cpu), .u8 = oct_vec_u8_pick(cpu) };
        open_head(&h, &arena, atoi(lengths), width);
        best(&h, "FP32", rounds, floats);
        best(&h, "INT8", rounds, integers);
        oct_arena_free(&arena);
        lengths += strcspn(lengths, ",");
        lengths += *lengths == ',';
    }
    return 0;
}
