#ifndef OCT_TESTS_SOURCES_H
#define OCT_TESTS_SOURCES_H

#include "input/input.h"
#include "tests/files.h"

/* What the tests of oct_source share: a folder of scratch files around each test. */
static char folder[64], path[4400];

static inline const char *in_folder(const char *name)
{
    snprintf(path, sizeof path, "%s/%s", folder, name);
    return path;
}

static inline void setup(void) { snprintf(folder, sizeof folder, "%s", scratch_folder()); }

static inline void teardown(void)
{
    char command[160];
    snprintf(command, sizeof command, "rm -rf '%s'", folder);
    ck_assert_int_eq(system(command), 0);
}

static inline oct_source *open_ok(const char *p)
{
    oct_source *s = NULL;
    ck_assert_msg(oct_source_open(p, &s) == OCT_OK, "%s: %s", p, oct_last_error());
    return s;
}

static inline void refuse(const char *p, const char *why)
{
    oct_source *s = NULL;
    const oct_status status = oct_source_open(p, &s);
    ck_assert_msg(status != OCT_OK && !s, "%s was not refused", p);
    ck_assert_msg(strstr(oct_last_error(), why), "%s: \"%s\" without \"%s\"", p, oct_last_error(),
                  why);
}

static const oct_recipe gray = { .channels = 1, .filter = OCT_BILINEAR, .scale = 1 };
static const oct_recipe color = { .channels = 3, .filter = OCT_BILINEAR, .scale = 1 };

#endif
