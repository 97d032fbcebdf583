.PHONY: check test demo up
check test demo up:
	@./run $@
