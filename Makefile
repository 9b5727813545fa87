# What people and CI run. `make help` lists it.

CARGO ?= cargo
TRACES := tests/data/traces/*.jsonl

# Debian packages that hold what is missing here.
LACKING := $(if $(shell command -v cc),,gcc libc6-dev) $(if $(shell command -v kill),,procps) \
	$(if $(shell command -v valgrind),,valgrind) $(if $(shell command -v python3),,python3) \
	$(if $(shell command -v readelf),,binutils) $(if $(shell command -v pkg-config),,pkg-config) \
	$(if $(shell command -v cmake),,cmake) $(if $(shell command -v cargo-capi),,cargo-c) \
	$(if $(shell command -v g++),,g++) $(if $(shell command -v clang++),,clang) \
	$(if $(wildcard /usr/lib/llvm-*/lib/clang/*/lib/linux/libclang_rt.asan_static*),,libclang-rt-14-dev) \
	$(if $(shell command -v ninja),,ninja-build) $(if $(shell command -v strace),,strace) \
	$(if $(shell command -v wrk),,wrk) $(if $(shell command -v doxygen),,doxygen) \
	$(if $(shell command -v luajit),,luajit) $(if $(shell /usr/bin/python3 -c 'import cffi' 2>&1),python3-cffi)
# Where a kernel can run as a process, its tests must run.
UML := $(filter amd64 i386,$(shell dpkg --print-architecture))
ifneq ($(UML),)
LACKING += $(if $(shell command -v linux.uml),,user-mode-linux) \
	$(if $(shell command -v busybox),,busybox) \
	$(if $(shell PATH=$$PATH:/usr/sbin:/sbin command -v modprobe),,kmod) \
	$(if $(shell PATH=$$PATH:/usr/sbin:/sbin command -v ip),,iproute2) \
	$(if $(shell PATH=$$PATH:/usr/sbin:/sbin command -v ipvsadm),,ipvsadm)
test bench-kernel kernel-soak kernel-newer: export VSCHED_KERNEL := required
endif

# The number in the name of the shared library, written once, in the sources.
ABI := $(shell sed -n 's/^pub const VSCHED_ABI_VERSION: u32 = \([0-9]*\);/\1/p' src/ffi/version.rs)
# The last part of the library's file name: it only has to grow, and cargo-c can say no more.
SUFFIX := $(ABI).$(shell sed -n '/^version = /{s/^version = "\([0-9]*\.[0-9]*\)\..*/\1/p;q;}' Cargo.toml)
VERSION := $(shell sed -n '/^version = /{s/^version = "\(.*\)"/\1/p;q;}' Cargo.toml)
DESCRIPTION := $(shell sed -n 's/^description = "\(.*\)"/\1/p' Cargo.toml)
# Where cargo and `make lib` leave the C library; a triple in CARGO_BUILD_TARGET builds for that.
BUILT := target/capi/$(if $(CARGO_BUILD_TARGET),$(CARGO_BUILD_TARGET)/)release
LIB := target/capi/$(if $(CARGO_BUILD_TARGET),$(CARGO_BUILD_TARGET)/)lib
# Where `make test-c-examples` builds, and how.
C_OUT := target/capi/examples
WARNINGS := -Wall -Wextra -Wpedantic -Werror
LINK := -Iinclude -L$(LIB) -Wl,-rpath,$(CURDIR)/$(LIB) -lvsched
SANITIZE := -g -O1 -fsanitize=address,undefined -fno-sanitize-recover=all

# Where `make install` puts it, under DESTDIR; from the environment too.
PREFIX ?= /usr/local
LIBDIR ?= $(PREFIX)/lib
INCLUDEDIR ?= $(PREFIX)/include
DATADIR ?= $(PREFIX)/share
CMAKEDIR := $(DATADIR)/cmake/vsched
INSTALL ?= install
STRIP ?= strip

# The bench harness: a package of its own, whose dependencies stay out of the crate's.
HARNESS := --release --manifest-path benches/peers/Cargo.toml --target-dir target/peers

.PHONY: help run test quick bench bench-quick bench-doc bench-check \
	bench-schedulers bench-rules bench-kernel kernel-soak \
	kernel-newer doc soak deps fuzz fuzz-short mutants lib header calls cost msrv targets \
	baseline hot-path install install-strip uninstall \
	test-packaging test-portable test-ffi test-c-examples tsan abi

help: ## this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "make %-16s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

run: ## a real TCP director on 127.0.0.1, with two real servers
	$(CARGO) run --release --example director

quick: ## before each commit: format, clippy, unit tests, traces, texts
	$(CARGO) fmt --all --check
	$(CARGO) clippy --workspace --all-targets --features capi,netlink -- -D warnings
	$(CARGO) test --features netlink --lib --test netlink --test traces --test kernel_scenarios --test layering --test readme
	$(CARGO) test -p vsched-header

test: deps quick ## every test, as CI runs them
	# Everything: behaviour, storms, threads that are stopped, property tests, loom models, examples
	# as processes, and a real kernel's IPVS in a kernel that runs as a process.
	$(CARGO) test --workspace --features capi,netlink
	# Without serde, netlink and random numbers the rest must still build and hold.
	$(CARGO) test --no-default-features --lib --test alloc --test storm
	# With the oldest Rust, and for other platforms.
	$(MAKE) msrv targets
	# The C library from outside; the hot path's object code, and what it costs.
	$(MAKE) test-ffi
	$(MAKE) hot-path cost
	# Links and examples in the documentation.
	$(MAKE) doc
	# The C library as it is installed and linked.
	$(MAKE) test-packaging
	# Benches run once through, unmeasured; without the peers, which take minutes to build.
	$(CARGO) bench --bench picks --bench rules -- --test
	$(MAKE) lib
	$(CARGO) run $(HARNESS) --no-default-features -- --test > /dev/null
	# The two commands of the README, as a user types them.
	$(CARGO) run --release --example director -- --requests 30
	$(CARGO) run --release --example replay -- $(TRACES)
	$(MAKE) test-c-examples

# The library once more, built so that every function can be made to panic.
test-ffi: deps lib ## every C function in every way, from C: checked, sanitized, watched
	RUSTFLAGS="--cfg vsched_force_panic" $(CARGO) rustc --lib --features capi \
		--target-dir target/capi-panic --crate-type cdylib
	cmake -S ffi-tests -B target/ffi-tests -G Ninja
	cmake --build target/ffi-tests
	ctest --test-dir target/ffi-tests --output-on-failure --timeout 300 -j 2

# Not in `make test`: the crate and what its tests need are built once more.
test-portable: ## unit tests, traces and loads, built as for processors without AVX2
	RUSTFLAGS="--cfg vsched_portable" $(CARGO) test --target-dir target/portable \
		--lib --test traces --test least_bound

# Nightly Rust, for the instrumentation. The standard library comes without it.
tsan: deps ## the storm of the C tests under ThreadSanitizer
	RUSTFLAGS="-Copt-level=1 -Zsanitizer=thread -Cunsafe-allow-abi-mismatch=sanitizer" $(CARGO) +nightly rustc \
		--lib --features capi --target x86_64-unknown-linux-gnu \
		--target-dir target/capi-tsan --crate-type staticlib
	$(CC) -std=c11 -O1 -g -fsanitize=thread -Iinclude -c ffi-tests/programs/storm.c \
		-o target/capi-tsan/storm.o
	# Rust's run-time library: those of C compilers may be older than what rustc calls.
	$(CC) target/capi-tsan/storm.o target/capi-tsan/x86_64-unknown-linux-gnu/debug/libvsched.a \
		-Wl,--whole-archive \
		$$(find $$(rustc +nightly --print sysroot) -name 'librustc*rt.tsan.a' | head -n 1) \
		-Wl,--no-whole-archive -Wl,--export-dynamic -lgcc_s -lpthread -lm -ldl -lrt \
		-o target/capi-tsan/storm
	TSAN_OPTIONS=halt_on_error=1 target/capi-tsan/storm 1000000

abi: ## ffi-tests/abi/vsched.abi, from the header; refuses what needs a new VSCHED_ABI_VERSION
	ffi-tests/abi/abi.sh write include/vsched.h

lib: ## the C library, shared and static, in target/capi/lib
	$(CARGO) rustc --release --lib --features capi --target-dir target/capi \
		--crate-type cdylib,staticlib -- -C link-arg=-Wl,-soname,libvsched.so.$(ABI) \
		--print native-static-libs=$(CURDIR)/$(BUILT)/native-static-libs
	mkdir -p $(LIB)
	cp $(BUILT)/libvsched.so $(LIB)/libvsched.so.$(ABI)
	ln -sf libvsched.so.$(ABI) $(LIB)/libvsched.so
	cp $(BUILT)/libvsched.a $(BUILT)/native-static-libs $(LIB)/

# No `make lib` from here: root, who installs, need not have Rust.
install: ## header, library, vsched.pc and CMake package under DESTDIR and PREFIX (after make lib)
	@test -e $(LIB)/native-static-libs || { echo "nothing to install: make lib first" >&2; exit 1; }
	$(INSTALL) -d $(DESTDIR)$(INCLUDEDIR) $(DESTDIR)$(LIBDIR) $(DESTDIR)$(LIBDIR)/pkgconfig \
		$(DESTDIR)$(CMAKEDIR)
	$(INSTALL) -m 644 $(wildcard include/vsched.h include/vsched.hpp) $(DESTDIR)$(INCLUDEDIR)
	$(INSTALL) -m 755 $(LIB)/libvsched.so.$(ABI) $(DESTDIR)$(LIBDIR)/libvsched.so.$(SUFFIX)
	ln -sf libvsched.so.$(SUFFIX) $(DESTDIR)$(LIBDIR)/libvsched.so.$(ABI)
	ln -sf libvsched.so.$(SUFFIX) $(DESTDIR)$(LIBDIR)/libvsched.so
	$(INSTALL) -m 644 $(LIB)/libvsched.a $(DESTDIR)$(LIBDIR)
	sed -e 's|@PREFIX@|$(PREFIX)|' -e 's|@VERSION@|$(VERSION)|' -e 's|@DESCRIPTION@|$(DESCRIPTION)|' \
		-e 's|@LIBDIR@|$(patsubst $(PREFIX)/%,$${prefix}/%,$(LIBDIR))|' \
		-e 's|@INCLUDEDIR@|$(patsubst $(PREFIX)/%,$${prefix}/%,$(INCLUDEDIR))|' \
		-e "s|@LIBS_PRIVATE@|$$(cat $(LIB)/native-static-libs)|" \
		packaging/vsched.pc.in > $(DESTDIR)$(LIBDIR)/pkgconfig/vsched.pc
	$(INSTALL) -m 644 packaging/cmake/*.cmake $(DESTDIR)$(CMAKEDIR)
	sed -e 's|^set(vsched_libdirs|& "$(LIBDIR:$(PREFIX)/%=%)"|' \
		-e 's|^set(vsched_includedirs|& "$(INCLUDEDIR:$(PREFIX)/%=%)"|' \
		packaging/cmake/vsched-place.cmake > $(DESTDIR)$(CMAKEDIR)/vsched-place.cmake
	chmod 644 $(DESTDIR)$(LIBDIR)/pkgconfig/vsched.pc $(DESTDIR)$(CMAKEDIR)/vsched-place.cmake

install-strip: install ## the same without debug information
	$(STRIP) --strip-unneeded $(DESTDIR)$(LIBDIR)/libvsched.so.$(SUFFIX)
	$(STRIP) --strip-debug $(DESTDIR)$(LIBDIR)/libvsched.a

uninstall: ## takes away what `make install` put there, with the same variables
	rm -f $(DESTDIR)$(INCLUDEDIR)/vsched.h $(DESTDIR)$(INCLUDEDIR)/vsched.hpp \
		$(DESTDIR)$(LIBDIR)/libvsched.so.$(SUFFIX) $(DESTDIR)$(LIBDIR)/libvsched.so.$(ABI) \
		$(DESTDIR)$(LIBDIR)/libvsched.so $(DESTDIR)$(LIBDIR)/libvsched.a \
		$(DESTDIR)$(LIBDIR)/pkgconfig/vsched.pc \
		$(addprefix $(DESTDIR)$(CMAKEDIR)/,$(notdir $(wildcard packaging/cmake/*.cmake)))
	test ! -d $(DESTDIR)$(CMAKEDIR) || rmdir --ignore-fail-on-non-empty $(DESTDIR)$(CMAKEDIR)

test-packaging: lib ## installs in a temporary folder, both ways, and builds programs against it
	python3 ffi-tests/packaging/run.py

# What the instruction counts and the object code are taken from.
RUST_CALLS = "$$(ls -t target/release/deps/calls-* | grep -v '\.d$$' | head -1)"
calls: deps lib
	$(CARGO) build --release --bench calls
	mkdir -p target/ffi
	$(CC) -O2 $(WARNINGS) -Iinclude ffi-tests/calls.c -o target/ffi/calls -L$(LIB) -lvsched \
		-Wl,-rpath,$(abspath $(LIB))

cost: calls ## instructions of the hot path, from Rust and C; fails if 2 % more than the baseline
	python3 -B ffi-tests/cost.py $(RUST_CALLS) target/ffi/calls

baseline: calls ## ffi-tests/instructions.txt, the baseline of make cost, written anew
	python3 -B ffi-tests/cost.py $(RUST_CALLS) target/ffi/calls --write

hot-path: calls ## the hot path's object code: no allocator, lock, system call or panic in it
	python3 -B ffi-tests/hot_path.py $(RUST_CALLS) $(HOT_RUST) $(WAYS) -- \
		$(LIB)/libvsched.so $(HOT_C) $(WAYS)
	# It finds what there is to find: making a worker allocates.
	python3 -B ffi-tests/hot_path.py $(LIB)/libvsched.so vsched_worker_new 2>&1 | \
		grep 'REACHED allocator' > /dev/null
# Functions of benches/calls/hot.rs and of the C library.
HOT_RUST := $(addprefix hot::,$(shell sed -n 's/^fn \([a-z_]*\).*/\1/p' benches/calls/hot.rs))
# Each scheduler's way is reached through a table of functions.
WAYS := way::straight:$(shell grep -c '^    "[a-z]*" => ' src/sched/mod.rs)
HOT_C := $(addprefix vsched_worker_,service_for pick_server pick_server_excluding connect open \
	open_pick update close)

test-c-examples: lib ## the C and C++ examples, by both compilers, with real servers and bursts
	mkdir -p $(C_OUT)
	for compiler in gcc clang; do \
		$$compiler -std=c99 -O2 -g $(WARNINGS) -pthread examples/c/director.c \
			-o $(C_OUT)/director-$$compiler $(LINK) || exit 1; \
	done
	# To be read in ten minutes: fewer than 400 lines, comments and blank ones among them.
	test $$(wc -l <examples/c/director.c) -lt 400
	for compiler in g++ clang++; do \
		for standard in c++17 c++20; do \
			$$compiler -std=$$standard $(WARNINGS) -O2 -fno-exceptions -fno-rtti ffi-tests/hpp/*.cc \
				-o $(C_OUT)/hpp $(LINK) && $(C_OUT)/hpp || exit 1; \
		done; \
		$$compiler -std=c++17 $(WARNINGS) $(SANITIZE) ffi-tests/hpp/*.cc -o $(C_OUT)/hpp $(LINK) && \
			$(C_OUT)/hpp || exit 1; \
		$$compiler -std=c++17 $(WARNINGS) -O2 examples/cpp/decisions.cpp -o $(C_OUT)/decisions \
			$(LINK) && $(C_OUT)/decisions | diff ffi-tests/examples/decisions.txt - || exit 1; \
	done
	# Nothing of the C interface is out of reach of the C++ one.
	for function in $$(grep -o 'vsched_[a-z0-9_]*(' include/vsched.h | sort -u); do \
		grep -qF "$$function" include/vsched.hpp || { echo "vsched.hpp lacks $$function"; exit 1; }; \
	done
	$(CARGO) build --release --example director
	python3 -B ffi-tests/examples/test_director.py $(C_OUT)/director-gcc \
		target/release/examples/director

header: ## include/vsched.h, from the comments in src/ffi
	$(CARGO) run -q -p vsched-header

bench: lib ## beside other balancers, under ten minutes: table, plots and summary.json in target/bench
	$(CARGO) run $(HARNESS)

bench-quick: lib ## the same in one launch: a look, no figures to quote
	$(CARGO) run $(HARNESS) -- --launches 1

bench-doc: ## puts the latest table of `make bench` into docs/performance.md
	$(CARGO) run $(HARNESS) -- --doc docs/performance.md

bench-check: lib ## format and clippy of the harness, with all peers
	$(CARGO) fmt --manifest-path benches/peers/Cargo.toml --check
	$(CARGO) clippy $(HARNESS) -- -D warnings
	$(CARGO) clippy $(HARNESS) --no-default-features -- -D warnings

bench-schedulers: ## nanoseconds a pick and an open + close, for every scheduler
	$(CARGO) bench --bench picks

bench-rules: ## nanoseconds a line of a rules text, by what the lines do
	$(CARGO) bench --bench rules

bench-kernel: LACKING += $(if $(shell PATH=$$PATH:/usr/sbin:/sbin command -v ipvsadm),,ipvsadm)
bench-kernel: deps ## what telling a real kernel costs, beside ipvsadm
	$(CARGO) test --release --features netlink --test kernel -- measure_

# Debug assertions stay on, unlike in a release.
kernel-soak: deps ## a million decisions beside a real kernel (VSCHED_DECISIONS), from a new VSCHED_SEED
	VSCHED_SEED=$${VSCHED_SEED:-$$(date +%s)} $(CARGO) test --features capi,netlink --test kernel -- soak_side

# Debian suites with newer kernels than this system's.
SUITES ?= trixie sid
kernel-newer: deps ## the kernel tests (WORDS of their names) on the kernels of newer Debians, SUITES
	$(CARGO) test --no-run --features capi,netlink --test kernel
	for suite in $(SUITES); do \
		tests/kernel/newer.sh $$suite target/kernels/$$suite || exit 1; \
		PATH="$(CURDIR)/target/kernels/$$suite:$$PATH" UML_MODULES="$(CURDIR)/target/kernels/$$suite/modules" \
			$(CARGO) test --features capi,netlink --test kernel -- $(WORDS) || exit 1; \
	done

doc: ## the documentation, in target/doc; private items' in target/private, for their links
	RUSTDOCFLAGS="-D warnings" $(CARGO) doc --no-deps --features netlink
	RUSTDOCFLAGS="-D warnings -A rustdoc::private_intra_doc_links" $(CARGO) doc --no-deps \
		--features netlink --document-private-items --target-dir target/private

msrv: ## builds with the Rust that Cargo.toml states, where it can be installed
	tests/toolchains.sh msrv

targets: ## builds for the platforms that README names, where they can be installed
	tests/toolchains.sh targets

soak: ## property tests for as long as PROPTEST_CASES says, threads stopped as often as VSCHED_STOPS
	PROPTEST_CASES=$${PROPTEST_CASES:-20000} $(CARGO) test -p vsched-property
	VSCHED_SEED=$${VSCHED_SEED:-$$(date +%s)} VSCHED_STOPS=$${VSCHED_STOPS:-1000} $(CARGO) test --test freeze

# Targets, and how long their inputs grow: longer ones only take longer.
FUZZ := rules:4096 config:4096 wire:1024 abi:512
fuzz: ## fuzzing, a minute each (SECONDS_EACH): rules, JSON, netlink bytes, C calls; needs cargo-fuzz
	python3 -B fuzz/seeds.py
	for target in $(FUZZ); do \
		$(CARGO) +nightly fuzz run $${target%:*} -- -max_len=$${target#*:} \
			-max_total_time=$${SECONDS_EACH:-60} || exit 1; \
	done

fuzz-short: ## the same for two seconds each, where nightly Rust and cargo-fuzz are there
	@if ! $(CARGO) fuzz --version > /dev/null 2>&1 || ! rustc +nightly --version > /dev/null 2>&1; then \
		echo "SKIPPED fuzzing: no cargo-fuzz or no nightly Rust" >&2; \
	else \
		$(MAKE) fuzz SECONDS_EACH=2; \
	fi

# cargo-mutants reads .cargo/mutants.toml. OPTIONS are more of its own, such as `-f src/sched/wrr.rs`
# or `--list`; SHARD is one of n parts, from 0/n to (n-1)/n. Half a minute each, two at a time.
SHARD ?= 0/1
JOBS ?= 2
mutants: ## changes the core in small ways (SHARD=k/n of them): do the tests notice? needs cargo-mutants
	PROPTEST_CASES=$${PROPTEST_CASES:-60} $(CARGO) mutants --shard $(SHARD) --jobs $(JOBS) \
		--output target/mutants $(OPTIONS)

deps: ## installs the Debian packages that are missing
	$(if $(strip $(LACKING)),apt-get update && apt-get install -y --no-install-recommends $(LACKING),@true)
