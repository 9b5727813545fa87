//! The sources keep to the edges that docs/architecture.md allows, and to the house's other rules
//! that can be read off the text.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

const UNSAFE_ALLOWED: &[&str] = &[
    "netlink/socket.rs",
    "concurrent/simd/avx2.rs",
    "concurrent/hazard.rs",
    "concurrent/segments.rs",
    "concurrent/zeroed.rs",
    "worker/way.rs",
];
const LONGEST: usize = 450;

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

fn sources(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).expect("a source folder") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            sources(&path, found);
        } else if path.extension().is_some_and(|end| end == "rs") {
            found.push(path);
        }
    }
}

/// Every source file: its path below src/, its room, its text.
fn files() -> Vec<(String, String, String)> {
    let src = root().join("src");
    let mut paths = Vec::new();
    sources(&src, &mut paths);
    paths.sort();
    let file = |path: PathBuf| {
        let name = path.strip_prefix(&src).expect("below src").to_string_lossy().into_owned();
        let room = name.split(['/', '.']).next().expect("a name").to_owned();
        (name, room, fs::read_to_string(path).expect("a source file"))
    };
    paths.into_iter().map(file).collect()
}

fn allowed() -> BTreeMap<String, Vec<String>> {
    let text = fs::read_to_string(root().join("docs/architecture.md")).expect("the document");
    let block = text.split("```edges\n").nth(1).expect("the edges").split("```").next();
    let edge = |line: &str| {
        let (room, uses) = line.split_once("->").expect("an edge");
        let uses = uses.split(',').map(|word| word.trim().to_owned());
        (room.trim().to_owned(), uses.filter(|word| !word.is_empty()).collect())
    };
    block.expect("its end").lines().map(edge).collect()
}

/// The text without its unit tests.
fn shipped(text: &str) -> &str {
    text.split("#[cfg(test)]\nmod ").next().unwrap_or(text)
}

/// Rooms named by `crate::` paths, tests and doc comments aside.
fn uses(text: &str) -> Vec<String> {
    let code = shipped(text);
    let code = code.lines().filter(|line| !line.trim_start().starts_with("//"));
    let mut found = Vec::new();
    for line in code {
        for path in line.split("crate::").skip(1) {
            let room: String =
                path.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect();
            // `crate::{…}` and `crate::Name` are what lib.rs re-exports: the public API.
            let public = room.chars().next().is_none_or(char::is_uppercase);
            found.push(if public { "api".to_owned() } else { room });
        }
    }
    found
}

/// What the texts say of the house's rules is what is held here.
#[test]
fn the_documents_say_where_unsafe_is_and_how_long_files_are() {
    for name in ["CONTRIBUTING.md", "docs/architecture.md"] {
        let text = fs::read_to_string(root().join(name)).expect("the document");
        // The sentence or bullet about it.
        let rule = text.split("\n\n").flat_map(|block| block.split("\n- "));
        let rule = rule.filter(|part| part.trim_start_matches("- ").starts_with("`unsafe` "));
        let rule = rule.collect::<Vec<_>>().join("\n");
        let modules = UNSAFE_ALLOWED.iter().map(|file| file.trim_end_matches(".rs"));
        for module in modules.map(|file| file.replace('/', "::")).chain(["ffi".to_owned()]) {
            assert!(rule.contains(&format!("`{module}`")), "{name}: `{module}`: {rule}");
        }
        let named = rule.split('`').skip(1).step_by(2).filter(|word| word.contains("::")).count();
        assert_eq!(named, UNSAFE_ALLOWED.len(), "{name}: {rule}");
    }
    let contributing = fs::read_to_string(root().join("CONTRIBUTING.md")).expect("the document");
    assert!(
        contributing.contains(&format!("more than {LONGEST})")),
        "CONTRIBUTING: {LONGEST} lines"
    );
}

#[test]
fn rooms_use_only_what_the_architecture_allows() {
    let allowed = allowed();
    let mut checked = 0;
    for (name, room, text) in files().iter().filter(|(name, ..)| name != "lib.rs") {
        let edges = allowed.get(room).unwrap_or_else(|| panic!("{name}: no such room"));
        for used in uses(text) {
            assert!(used == *room || edges.contains(&used), "{name} may not use crate::{used}");
            checked += 1;
        }
    }
    assert!(checked > 100, "only {checked} paths found");
    let mut rooms: Vec<String> = files().into_iter().map(|(_, room, _)| room).collect();
    rooms.push("api".to_owned());
    for room in allowed.keys() {
        assert!(rooms.contains(room), "the document has a room {room} that the sources have not");
    }
}

#[test]
fn config_uses_nothing_of_the_schedulers_but_their_names() {
    for (name, room, text) in files() {
        if room == "config" {
            for path in text.split("crate::sched::").skip(1) {
                assert!(path.starts_with("SchedulerKind"), "{name}");
            }
        }
    }
}

#[test]
fn unsafe_stands_in_its_place() {
    for (name, _, text) in files().into_iter().filter(|(_, room, _)| room != "ffi") {
        let code = text.lines().filter(|line| !line.trim_start().starts_with("//"));
        let has = code.clone().any(|line| {
            line.contains("unsafe {") || line.contains("unsafe fn") || line.contains("unsafe impl")
        });
        let lifted = code.clone().any(|line| line.contains("allow(unsafe_code)"));
        let allowed = UNSAFE_ALLOWED.contains(&name.as_str());
        assert_eq!((has, lifted), (allowed, allowed), "{name}");
    }
}

#[test]
fn files_are_short() {
    for (name, _, text) in files() {
        let lines = text.lines().count();
        assert!(lines <= LONGEST, "{name} has {lines} lines: split it by idea");
    }
}

#[test]
fn every_ordering_says_why() {
    for (name, _, text) in files().into_iter().filter(|(name, ..)| name != "sync.rs") {
        let explained = text.contains("| ordering |")
            || ["Relaxed: ", "SeqCst: "].iter().any(|why| text.contains(why));
        let used = |name| shipped(&text).contains(name);
        let used = used("Ordering::SeqCst") || used("Ordering::Relaxed");
        assert!(!used || explained, "{name} uses an atomic ordering without its reason");
    }
}
