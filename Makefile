# What people and CI run. `make help` lists it.

CARGO ?= cargo
TRACES := tests/data/traces/*.jsonl

# Debian packages that hold what is missing here.
LACKING := $(if $(shell command -v cc),,gcc libc6-dev) $(if $(shell command -v kill),,procps) \
	$(if $(shell command -v g++),,g++) $(if $(shell command -v clang++),,clang) \
	$(if $(shell command -v cmake),,cmake) $(if $(shell command -v ninja),,ninja-build) \
	$(if $(shell command -v valgrind),,valgrind) $(if $(shell command -v strace),,strace)

# The number in the name of the shared library, written once, in the sources.
ABI := $(shell sed -n 's/^pub const VSCHED_ABI_VERSION: u32 = \([0-9]*\);/\1/p' src/ffi/version.rs)
# Where `make lib` leaves the C library.
LIB := target/capi/lib

.PHONY: help run test test-ffi tsan quick bench doc soak deps lib header abi

help: ## this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "make %-8s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

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
	$(MAKE) test-ffi
	# Links and examples in the documentation.
	RUSTDOCFLAGS="-D warnings" $(CARGO) doc --no-deps
	# Benches run once through, unmeasured.
	$(CARGO) bench --bench picks -- --test
	# The two commands of the README, as a user types them.
	$(CARGO) run --release --example director -- --requests 30
	$(CARGO) run --release --example replay -- $(TRACES)

# The library once more, built so that every function can be made to panic.
test-ffi: deps lib ## every C function in every way, from C: checked, sanitized, watched
	RUSTFLAGS="--cfg vsched_force_panic" $(CARGO) rustc --lib --features capi \
		--target-dir target/capi-panic --crate-type cdylib
	cmake -S ffi-tests -B target/ffi-tests -G Ninja
	cmake --build target/ffi-tests
	ctest --test-dir target/ffi-tests --output-on-failure --timeout 300 -j 2

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
		--crate-type cdylib,staticlib -- -C link-arg=-Wl,-soname,libvsched.so.$(ABI)
	mkdir -p $(LIB)
	cp target/capi/release/libvsched.so $(LIB)/libvsched.so.$(ABI)
	ln -sf libvsched.so.$(ABI) $(LIB)/libvsched.so
	cp target/capi/release/libvsched.a $(LIB)/libvsched.a

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
