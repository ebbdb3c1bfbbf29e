liboctet_all_la_SOURCES += input/input.h input/recipe.h
