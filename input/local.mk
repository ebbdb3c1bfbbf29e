liboctet_all_la_SOURCES += \
	input/input.h input/recipe.h input/recipe.c \
	input/image.h input/image.c input/image_jpeg.c input/image_png.c \
	input/image_bmp.h input/image_bmp.c input/image_bmp_rle.c input/image_ppm.c \
	input/resize.c input/crop.c \
	input/file.h input/file.c input/source.h input/source.c \
	input/read_folder.c input/read_idx.c input/read_cifar.c input/read_tsv.c input/read_npy.c \
	input/loader.c
