#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "input/input.h"
#include "tensor/threads.h"

/* Threads decode samples 0, 1, 2 ... of the order, each taking the next one, into a ring of
 * slots, a batch each; oct_loader_next hands out slot after slot.  What a sample becomes depends
 * on nothing but the sample, and where it goes on nothing but its number, so the result is the
 * same for any number of threads.
 *
 *   free slot --> samples taken --> left == 0: full --> handed out --> next call: free
 *
 * Everything is allocated when the loader is opened. */

enum { ERROR_SIZE = 256, MAX_THREADS = 256 };

typedef struct slot {
    float *data;               /* [batch][sample] */
    oct_loaded *item;          /* [batch] */
    char (*error)[ERROR_SIZE]; /* [batch] */
    int n, left;               /* samples; those not decoded yet */
} slot;

struct oct_loader {
    oct_loader_options o;
    size_t sample;             /* floats of one */
    int batches, slots;
    slot *slot;
    pthread_t *thread;
    int threads;

    pthread_mutex_t lock;      /* all below */
    pthread_cond_t full;       /* a slot's left became 0 */
    pthread_cond_t freed;      /* a slot is free, or the end */
    int next;                  /* the sample to be taken next */
    int handed;                /* batches handed out so far */
    int stop;
};

static int min(int a, int b) { return a < b ? a : b; }

/* Sample k of the order into its place.  No lock: the place is this thread's alone. */
static void load(const oct_loader *l, slot *s, int k)
{
    const int i = k % l->o.batch;
    oct_loaded *item = &s->item[i];
    float *out = s->data + (size_t)i * l->sample;
    item->index = l->o.order ? l->o.order[k] : k;
    item->error = NULL;
    item->status = oct_source_read(l->o.source, item->index, l->o.recipe, l->o.height, l->o.width,
                                   out);
    if (item->status == OCT_OK) return;
    memset(out, 0, l->sample * sizeof *out);
    snprintf(s->error[i], ERROR_SIZE, "%s", oct_last_error());
    item->error = s->error[i];
}

/* The batch handed out last is the caller's; the next slots - 1 may be filled, and before the
 * first one is handed out all of them. */
static int may_take(const oct_loader *l)
{
    const int held = l->handed > 0 ? l->handed - 1 : 0;
    return l->next < l->o.n && l->next / l->o.batch < held + l->slots;
}

/* Takes a sample and decodes it; the lock is held before and after. */
static void take(oct_loader *l)
{
    const int k = l->next++;
    slot *s = &l->slot[k / l->o.batch % l->slots];
    if (k % l->o.batch == 0) s->n = s->left = min(l->o.batch, l->o.n - k);
    pthread_mutex_unlock(&l->lock);
    load(l, s, k);
    pthread_mutex_lock(&l->lock);
    if (--s->left == 0) pthread_cond_signal(&l->full);
}

static void *work(void *arg)
{
    oct_loader *l = arg;
    pthread_mutex_lock(&l->lock);
    while (!l->stop && l->next < l->o.n) {
        if (may_take(l)) take(l);
        else pthread_cond_wait(&l->freed, &l->lock);
    }
    pthread_mutex_unlock(&l->lock);
    return NULL;
}

static oct_status check(oct_loader *l)
{
    const oct_loader_options *o = &l->o;
    int c, h, w;
    oct_source_shape(o->source, o->recipe, &c, &h, &w);
    if (c != o->channels)
        return oct_fail(OCT_ERR_SHAPE, "samples have %d channels, the model takes %d", c,
                        o->channels);
    if (h > 0 && (h != o->height || w != o->width))
        return oct_fail(OCT_ERR_SHAPE, "samples are %dx%d (width x height), the model takes %dx%d",
                        w, h, o->width, o->height);
    const oct_tensor all = { .rank = 4, .dim = { o->batch, c, o->height, o->width } };
    OCT_TRY(oct_tensor_check(&all));
    for (int i = 0; o->order && i < o->n; i++)
        if (o->order[i] < 0 || o->order[i] >= oct_source_count(o->source))
            return oct_fail(OCT_ERR_SHAPE, "sample %d of %d, counted from 0", o->order[i],
                            oct_source_count(o->source));
    l->sample = oct_tensor_sample_count(&all);
    return OCT_OK;
}

static oct_status make_slots(oct_loader *l)
{
    const size_t batch = (size_t)l->o.batch;
    l->slot = calloc((size_t)l->slots, sizeof *l->slot);
    for (int i = 0; l->slot && i < l->slots; i++) {
        slot *s = &l->slot[i];
        s->data = calloc(batch, l->sample * sizeof *s->data);
        s->item = calloc(batch, sizeof *s->item);
        s->error = calloc(batch, sizeof *s->error);
        if (!s->data || !s->item || !s->error) break;
        if (i == l->slots - 1) return OCT_OK;
    }
    return oct_fail(OCT_ERR_MEMORY, "%d batches of %zu samples: out of memory", l->slots, batch);
}

/* Samples are decoded ahead for at least a batch, and two for each thread. */
static oct_status start(oct_loader *l)
{
    int threads = l->o.threads > 0 ? l->o.threads : oct_threads_default();
    threads = min(min(threads, MAX_THREADS), l->o.n);
    l->slots = min(2 + (2 * threads - 1) / l->o.batch, l->batches);
    OCT_TRY(make_slots(l));
    l->thread = calloc((size_t)threads, sizeof *l->thread);
    if (!l->thread) return oct_fail(OCT_ERR_MEMORY, "out of memory");
    while (l->threads < threads && !pthread_create(&l->thread[l->threads], NULL, work, l))
        l->threads++; /* fewer, if the system refuses one; none: oct_loader_next does the work */
    return OCT_OK;
}

oct_status oct_loader_open(const oct_loader_options *options, oct_loader **out)
{
    *out = NULL;
    oct_loader *l = calloc(1, sizeof *l);
    if (!l) return oct_fail(OCT_ERR_MEMORY, "out of memory");
    l->o = *options;
    const int count = oct_source_count(l->o.source);
    if (l->o.n < 1 || (!l->o.order && l->o.n > count)) l->o.n = count;
    if (l->o.batch < 1) l->o.batch = 1;
    l->batches = (l->o.n - 1) / l->o.batch + 1;
    pthread_mutex_init(&l->lock, NULL);
    pthread_cond_init(&l->full, NULL);
    pthread_cond_init(&l->freed, NULL);
    oct_status status = check(l);
    if (status == OCT_OK) status = start(l);
    if (status == OCT_OK) *out = l;
    else oct_loader_close(l);
    return status;
}

void oct_loader_next(oct_loader *l, oct_batch *out)
{
    *out = (oct_batch){ 0 };
    pthread_mutex_lock(&l->lock);
    const int batch = l->handed;
    if (batch < l->batches) {
        l->handed++; /* frees the slot handed out before */
        pthread_cond_broadcast(&l->freed);
        slot *s = &l->slot[batch % l->slots];
        const int last = min((batch + 1) * l->o.batch, l->o.n);
        while (l->next < last || s->left > 0) {
            if (l->threads == 0) take(l);
            else pthread_cond_wait(&l->full, &l->lock);
        }
        *out = (oct_batch){ s->n, s->data, s->item };
    }
    pthread_mutex_unlock(&l->lock);
}

void oct_loader_close(oct_loader *l)
{
    if (!l) return;
    pthread_mutex_lock(&l->lock);
    l->stop = 1;
    pthread_cond_broadcast(&l->freed);
    pthread_mutex_unlock(&l->lock);
    for (int i = 0; i < l->threads; i++) pthread_join(l->thread[i], NULL);
    for (int i = 0; l->slot && i < l->slots; i++) {
        free(l->slot[i].data);
        free(l->slot[i].item);
        free(l->slot[i].error);
    }
    free(l->slot);
    free(l->thread);
    pthread_cond_destroy(&l->full);
    pthread_cond_destroy(&l->freed);
    pthread_mutex_destroy(&l->lock);
    free(l);
}
