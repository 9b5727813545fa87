//! The groups of the header: their headings, introductions and the order of their items, from the
//! files of `src/ffi`.

use crate::root;

/// Files of `src/ffi` in the order in which a reader wants them. A file whose `//!` comment begins
/// with a heading begins a group, and the rest of the comment is the introduction; the items of other
/// files join the group before.
const FILES: &[&str] = &[
    "status",
    "version",
    "text",
    "config",
    "structs",
    "config_edit",
    "requirements",
    "data",
    "director",
    "policy",
    "director_edit",
    "block",
    "lookup",
    "states",
    "read_out",
    "describe",
    "listing",
    "server_state",
    "removed",
    "repair",
    "worker",
    "pick",
    "connection",
    "outcome",
    "explain",
    "metrics",
    "sockaddr",
];

/// A group of the header.
pub(crate) struct Group {
    id: &'static str,
    title: String,
    introduction: Vec<String>,
    /// Constants, types and functions, in order.
    pub(crate) items: Vec<Item>,
}

/// A constant, type or function of a group.
pub(crate) struct Item {
    pub(crate) name: String,
    /// Whether the sources have a blank line between the item before and this one.
    pub(crate) is_apart: bool,
}

/// The files, as paths.
pub(crate) fn files() -> Vec<std::path::PathBuf> {
    FILES.iter().map(|file| root().join("src/ffi").join(file).with_extension("rs")).collect()
}

/// Reads the groups from the sources.
pub(crate) fn read() -> Vec<Group> {
    let mut groups: Vec<Group> = Vec::new();
    for (id, path) in FILES.iter().zip(files()) {
        let source = std::fs::read_to_string(&path).expect("a file of src/ffi");
        let comment = source.lines().map_while(|line| line.strip_prefix("//!"));
        let mut comment = comment.map(|line| line.strip_prefix(' ').unwrap_or(line));
        if let Some(title) = comment.next().and_then(|line| line.strip_prefix("# ")) {
            let introduction = comment.map(str::to_owned).collect();
            groups.push(Group { id, title: title.to_owned(), introduction, items: Vec::new() });
        }
        let group = groups.last_mut().expect("the first file begins a group");
        let mut is_apart = true;
        for line in source.lines() {
            is_apart |= line.is_empty();
            if let Some(name) = exported(line) {
                group.items.push(Item { name, is_apart });
                is_apart = false;
            }
        }
    }
    groups
}

/// The name of the item for the header that this line of Rust declares.
fn exported(line: &str) -> Option<String> {
    let public = ["pub const ", "pub struct ", "pub type "];
    let rest = public.iter().find_map(|prefix| line.strip_prefix(prefix));
    let rest = rest.or_else(|| line.split_once(r#"extern "C" fn "#).map(|(_, rest)| rest))?;
    let is_named = |c: char| c.is_ascii_alphanumeric() || c == '_';
    let name: String = rest.chars().take_while(|c| is_named(*c)).collect();
    name.to_ascii_lowercase().starts_with("vsched_").then_some(name)
}

impl Group {
    /// A banner, and the introduction for Doxygen.
    pub(crate) fn heading(&self) -> String {
        let mut heading = format!("{}\n\n/**\n", self.title_line());
        heading += &format!(" * @defgroup vsched-{} {}\n", self.id, self.title);
        for line in &self.introduction {
            heading += format!(" * {line}").trim_end();
            heading.push('\n');
        }
        heading + " *\n * @{\n */"
    }

    /// The end of the group for Doxygen.
    pub(crate) fn end(&self) -> String {
        "/** @} */".to_owned()
    }

    /// The title, as a line that is found when leafing through.
    pub(crate) fn title_line(&self) -> String {
        format!(
            "/* ==== {} {} */",
            self.title,
            "=".repeat(88_usize.saturating_sub(self.title.len()))
        )
    }
}
