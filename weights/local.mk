liboctet_all_la_SOURCES += \
	weights/weights.h weights/weights.c \
	weights/file.h weights/file.c weights/json.h weights/json.c \
	weights/names.c weights/blocks.c weights/scales.c weights/data.c weights/map.c \
	weights/slab.h weights/slab.c \
	weights/safetensors.c weights/save.c \
	weights/pickle.h weights/pickle.c weights/pickle_build.h weights/pickle_build.c \
	weights/pth.h weights/pth.c weights/pth_zip.c weights/pth_legacy.c \
	weights/archive.h weights/archive.c \
	weights/sha256.h weights/sha256.c

EXTRA_DIST += weights/pretrained
