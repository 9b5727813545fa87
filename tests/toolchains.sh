#!/bin/sh
# toolchains.sh msrv: the crate builds with the Rust that Cargo.toml states, in every combination of
# features. toolchains.sh targets: it builds for every platform that README names. What cannot be
# installed here is skipped, in a line that begins with SKIPPED. Builds go to target/toolchains.
set -eu
cd "$(dirname "$0")/.."
stated=$(sed -n 's/^rust-version = "\(.*\)"$/\1/p' Cargo.toml)
: "${stated:?no rust-version in Cargo.toml}"

skipped() {
    echo "SKIPPED $*" >&2
    exit 0
}
command -v rustup >/dev/null || skipped "$1: there is no rustup to install it with"

check() { # TOOLCHAIN ARGUMENTS…
    toolchain=$1
    shift
    echo "rust $toolchain: cargo check $*"
    rustup run "$toolchain" cargo check --quiet --lib --target-dir target/toolchains "$@"
}

# Warnings of an old compiler are no news.
msrv() {
    RUSTFLAGS="${RUSTFLAGS-} -A warnings"
    export RUSTFLAGS
    if ! rustup run "$stated" rustc --version >/dev/null 2>&1; then
        rustup toolchain install "$stated" --profile minimal ||
            skipped "msrv: Rust $stated cannot be installed"
    fi
    for features in "" capi netlink; do
        check "$stated" --no-default-features --features "$features"
    done
    check "$stated" --features capi,netlink
}

# Whatever Rust is in use here, for another platform.
platform() { # TARGET ARGUMENTS…
    target=$1
    shift
    if ! rustup target list --installed | grep -qx "$target"; then
        rustup target add "$target" || { echo "SKIPPED $target: its standard library cannot be installed" >&2; return; }
    fi
    check "$active" --target "$target" "$@"
}

targets() {
    active=$(rustup show active-toolchain)
    active=${active%% *}
    for target in aarch64-apple-darwin x86_64-pc-windows-gnu x86_64-pc-windows-msvc; do
        platform $target --features capi,netlink
    done
    platform wasm32-unknown-unknown --no-default-features
    # With random numbers that the host supplies.
    RUSTFLAGS='--cfg getrandom_backend="custom"' platform wasm32-unknown-unknown
}

case $1 in msrv | targets) "$1" ;; *) echo "$0: $1?" >&2; exit 2 ;; esac
