liboctet_core_la_SOURCES += \
	graph/graph.h graph/graph.c graph/dump.c \
	graph/pass.h graph/pass.c \
	graph/pass_fold_bn.c graph/pass_fuse.c graph/pass_dce.c \
	graph/boundary.h graph/pass_boundary.c \
	graph/mask.h graph/mask.c graph/groups.h graph/groups.c \
	graph/plan.h graph/plan.c graph/plan_slice.c graph/plan_memory.c graph/plan_dump.c graph/watch.c \
	graph/run.c
