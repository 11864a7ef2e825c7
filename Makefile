# Targets only call scripts and Meson.
BUILD ?= build
ROUNDS ?= 10
SEED ?=

.PHONY: help demo build check check-long check-recovery check-nested bench install lint format clean

help:
	@echo "make demo            install what is needed, compile, show a cluster of three hosts with real guests"
	@echo "make check           install what is needed, compile, run all tests (under 10 minutes)"
	@echo "make check-long      the longer suites: kills, power cuts, faults, sanitizers, fuzzing"
	@echo "make check-recovery  kill programs in a loop: ROUNDS=n SEED=s"
	@echo "make check-nested    cgroup v2, KVM and systemd: a Debian guest with all of it (about 15 minutes)"
	@echo "make build           compile into $(BUILD)/"
	@echo "make bench           print figures, each beside what it is compared with"
	@echo "make install         install programs, as meson install does (DESTDIR)"
	@echo "make format          clang-format in place"
	@echo "make lint            house rules, formatting, shellcheck"
	@echo "make clean           remove $(BUILD)/"

$(BUILD)/build.ninja:
	tools/install-deps --build
	meson setup $(BUILD) -Dwerror=true

build: $(BUILD)/build.ninja
	ninja -C $(BUILD)

demo:
	tools/install-deps --build --run
	$(MAKE) build
	tools/demo $(BUILD)

check:
	tools/install-deps --all
	$(MAKE) build
	tools/lint
	tools/run-tests $(BUILD)

check-long:
	tools/install-deps --all
	$(MAKE) build
	tools/run-long $(BUILD)

check-recovery:
	tools/install-deps --build --run
	$(MAKE) build
	tests/recovery/check_recovery.py $(BUILD) --rounds $(ROUNDS) $(if $(SEED),--seed $(SEED))

check-nested:
	tools/install-deps --all
	$(MAKE) build
	tests/nested/check_nested.py $(BUILD)

bench: build
	tools/bench $(BUILD)

install: build
	meson install -C $(BUILD) --no-rebuild

lint:
	tools/lint

format:
	git ls-files '*.c' '*.h' | xargs clang-format -i

clean:
	rm -rf $(BUILD)
