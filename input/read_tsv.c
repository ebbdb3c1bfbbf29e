#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "input/file.h"
#include "input/source.h"

/* A list of images: a line each, "path<TAB>label" or only "path"; relative paths are relative to
 * the list.  The first line may be a header: then its label is no number, or, without labels, it
 * is not a file.  A label is a whole number.  Lists of text<TAB>label are told apart and refused.
 *
 * A list of texts: a line each, "text<TAB>label" or only "text".  Only a labelled one can have a
 * header. */
enum { MAX_LABEL = 999999 };

typedef struct list {
    char *next, *end;    /* the lines not read yet */
    int line;            /* number of the last one read, from 1 */
    char *path, *label;  /* of the last one; label NULL: no tab */
    int texts;           /* path is a text, which may have tabs: the last one counts */
} list;

/* The next line that is not empty, cut at its tab; 0: there is none. */
static int next_line(list *l)
{
    while (l->next < l->end) {
        char *line = l->next, *stop = memchr(line, '\n', (size_t)(l->end - line));
        if (!stop) stop = l->end;
        l->next = stop + 1;
        l->line++;
        if (stop > line && stop[-1] == '\r') stop--;
        *stop = 0;
        if (stop == line) continue;
        l->path = line;
        l->label = l->texts ? strrchr(line, '\t') : strchr(line, '\t');
        if (l->label) *l->label++ = 0;
        return 1;
    }
    return 0;
}

/* A whole number 0..MAX_LABEL, blanks around it; -1: something else. */
static int to_label(const char *s)
{
    while (*s == ' ') s++;
    if (*s < '0' || *s > '9') return -1;
    long v = 0;
    for (; *s >= '0' && *s <= '9'; s++) {
        v = 10 * v + (*s - '0');
        if (v > MAX_LABEL) return -1;
    }
    while (*s == ' ') s++;
    return *s ? -1 : (int)v;
}

/* Is the last line's first column a path?  By its extension, else by whether it is there. */
static int names_image(const oct_source *s, const list *l)
{
    if (oct_is_image_name(l->path)) return 1;
    struct stat st;
    char full[4096];
    const char *folder = s->folder && l->path[0] != '/' ? s->folder : "";
    const int n = snprintf(full, sizeof full, "%s%s", folder, l->path);
    return n < (int)sizeof full && stat(full, &st) == 0 && S_ISREG(st.st_mode);
}

static oct_status add(oct_source *s, const list *l, int labelled)
{
    if (!l->label != !labelled)
        return oct_fail(OCT_ERR_FORMAT, "line %d: %s, unlike the lines before", l->line,
                        labelled ? "no tab and label" : "a tab and a label");
    if (labelled) {
        const int label = to_label(l->label);
        if (label < 0)
            return oct_fail(OCT_ERR_FORMAT, "line %d: label \"%.40s\" is no whole number from 0 to "
                            "%d", l->line, l->label, MAX_LABEL);
        s->label[s->n] = label;
        if (label >= s->classes) s->classes = label + 1;
    }
    (l->texts ? s->text : s->file)[s->n++] = l->path;
    return OCT_OK;
}

/* What line 1 and 2 say: skip a header, refuse texts. */
static oct_status begin(oct_source *s, list *l, int *more)
{
    *more = next_line(l);
    if (!*more) return oct_fail(OCT_ERR_FORMAT, "the list is empty");
    if (l->label ? to_label(l->label) < 0 : !names_image(s, l)) *more = next_line(l);
    if (!*more) return oct_fail(OCT_ERR_FORMAT, "no line is a path, or a path, a tab and a label");
    if (names_image(s, l)) return OCT_OK;
    if (l->label)
        return oct_fail(OCT_ERR_UNSUPPORTED, "line %d: \"%.40s\" is no image: a list of texts is "
                        "for text models only", l->line, l->path);
    return oct_fail(OCT_ERR_FORMAT, "line %d: \"%.40s\" is no image and no file", l->line, l->path);
}

static oct_status begin_texts(list *l, int *more)
{
    *more = next_line(l);
    if (*more && l->label && to_label(l->label) < 0) *more = next_line(l);
    return *more ? OCT_OK : oct_fail(OCT_ERR_FORMAT, "no text in the list");
}

static oct_status read_lines(oct_source *s, list *l)
{
    int more = 0;
    OCT_TRY(l->texts ? begin_texts(l, &more) : begin(s, l, &more));
    size_t lines = 1;
    for (const char *p = l->next; p < l->end; p++) lines += *p == '\n';
    if (++lines > INT_MAX) return oct_fail(OCT_ERR_UNSUPPORTED, "%zu lines", lines);
    const int labelled = l->label != NULL;
    s->kind = l->texts ? OCT_SOURCE_TEXTS : labelled ? OCT_SOURCE_TSV : OCT_SOURCE_IMAGES;
    s->layout = l->texts ? OCT_IN_TEXTS : OCT_IN_FILES;
    const char **line = oct_arena_alloc(&s->arena, lines * sizeof *line);
    int *label = oct_arena_alloc(&s->arena, lines * sizeof *label);
    if (!line || !label) return oct_fail(OCT_ERR_MEMORY, "out of memory");
    if (l->texts) s->text = line;
    else s->file = line;
    if (labelled) s->label = label;
    for (; more; more = next_line(l)) OCT_TRY(add(s, l, labelled));
    return OCT_OK;
}

/* The bytes stay the source's: its lines, cut in place, are the names or the texts. */
static oct_status read_bytes(oct_source *s, int texts)
{
    OCT_TRY(oct_file_read_all(s->path, &s->bytes, &s->size));
    if (memchr(s->bytes, 0, s->size)) return oct_fail(OCT_ERR_FORMAT, "a zero byte in a list");
    const int bom = s->size >= 3 && !memcmp(s->bytes, "\xef\xbb\xbf", 3) ? 3 : 0;
    list l = { .next = (char *)s->bytes + bom, .end = (char *)s->bytes + s->size, .texts = texts };
    return read_lines(s, &l);
}

oct_status oct_read_texts(oct_source *s) { return read_bytes(s, 1); }

oct_status oct_read_tsv(oct_source *s)
{
    const char *slash = strrchr(s->path, '/');
    if (slash) {
        const size_t n = (size_t)(slash + 1 - s->path);
        char *folder = oct_source_room(s, n + 1);
        if (!folder) return oct_fail(OCT_ERR_MEMORY, "out of memory");
        memcpy(folder, s->path, n);
        folder[n] = 0;
        s->folder = folder;
    }
    return read_bytes(s, 0);
}
