//! Results: a table for people, JSON for programs, plots.

mod plot;
mod summary;
mod svg;
mod table;
mod targets;

use std::fs;
use std::path::Path;

use crate::case::Key;
use crate::launch::Gathered;

pub use summary::{Row, Summary};

const BEGIN: &str = "<!-- bench: begin -->";
const END: &str = "<!-- bench: end -->";

/// Writes summary.json, table.md and the plots into the folder, and prints the table.
pub fn write(
    folder: &Path,
    gathered: Gathered,
    counts: Vec<(Key, f64)>,
    launches: usize,
    loads: &(String, String),
) {
    let summary = Summary::new(gathered, counts);
    let put = |name: &str, text: &str| {
        fs::write(folder.join(name), text).unwrap_or_else(|error| panic!("{name}: {error}"));
    };
    put("summary.json", &summary.json());
    remove_plots(folder);
    for (name, svg) in plot::all(&summary) {
        put(&name, &svg);
    }
    let text = table::markdown(&summary, launches, loads) + &targets::markdown(&summary);
    put("table.md", &text);
    println!("{text}");
    println!("in {}: summary.json, table.md, *.svg", folder.display());
}

/// Plots of an earlier run, whose questions or pictures were others.
fn remove_plots(folder: &Path) {
    let entries = fs::read_dir(folder).expect("the folder for results").flatten();
    for path in entries.map(|entry| entry.path()) {
        if path.extension().is_some_and(|end| end == "svg") {
            fs::remove_file(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        }
    }
}

/// Puts table.md between the markers of a document.
pub fn into_doc(folder: &Path, document: &Path) {
    let table = fs::read_to_string(folder.join("table.md")).expect("a table: make bench first");
    let text = fs::read_to_string(document).expect("the document");
    let (head, rest) = text.split_once(BEGIN).expect("the marker at the begin");
    let (_, tail) = rest.split_once(END).expect("the marker at the end");
    let text = format!("{head}{BEGIN}\n\n{}\n\n{END}{tail}", table.trim_end());
    fs::write(document, text).expect("the document can be written");
}
