# Targets only call scripts and Meson.
BUILD ?= build

.PHONY: help build check lint format clean

help:
	@echo "make build    compile into $(BUILD)/"
	@echo "make check    install what is needed, compile, run all tests"
	@echo "make format   clang-format in place"
	@echo "make lint     house rules and shellcheck"
	@echo "make clean    remove $(BUILD)/"

$(BUILD)/build.ninja:
	tools/install-deps --build
	meson setup $(BUILD) -Dwerror=true

build: $(BUILD)/build.ninja
	ninja -C $(BUILD)

check:
	tools/install-deps --all
	$(MAKE) build
	tools/check-floors
	tools/run-tests $(BUILD)

lint:
	tools/check-floors
	shellcheck tools/install-deps tools/run-tests .ci/run

format:
	git ls-files '*.c' '*.h' | xargs clang-format -i

clean:
	rm -rf $(BUILD)
