//! Prints the public API of a crate, one item per line, from the JSON that rustdoc writes about it.

use std::collections::HashSet;
use std::process::ExitCode;

use public_api::tokens::Token;
use public_api::{Builder, PublicItem, Result};

/// Traits that the compiler implements on its own. Whether a type is `Send` and `Sync` is part of its
/// API; the others depend on the compiler's version.
const AUTO_TRAITS: &[&str] = &["Freeze", "RefUnwindSafe", "Unpin", "UnsafeUnpin", "UnwindSafe"];
/// What `derive(PartialEq)` adds for patterns.
const STRUCTURAL: &str = "StructuralPartialEq";

fn main() -> ExitCode {
    let Some(path) = std::env::args().nth(1) else {
        eprintln!("vsched-public-api: the path of rustdoc's JSON, please");
        return ExitCode::FAILURE;
    };
    match lines(&path) {
        Ok(lines) => {
            lines.iter().for_each(|line| println!("{line}"));
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("vsched-public-api: {path}: {error}");
            ExitCode::FAILURE
        }
    }
}

fn lines(path: &str) -> Result<Vec<String>> {
    let api = Builder::from_rustdoc_json(path).omit_blanket_impls(true).build()?;
    let items: Vec<PublicItem> = api.into_items().collect();
    let trait_impls: HashSet<_> =
        items.iter().filter(|item| implemented(item).is_some()).map(PublicItem::id).collect();
    let is_listed = |item: &&PublicItem| match implemented(item) {
        Some(name) => !AUTO_TRAITS.contains(&name) && name != STRUCTURAL,
        // The trait says which functions its implementations have.
        None => {
            let in_trait_impl = item.parent_id().is_some_and(|id| trait_impls.contains(&id));
            !(in_trait_impl && is_function(item))
        }
    };
    Ok(items.iter().filter(is_listed).map(PublicItem::to_string).collect())
}

/// The name of the trait, if this item is a trait's implementation.
fn implemented(item: &PublicItem) -> Option<&str> {
    let mut tokens = item.tokens();
    if !matches!(tokens.next(), Some(Token::Keyword(word)) if word == "impl") {
        return None;
    }
    // `impl<T> path::Trait<X> for Type`: the last name before `for` that no bracket encloses.
    let (mut depth, mut name) = (0usize, None);
    for token in tokens {
        match token {
            Token::Symbol(symbol) => {
                let count = |bracket| symbol.chars().filter(|&c| c == bracket).count();
                depth = (depth + count('<')).saturating_sub(count('>'));
            }
            Token::Type(text) if depth == 0 => name = Some(text.as_str()),
            Token::Keyword(word) if word == "for" && depth == 0 => return name,
            _ => {}
        }
    }
    None
}

fn is_function(item: &PublicItem) -> bool {
    item.tokens().any(|token| matches!(token, Token::Kind(kind) if kind == "fn"))
}
