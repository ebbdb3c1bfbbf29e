EXTRA_DIST += bench/RESULTS.md bench/first_answer.sh bench/road.sh bench/cuda.sh \
	bench/cuda_kit.sh bench/dequantize.py \
	bench/peers/torch_cuda.py bench/peers/README.md \
	bench/peers/requirements.txt bench/peers/nets.py bench/peers/bench.py bench/peers/quant.py \
	bench/peers/no_amx.py bench/peers/texts.py bench/peers/dynamic.py bench/peers/attention_int8.py

bench_models = $(srcdir)/weights/pretrained/mnist_cnn.safetensors \
	$(srcdir)/weights/pretrained/cifar_cnn.safetensors

# Kernels against ref, then whole models, ours and with OpenBLAS' matrix products.
bench: tests/check_kernels$(EXEEXT) octet$(EXEEXT)
	./tests/check_kernels$(EXEEXT) --bench
	for m in $(bench_models); do \
	  ./octet bench $$m --batch 1,64 --threads 1,2 && \
	  ./octet bench $$m --batch 1,64 --threads 1,2 --gemm openblas; done

bench_resnet = $(srcdir)/../shared/weights/resnet50_imagenette.safetensors
peers_bench = PYTHONDONTWRITEBYTECODE=1 peers-venv/bin/python $(srcdir)/bench/peers/bench.py
peers = $(peers_bench) ./octet
peers_int8 = $(peers_bench) ./bench/bench_quantized$(EXEEXT)
peers_texts = PYTHONDONTWRITEBYTECODE=1 peers-venv/bin/python $(srcdir)/bench/peers/texts.py \
	./bench/bench_text$(EXEEXT) --models distilbert
bench_data = $(srcdir)/../shared/data

# The engines of others, in a Python environment of their own under the build folder.
bench-peers: octet$(EXEEXT) bench/bench_text$(EXEEXT)
	test -x peers-venv/bin/python || python3 -m venv peers-venv
	peers-venv/bin/python -m pip install -q -r $(srcdir)/bench/peers/requirements.txt
	$(peers) $(bench_models)
	if test -f $(bench_resnet); then \
	  $(peers) $(bench_resnet) --batch 1,8,16 && \
	  $(peers) $(bench_resnet) --batch 1,8,16 --avx2; fi
	$(peers_texts)

# INT8: everyone calibrates on the same 200 samples; on AVX-512 VNNI, on AVX2, and with AMX allowed.
bench-peers-int8: bench/bench_quantized$(EXEEXT) octet$(EXEEXT) bench/bench_text$(EXEEXT)
	test -x peers-venv/bin/python || python3 -m venv peers-venv
	peers-venv/bin/python -m pip install -q -r $(srcdir)/bench/peers/requirements.txt
	$(peers_int8) $(bench_resnet) --int8 $(bench_data)/imagenette/calib --batch 1,8,16
	$(peers_int8) $(bench_resnet) --int8 $(bench_data)/imagenette/calib --batch 1,8,16 --avx2
	$(peers_int8) $(bench_resnet) --int8 $(bench_data)/imagenette/calib --batch 1,8,16 --amx
	$(peers_int8) $(srcdir)/weights/pretrained/cifar_cnn.safetensors \
	  --int8 $(bench_data)/cifar10/calib_500.bin
	$(peers_int8) $(srcdir)/weights/pretrained/mnist_cnn.safetensors \
	  --int8 $(bench_data)/mnist/train-images-idx3-ubyte.gz
	$(peers_texts) --int8 ./octet$(EXEEXT)
	$(peers_texts) --int8 ./octet$(EXEEXT) --avx2
	$(peers_texts) --int8 ./octet$(EXEEXT) --batches $(bench_data)/sst2/dev.tsv \
	  --words $(bench_data)/../weights/distilbert_sst2
.PHONY: bench bench-peers bench-peers-int8

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

# FP32 against activations quantized at run time: a model, or DistilBERT's linear layers.
EXTRA_PROGRAMS += bench/bench_dynamic
bench_bench_dynamic_SOURCES = bench/bench_dynamic.c
CLEANFILES += bench/bench_dynamic$(EXEEXT)

# What attention would cost in integers.
EXTRA_PROGRAMS += bench/bench_attention
bench_bench_attention_SOURCES = bench/bench_attention.c
CLEANFILES += bench/bench_attention$(EXEEXT)

# Token ids beside Hugging Face's: bench/wordpiece.py.
EXTRA_PROGRAMS += bench/wordpiece
bench_wordpiece_SOURCES = bench/wordpiece.c
EXTRA_DIST += bench/wordpiece.py
CLEANFILES += bench/wordpiece$(EXEEXT)

# FP32 and INT8 side by side, in all and layer by layer; what bench/peers/bench.py asks.
EXTRA_PROGRAMS += bench/bench_quantized
bench_bench_quantized_SOURCES = tests/quantize_case.h tests/quantize_case.c bench/bench_quantized.c
CLEANFILES += bench/bench_quantized$(EXEEXT)

# As octet.sparse has it against all dense: what bench/sparse.sh asks.
EXTRA_DIST += bench/sparse.sh
EXTRA_PROGRAMS += bench/bench_sparse
bench_bench_sparse_SOURCES = bench/bench_sparse.c
CLEANFILES += bench/bench_sparse$(EXEEXT)
