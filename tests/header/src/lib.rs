//! Generates the C headers from the sources: `vsched.h`, and `vsched-ffi.h` for programs that parse
//! declarations without a preprocessor.

mod blocks;
mod groups;

use std::path::{Path, PathBuf};

use blocks::Block;
use groups::{Group, Item};

/// A header as the sources say it.
pub struct Header {
    /// Its name in `include`.
    pub name: &'static str,
    /// What is to be in it.
    pub text: String,
}

/// The root of the project.
pub fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// Where a header is committed.
pub fn path(name: &str) -> PathBuf {
    root().join("include").join(name)
}

/// Both headers: `vsched.h`, then `vsched-ffi.h`.
///
/// # Panics
/// The sources, a template or `cbindgen.toml` cannot be read or do not fit together.
pub fn generate() -> [Header; 2] {
    let blocks = blocks::of_sources(&groups::files());
    let groups = groups::read();
    let listed: usize = groups.iter().map(|group| group.items.len()).sum();
    assert_eq!(listed, blocks.len(), "items in src/ffi and declarations by cbindgen");
    let manual = render(&groups, &blocks, Group::heading, Block::documented, Group::end);
    let bindings = render(&groups, &blocks, Group::title_line, Block::bare, |_| String::new());
    let [manual, bindings] = [("vsched.h", manual), ("vsched-ffi.h", bindings)];
    [manual, bindings].map(|(name, groups)| {
        let template = root().join("tests/header/templates").join(name);
        let template = std::fs::read_to_string(template).expect("a template");
        Header { name, text: template.replace("@GROUPS@", groups.trim_end()) }
    })
}

/// Every group in order, with blank lines where the sources have them.
fn render(
    groups: &[Group],
    blocks: &[Block],
    begin: impl Fn(&Group) -> String,
    item: impl Fn(&Block) -> String,
    end: impl Fn(&Group) -> String,
) -> String {
    let mut parts: Vec<String> = Vec::new();
    for group in groups {
        parts.push(begin(group));
        for Item { name, is_apart } in &group.items {
            let block = blocks.iter().find(|block| block.name == *name);
            let block = item(block.unwrap_or_else(|| panic!("no declaration of {name}")));
            match parts.last_mut() {
                Some(before) if !is_apart => *before = format!("{before}\n{block}"),
                _ => parts.push(block),
            }
        }
        parts.push(end(group));
    }
    parts.retain(|part| !part.is_empty());
    parts.join("\n\n")
}
