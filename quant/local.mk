liboctet_core_la_SOURCES += \
	quant/lint.h quant/lint.c quant/lint_private.h quant/lint_input.c quant/lint_readings.c \
	quant/lint_judge.c quant/lint_sentence.c quant/lint_hash.c \
	quant/lint_texts.h quant/lint_texts.c \
	quant/qparams.h quant/qparams.c \
	quant/observer.h quant/observer.c quant/observer_kl.c quant/observer_mse.c \
	quant/means.h quant/means.c \
	quant/bias.h quant/bias.c quant/ln.h \
	quant/extremes.h quant/extremes.c quant/smooth.h quant/smooth.c \
	quant/calibrate.h quant/calibrate.c
liboctet_core_la_SOURCES += \
	quant/product.h quant/product.c quant/normal.h quant/normal.c quant/solve.h quant/solve.c \
	quant/replay.h quant/replay.c quant/rows.h quant/rows.c \
	quant/repair.h quant/repair.c
liboctet_core_la_SOURCES += \
	quant/layer.h quant/layer.c quant/table.h quant/table.c \
	quant/pass_quantize.h quant/pass_quantize.c quant/pass_dynamic.h quant/pass_dynamic.c
