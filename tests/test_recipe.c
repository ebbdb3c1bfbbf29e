/* The preprocessing recipe: JSON to struct and back. */
#include "input/recipe.h"
#include "tests/suite.h"

#include <string.h>

static void comes_back(const char *json, const char *canonical)
{
    oct_recipe r;
    oct_arena arena = { 0 };
    char *text;
    ck_assert_msg(oct_recipe_parse(json, &r) == OCT_OK, "%s: %s", json, oct_last_error());
    ck_assert_int_eq(oct_recipe_write(&r, &arena, &text), OCT_OK);
    ck_assert_str_eq(text, canonical);
    ck_assert_int_eq(oct_recipe_parse(text, &r), OCT_OK);
    ck_assert_int_eq(oct_recipe_write(&r, &arena, &text), OCT_OK);
    ck_assert_str_eq(text, canonical);
    oct_arena_free(&arena);
}

START_TEST(canonical)
{
    static const char mnist[] =
        "{\"channels\":\"L\",\"mean\":[0.1307],\"scale\":0.00392156862745098,\"std\":[0.3081],"
        "\"type\":\"image\"}";
    static const char imagenet[] =
        "{\"antialias\":true,\"channels\":\"RGB\",\"crop\":224,\"filter\":\"bilinear\","
        "\"mean\":[0.485,0.456,0.406],\"resize\":256,\"scale\":0.00392156862745098,"
        "\"std\":[0.229,0.224,0.225],\"type\":\"image\"}";
    comes_back(mnist, mnist);
    comes_back(imagenet, imagenet);
    comes_back("{}", "{\"channels\":\"RGB\",\"scale\":0.00392156862745098,\"type\":\"image\"}");
    comes_back(" { \"resize\" : [232], \"crop\":[224,200],\"filter\":\"bicubic\", \"scale\":1,"
               "\"channels\":\"BGR\", \"antialias\":false,\"mean\":0.5 }",
               "{\"antialias\":false,\"channels\":\"BGR\",\"crop\":[224,200],"
               "\"filter\":\"bicubic\",\"mean\":[0.5],\"resize\":232,\"scale\":1,"
               "\"type\":\"image\"}");
    comes_back("{\"resize\":[7,7],\"crop\":[5,5],\"mean\":[1e-7,-0.1,123456.789]}",
               "{\"antialias\":true,\"channels\":\"RGB\",\"crop\":5,\"filter\":\"bilinear\","
               "\"mean\":[1e-07,-0.1,123456.789],\"resize\":[7,7],\"scale\":0.00392156862745098,"
               "\"type\":\"image\"}");
    comes_back("{\"filter\":\"lanczos\"}",
               "{\"antialias\":true,\"channels\":\"RGB\",\"filter\":\"lanczos\","
               "\"scale\":0.00392156862745098,\"type\":\"image\"}");
    comes_back("{\"type\":\"text\"}", "{\"lowercase\":true,\"max_length\":512,\"type\":\"text\"}");
    comes_back("{\"type\":\"text\",\"max_length\":128,\"lowercase\":false}",
               "{\"lowercase\":false,\"max_length\":128,\"type\":\"text\"}");
    comes_back("{\"type\":\"text\",\"tokenize_chinese_chars\":false,\"strip_accents\":true}",
               "{\"lowercase\":true,\"max_length\":512,\"strip_accents\":true,"
               "\"tokenize_chinese_chars\":false,\"type\":\"text\"}");
    comes_back("{\"type\":\"text\",\"tokenize_chinese_chars\":true,\"strip_accents\":false}",
               "{\"lowercase\":true,\"max_length\":512,\"strip_accents\":false,"
               "\"type\":\"text\"}");
}
END_TEST

START_TEST(values)
{
    oct_recipe r;
    ck_assert_int_eq(oct_recipe_parse("{\"resize\":256,\"crop\":224,\"channels\":\"L\","
                                      "\"std\":[0.25]}", &r), OCT_OK);
    ck_assert(r.resize[0] == 256 && r.resize[1] == 0 && r.crop[0] == 224 && r.crop[1] == 224);
    ck_assert(r.channels == 1 && !r.bgr && r.n_mean == 0 && r.n_std == 1 && r.std[0] == 0.25);
    ck_assert(r.filter == OCT_BILINEAR && r.antialias == 1 && r.scale == 1.0 / 255);
    ck_assert_int_eq(oct_recipe_parse("{\"resize\":[240,320]}", &r), OCT_OK);
    ck_assert(r.resize[0] == 240 && r.resize[1] == 320 && r.crop[0] == 0);
}
END_TEST

START_TEST(refusals)
{
    static const struct { const char *json, *why; } cases[] = {
        { "", "recipe" }, { "[]", "object" }, { "{\"type\":\"image\"", "recipe" },
        { "{\"type\":\"sound\"}", "\"type\" is not image or text" },
        { "{\"sharpen\":1}", "unknown key \"sharpen\" for an image" },
        { "{\"lowercase\":true}", "unknown key \"lowercase\" for an image" },
        { "{\"type\":\"text\",\"crop\":3}", "unknown key \"crop\" for text" },
        { "{\"crop\":3,\"crop\":4}", "duplicate" }, { "{\"channels\":\"RGBA\"}", "channels" },
        { "{\"channels\":3}", "channels" }, { "{\"filter\":\"hamming\"}", "filter" },
        { "{\"resize\":0}", "resize" }, { "{\"resize\":-5}", "resize" },
        { "{\"resize\":65536}", "resize" }, { "{\"resize\":1.5}", "resize" },
        { "{\"resize\":[]}", "resize" }, { "{\"resize\":[1,2,3]}", "resize" },
        { "{\"resize\":\"256\"}", "resize" }, { "{\"crop\":[4,0]}", "crop" },
        { "{\"scale\":0}", "scale" }, { "{\"scale\":[1]}", "scale" }, { "{\"scale\":-1}", "scale" },
        { "{\"scale\":1e-50}", "scale" }, { "{\"scale\":1e40}", "scale" },
        { "{\"scale\":1e400}", "recipe" }, { "{\"scale\":NaN}", "recipe" },
        { "{\"mean\":[1,2]}", "2 means for 3 channels" }, { "{\"mean\":[]}", "mean" },
        { "{\"channels\":\"L\",\"std\":[1,2,3]}", "3 standard deviations for 1 channels" },
        { "{\"mean\":[1,2,3,4,5]}", "mean" }, { "{\"mean\":[\"1\"]}", "mean" },
        { "{\"std\":[0,1,1]}", "std" }, { "{\"std\":[1e-50,1,1]}", "std" },
        { "{\"antialias\":1}", "antialias" }, { "{\"type\":\"text\",\"max_length\":0}", "max" },
        { "{\"type\":\"text\",\"lowercase\":\"no\"}", "lowercase" },
        { "{\"type\":\"text\",\"strip_accents\":null}", "strip_accents" },
        { "{\"type\":\"text\",\"tokenize_chinese_chars\":1}", "tokenize_chinese_chars" },
        { "{\"type\":\"text\",\"max_length\":1048577}", "max_length" },
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        oct_recipe r;
        ck_assert_msg(oct_recipe_parse(cases[i].json, &r) == OCT_ERR_FORMAT, "%s", cases[i].json);
        ck_assert_msg(strstr(oct_last_error(), cases[i].why), "%s: %s", cases[i].json,
                      oct_last_error());
    }
}
END_TEST

int main(void)
{
    const TTest *const tests[] = { canonical, values, refusals };
    return suite_run("recipe", tests, sizeof tests / sizeof *tests);
}
