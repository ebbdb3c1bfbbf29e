liboctet_core_la_SOURCES += \
	quant/lint.h quant/lint.c quant/lint_private.h quant/lint_input.c quant/lint_readings.c \
	quant/lint_judge.c
