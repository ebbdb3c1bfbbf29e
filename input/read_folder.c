#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>

#include "input/source.h"

/* A folder, as torchvision's ImageFolder lists it: the sub-folders, sorted, are the classes, and
 * a class has the images below its folder, those of each folder sorted, the folders sorted by
 * their paths.  A folder with images of its own is a plain list of them.  Sorting is by bytes,
 * which is by code points.  Links are followed; a folder inside itself is refused. */
enum { MAX_DEPTH = 40 };

int oct_is_image_name(const char *name)
{
    static const char *const ends[] = { ".jpg", ".jpeg", ".png", ".ppm", ".bmp", ".pgm" };
    const size_t n = strlen(name);
    for (size_t i = 0; i < sizeof ends / sizeof *ends; i++) {
        const size_t m = strlen(ends[i]);
        if (n >= m && !strcasecmp(name + n - m, ends[i])) return 1;
    }
    return 0;
}

/* A growing list of strings of strings that the source owns. */
typedef struct strings {
    const char **at;
    size_t n, room;
} strings;

static oct_status strings_add(strings *s, const char *string)
{
    if (string && s->n == s->room) {
        const size_t room = s->room ? 2 * s->room : 64;
        const char **at = realloc(s->at, room * sizeof *at);
        if (!at) string = NULL;
        else s->at = at, s->room = room;
    }
    if (!string) return oct_fail(OCT_ERR_MEMORY, "listing a folder: out of memory");
    s->at[s->n++] = string;
    return OCT_OK;
}

static int by_bytes(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

static void strings_sort(strings *s)
{
    if (s->n) qsort(s->at, s->n, sizeof *s->at, by_bytes);
}

static char *join(oct_source *s, const char *folder, const char *name)
{
    const size_t n = strlen(folder), m = strlen(name);
    const int slash = n > 0 && folder[n - 1] != '/';
    char *path = oct_source_room(s, n + m + 2);
    if (!path) return NULL;
    memcpy(path, folder, n);
    path[n] = '/';
    memcpy(path + n + (size_t)slash, name, m + 1);
    return path;
}

/* The images and the folders in `folder`, as paths, unsorted. */
static oct_status list(oct_source *s, const char *folder, strings *images, strings *folders)
{
    DIR *dir = opendir(folder);
    if (!dir)
        return oct_fail(OCT_ERR_IO, "cannot list the folder %.80s: %s", folder, strerror(errno));
    oct_status status = OCT_OK;
    const struct dirent *entry;
    while (status == OCT_OK && (errno = 0, entry = readdir(dir))) {
        const char *name = entry->d_name;
        if (!strcmp(name, ".") || !strcmp(name, "..")) continue;
        const int image = oct_is_image_name(name);
        if (entry->d_type == DT_REG && !image) continue;
        const char *path = join(s, folder, name);
        struct stat st;
        if (!path) status = oct_fail(OCT_ERR_MEMORY, "listing a folder: out of memory");
        else if (stat(path, &st)) continue; /* a link to nothing */
        else if (S_ISDIR(st.st_mode)) status = strings_add(folders, path);
        else if (S_ISREG(st.st_mode) && image) status = strings_add(images, path);
    }
    if (status == OCT_OK && errno)
        status = oct_fail(OCT_ERR_IO, "cannot list the folder %.80s: %s", folder, strerror(errno));
    closedir(dir);
    return status;
}

/* `folder` and all folders below it to `all`; `above` are the folders it is in. */
typedef struct above {
    const struct above *up;
    dev_t dev;
    ino_t ino;
    int depth;
} above;

static oct_status walk(oct_source *s, const char *folder, const above *up, strings *all)
{
    struct stat st;
    if (stat(folder, &st))
        return oct_fail(OCT_ERR_IO, "cannot list the folder %.80s: %s", folder, strerror(errno));
    const above here = { up, st.st_dev, st.st_ino, up ? up->depth + 1 : 0 };
    for (const above *a = up; a; a = a->up)
        if (a->dev == here.dev && a->ino == here.ino)
            return oct_fail(OCT_ERR_FORMAT, "the folder %.80s is inside itself", folder);
    if (here.depth > MAX_DEPTH)
        return oct_fail(OCT_ERR_UNSUPPORTED, "the folder %.80s is over %d deep", folder, MAX_DEPTH);
    OCT_TRY(strings_add(all, folder));
    strings images = { 0 }, folders = { 0 };
    oct_status status = list(s, folder, &images, &folders);
    for (size_t i = 0; i < folders.n && status == OCT_OK; i++)
        status = walk(s, folders.at[i], &here, all);
    free(images.at);
    free(folders.at);
    return status;
}

/* The images below a class's folder, in order, to `out`. */
static oct_status list_class(oct_source *s, const char *folder, strings *out)
{
    strings all = { 0 };
    oct_status status = walk(s, folder, NULL, &all);
    strings_sort(&all);
    for (size_t i = 0; i < all.n && status == OCT_OK; i++) {
        strings images = { 0 }, folders = { 0 };
        status = list(s, all.at[i], &images, &folders);
        strings_sort(&images);
        for (size_t k = 0; k < images.n && status == OCT_OK; k++)
            status = strings_add(out, images.at[k]);
        free(images.at);
        free(folders.at);
    }
    free(all.at);
    return status;
}

static oct_status take_files(oct_source *s, const strings *files)
{
    if (files->n > INT_MAX) return oct_fail(OCT_ERR_UNSUPPORTED, "%zu images", files->n);
    s->layout = OCT_IN_FILES;
    s->file = oct_arena_alloc(&s->arena, files->n * sizeof *s->file);
    if (!s->file) return oct_fail(OCT_ERR_MEMORY, "out of memory");
    memcpy(s->file, files->at, files->n * sizeof *s->file);
    s->n = (int)files->n;
    return OCT_OK;
}

static const char *base_name(const char *path) { return strrchr(path, '/') + 1; }

/* end[k]: how many images classes 0..k have. */
static oct_status take_classes(oct_source *s, const strings *classes, const strings *files,
                               const size_t *end)
{
    for (size_t k = 0; k < classes->n; k++)
        if (end[k] == (k ? end[k - 1] : 0))
            return oct_fail(OCT_ERR_FORMAT, "class %.80s: no image (.jpg .jpeg .png .ppm .bmp "
                            ".pgm) in its folder", base_name(classes->at[k]));
    OCT_TRY(take_files(s, files));
    s->kind = OCT_SOURCE_IMAGEFOLDER;
    s->classes = (int)classes->n;
    s->label = oct_arena_alloc(&s->arena, files->n * sizeof *s->label);
    s->class_name = oct_arena_alloc(&s->arena, classes->n * sizeof *s->class_name);
    if (!s->label || !s->class_name) return oct_fail(OCT_ERR_MEMORY, "out of memory");
    size_t i = 0;
    for (size_t k = 0; k < classes->n; k++) {
        s->class_name[k] = base_name(classes->at[k]);
        for (; i < end[k]; i++) s->label[i] = (int)k;
    }
    return OCT_OK;
}

/* own: the images of the folder itself. */
static oct_status take(oct_source *s, strings *own, strings *classes, strings *files, size_t *end)
{
    for (size_t k = 0; k < classes->n; k++) {
        OCT_TRY(list_class(s, classes->at[k], files));
        end[k] = files->n;
    }
    if (own->n && files->n)
        return oct_fail(OCT_ERR_FORMAT, "both images (%.40s) and sub-folders with images (%.40s): "
                        "name the one or the other", base_name(own->at[0]), files->at[0]);
    if (files->n) return take_classes(s, classes, files, end);
    if (!own->n)
        return oct_fail(OCT_ERR_FORMAT, "no image (.jpg .jpeg .png .ppm .bmp .pgm) in this folder");
    strings_sort(own);
    s->kind = OCT_SOURCE_IMAGES;
    return take_files(s, own);
}

oct_status oct_read_folder(oct_source *s)
{
    strings own = { 0 }, classes = { 0 }, files = { 0 };
    oct_status status = list(s, s->path, &own, &classes);
    strings_sort(&classes);
    size_t *end = malloc((classes.n + 1) * sizeof *end);
    if (status == OCT_OK && !end) status = oct_fail(OCT_ERR_MEMORY, "out of memory");
    if (status == OCT_OK) status = take(s, &own, &classes, &files, end);
    free(end);
    free(own.at);
    free(classes.at);
    free(files.at);
    return status;
}
