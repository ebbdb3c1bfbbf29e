liboctet_core_la_SOURCES += graph/graph.h graph/pass.h graph/plan.h
