# What the programs share: options and errors, the job, the feed, output.
noinst_LTLIBRARIES += libprograms.la
libprograms_la_CFLAGS  = $(AM_CFLAGS) $(OCT_LIBS_CFLAGS)
libprograms_la_SOURCES = \
	programs/cli.h programs/cli.c programs/guard.c programs/options.c \
	programs/report.h programs/report.c \
	programs/scores.h programs/scores.c \
	programs/output.h programs/output.c \
	programs/npy.h programs/npy.c programs/npy_read.c \
	programs/labels.h programs/labels.c \
	programs/origin.h programs/origin.c \
	programs/job.h programs/job.c \
	programs/feed.h programs/feed.c \
	programs/lines.h programs/lines.c \
	programs/words.h programs/words.c \
	programs/text_job.h programs/text_job.c \
	programs/answers.h programs/answers.c \
	programs/evaluate.h programs/evaluate.c \
	programs/show.h programs/show.c \
	programs/quant_report.h programs/quant_report.c programs/quant_report_text.c \
	programs/quant_report_json.c programs/quant_report_html.c programs/quant_report_plots.h \
	programs/quant_report_plots.c programs/quant_report_answers.c programs/quant_report_style.c \
	programs/html_plot.h programs/html_plot.c \
	programs/diff_layers.h programs/diff_layers.c \
	programs/change.h programs/change.c \
	programs/measured.h programs/measured.c \
	programs/lint_data.h programs/lint_data.c \
	programs/lint_words.h programs/lint_words.c \
	programs/lint_samples.h programs/lint_samples.c \
	programs/classify.h programs/classify.c \
	programs/peak.h programs/peak.c

bin_PROGRAMS += cnn_infer resnet_infer distilbert_infer octet
cnn_infer_SOURCES = programs/cnn_infer.c
cnn_infer_CFLAGS  = $(AM_CFLAGS) $(OCT_LIBS_CFLAGS)
cnn_infer_LDADD   = libprograms.la $(LDADD)
resnet_infer_SOURCES = programs/resnet_infer.c
resnet_infer_CFLAGS  = $(AM_CFLAGS) $(OCT_LIBS_CFLAGS)
resnet_infer_LDADD   = libprograms.la $(LDADD)
distilbert_infer_SOURCES = programs/distilbert_infer.c
distilbert_infer_CFLAGS  = $(AM_CFLAGS) $(OCT_LIBS_CFLAGS)
distilbert_infer_LDADD   = libprograms.la $(LDADD)
octet_SOURCES = \
	programs/octet.c programs/cmd.h \
	programs/cmd_inspect.c programs/inspect_runs.h programs/inspect_runs.c programs/cmd_eval.c \
	programs/cmd_diff.c programs/diff.h programs/diff_print.c \
	programs/cmd_bench.c programs/bench.h programs/bench.c \
	programs/cmd_compile.c \
	programs/cmd_lint.c \
	programs/cmd_prune.c programs/prune.h programs/prune_repair.c programs/prune_search.c \
	programs/break_even.h programs/break_even.c programs/prune_report.h programs/prune_report.c \
	programs/cmd_quantize.c programs/quantize.h programs/quantize_layers.c \
	programs/quantize_search.c programs/quantize_text.c
octet_CFLAGS  = $(AM_CFLAGS) $(OCT_LIBS_CFLAGS)
octet_LDADD   = libprograms.la $(LDADD)

dist_man_MANS += \
	docs/man/cnn_infer.1 docs/man/resnet_infer.1 docs/man/distilbert_infer.1 docs/man/octet.1 \
	docs/man/octet-inspect.1 \
	docs/man/octet-eval.1 docs/man/octet-diff.1 docs/man/octet-bench.1 \
	docs/man/octet-compile.1 docs/man/octet-lint.1 docs/man/octet-quantize.1 \
	docs/man/octet-prune.1
