liboctet_all_la_SOURCES += \
	input/input.h input/recipe.h input/recipe.c \
	input/image.h input/image.c input/image_jpeg.c input/image_png.c \
	input/image_bmp.h input/image_bmp.c input/image_bmp_rle.c input/image_ppm.c \
	input/resize.c input/crop.c \
	input/file.h input/file.c input/source.h input/source.c \
	input/read_folder.c input/read_idx.c input/read_cifar.c input/read_tsv.c input/read_npy.c \
	input/loader.c \
	input/wordpiece.h input/wordpiece.c input/wordpiece_open.c \
	input/vocab.h input/vocab.c input/vocab_json.c input/tokenizer_config.c \
	input/json_scan.h input/json_scan.c \
	input/unicode_bert.h input/unicode_bert.c input/unicode_bert_table.h
