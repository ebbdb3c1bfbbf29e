#include "programs/lines.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { FIRST_ROOM = 1 << 16 };

struct lines {
    int fd, ended;
    int skipping;             /* the line's beginning was thrown away */
    char *data;
    size_t room;              /* bytes of data, one more for the final 0 */
    size_t begin, end;        /* what was read and not given yet */
    size_t searched;          /* no \n in [begin, searched) */
};

oct_status lines_open(int fd, lines **out)
{
    lines *l = *out = calloc(1, sizeof *l);
    if (l) l->data = malloc(FIRST_ROOM + 1);
    if (l && l->data) {
        l->fd = fd;
        l->room = FIRST_ROOM;
        return OCT_OK;
    }
    free(l);
    *out = NULL;
    return oct_fail(OCT_ERR_MEMORY, "out of memory");
}

void lines_close(lines *l)
{
    if (!l) return;
    free(l->data);
    free(l);
}

static int is_ready(const lines *l)
{
    struct pollfd p = { .fd = l->fd, .events = POLLIN };
    return poll(&p, 1, 0) != 0;
}

/* Room behind end: what was given is overwritten, at once if all was, else the buffer grows. */
static oct_status make_room(lines *l)
{
    if (l->begin == l->end) l->begin = l->searched = l->end = 0;
    if (l->end < l->room) return OCT_OK;
    if (l->begin) {
        memmove(l->data, l->data + l->begin, l->end - l->begin);
        l->end -= l->begin;
        l->searched -= l->begin;
        l->begin = 0;
        return OCT_OK;
    }
    char *bigger = realloc(l->data, 2 * l->room + 1);
    if (!bigger) return oct_fail(OCT_ERR_MEMORY, "out of memory for a line");
    l->data = bigger;
    l->room *= 2;
    return OCT_OK;
}

static oct_status fill(lines *l)
{
    OCT_TRY(make_room(l));
    ssize_t n;
    do n = read(l->fd, l->data + l->end, l->room - l->end);
    while (n < 0 && errno == EINTR);
    if (n < 0) return oct_fail(OCT_ERR_IO, "cannot be read: %s", strerror(errno));
    l->ended = n == 0;
    l->end += (size_t)n;
    return OCT_OK;
}

/* Gives the bytes up to stop as a line; what comes next begins at next. */
static lines_result give(lines *l, size_t stop, size_t next, const char **text, size_t *size)
{
    const int skipped = l->skipping || stop - l->begin > LINES_MAX;
    if (stop > l->begin && l->data[stop - 1] == '\r') stop--;
    l->data[stop] = 0;
    *text = skipped ? "" : l->data + l->begin;
    *size = skipped ? 0 : stop - l->begin;
    l->begin = l->searched = next;
    l->skipping = 0;
    return skipped ? LINES_TOO_LONG : LINES_LINE;
}

lines_result lines_next(lines *l, int wait, const char **text, size_t *size)
{
    for (;;) {
        const char *found = memchr(l->data + l->searched, '\n', l->end - l->searched);
        if (found) {
            const size_t at = (size_t)(found - l->data);
            return give(l, at, at + 1, text, size);
        }
        l->searched = l->end;
        if (l->ended && (l->begin < l->end || l->skipping))
            return give(l, l->end, l->end, text, size);
        if (l->ended) return LINES_END;
        if (l->end - l->begin > LINES_MAX + 1) { /* a \r may be one of them */
            l->skipping = 1;
            l->begin = l->searched = l->end = 0;
        }
        if (!wait && !is_ready(l)) return LINES_NOT_YET;
        if (fill(l)) return LINES_FAILED;
    }
}
