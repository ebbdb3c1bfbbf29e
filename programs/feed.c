#include "programs/feed.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

enum { ERROR_SIZE = 256, GROUP = 64 /* image files the loader gets at once, at least */ };

struct feed {
    const job *job;
    char *const *path;
    int n_paths, next;        /* the path whose turn it is */
    int threads;
    oct_source *first;        /* path[0], the caller's */
    oct_source *ahead;        /* path[next], opened but not used yet */
    oct_source *streamed;     /* what the loader reads */
    oct_loader *loader;
    oct_source **single;      /* [batch], the sources of this batch; NULL: could not be opened */
    float *data;              /* [batch, sample], of single images */
    feed_item *item;          /* [batch] */
    char (*error)[ERROR_SIZE]; /* [batch] */
};

static void close_source(feed *f, oct_source *s)
{
    if (s != f->first) oct_source_close(s);
}

void feed_close(feed *f)
{
    if (!f) return;
    oct_loader_close(f->loader);
    if (f->streamed) close_source(f, f->streamed);
    if (f->ahead) close_source(f, f->ahead);
    for (int i = 0; f->single && i < f->job->batch; i++)
        if (f->single[i]) close_source(f, f->single[i]);
    free(f->single);
    free(f->data);
    free(f->item);
    free(f->error);
    free(f);
}

oct_status feed_open(const job *j, char *const *paths, int n_paths, oct_source *first, int threads,
                     feed **out)
{
    const size_t batch = (size_t)j->batch;
    *out = NULL;
    feed *f = calloc(1, sizeof *f);
    if (!f) return oct_fail(OCT_ERR_MEMORY, "out of memory");
    *f = (feed){ .job = j, .path = paths, .n_paths = n_paths, .threads = threads,
                 .first = first, .ahead = first };
    f->single = calloc(batch, sizeof *f->single);
    f->item = calloc(batch, sizeof *f->item);
    f->error = calloc(batch, sizeof *f->error);
    f->data = calloc(batch, j->sample * sizeof *f->data);
    if (!f->single || !f->item || !f->error || !f->data) {
        feed_close(f);
        return oct_fail(OCT_ERR_MEMORY, "out of memory for %zu samples", batch);
    }
    *out = f;
    return OCT_OK;
}

/* Item i of the batch went wrong, as oct_last_error() says. */
static void failed(feed *f, int i, oct_status status)
{
    snprintf(f->error[i], ERROR_SIZE, "%s", oct_last_error());
    f->item[i].status = status;
    f->item[i].error = f->error[i];
    memset(f->data + (size_t)i * f->job->sample, 0, f->job->sample * sizeof *f->data);
}

/* The next batch of the loader; 0 if it has come to its end. */
static int stream(feed *f, feed_batch *out)
{
    oct_batch b;
    oct_loader_next(f->loader, &b);
    for (int i = 0; i < b.n; i++)
        f->item[i] = (feed_item){
            oct_source_name(f->streamed, b.item[i].index),
            oct_source_label(f->streamed, b.item[i].index), b.item[i].status, b.item[i].error,
        };
    *out = (feed_batch){ b.n, b.data, f->item };
    if (b.n) return 1;
    oct_loader_close(f->loader);
    close_source(f, f->streamed);
    f->loader = NULL;
    f->streamed = NULL;
    return 0;
}

/* Opens path[next] unless that was done. */
static oct_status look_ahead(feed *f)
{
    if (f->ahead) return OCT_OK;
    OCT_TRY(oct_source_open(f->path[f->next], &f->ahead));
    if (oct_source_count(f->ahead) > 0) return OCT_OK;
    oct_source_close(f->ahead);
    f->ahead = NULL;
    return oct_fail(OCT_ERR_FORMAT, "holds no images");
}

static oct_status start_loader(feed *f, oct_source *source)
{
    const job *j = f->job;
    const oct_loader_options options = {
        .source = source, .recipe = &j->recipe, .channels = j->channels, .height = j->height,
        .width = j->width, .batch = j->batch, .threads = f->threads,
    };
    OCT_TRY(oct_loader_open(&options, &f->loader));
    f->streamed = source;
    return OCT_OK;
}

static int is_plain(const char *path)
{
    struct stat st;
    return stat(path, &st) == 0 && S_ISREG(st.st_mode);
}

/* One image in a file that can be read again. */
static int is_image(const oct_source *s, const char *path)
{
    return oct_source_type(s) == OCT_SOURCE_IMAGES && oct_source_count(s) == 1 &&
           strcmp(oct_source_name(s, 0), path) == 0 && is_plain(path);
}

/* If path[next] and more after it are image files, the loader decodes them ahead of the run, as it
 * does a folder's; 0 if not, or if it cannot, then they come one by one.  f->ahead is
 * path[next]. */
static int start_group(feed *f)
{
    const int batch = f->job->batch, most = batch * ((GROUP - 1) / batch + 1);
    int n = is_image(f->ahead, f->path[f->next]) ? 1 : 0;
    while (n && n < most && f->next + n < f->n_paths) {
        const char *path = f->path[f->next + n];
        oct_source *s;
        if (!is_plain(path) || oct_source_open(path, &s)) break;
        const int fits = is_image(s, path);
        oct_source_close(s);
        if (!fits) break;
        n++;
    }
    oct_source *group;
    if (n < 2 || oct_source_open_images((const char *const *)f->path + f->next, n, &group))
        return 0;
    if (start_loader(f, group)) {
        oct_source_close(group);
        return 0;
    }
    close_source(f, f->ahead);
    f->ahead = NULL;
    f->next += n;
    return 1;
}

static void read_single(void *arg, int i, int thread)
{
    feed *f = arg;
    const job *j = f->job;
    (void)thread;
    if (!f->single[i]) return;
    const oct_status status = oct_source_read(f->single[i], 0, &j->recipe, j->height, j->width,
                                              f->data + (size_t)i * j->sample);
    if (status) failed(f, i, status);
}

/* Collects single images, until the batch is full or something with many comes: then that is
 * started if it is the first, else it waits.  Returns the number of items, -1: the loader runs. */
static int collect(feed *f)
{
    int n = 0;
    for (; n < f->job->batch && f->next < f->n_paths; f->next++, n++) {
        f->item[n] = (feed_item){ .name = f->path[f->next], .label = -1 };
        oct_status status = look_ahead(f);
        if (!status && n == 0 && start_group(f)) return -1;
        if (!status && oct_source_count(f->ahead) > 1) {
            if (n) return n;
            status = start_loader(f, f->ahead);
            if (status) close_source(f, f->ahead);
            f->ahead = NULL;
            if (!status) return f->next++, -1;
        }
        if (status) {
            failed(f, n, status);
            continue;
        }
        f->single[n] = f->ahead;
        f->ahead = NULL;
        f->item[n].name = oct_source_name(f->single[n], 0);
        f->item[n].label = oct_source_label(f->single[n], 0);
    }
    return n;
}

void feed_next(feed *f, feed_batch *out)
{
    for (int i = 0; i < f->job->batch; i++) {
        if (f->single[i]) close_source(f, f->single[i]);
        f->single[i] = NULL;
    }
    int n;
    do {
        if (f->loader && stream(f, out)) return;
        n = collect(f);
    } while (n < 0);
    if (n) oct_parallel_for(f->job->model->pool, n, read_single, f);
    *out = (feed_batch){ n, f->data, f->item };
}
