liboctet_all_la_SOURCES += weights/weights.h weights/sha256.h
