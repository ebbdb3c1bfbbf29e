EXTRA_DIST += bench/RESULTS.md bench/first_answer.sh bench/road.sh bench/peers/README.md \
	bench/peers/requirements.txt bench/peers/nets.py bench/peers/bench.py \
	bench/peers/texts.py

bench_models = $(srcdir)/weights/pretrained/mnist_cnn.safetensors \
	$(srcdir)/weights/pretrained/cifar_cnn.safetensors

# Kernels against ref, then whole models, ours and with OpenBLAS' matrix products.
bench: tests/check_kernels$(EXEEXT) octet$(EXEEXT)
	./tests/check_kernels$(EXEEXT) --bench
	for m in $(bench_models); do \
	  ./octet bench $$m --batch 1,64 --threads 1,2 && \
	  ./octet bench $$m --batch 1,64 --threads 1,2 --gemm openblas; done

bench_resnet = $(srcdir)/../shared/weights/resnet50_imagenette.safetensors
peers = PYTHONDONTWRITEBYTECODE=1 peers-venv/bin/python $(srcdir)/bench/peers/bench.py ./octet

# The engines of others, in a Python environment of their own under the build folder.
bench-peers: octet$(EXEEXT)
	test -x peers-venv/bin/python || python3 -m venv peers-venv
	peers-venv/bin/python -m pip install -q -r $(srcdir)/bench/peers/requirements.txt
	$(peers) $(bench_models)
	if test -f $(bench_resnet); then \
	  $(peers) $(bench_resnet) --batch 1,8,16 && \
	  $(peers) $(bench_resnet) --batch 1,8,16 --avx2; fi
.PHONY: bench bench-peers

# Single convolution layers, direct and Winograd: what ops/conv2d_winograd.c's rule was read from.
EXTRA_PROGRAMS += bench/bench_conv
bench_bench_conv_SOURCES = bench/bench_conv.c
CLEANFILES += bench/bench_conv$(EXEEXT)

# Encoders of texts: ms and logits at given lengths; beside other engines, bench/peers/texts.py.
EXTRA_PROGRAMS += bench/bench_text
bench_bench_text_SOURCES = bench/bench_text.c
CLEANFILES += bench/bench_text$(EXEEXT)

# The ranges that calibration methods choose, value by value: the tables of docs/quantization.md.
EXTRA_PROGRAMS += bench/quant_ranges
bench_quant_ranges_SOURCES = bench/quant_ranges.c
CLEANFILES += bench/quant_ranges$(EXEEXT)

# Accuracy of quantized models by method and bits: a table of docs/quantization.md.
EXTRA_PROGRAMS += bench/quant_accuracy
bench_quant_accuracy_SOURCES = tests/quantize_case.h tests/quantize_case.c bench/quant_accuracy.c
CLEANFILES += bench/quant_accuracy$(EXEEXT)
