//! README agrees with the code: the scheduler table with the registry, the version with Cargo.toml,
//! the commands with the Makefile.

use std::fs;
use std::path::{Path, PathBuf};

use vsched::SchedulerKind;

fn path(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(name)
}

fn read(name: &str) -> String {
    fs::read_to_string(path(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
}

#[test]
fn the_scheduler_table_is_the_registry() {
    let row = |kind: &SchedulerKind| {
        let in_linux = if kind.in_linux() { "yes" } else { "no" };
        format!("| `{}` | {} | {} | {in_linux} |", kind.name(), kind.summary(), kind.cost())
    };
    let wanted: Vec<String> = SchedulerKind::ALL.iter().map(row).collect();
    let readme = read("README.md");
    let table = readme.lines().skip_while(|line| !line.starts_with("| scheduler"));
    let found: Vec<&str> = table.skip(2).take_while(|line| line.starts_with('|')).collect();
    if found != wanted && std::env::var_os("WRITE_README").is_some() {
        let updated = readme.replace(&found.join("\n"), &wanted.join("\n"));
        fs::write(path("README.md"), updated).expect("a README that can be written");
        return;
    }
    assert_eq!(found, wanted, "WRITE_README=1 cargo test --test readme writes the table");
}

/// The README is the crate's documentation, too.
#[test]
fn the_feature_table_is_the_manifests() {
    let manifest: toml::Table = read("Cargo.toml").parse().expect("a manifest");
    let features = manifest["features"].as_table().expect("features");
    let default = features["default"].as_array().expect("the default ones");
    let is_default = |name: &str| default.iter().any(|word| word.as_str() == Some(name));
    let named = features.keys().filter(|name| *name != "default");
    let mut wanted: Vec<(String, bool)> =
        named.map(|name| (format!("`{name}`"), is_default(name))).collect();
    let readme = read("README.md");
    let table = readme.lines().skip_while(|line| !line.starts_with("| feature "));
    let rows = table.skip(2).take_while(|line| line.starts_with('|'));
    let row = |line: &str| {
        let cells: Vec<&str> = line.split('|').map(str::trim).collect();
        (cells[1].to_owned(), cells[2] == "yes")
    };
    let mut found: Vec<(String, bool)> = rows.map(row).collect();
    wanted.sort();
    found.sort();
    assert_eq!(found, wanted);
}

#[test]
fn the_changelog_begins_with_this_version() {
    let changelog = read("CHANGELOG.md");
    let first = changelog.lines().find(|line| line.starts_with("## ")).expect("a version");
    assert!(first.contains(env!("CARGO_PKG_VERSION")), "{first}");
}

/// Cargo.toml states the oldest Rust; what else names a Rust 1.x names that.
#[test]
fn the_rust_version_is_the_manifests() {
    let stated = env!("CARGO_PKG_RUST_VERSION");
    for name in ["README.md", "docs/linking.md"] {
        let wanted = format!("Rust {stated} or newer");
        assert!(read(name).contains(&wanted), "{name} should say: {wanted}");
    }
    for name in [
        "README.md",
        "CONTRIBUTING.md",
        "docs/linking.md",
        "docs/embedding.md",
        "docs/embedding-in-rust.md",
    ] {
        for rest in read(name).split("Rust 1.").skip(1) {
            let minor: String = rest.chars().take_while(char::is_ascii_digit).collect();
            assert_eq!(format!("1.{minor}"), stated, "{name}: Rust 1.{minor}");
        }
    }
    let manifests = [
        "tests/property",
        "tests/loom",
        "tests/header",
        "tests/public-api",
        "fuzz",
        "benches/peers",
        "xtask",
    ];
    for manifest in manifests.map(|folder| format!("{folder}/Cargo.toml")) {
        let text = read(&manifest);
        assert!(!text.lines().any(|line| line.starts_with("rust-version = ")), "{manifest}");
    }
}

/// The platforms that README promises are those that are checked.
#[test]
fn the_platforms_of_the_readme_are_checked() {
    let (readme, script) = (read("README.md"), read("xtask/src/toolchains.rs"));
    let list = readme.lines().skip_while(|line| !line.starts_with("| platform"));
    let rows: Vec<&str> = list.skip(2).take_while(|line| line.starts_with('|')).collect();
    let (tested, checked) = rows.split_first().expect("README has a table of platforms");
    assert!(tested.starts_with("| Linux ") && checked.len() >= 4, "{rows:?}");
    for row in checked {
        let triple = row.split('`').nth(1).expect("a target triple in each row");
        assert!(script.contains(triple), "xtask/src/toolchains.rs does not check {triple}");
    }
}

#[test]
fn the_commands_of_the_readme_exist() {
    let (readme, makefile) = (read("README.md"), read("Makefile"));
    for target in ["test", "quick", "bench"] {
        assert!(readme.contains(&format!("make {target}")), "README: make {target}");
        assert!(makefile.split_whitespace().any(|word| word == target), "{target}");
    }
    assert!(readme.contains("cargo run --release --example director"));
    assert!(read(".ci/run").contains("make test"));
}

#[test]
fn names_are_read_and_printed_alike() {
    for &kind in SchedulerKind::ALL {
        assert_eq!(kind.name().parse(), Ok(kind));
        assert!(!kind.summary().is_empty() && kind.cost().starts_with("O("));
    }
    let unknown = "WRR".parse::<SchedulerKind>().expect_err("names are lower case").to_string();
    assert!(unknown.starts_with("unknown scheduler `WRR`; known: rr wrr lc "), "{unknown}");
}
