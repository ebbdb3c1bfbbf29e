liboctet_core_la_SOURCES += \
	tensor/status.h tensor/status.c \
	tensor/arena.h tensor/arena.c \
	tensor/tensor.h tensor/tensor.c \
	tensor/cpu.h tensor/cpu.c tensor/text.h tensor/text.c \
	tensor/f16.h tensor/inline.h \
	tensor/cgroup.h tensor/cgroup.c \
	tensor/threads.h tensor/threads.c
