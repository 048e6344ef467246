# Thin: everything here is meson underneath. `meson setup build && meson compile -C build &&
# meson test -C build` works by itself once the packages of debian/control are installed.
BUILD ?= build
MESON_OPTIONS ?=
TEST_OPTIONS ?=
export DEBIAN_FRONTEND = noninteractive

.PHONY: all build deps run test bench deb apt-repo system-test install clean help

all: build

help:
	@echo 'make run      build it, boot a demo board here, attach to its REPL (Ctrl-] leaves)'
	@echo 'make test     build and run every test that needs no booted machine'
	@echo 'make system-test  the packages on booted machines, as root  (TIER=container|vm|package|clean|arm|bench, docs/TESTING.md)'
	@echo 'make bench    measure us and the alternatives side by side'
	@echo 'make build    build only           (BUILD=DIR, MESON_OPTIONS=…)'
	@echo 'make deb      Debian packages, into BUILD/deb   (SUITE=bookworm|trixie ARCH=amd64|arm64|armhf)'
	@echo 'make apt-repo a signed repository of them   (REPO=DIR KEY=you@example.org, docs/APT-REPOSITORY.md)'
	@echo 'make install  install to the prefix (DESTDIR=…)'

# Build dependencies are named once, in debian/control.
deps:
	@if ! dpkg-checkbuilddeps -I debian/control 2>/dev/null; then \
		if [ "$$(id -u)" != 0 ]; then \
			echo 'Build dependencies are missing. As root: apt-get build-dep .' >&2; exit 1; \
		fi; \
		set -e; apt-get update -qq; \
		apt-get build-dep -y -qq --no-install-recommends . >/dev/null; \
	fi

$(BUILD)/build.ninja: | deps
	meson setup $(MESON_OPTIONS) $(BUILD)

build: deps $(BUILD)/build.ninja
	@meson compile -C $(BUILD)

run: build
	@docs/demo/run $(BUILD)

test: build
	@/usr/bin/python3 tests/count.py $(BUILD) $(TEST_OPTIONS)

# Installs what it needs, builds the packages, boots containers and virtual machines.
system-test: deps
	@/usr/bin/python3 tests/system/run $(if $(PYTEST_OPTIONS),--pytest '$(PYTEST_OPTIONS)') $(TIER)

bench: build
	@meson test -C $(BUILD) --benchmark --verbose

deb: deps
	@debian/tools/build-deb --output $(BUILD)/deb $(if $(SUITE),--suite $(SUITE)) $(if $(ARCH),--arch $(ARCH))

apt-repo:
	@debian/tools/apt-repo $(if $(CREATE_KEY),--create-key '$(CREATE_KEY)',--key '$(KEY)') \
		--packages $(BUILD)/deb $(or $(REPO),$(BUILD)/apt)

install: build
	@meson install -C $(BUILD)

clean:
	rm -rf $(BUILD)
