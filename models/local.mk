liboctet_all_la_SOURCES += \
	octet.h models/model.h models/model.c \
	models/metadata.h models/metadata.c \
	models/layers.h models/layers.c \
	models/build.h models/build.c models/eager.h models/eager.c \
	models/cnn.c models/cnn_input.h models/cnn_input.c \
	models/cifar_resnet.c models/resnet.c \
	models/quantized.h models/quantized.c models/quantized_info.c \
	models/quantizer.h models/quantizer.c \
	models/save_meta.h models/save_meta.c models/sparse.h models/sparse.c \
	models/prune.h models/prune.c models/prune_channels.h models/prune_channels.c \
	models/prune_repair.h models/prune_repair.c \
	models/ranges.h models/ranges.c models/vocab_tensor.h models/vocab_tensor.c \
	models/encoder.h models/encoder.c models/encoder_config.c models/encoder_input.c \
	models/distilbert.c models/bert.c \
	models/compiled.h models/compiled_read.c models/compiled_save.c models/compiled_texts.c \
	models/openblas.h models/openblas.c models/backends.h models/backends.c
