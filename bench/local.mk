bench:
.PHONY: bench
