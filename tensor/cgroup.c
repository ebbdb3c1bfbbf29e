#include "config.h" /* getline */

#include "tensor/cgroup.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { PATH_SIZE = 4096 };

/* One line of /proc/self/mountinfo, as far as we need it; the strings lie in the line. */
typedef struct mount {
    char *root;    /* the group that is mounted there: "/", or a container's own */
    char *point;   /* where */
    char *type;    /* "cgroup2" or "cgroup" */
    char *options; /* of the file system; the controllers of a "cgroup" */
} mount;

static FILE *open_in(const char *root, const char *path)
{
    char full[PATH_SIZE];
    const int n = snprintf(full, sizeof full, "%s%s", root, path);
    return n > 0 && n < PATH_SIZE ? fopen(full, "re") : NULL;
}

/* One line without its end, in *line, which getline grows; 0 at the end. */
static int next_line(FILE *f, char **line, size_t *size)
{
    const ssize_t n = getline(line, size, f);
    if (n <= 0) return 0;
    if ((*line)[n - 1] == '\n') (*line)[n - 1] = 0;
    return 1;
}

/* Is name one of the comma-separated words of list? */
static int listed(const char *list, const char *name)
{
    const size_t n = strlen(name);
    for (const char *p = list; p; p = strchr(p, ','), p = p ? p + 1 : NULL)
        if (strncmp(p, name, n) == 0 && (p[n] == ',' || p[n] == 0)) return 1;
    return 0;
}

/* mountinfo writes blanks, tabs, newlines and backslashes as \ and three octal digits. */
static void unescape(char *s)
{
    char *out = s;
    for (; *s; s++) {
        const int octal = s[0] == '\\' && strspn(s + 1, "01234567") >= 3;
        *out++ = octal ? (char)(((s[1] - '0') * 8 + s[2] - '0') * 8 + s[3] - '0') : *s;
        if (octal) s += 3;
    }
    *out = 0;
}

/* "36 35 98:0 /root /point rw,noatime master:1 - cgroup cgroup rw,cpu" */
static int parse_mount(char *line, mount *m)
{
    char *tail = strstr(line, " - ");
    if (!tail) return 0;
    *tail = 0;
    char *save, *word = strtok_r(line, " ", &save);
    for (int i = 0; word && i < 3; i++) word = strtok_r(NULL, " ", &save);
    m->root = word;
    m->point = word ? strtok_r(NULL, " ", &save) : NULL;
    m->type = strtok_r(tail + 3, " ", &save);
    strtok_r(NULL, " ", &save); /* the source */
    m->options = strtok_r(NULL, " ", &save);
    if (!m->point || !m->options) return 0;
    unescape(m->root);
    unescape(m->point);
    return 1;
}

/* CPUs of quota microseconds in every period; 0 for no limit (v1 writes -1). */
static int cpus(long long quota, long long period)
{
    if (quota <= 0 || period <= 0) return 0;
    const long long n = quota / period + (quota % period != 0);
    return n < INT_MAX ? (int)n : INT_MAX;
}

static long long read_number(const char *root, const char *dir, const char *name)
{
    char path[PATH_SIZE];
    if (snprintf(path, sizeof path, "%s/%s", dir, name) >= PATH_SIZE) return 0;
    FILE *f = open_in(root, path);
    long long n = 0;
    if (!f) return 0;
    if (fscanf(f, "%lld", &n) != 1) n = 0;
    fclose(f);
    return n;
}

/* The limit of one group, 0 if it has none. */
static int limit_of(const char *root, const char *dir, int v2)
{
    if (!v2)
        return cpus(read_number(root, dir, "cpu.cfs_quota_us"),
                    read_number(root, dir, "cpu.cfs_period_us"));
    char path[PATH_SIZE];
    if (snprintf(path, sizeof path, "%s/cpu.max", dir) >= PATH_SIZE) return 0;
    FILE *f = open_in(root, path);
    if (!f) return 0;
    long long quota, period;
    const int fields = fscanf(f, "%lld %lld", &quota, &period); /* "max 100000" has none */
    fclose(f);
    return fields == 2 ? cpus(quota, period) : 0;
}

static int lesser(int a, int b) { return a && (!b || a < b) ? a : b; }

/* The least limit from group `path` up to the mount.  A path outside what is mounted (another
 * namespace's) says nothing about where we are below the mount: then the mount itself counts. */
static int walk(const char *root, const mount *m, const char *path, int v2)
{
    const size_t skip = strcmp(m->root, "/") == 0 ? 0 : strlen(m->root);
    const int inside = strncmp(path, m->root, skip) == 0 && (path[skip] == '/' || !path[skip]);
    char dir[PATH_SIZE];
    const size_t top = strlen(m->point);
    const int n = snprintf(dir, sizeof dir, "%s%s", m->point, inside ? path + skip : "");
    if (n < 0 || n >= PATH_SIZE || strstr(path, "/..")) return 0;
    int least = 0;
    for (;;) {
        least = lesser(limit_of(root, dir, v2), least);
        char *slash = strrchr(dir, '/');
        if (!slash || slash < dir + top) return least;
        *slash = 0;
    }
}

/* The limit of the hierarchy that one line of /proc/self/cgroup names: "0::/path" is version 2,
 * "4:cpu,cpuacct:/path" version 1. */
static int limit_of_line(const char *root, char *line)
{
    char *controllers = strchr(line, ':'), *path;
    if (!controllers || !(path = strchr(controllers + 1, ':'))) return 0;
    *controllers++ = *path++ = 0;
    const int v2 = !*controllers;
    if (!v2 && !listed(controllers, "cpu")) return 0;
    FILE *f = open_in(root, "/proc/self/mountinfo");
    if (!f) return 0;
    char *text = NULL;
    size_t size = 0;
    int least = 0;
    while (next_line(f, &text, &size)) {
        mount m;
        if (!parse_mount(text, &m)) continue;
        if (v2 ? strcmp(m.type, "cgroup2") != 0
               : strcmp(m.type, "cgroup") != 0 || !listed(m.options, "cpu")) continue;
        least = lesser(walk(root, &m, path, v2), least);
    }
    free(text);
    fclose(f);
    return least;
}

int oct_cgroup_cpus(const char *root)
{
    FILE *f = open_in(root, "/proc/self/cgroup");
    if (!f) return 0;
    char *line = NULL;
    size_t size = 0;
    int least = 0;
    while (next_line(f, &line, &size)) least = lesser(limit_of_line(root, line), least);
    free(line);
    fclose(f);
    return least;
}
