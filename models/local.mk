liboctet_all_la_SOURCES += octet.h models/model.h
