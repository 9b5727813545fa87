//! The module graph: which file uses which, read from the syntax trees of `src`.
//!
//! Every path in code that begins with `crate`, `super`, `self` or a module in scope counts, macro
//! bodies included. A path that ends in a re-export counts as a use of the file that defines the
//! item; the re-export itself does not count. Unit tests are left out.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use proc_macro2::{TokenStream, TokenTree};
use syn::visit::{self, Visit};
use syn::{Attribute, Item, ItemMacro, ItemMod, ItemUse, Macro, UseTree, Visibility};

/// Names of a path from the crate's root.
type Names = Vec<String>;

/// A source file as a module.
struct Module {
    file: syn::File,
    /// What its re-exports stand for, by name: full paths, and `*`.
    exports: Vec<(String, Names)>,
}

pub(crate) struct Graph {
    /// By path, such as `sched::least::index`.
    pub(crate) uses: BTreeMap<String, BTreeSet<String>>,
}

impl Graph {
    /// The modules below this folder; `lib.rs` is the crate's root.
    pub(crate) fn read(src: &Path) -> Self {
        let mut modules = BTreeMap::new();
        collect(src, &[], &mut modules);
        let names: BTreeSet<Names> = modules.keys().cloned().collect();
        for (path, module) in &mut modules {
            for item in &module.file.items {
                if let Item::Use(item) = item {
                    if !matches!(item.vis, Visibility::Inherited) {
                        leaves(item, path, &names, &mut |name, target| {
                            module.exports.push((name, target));
                        });
                    }
                }
            }
        }
        let mut uses = BTreeMap::new();
        for (path, module) in &modules {
            let mut reader = Reader { path, names: &names, found: Vec::new() };
            reader.visit_file(&module.file);
            let mut targets = BTreeSet::new();
            for found in reader.found {
                if let Some(target) = resolve(&modules, &found, 0) {
                    if target != *path {
                        targets.insert(target.join("::"));
                    }
                }
            }
            uses.insert(path.join("::"), targets);
        }
        Graph { uses }
    }

    /// In each folder, what its files and folders use of one another. A folder's own `mod.rs` is none
    /// of them: what it declares and defines is for all.
    pub(crate) fn siblings(&self) -> Vec<Graph> {
        let mut folders: BTreeMap<String, Graph> = BTreeMap::new();
        for (from, used) in &self.uses {
            for to in used {
                let common = from.split("::").zip(to.split("::")).take_while(|(a, b)| a == b);
                let common = common.count();
                let parts =
                    (prefix(from, common), prefix(from, common + 1), prefix(to, common + 1));
                if let (Some(folder), Some(user), Some(sibling)) = parts {
                    let empty = || Graph { uses: BTreeMap::new() };
                    let graph = folders.entry(folder).or_insert_with(empty);
                    graph.uses.entry(sibling.clone()).or_default();
                    graph.uses.entry(user).or_default().insert(sibling);
                }
            }
        }
        folders.into_values().collect()
    }

    /// Groups of modules that use one another, directly or by way of others.
    pub(crate) fn cycles(&self) -> Vec<Vec<String>> {
        let reached: BTreeMap<&String, BTreeSet<&String>> =
            self.uses.keys().map(|from| (from, self.reach(from))).collect();
        let mut cycles = BTreeSet::new();
        for (from, to) in &reached {
            let members =
                to.iter().filter(|to| reached.get(*to).is_some_and(|to| to.contains(from)));
            let members: Vec<String> = members.map(|name| (*name).clone()).collect();
            if !members.is_empty() {
                cycles.insert(members);
            }
        }
        cycles.into_iter().collect()
    }

    fn reach<'a>(&'a self, from: &'a String) -> BTreeSet<&'a String> {
        let (mut reached, mut left) = (BTreeSet::new(), vec![from]);
        while let Some(from) = left.pop() {
            for to in self.uses.get(from).into_iter().flatten() {
                if reached.insert(to) {
                    left.push(to);
                }
            }
        }
        reached
    }
}

/// The first names of a module's path; `None` if it has fewer.
fn prefix(module: &str, count: usize) -> Option<String> {
    let names: Vec<&str> = module.split("::").take(count).collect();
    (names.len() == count).then(|| names.join("::"))
}

fn collect(folder: &Path, path: &[String], modules: &mut BTreeMap<Names, Module>) {
    for entry in fs::read_dir(folder).expect("a source folder") {
        let file = entry.expect("an entry").path();
        let stem = file.file_stem().expect("a name").to_string_lossy().into_owned();
        let mut name = path.to_vec();
        if file.is_dir() {
            name.push(stem);
            collect(&file, &name, modules);
        } else if file.extension().is_some_and(|end| end == "rs") && !stem.ends_with("tests") {
            if stem != "mod" && stem != "lib" {
                name.push(stem);
            }
            let text = fs::read_to_string(&file).expect("a source file");
            let parsed = syn::parse_file(&text)
                .unwrap_or_else(|error| panic!("{}: {error}", file.display()));
            modules.insert(name, Module { file: parsed, exports: Vec::new() });
        }
    }
}

/// The module that defines what this path names; `None` for another crate's.
fn resolve(modules: &BTreeMap<Names, Module>, path: &[String], depth: usize) -> Option<Names> {
    assert!(depth < 16, "re-exports without an end: {path:?}");
    let length = (0..=path.len()).rev().find(|length| modules.contains_key(&path[..*length]))?;
    let (module, rest) = path.split_at(length);
    let Some(name) = rest.first() else { return Some(module.to_vec()) };
    let exports = &modules.get(module)?.exports;
    match exports.iter().find(|(export, _)| export == name) {
        Some((_, target)) if target != path => resolve(modules, target, depth + 1),
        _ => Some(module.to_vec()),
    }
}

/// The full path that these first names mean in this module.
fn absolute(path: &[String], names: &BTreeSet<Names>, first: &[String]) -> Option<Names> {
    let (head, mut rest) = first.split_first()?;
    let mut base = match head.as_str() {
        "crate" => Vec::new(),
        "self" => path.to_vec(),
        "super" => path.split_last()?.1.to_vec(),
        _ => {
            // A child of this module.
            let child = [path, &first[..1]].concat();
            return names.contains(&child).then(|| [path, first].concat());
        }
    };
    while rest.first().is_some_and(|name| name == "super") {
        base.pop()?;
        rest = &rest[1..];
    }
    base.extend_from_slice(rest);
    Some(base)
}

fn leaves(
    item: &ItemUse,
    path: &[String],
    names: &BTreeSet<Names>,
    found: &mut dyn FnMut(String, Names),
) {
    fn walk(tree: &UseTree, before: &mut Names, found: &mut dyn FnMut(String, &Names)) {
        match tree {
            UseTree::Path(next) => {
                before.push(next.ident.to_string());
                walk(&next.tree, before, found);
                before.pop();
            }
            UseTree::Name(name) if name.ident == "self" => {
                found(before.last().cloned().unwrap_or_default(), before);
            }
            UseTree::Name(name) => {
                before.push(name.ident.to_string());
                found(name.ident.to_string(), before);
                before.pop();
            }
            UseTree::Rename(name) => {
                before.push(name.ident.to_string());
                found(name.rename.to_string(), before);
                before.pop();
            }
            UseTree::Glob(_) => found("*".to_owned(), before),
            UseTree::Group(group) => {
                group.items.iter().for_each(|tree| walk(tree, before, found));
            }
        }
    }
    walk(&item.tree, &mut Vec::new(), &mut |name, first| {
        if let Some(target) = absolute(path, names, first) {
            found(name, target);
        }
    });
}

struct Reader<'a> {
    path: &'a Names,
    names: &'a BTreeSet<Names>,
    found: Vec<Names>,
}

impl Reader<'_> {
    fn add(&mut self, first: &[String]) {
        self.found.extend(absolute(self.path, self.names, first));
    }

    /// Paths in the tokens of a macro: those that begin with `crate`, or with a child module.
    fn tokens(&mut self, tokens: TokenStream) {
        let mut path = Vec::new();
        let mut joined = false;
        for token in tokens {
            match token {
                TokenTree::Ident(name) if joined || path.is_empty() => {
                    path.push(name.to_string());
                    joined = false;
                    continue;
                }
                TokenTree::Punct(mark) if mark.as_char() == ':' && !path.is_empty() => {
                    joined = true;
                    continue;
                }
                TokenTree::Ident(name) => {
                    self.add(&path);
                    path = vec![name.to_string()];
                    joined = false;
                    continue;
                }
                TokenTree::Group(group) => self.tokens(group.stream()),
                _ => {}
            }
            self.add(&path);
            path.clear();
            joined = false;
        }
        self.add(&path);
    }
}

fn is_test(attributes: &[Attribute]) -> bool {
    attributes.iter().any(|attribute| {
        attribute.path().is_ident("cfg")
            && attribute.meta.require_list().is_ok_and(|list| list.tokens.to_string() == "test")
    })
}

impl<'ast> Visit<'ast> for Reader<'_> {
    fn visit_item(&mut self, item: &'ast Item) {
        let attributes = match item {
            Item::Fn(item) => &item.attrs,
            Item::Impl(item) => &item.attrs,
            Item::Mod(ItemMod { attrs, .. }) => attrs,
            Item::Use(item) => &item.attrs,
            Item::Static(item) => &item.attrs,
            _ => return visit::visit_item(self, item),
        };
        if !is_test(attributes) {
            visit::visit_item(self, item);
        }
    }

    fn visit_item_use(&mut self, item: &'ast ItemUse) {
        // A re-export is an alias: a use of it is a use of the item that it stands for.
        if matches!(item.vis, Visibility::Inherited) {
            leaves(item, self.path, self.names, &mut |_, target| self.found.push(target));
        }
    }

    fn visit_path(&mut self, path: &'ast syn::Path) {
        let first: Names = path.segments.iter().map(|part| part.ident.to_string()).collect();
        self.add(&first);
        visit::visit_path(self, path);
    }

    fn visit_macro(&mut self, item: &'ast Macro) {
        self.tokens(item.tokens.clone());
    }

    fn visit_item_macro(&mut self, item: &'ast ItemMacro) {
        self.tokens(item.mac.tokens.clone());
    }
}
