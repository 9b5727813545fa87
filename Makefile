# What people and CI run. `make help` lists it.

CARGO ?= cargo
TRACES := tests/data/traces/*.jsonl

# Debian packages that hold what is missing here.
LACKING := $(if $(shell command -v cc),,gcc libc6-dev) $(if $(shell command -v kill),,procps)
# Where a kernel can run as a process, its tests must run.
UML := $(filter amd64 i386,$(shell dpkg --print-architecture))
ifneq ($(UML),)
LACKING += $(if $(shell command -v linux.uml),,user-mode-linux) \
	$(if $(shell command -v busybox),,busybox) \
	$(if $(shell PATH=$$PATH:/usr/sbin:/sbin command -v modprobe),,kmod) \
	$(if $(shell PATH=$$PATH:/usr/sbin:/sbin command -v ip),,iproute2)
test bench-kernel: export VSCHED_KERNEL := required
endif

# The number in the name of the shared library, written once, in the sources.
ABI := $(shell sed -n 's/^pub const VSCHED_ABI_VERSION: u32 = \([0-9]*\);/\1/p' src/ffi/version.rs)
# Where `make lib` leaves the C library.
LIB := target/capi/lib

.PHONY: help run test quick bench bench-kernel doc soak deps lib header cost

help: ## this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "make %-12s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

run: ## a real TCP director on 127.0.0.1, with two real servers
	$(CARGO) run --release --example director

quick: ## before each commit: format, clippy, unit tests, traces, texts
	$(CARGO) fmt --all --check
	$(CARGO) clippy --workspace --all-targets --features capi,netlink -- -D warnings
	$(CARGO) test --features netlink --lib --test netlink --test traces --test kernel_scenarios --test layering --test readme
	$(CARGO) test -p vsched-header

test: deps quick ## every test, as CI runs them
	# Everything: behaviour, storms, property tests, loom models, examples as processes, and a real
	# kernel's IPVS in a kernel that runs as a process.
	$(CARGO) test --workspace --features capi,netlink
	# Without serde and netlink the rest must still build and hold.
	$(CARGO) test --no-default-features --lib --test alloc --test storm
	# Links and examples in the documentation.
	RUSTDOCFLAGS="-D warnings" $(CARGO) doc --no-deps --features netlink
	# Benches run once through, unmeasured.
	$(CARGO) bench --bench picks -- --test
	# The two commands of the README, as a user types them.
	$(CARGO) run --release --example director -- --requests 30
	$(CARGO) run --release --example replay -- $(TRACES)

lib: ## the C library, shared and static, in target/capi/lib
	$(CARGO) rustc --release --lib --features capi --target-dir target/capi \
		--crate-type cdylib,staticlib -- -C link-arg=-Wl,-soname,libvsched.so.$(ABI)
	mkdir -p $(LIB)
	cp target/capi/release/libvsched.so $(LIB)/libvsched.so.$(ABI)
	ln -sf libvsched.so.$(ABI) $(LIB)/libvsched.so
	cp target/capi/release/libvsched.a $(LIB)/libvsched.a

cost: lib ## what a pick costs from C, beside one from Rust
	$(CARGO) build --release --bench calls
	mkdir -p target/ffi
	cc -O2 -Iinclude ffi-tests/calls.c -o target/ffi/calls -L$(LIB) -lvsched -Wl,-rpath,$(abspath $(LIB))
	python3 ffi-tests/cost.py "$$(ls -t target/release/deps/calls-* | grep -v '\.d$$' | head -1)" target/ffi/calls

header: ## include/vsched.h, from the comments in src/ffi
	$(CARGO) run -q -p vsched-header

bench: ## nanoseconds a pick and a connection, per scheduler
	$(CARGO) bench --bench picks

bench-kernel: LACKING += $(if $(shell PATH=$$PATH:/usr/sbin:/sbin command -v ipvsadm),,ipvsadm)
bench-kernel: deps ## what telling a real kernel costs, beside ipvsadm
	$(CARGO) test --release --features netlink --test kernel -- measure_

doc: ## the documentation, in target/doc
	RUSTDOCFLAGS="-D warnings" $(CARGO) doc --no-deps --features netlink

soak: ## property tests for as long as PROPTEST_CASES says
	PROPTEST_CASES=$${PROPTEST_CASES:-20000} $(CARGO) test -p vsched-property

deps: ## installs the Debian packages that are missing
	$(if $(strip $(LACKING)),apt-get update && apt-get install -y --no-install-recommends $(LACKING),@true)
