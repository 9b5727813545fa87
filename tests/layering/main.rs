//! The sources use only the edges that docs/architecture.md allows, and keep the project's other
//! rules that can be checked in their text.

mod graph;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use graph::Graph;

const UNSAFE_ALLOWED: &[&str] = &[
    "netlink/socket.rs",
    "arena/block/mod.rs",
    "arena/block/mapping.rs",
    "arena/block/parts.rs",
    "concurrent/simd/avx2.rs",
    "concurrent/simd/avx2_quotients.rs",
    "concurrent/simd/avx2_vectors.rs",
    "concurrent/simd/blocks.rs",
    "concurrent/hazard.rs",
    "concurrent/per_thread.rs",
    "concurrent/segments.rs",
    "concurrent/zeroed.rs",
    "worker/pick.rs",
];
const LONGEST: usize = 450;
/// Most lines of the file that holds the whole decision of a pick.
const HOT_PATH: usize = 199;

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

/// Every source file: its path below src/, its layer, its text.
fn files() -> Vec<(String, String, String)> {
    let src = root().join("src");
    let mut paths = Vec::new();
    sources(&src, &mut paths);
    paths.sort();
    let file = |path: PathBuf| {
        let name = path.strip_prefix(&src).expect("below src").to_string_lossy().into_owned();
        let layer = name.split(['/', '.']).next().expect("a name").to_owned();
        (name, layer, fs::read_to_string(path).expect("a source file"))
    };
    paths.into_iter().map(file).collect()
}

fn allowed() -> BTreeMap<String, Vec<String>> {
    let text = fs::read_to_string(root().join("docs/architecture.md")).expect("the document");
    let block = text.split("```edges\n").nth(1).expect("the edges").split("```").next();
    let edge = |line: &str| {
        let (layer, uses) = line.split_once("->").expect("an edge");
        let uses = uses.split(',').map(|word| word.trim().to_owned());
        (layer.trim().to_owned(), uses.filter(|word| !word.is_empty()).collect())
    };
    block.expect("its end").lines().map(edge).collect()
}

/// The text without its unit tests.
fn shipped(text: &str) -> &str {
    text.split("#[cfg(test)]\nmod ").next().unwrap_or(text)
}

/// What the texts say of the project's rules is what is held here.
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
fn layers_use_only_what_the_architecture_allows() {
    let allowed = allowed();
    let graph = Graph::read(&root().join("src"));
    let layer = |module: &str| module.split("::").next().unwrap_or_default().to_owned();
    let mut checked = 0;
    for (module, used) in graph.uses.iter().filter(|(module, _)| !module.is_empty()) {
        let edges =
            allowed.get(&layer(module)).unwrap_or_else(|| panic!("{module}: no such layer"));
        for used in used.iter().filter(|used| !used.is_empty()) {
            let (here, there) = (layer(module), layer(used));
            // The C ABI goes by what `lib.rs` re-exports, whatever file that comes from.
            let public = edges.contains(&"api".to_owned());
            let may = here == there || public || edges.contains(&there);
            assert!(may, "{module} may not use {used}");
            checked += 1;
        }
    }
    assert!(checked > 300, "only {checked} uses found");
    let layers: BTreeSet<String> = graph.uses.keys().map(|module| layer(module)).collect();
    for layer in allowed.keys() {
        assert!(
            layers.contains(layer),
            "the document has a layer {layer} that the sources have not"
        );
    }
}

/// `docs/architecture.md` walks the path of a pick through files and functions.
#[test]
fn the_path_of_a_pick_names_functions_that_exist() {
    let text = fs::read_to_string(root().join("docs/architecture.md")).expect("the document");
    let block = text.split("```path\n").nth(1).expect("the path").split("```").next();
    let (mut steps, mut named) = (0, BTreeSet::new());
    for line in block.expect("its end").lines() {
        let mut words = line.split_whitespace();
        let (file, function) = (words.next().expect("a file"), words.next().expect("a function"));
        let source = fs::read_to_string(root().join("src").join(file)).expect(file);
        let declared = [format!("fn {function}("), format!("fn {function}<")];
        assert!(declared.iter().any(|it| source.contains(it)), "{file} has no {function}");
        named.insert(file.to_owned());
        steps += 1;
    }
    assert!(steps > 10);
    for row in text.lines().filter(|line| line.contains("`worker/pick.rs`, ")) {
        let files: Vec<&str> = row.split('`').skip(1).step_by(2).collect();
        assert!(files.len() <= 6, "at most six files: {row}");
        for file in files {
            assert!(root().join("src").join(file).is_file(), "{file}");
        }
    }
    let pick = fs::read_to_string(root().join("src/worker/pick.rs")).expect("the hot path");
    assert!(pick.lines().count() <= HOT_PATH, "worker/pick.rs is read in ten minutes");
}

/// The excerpts of `docs/adding-a-scheduler.md` stand in the files that they name, and so does what its
/// tables name.
#[test]
fn the_tutorial_quotes_what_is_there() {
    let text = fs::read_to_string(root().join("docs/adding-a-scheduler.md")).expect("the document");
    let mut quoted = 0;
    for block in text.split("```rust\n// ").skip(1) {
        let (file, excerpt) = block.split_once('\n').expect("a file");
        let source = fs::read_to_string(root().join(file)).expect(file);
        let mut rest = source.as_str();
        for part in excerpt.split("```").next().expect("its end").split("    // ...\n") {
            let (_, after) = rest.split_once(part).unwrap_or_else(|| panic!("{file}: no\n{part}"));
            (rest, quoted) = (after, quoted + 1);
        }
    }
    assert!(quoted >= 5, "{quoted}");
    let trait_of = fs::read_to_string(root().join("src/sched/mod.rs")).expect("the trait");
    let trait_of = trait_of.split("trait Scheduler").nth(1).expect("the trait");
    let methods = trait_of.split("\n}\n").next().expect("its end");
    let names = methods.lines().filter_map(|line| {
        let name = line.strip_prefix("    fn ").or_else(|| line.strip_prefix("    const "))?;
        name.split(['(', ':']).next()
    });
    for name in names {
        let named = [format!("`{name}`"), format!("`{name} = ")];
        assert!(named.iter().any(|name| text.contains(name)), "{name} is not explained");
    }
    for path in text.split('`').skip(1).step_by(2) {
        let is_path =
            ["src/", "tests/", "ffi-tests/", "docs/"].iter().any(|it| path.starts_with(it));
        assert!(!is_path || root().join(path).exists(), "{path}");
    }
}

/// The list itself goes downwards only: each layer uses layers that stand above it in the list.
#[test]
fn the_architecture_has_no_cycle() {
    let uses = allowed()
        .into_iter()
        .map(|(layer, used)| (layer, used.into_iter().filter(|used| used != "api").collect()));
    let graph = Graph { uses: uses.collect() };
    assert_eq!(graph.cycles(), Vec::<Vec<String>>::new());
}

#[test]
fn no_files_of_a_folder_use_one_another_in_a_cycle() {
    let folders = Graph::read(&root().join("src")).siblings();
    assert!(folders.len() > 10, "only {} folders", folders.len());
    let cycles = folders.iter().flat_map(Graph::cycles);
    let cycles: Vec<String> = cycles.map(|cycle| cycle.join(", ")).collect();
    assert!(cycles.is_empty(), "these use one another:\n{}", cycles.join("\n"));
}

/// The reader sees what it should: a use, a re-export resolved, a path in a macro, a cycle.
#[test]
fn a_planted_cycle_is_found() {
    let folder = root().join("target/tmp/layering");
    let _ = fs::remove_dir_all(&folder);
    let files = [
        ("lib.rs", "mod a; mod b; mod c;"),
        ("a/mod.rs", "mod inner; pub(crate) use inner::Thing;"),
        ("a/inner.rs", "pub(crate) struct Thing; fn f() { m!(crate::b::g(1)); }"),
        ("b.rs", "use crate::a::Thing; #[cfg(test)] mod tests { use crate::c::C; }"),
        ("c.rs", "pub(crate) struct C; fn f(_: super::b::B) {}"),
    ];
    for (name, text) in files {
        let path = folder.join(name);
        fs::create_dir_all(path.parent().expect("a folder")).expect("a folder");
        fs::write(path, text).expect("a file");
    }
    let graph = Graph::read(&folder);
    let uses = |module: &str| {
        let used = graph.uses[module].iter().filter(|used| !used.is_empty());
        used.cloned().collect::<Vec<_>>()
    };
    assert_eq!(uses("a"), Vec::<String>::new(), "a re-export is no use");
    assert_eq!(uses("a::inner"), ["b"]);
    assert_eq!(uses("b"), ["a::inner"], "neither the alias nor the unit test");
    assert_eq!(uses("c"), ["b"]);
    let cycles: Vec<_> = graph.siblings().iter().flat_map(Graph::cycles).collect();
    assert_eq!(cycles, [["a", "b"]]);
}

#[test]
fn unsafe_stands_in_its_place() {
    // Unit tests may do what the file that they test may.
    let files = files().into_iter().filter(|(name, ..)| !name.ends_with("tests.rs"));
    for (name, _, text) in files.filter(|(_, layer, _)| layer != "ffi") {
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
    let mut paths = Vec::new();
    ["src", "adapters"].iter().for_each(|folder| sources(&root().join(folder), &mut paths));
    assert!(paths.len() > 250, "only {} files found", paths.len());
    for path in paths {
        let lines = fs::read_to_string(&path).expect("a source file").lines().count();
        assert!(lines <= LONGEST, "{} has {lines} lines: split it by idea", path.display());
    }
}

#[test]
fn every_ordering_says_why() {
    for (name, _, text) in
        files().into_iter().filter(|(name, ..)| name != "sync.rs" && !name.ends_with("tests.rs"))
    {
        let explained = text.contains("| ordering |")
            || ["Relaxed: ", "SeqCst: "].iter().any(|why| text.contains(why));
        let used = |name| shipped(&text).contains(name);
        let used = used("Ordering::SeqCst") || used("Ordering::Relaxed");
        assert!(!used || explained, "{name} uses an atomic ordering without its reason");
    }
}
