# What people and CI run. `make help` lists it.

CARGO ?= cargo
TRACES := tests/data/traces/*.jsonl

# Debian packages that hold what is missing here.
LACKING := $(if $(shell command -v cc),,gcc libc6-dev) $(if $(shell command -v kill),,procps) \
	$(if $(shell command -v c++),,g++) $(if $(shell command -v clang++),,clang) \
	$(if $(shell command -v python3),,python3) $(if $(shell command -v wrk),,wrk) \
	$(if $(shell command -v valgrind),,valgrind)

# The number in the name of the shared library, written once, in the sources.
ABI := $(shell sed -n 's/^pub const VSCHED_ABI_VERSION: u32 = \([0-9]*\);/\1/p' src/ffi/version.rs)
# Where `make lib` leaves the C library.
LIB := target/capi/lib
# Where `make test-c-examples` builds, and how.
C_OUT := target/capi/examples
WARNINGS := -Wall -Wextra -Wpedantic -Werror
LINK := -Iinclude -L$(LIB) -Wl,-rpath,$(CURDIR)/$(LIB) -lvsched
SANITIZE := -g -O1 -fsanitize=address,undefined -fno-sanitize-recover=all

.PHONY: help run test quick bench doc soak deps lib header test-c-examples

help: ## this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "make %-15s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

run: ## a real TCP director on 127.0.0.1, with two real servers
	$(CARGO) run --release --example director

quick: ## before each commit: format, clippy, unit tests, traces, texts
	$(CARGO) fmt --all --check
	$(CARGO) clippy --workspace --all-targets --features capi -- -D warnings
	$(CARGO) test --lib --test traces --test kernel_scenarios --test layering --test readme
	$(CARGO) test -p vsched-header

test: deps quick ## every test, as CI runs them
	# Everything: behaviour, storms, property tests, loom models, examples as processes.
	$(CARGO) test --workspace
	# Without serde the rest must still build and hold.
	$(CARGO) test --no-default-features --lib --test alloc --test storm
	# Links and examples in the documentation.
	RUSTDOCFLAGS="-D warnings" $(CARGO) doc --no-deps
	# Benches run once through, unmeasured.
	$(CARGO) bench --bench picks -- --test
	# The two commands of the README, as a user types them.
	$(CARGO) run --release --example director -- --requests 30
	$(CARGO) run --release --example replay -- $(TRACES)
	$(MAKE) test-c-examples

lib: ## the C library, shared and static, in target/capi/lib
	$(CARGO) rustc --release --lib --features capi --target-dir target/capi \
		--crate-type cdylib,staticlib -- -C link-arg=-Wl,-soname,libvsched.so.$(ABI)
	mkdir -p $(LIB)
	cp target/capi/release/libvsched.so $(LIB)/libvsched.so.$(ABI)
	ln -sf libvsched.so.$(ABI) $(LIB)/libvsched.so
	cp target/capi/release/libvsched.a $(LIB)/libvsched.a

test-c-examples: lib ## the C and C++ examples, by both compilers, with real servers and bursts
	mkdir -p $(C_OUT)
	for compiler in gcc clang; do \
		$$compiler -std=c99 -O2 -g $(WARNINGS) -pthread examples/c/director.c examples/c/relay.c \
			-o $(C_OUT)/director-$$compiler $(LINK) || exit 1; \
	done
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

bench: ## nanoseconds a pick and a connection, per scheduler
	$(CARGO) bench --bench picks

doc: ## the documentation, in target/doc
	RUSTDOCFLAGS="-D warnings" $(CARGO) doc --no-deps

soak: ## property tests for as long as PROPTEST_CASES says
	PROPTEST_CASES=$${PROPTEST_CASES:-20000} $(CARGO) test -p vsched-property

deps: ## installs the Debian packages that are missing
	$(if $(strip $(LACKING)),apt-get update && apt-get install -y --no-install-recommends $(LACKING),@true)
