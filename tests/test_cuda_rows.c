/* The kernels of rows and pixels one by one, in halves, floats and bytes: rows that end within 16
 * bytes, rows longer than a block, fewer rows than there may be.  In all of them columns beyond
 * cols are 0 and rows beyond the count stay as they were. */
#include "tests/cuda_rows_case.h"

/* ---- elements ---- */

static const int widths[] = { 1, 8, 13, 64, 2060 };
enum { N_WIDTHS = sizeof widths / sizeof *widths, PER = 5, N = MOST * PER, N_ALL = N * 2060 };
static double want[N_ALL];

static int launch_act(void *s, const job *j) { return oct_cuda_act(s, rows, j->act, j->x, j->y); }
static int launch_add(void *s, const job *j)
{
    return oct_cuda_add(s, rows, j->act, j->x, j->b, j->y);
}
static int launch_batchnorm(void *s, const job *j)
{
    return oct_cuda_batchnorm(s, rows, j->table, j->x, j->y);
}
static int launch_import(void *s, const job *j) { return oct_cuda_import(s, rows, j->raw, j->y); }
static int launch_convert(void *s, const job *j) { return oct_cuda_convert(s, rows, j->x, j->y); }
static int launch_export(void *s, const job *j)
{
    return oct_cuda_export(s, rows, j->x, j->y.data);
}

static float activated(float x, oct_act act)
{
    return act == OCT_ACT_RELU ? oct_relu_f32(x) : act == OCT_ACT_RELU6 ? oct_relu6_f32(x)
         : act == OCT_ACT_SIGMOID ? oct_sigmoid_f32(x) : act == OCT_ACT_TANH ? oct_tanh_f32(x)
         : act == OCT_ACT_GELU ? oct_gelu_f32(x) : x;
}

START_TEST(elements)
{
    const int cols = widths[_i % N_WIDTHS];
    const oct_dtype type = _i / N_WIDTHS ? OCT_F32 : OCT_F16;
    open_rows(PER);
    float *x = randoms((size_t)(N * cols), 1), *b = randoms((size_t)(N * cols), 2);
    float *t = randoms((size_t)(3 * cols), 3);
    job j = { .launch = launch_act, .x = put(type, N, cols, x), .b = put(type, N, cols, b) };
    for (int act = 0; act < OCT_ACT_COUNT; act++) {
        j.act = (oct_act)act;
        j.y = put(type, N, cols, NULL);
        for (int i = 0; i < N * cols; i++) want[i] = (double)activated(x[i], j.act);
        run(&j);
        compare(&j.y, want, 0);
    }
    j.act = OCT_ACT_RELU;
    j.launch = launch_add;
    j.y = put(type, N, cols, NULL);
    for (int i = 0; i < N * cols; i++) want[i] = (double)oct_relu_f32(x[i] + b[i]);
    run(&j);
    compare(&j.y, want, 0);
    j.launch = launch_batchnorm;
    j.table = put_bytes(t, (size_t)(3 * cols) * sizeof *t);
    j.y = put(type, N, cols, NULL);
    for (int i = 0; i < N * cols; i++) {
        const int c = i % cols;
        want[i] = (double)fmaf(x[i] - t[c], t[cols + c], t[2 * cols + c]);
    }
    run(&j);
    compare(&j.y, want, 0);
    oct_cuda_close(device);
    free(x);
    free(b);
    free(t);
}
END_TEST

/* FP32 without pitch to a value, to the other type, and back. */
START_TEST(copies)
{
    const int cols = widths[_i % N_WIDTHS];
    const oct_dtype type = _i / N_WIDTHS ? OCT_F32 : OCT_F16;
    open_rows(PER);
    float *x = randoms((size_t)(N * cols), 4), *back = malloc((size_t)(N * cols) * sizeof *back);
    for (int i = 0; i < N * cols; i++) want[i] = (double)x[i];
    job j = { .launch = launch_import, .raw = put_bytes(x, (size_t)(N * cols) * sizeof *x),
              .y = put(type, N, cols, NULL) };
    run(&j);
    compare(&j.y, want, 0);
    j = (job){ .launch = launch_convert, .x = j.y,
               .y = put(type == OCT_F16 ? OCT_F32 : OCT_F16, N, cols, NULL) };
    run(&j);
    compare(&j.y, want, 0);
    j = (job){ .launch = launch_export, .x = j.y, .y.data = put_bytes(back, (size_t)(N * cols) *
                                                                      sizeof *back) };
    run(&j);
    ok(oct_cuda_receive(device, back, j.y.data, (size_t)(N * cols) * sizeof *back));
    ok(oct_cuda_wait(device));
    for (int i = 0; i < SAMPLES * PER * cols; i++) ck_assert(back[i] == x[i]);
    oct_cuda_close(device);
    free(x);
    free(back);
}
END_TEST

/* Each finite value of a piece that is too large, once; NaN and what was there are none. */
START_TEST(overflows_are_counted)
{
    static const float x[] = { 65519, 65520, -1e9f, 1, NAN, 3e38f, 0, 65504, 1e6f };
    open_rows(1);
    float all[MOST * 9];
    for (int i = 0; i < MOST * 9; i++) all[i] = x[i % 9];
    job j = { .launch = launch_convert, .x = put(OCT_F32, MOST, 9, all),
              .y = put(OCT_F16, MOST, 9, NULL) };
    run(&j);
    ck_assert_int_eq(overflows(), 4 * SAMPLES);
    oct_cuda_close(device);
}
END_TEST

/* ---- bytes ---- */

static int launch_add_u8(void *s, const job *j)
{
    return oct_cuda_add_u8(s, rows, 7, 0.25f, j->out, j->x, j->b, j->y);
}
static int launch_quantize(void *s, const job *j)
{
    return oct_cuda_quantize(s, rows, j->quant, j->table, j->x, j->y);
}
static int launch_dequantize(void *s, const job *j)
{
    return oct_cuda_dequantize(s, rows, j->quant, j->x, j->y);
}

static int quantized(float x, float inverse, oct_quant q)
{
    const float v = fminf(fmaxf(x * inverse, (float)-q.zero), (float)(q.max - q.zero));
    return (int)lrintf(v) + q.zero;
}

START_TEST(bytes)
{
    const int cols = widths[_i % N_WIDTHS], each = _i / N_WIDTHS;
    const oct_quant q = { 0.015f, 119, 255 };
    open_rows(PER);
    float *x = randoms((size_t)(N * cols), 5), *t = randoms((size_t)cols, 6);
    for (int c = 0; c < cols; c++) t[c] = 60 + 10 * t[c];
    job j = { .launch = launch_quantize, .quant = q, .x = put(OCT_F32, N, cols, x),
              .y = put(OCT_U8, N, cols, NULL),
              .table = each ? put_bytes(t, (size_t)cols * sizeof *t) : NULL };
    for (int i = 0; i < N * cols; i++)
        want[i] = quantized(x[i], each ? t[i % cols] : 1 / q.scale, q);
    run(&j);
    compare(&j.y, want, 0);
    const oct_cuda_value a = j.y;
    j = (job){ .launch = launch_add_u8, .x = a, .b = a, .y = put(OCT_U8, N, cols, NULL),
               .out = { .zero = 3, .lo = 3, .hi = 255, .residual_scale = 0.7f,
                        .residual_zero = 119 } };
    for (int i = 0; i < SAMPLES * PER * cols; i++) {
        const float first = (float)(want[i] - 7) * 0.25f;
        want[i] = oct_requant_u8(oct_requant_add(first, (uint8_t)want[i], &j.out), &j.out);
    }
    run(&j);
    compare(&j.y, want, 0);
    j = (job){ .launch = launch_dequantize, .quant = q, .x = j.y,
               .y = put(OCT_F32, N, cols, NULL) };
    for (int i = 0; i < N * cols; i++) want[i] = (double)((float)(want[i] - 119) * q.scale);
    run(&j);
    compare(&j.y, want, 0);
    oct_cuda_close(device);
    free(x);
    free(t);
}
END_TEST

static int launch_samples(void *s, const job *j)
{
    return oct_cuda_quantize_samples(s, rows, j->x, j->y, j->sample, j->fill);
}

/* A range for each sample, without what is not finite. */
START_TEST(samples)
{
    const int cols = widths[_i], n = PER * cols;
    open_rows(PER);
    float *x = randoms((size_t)(MOST * n), 7);
    x[n - 1] = NAN;
    x[n] = -INFINITY;
    x[2 * n] *= 100;
    x[3 * n - 1] = -300; /* by the last thread */
    oct_qparams p[MOST];
    uint8_t fill[MOST * OCT_CUDA_CHUNK];
    job j = { .launch = launch_samples, .x = put(OCT_F32, N, cols, x),
              .y = put(OCT_U8, N, cols, NULL), .sample = put_bytes(p, sizeof p),
              .fill = put_bytes(fill, sizeof fill) };
    run(&j);
    ok(oct_cuda_receive(device, p, j.sample, sizeof p));
    ok(oct_cuda_receive(device, fill, j.fill, sizeof fill));
    ok(oct_cuda_wait(device));
    for (int sample = 0; sample < SAMPLES; sample++) {
        oct_range r = { 0, 0 };
        for (int i = sample * n; i < (sample + 1) * n; i++)
            if (isfinite(x[i])) r = (oct_range){ fminf(r.lo, x[i]), fmaxf(r.hi, x[i]) };
        const oct_qparams q = oct_qparams_u8(r, 255);
        ck_assert(q.scale == p[sample].scale && q.zero == p[sample].zero);
        for (int i = 0; i < OCT_CUDA_CHUNK; i++)
            ck_assert_int_eq(fill[sample * OCT_CUDA_CHUNK + i], q.zero);
        for (int i = sample * n; i < (sample + 1) * n; i++)
            want[i] = quantized(x[i], 1 / q.scale, (oct_quant){ q.scale, q.zero, 255 });
    }
    compare(&j.y, want, 0);
    oct_cuda_close(device);
    free(x);
}
END_TEST

/* ---- rows ---- */

static int launch_layernorm(void *s, const job *j)
{
    return oct_cuda_layernorm(s, rows, 1e-5f, j->gamma, j->beta, j->x, j->y);
}
static int launch_softmax(void *s, const job *j) { return oct_cuda_softmax(s, rows, j->x, j->y); }

static void normalize(const float *x, int n, const float *gamma, const float *beta, double *y)
{
    double mean = 0, squares = 0;
    for (int i = 0; i < n; i++) mean += (double)x[i] / n;
    for (int i = 0; i < n; i++) squares += ((double)x[i] - mean) * ((double)x[i] - mean) / n;
    for (int i = 0; i < n; i++)
        y[i] = ((double)x[i] - mean) / sqrt(squares + (double)1e-5f) * (double)gamma[i] +
               (double)beta[i];
}

/* The same in the CPU's order of sums, for FP32. */
static void normalize_lanes(const float *x, int n, const float *gamma, const float *beta, double *y)
{
    float sum[16] = { 0 }, squares[16] = { 0 };
    for (int i = 0; i < n; i++) sum[i % 16] += x[i];
    const float mean = oct_lanes_f32(sum) / (float)n;
    for (int i = 0; i < n; i++)
        squares[i % 16] = fmaf(x[i] - mean, x[i] - mean, squares[i % 16]);
    const float r = 1 / sqrtf(oct_lanes_f32(squares) / (float)n + 1e-5f);
    for (int i = 0; i < n; i++) y[i] = (double)fmaf((x[i] - mean) * r, gamma[i], beta[i]);
}

static const int norms[] = { 8, 20, 72, 768, 1032, 2056 }; /* 1024 columns are kept */
enum { N_NORMS = sizeof norms / sizeof *norms };

START_TEST(norms_and_softmax)
{
    const int cols = norms[_i % N_NORMS];
    const oct_dtype type = _i / N_NORMS ? OCT_F32 : OCT_F16;
    open_rows(PER);
    float *x = randoms((size_t)(N * cols), 7), *g = randoms((size_t)cols, 8);
    float *b = randoms((size_t)cols, 9);
    job j = { .launch = launch_layernorm, .x = put(type, N, cols, x), .y = put(type, N, cols, NULL),
              .gamma = put_bytes(g, (size_t)cols * sizeof *g),
              .beta = put_bytes(b, (size_t)cols * sizeof *b) };
    for (int r = 0; r < N; r++)
        (type == OCT_F32 ? normalize_lanes : normalize)(x + r * cols, cols, g, b, want + r * cols);
    run(&j);
    compare(&j.y, want, type == OCT_F32 ? 0 : 0x1p-19);
    j.launch = launch_softmax;
    j.y = put(type, N, cols, NULL);
    for (int r = 0; r < N; r++) {
        double sum = 0;
        for (int c = 0; c < cols; c++) sum += exp((double)x[r * cols + c]);
        for (int c = 0; c < cols; c++) want[r * cols + c] = exp((double)x[r * cols + c]) / sum;
    }
    run(&j);
    compare(&j.y, want, 0x1p-21);
    oct_cuda_close(device);
    free(x);
    free(g);
    free(b);
}
END_TEST

static int launch_embed(void *s, const job *j) { return oct_cuda_embed(s, rows, &j->embedding); }
static int launch_first(void *s, const job *j)
{
    return oct_cuda_first(s, rows, j->starts, j->x, j->y);
}

static const oct_dtype word_types[] = { OCT_F32, OCT_F16, OCT_BF16, OCT_S8 };
enum { WORDS = 11, N_WORD_TYPES = sizeof word_types / sizeof *word_types };

/* The table of words as `type`, and in x what it then says. */
static void *put_words(float *x, int cols, oct_dtype type, float *scale)
{
    unsigned char *host = malloc((size_t)(WORDS * cols) * sizeof *x);
    for (int i = 0; i < WORDS * cols; i++) {
        const uint16_t h = type == OCT_F16 ? oct_f16_of_f32(x[i]) : oct_bf16_of_f32(x[i]);
        const int8_t q = (int8_t)(x[i] * 60);
        if (type == OCT_F32) memcpy(host + 4 * i, &x[i], 4);
        else if (type == OCT_S8) host[i] = (uint8_t)q;
        else memcpy(host + 2 * i, &h, 2);
        if (type == OCT_BF16) x[i] = oct_f32_of_bf16(h);
        if (type == OCT_S8) x[i] = (float)q * scale[i / cols];
    }
    void *to = put_bytes(host, (size_t)(WORDS * cols) * sizeof *x);
    free(host);
    return to;
}

START_TEST(embeddings)
{
    static const int32_t starts[] = { 0, 1, 9, SAMPLES * PER };
    enum { TEXTS = 3, TOKENS = SAMPLES * PER };
    const oct_dtype word = word_types[_i % N_WORD_TYPES];
    const oct_dtype type = _i / N_WORD_TYPES % 2 ? OCT_F32 : OCT_F16;
    const int cols = _i / N_WORD_TYPES / 2 ? 1032 : 20, texts = TEXTS, typed = _i % 2;
    int32_t ids[TOKENS], types[TOKENS];
    open_rows(PER);
    float *words = randoms((size_t)(WORDS * cols), 1), *place = randoms((size_t)(9 * cols), 2);
    float *kind = randoms((size_t)(2 * cols), 3), *scale = randoms(WORDS, 6);
    float *g = randoms((size_t)cols, 4), *b = randoms((size_t)cols, 5);
    float *x = malloc((size_t)cols * sizeof *x);
    const size_t row = (size_t)cols * sizeof *x;
    const void *table = put_words(words, cols, word, scale);
    for (int i = 0, text = 0; i < TOKENS; i++) {
        ids[i] = (i * 7 + 3) % WORDS;
        types[i] = i % 2;
        while (starts[text + 1] <= i) text++;
        for (int c = 0; c < cols; c++)
            x[c] = words[ids[i] * cols + c] + (typed ? kind[types[i] * cols + c] : 0) +
                   place[(i - starts[text]) * cols + c];
        normalize(x, cols, g, b, want + i * cols);
    }
    job j = { .launch = launch_embed, .y = put(type, N, cols, NULL) };
    j.embedding = (oct_cuda_embedding){
        .ids = put_bytes(ids, sizeof ids), .starts = put_bytes(starts, sizeof starts),
        .types = typed ? put_bytes(types, sizeof types) : NULL,
        .texts = put_bytes(&texts, sizeof texts), .word = table, .word_type = word,
        .scale = put_bytes(scale, WORDS * sizeof *scale), .position = put_bytes(place, 9 * row),
        .type = put_bytes(kind, 2 * row), .gamma = put_bytes(g, row), .beta = put_bytes(b, row),
        .eps = 1e-5f, .y = j.y };
    run(&j);
    compare(&j.y, want, 0x1p-18);
    const oct_cuda_value all = j.y;
    const oct_cuda_rows tokens = rows;
    const float *y = take(&all);
    j = (job){ .launch = launch_first, .starts = j.embedding.starts, .x = all,
               .y = put(type, MOST, cols, NULL) };
    rows.per = 1;
    run(&j);
    for (int t = 0; t < TEXTS; t++)
        for (int c = 0; c < cols; c++) want[t * cols + c] = (double)y[starts[t] * cols + c];
    compare(&j.y, want, 0);
    rows = tokens;
    oct_cuda_close(device);
}
END_TEST

/* ---- pixels ---- */

static int launch_layout(void *s, const job *j) { return oct_cuda_layout(s, rows, j->raw, j->y); }
static int launch_flatten(void *s, const job *j)
{
    return oct_cuda_flatten(s, rows, j->pixels, j->x, j->y);
}

/* NCHW to rows of channels, and flattened again. */
START_TEST(layouts)
{
    static const int cases[][2] = { { 3, 300 }, { 8, 1 }, { 13, 35 }, { 2060, 1 } };
    const int c = cases[_i / 2][0], pixels = cases[_i / 2][1], n = c * pixels;
    const oct_dtype type = _i % 2 ? OCT_F32 : OCT_F16;
    open_rows(pixels);
    float *x = randoms((size_t)(MOST * n), 1);
    for (int i = 0; i < SAMPLES * n; i++) {
        const int sample = i / n, ch = i % n / pixels, pixel = i % pixels;
        want[(sample * pixels + pixel) * c + ch] = (double)x[i];
    }
    job j = { .launch = launch_layout, .raw = put_bytes(x, (size_t)(MOST * n) * sizeof *x),
              .y = put(type, MOST * pixels, c, NULL) };
    run(&j);
    compare(&j.y, want, 0);
    j = (job){ .launch = launch_flatten, .pixels = pixels, .x = j.y,
               .y = put(type, MOST, n, NULL) };
    rows.per = 1;
    for (int i = 0; i < SAMPLES * n; i++) want[i] = (double)x[i];
    run(&j);
    compare(&j.y, want, 0);
    oct_cuda_close(device);
    free(x);
}
END_TEST

static int launch_pool(void *s, const job *j) { return oct_cuda_pool2d(s, rows, &j->pool); }

static const struct { int h, w, c; oct_pool_attr a; } pools[] = {
    { 9, 7, 20, { OCT_POOL_MAX, { 3, 3 }, { 2, 2 }, { 1, 1 }, { 1, 1 }, 1, { 0 }, { 1, 0, 0 } } },
    { 8, 9, 64, { OCT_POOL_MAX, { 2, 3 }, { 2, 1 }, { 0, 1 }, { 2, 1 }, 1, { 0 }, { 1, 0, 0 } } },
    { 6, 6, 13, { OCT_POOL_AVG, { 3, 2 }, { 1, 2 }, { 1, 1 }, { 1, 1 }, 1, { 0 }, { 1, 0, 0 } } },
    { 5, 6, 8, { OCT_POOL_AVG, { 4, 5 }, { 1, 1 }, { 2, 2 }, { 1, 1 }, 0, { 0 }, { 1, 0, 0 } } },
    { 7, 7, 136, { OCT_POOL_ADAPTIVE_AVG, { 0 }, { 0 }, { 0 }, { 0 }, 0, { 1, 1 }, { 1, 0, 0 } } },
    { 7, 5, 13, { OCT_POOL_ADAPTIVE_AVG, { 0 }, { 0 }, { 0 }, { 0 }, 0, { 3, 2 }, { 1, 0, 0 } } },
};
enum { N_POOLS = sizeof pools / sizeof *pools, POOL_TYPES = 4 }; /* halves, floats, bytes, both */

/* One axis of a window: pixels lo .. lo + (n - 1) step, those outside included. */
static void window(const oct_pool_attr *a, int axis, int in, int out, int o, int *lo, int *n)
{
    const int whole = a->kind == OCT_POOL_ADAPTIVE_AVG;
    *lo = whole ? o * in / out : o * a->stride[axis] - a->pad[axis];
    *n = whole ? ((o + 1) * in + out - 1) / out - *lo : a->kernel[axis];
}

static int out_of(const oct_pool_attr *a, int axis, int in)
{
    const int d = a->kind == OCT_POOL_MAX ? a->dilation[axis] : 1;
    return a->kind == OCT_POOL_ADAPTIVE_AVG
        ? a->out[axis]
        : (in + 2 * a->pad[axis] - d * (a->kernel[axis] - 1) - 1) / a->stride[axis] + 1;
}

/* Of a sample's channel: the sum, or the largest, of its window, and what to divide by. */
static double pooled(const oct_cuda_pool *p, const float *x, int oy, int ox, double zero, int *by)
{
    const int max = p->attr.kind == OCT_POOL_MAX;
    int y0, ny, x0, nx, inside = 0;
    double all = max ? -INFINITY : 0;
    window(&p->attr, 0, p->h, p->oh, oy, &y0, &ny);
    window(&p->attr, 1, p->w, p->ow, ox, &x0, &nx);
    for (int i = 0; i < ny; i++)
        for (int k = 0; k < nx; k++) {
            const int y = y0 + i * (max ? p->attr.dilation[0] : 1);
            const int col = x0 + k * (max ? p->attr.dilation[1] : 1);
            if (y < 0 || y >= p->h || col < 0 || col >= p->w) continue;
            const double tap = (double)x[(y * p->w + col) * p->x.cols] - zero;
            all = max ? fmax(all, tap) : all + tap;
            inside++;
        }
    *by = p->attr.kind == OCT_POOL_AVG && p->attr.count_include_pad ? ny * nx : inside;
    return all;
}

START_TEST(windows)
{
    const int which = _i / POOL_TYPES, kind = _i % POOL_TYPES, c = pools[which].c;
    const int h = pools[which].h, w = pools[which].w, max = !pools[which].a.kind;
    const oct_dtype from = kind >= 2 ? OCT_U8 : kind ? OCT_F32 : OCT_F16;
    const oct_dtype to = kind == 3 && !max ? OCT_F32 : from;
    oct_cuda_pool p = { .attr = pools[which].a, .h = h, .w = w, .scale = 0.3f, .zero = 9,
                        .out = { .zero = 100, .lo = 0, .hi = 255 } };
    p.oh = out_of(&p.attr, 0, h);
    p.ow = out_of(&p.attr, 1, w);
    open_rows(p.oh * p.ow);
    float *x = randoms((size_t)(MOST * h * w * c), 3);
    for (int i = 0; i < MOST * h * w * c && from == OCT_U8; i++)
        x[i] = (float)(int)(x[i] * 60 + 125);
    p.x = put(from, MOST * h * w, c, x);
    p.y = put(to, MOST * p.oh * p.ow, c, NULL);
    for (int i = 0; i < SAMPLES * rows.per * c; i++) {
        const int row = i / c, sample = row / rows.per, pixel = row % rows.per;
        int by;
        want[i] = pooled(&p, x + sample * h * w * c + i % c, pixel / p.ow, pixel % p.ow,
                         from == OCT_U8 && !max ? p.zero : 0, &by);
        if (max) continue;
        if (from != OCT_U8) want[i] = want[i] / by;
        else want[i] = (double)((float)want[i] * (p.scale * (1.0f / (float)by)));
        if (to == OCT_U8) want[i] = oct_requant_u8((float)want[i], &p.out);
    }
    const job j = { .launch = launch_pool, .pool = p };
    run(&j);
    compare(&p.y, want, max || from == OCT_U8 ? 0 : 0x1p-20);
    oct_cuda_close(device);
    free(x);
}
END_TEST

int main(void)
{
    const suite_loop loops[] = {
        { elements, 2 * N_WIDTHS },
        { copies, 2 * N_WIDTHS },
        { overflows_are_counted, 1 },
        { bytes, 2 * N_WIDTHS },
        { samples, N_WIDTHS },
        { norms_and_softmax, 2 * N_NORMS },
        { embeddings, 4 * N_WORD_TYPES },
        { layouts, 8 },
        { windows, N_POOLS * POOL_TYPES },
    };
    if (cuda_case_skipped()) return TEST_SKIP;
    return suite_run_loops("cuda_rows", loops, sizeof loops / sizeof *loops);
}
