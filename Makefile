# What people, packagers and CI run; `make help` lists it. Most of it is done by `cargo xtask`, which
# reads variables (`make fuzz SECONDS_EACH=5`) from the environment.

CARGO ?= cargo
INSTALL ?= install
STRIP ?= strip

# Where `make install` puts the library, under DESTDIR.
PREFIX ?= /usr/local
LIBDIR ?= $(PREFIX)/lib
INCLUDEDIR ?= $(PREFIX)/include
DATADIR ?= $(PREFIX)/share
CMAKEDIR := $(DATADIR)/cmake/vsched

# Where `make lib` leaves it, with the file names it is installed under.
LIB := target/capi/$(if $(CARGO_BUILD_TARGET),$(CARGO_BUILD_TARGET)/)lib
-include $(LIB)/names.mk

HEADERS := vsched.h vsched.hpp vsched-ffi.h
CMAKE_FILES := $(notdir $(wildcard packaging/cmake/*.cmake))
# Below PREFIX where they can be, so that an installed tree can be moved.
PC_LIBDIR = $(patsubst $(PREFIX)/%,$${prefix}/%,$(LIBDIR))
PC_INCLUDEDIR = $(patsubst $(PREFIX)/%,$${prefix}/%,$(INCLUDEDIR))

TASKS := help lib test quick bench doc run picture deps spelling deny package schema api api-check semver header abi test-ffi \
	test-c-examples hosts-nginx hosts-test test-packaging test-portable tsan hot-path cost baseline msrv targets fuzz fuzz-short mutants soak kernel-soak \
	kernel-newer bench-quick bench-doc bench-check bench-schedulers bench-rules bench-ticks bench-kernel bench-director \
	bench-tower bench-pingora

.DEFAULT_GOAL := help
.PHONY: $(TASKS) install install-strip uninstall built linker

help:
	@$(CARGO) xtask $@

test: linker
	$(CARGO) xtask $@

$(filter-out help test,$(TASKS)):
	$(CARGO) xtask $@

# The other packages that are missing are installed by `cargo xtask`, which itself needs this one.
linker:
	@command -v cc > /dev/null || { apt-get update && \
		apt-get install -y --no-install-recommends gcc libc6-dev; }

# No `make lib` from here: root, who installs, need not have Rust.
built:
	@test -n "$(LIBRARY)" || { echo "no library in $(LIB): make lib first" >&2; exit 1; }

install: built
	$(INSTALL) -d $(DESTDIR)$(INCLUDEDIR) $(DESTDIR)$(LIBDIR)/pkgconfig $(DESTDIR)$(CMAKEDIR)
	$(INSTALL) -m 644 $(HEADERS:%=include/%) $(DESTDIR)$(INCLUDEDIR)
	$(INSTALL) -m 755 $(LIB)/$(SONAME) $(DESTDIR)$(LIBDIR)/$(LIBRARY)
	ln -sf $(LIBRARY) $(DESTDIR)$(LIBDIR)/$(SONAME)
	ln -sf $(LIBRARY) $(DESTDIR)$(LIBDIR)/libvsched.so
	$(INSTALL) -m 644 $(LIB)/libvsched.a $(DESTDIR)$(LIBDIR)
	sed -e 's|@PREFIX@|$(PREFIX)|' -e 's|@LIBDIR@|$(PC_LIBDIR)|' \
		-e 's|@INCLUDEDIR@|$(PC_INCLUDEDIR)|' \
		$(LIB)/vsched.pc.in > $(DESTDIR)$(LIBDIR)/pkgconfig/vsched.pc
	$(INSTALL) -m 644 $(CMAKE_FILES:%=packaging/cmake/%) $(DESTDIR)$(CMAKEDIR)
	sed -e 's|^set(vsched_libdirs|& "$(LIBDIR:$(PREFIX)/%=%)"|' \
		-e 's|^set(vsched_includedirs|& "$(INCLUDEDIR:$(PREFIX)/%=%)"|' \
		packaging/cmake/vsched-place.cmake > $(DESTDIR)$(CMAKEDIR)/vsched-place.cmake
	chmod 644 $(DESTDIR)$(LIBDIR)/pkgconfig/vsched.pc $(DESTDIR)$(CMAKEDIR)/vsched-place.cmake

install-strip: install
	$(STRIP) --strip-unneeded $(DESTDIR)$(LIBDIR)/$(LIBRARY)
	$(STRIP) --strip-debug $(DESTDIR)$(LIBDIR)/libvsched.a

uninstall: built
	rm -f $(HEADERS:%=$(DESTDIR)$(INCLUDEDIR)/%) $(CMAKE_FILES:%=$(DESTDIR)$(CMAKEDIR)/%) \
		$(DESTDIR)$(LIBDIR)/$(LIBRARY) $(DESTDIR)$(LIBDIR)/$(SONAME) \
		$(DESTDIR)$(LIBDIR)/libvsched.so $(DESTDIR)$(LIBDIR)/libvsched.a \
		$(DESTDIR)$(LIBDIR)/pkgconfig/vsched.pc
	test ! -d $(DESTDIR)$(CMAKEDIR) || rmdir --ignore-fail-on-non-empty $(DESTDIR)$(CMAKEDIR)
