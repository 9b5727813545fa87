//! Checks that links in rendered documentation and in Markdown files lead somewhere.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Result, bail, ensure};

use crate::project::Project;

/// Checks every link of the pages below this folder, to a page or to an anchor in one.
pub(crate) fn check_pages(folder: &Path) -> Result<()> {
    let mut pages = BTreeMap::new();
    read_pages(&folder.canonicalize()?, &mut pages)?;
    ensure!(!pages.is_empty(), "no pages in {}", folder.display());
    let mut broken = Vec::new();
    for (page, text) in &pages {
        for link in links(text) {
            if !leads_somewhere(page, &link, &pages) {
                broken.push(format!("{}: {link}", page.display()));
            }
        }
    }
    report(&broken)
}

/// Checks the links of the project's Markdown files to files of the project.
pub(crate) fn check_markdown(project: &Project) -> Result<()> {
    let mut broken = Vec::new();
    for folder in [".", "docs", ".github"] {
        for path in project.sh.read_dir(folder)? {
            if path.extension().is_none_or(|end| end != "md") {
                continue;
            }
            let folder = path.parent().unwrap_or(&path);
            for link in markdown_links(&project.sh.read_file(&path)?) {
                let file = link.split('#').next().unwrap_or_default();
                if !is_elsewhere(&link) && !file.is_empty() && !folder.join(file).exists() {
                    broken.push(format!("{}: {link}", path.display()));
                }
            }
        }
    }
    report(&broken)
}

fn report(broken: &[String]) -> Result<()> {
    if !broken.is_empty() {
        bail!("links that lead nowhere:\n{}", broken.join("\n"));
    }
    Ok(())
}

fn read_pages(folder: &Path, pages: &mut BTreeMap<PathBuf, String>) -> Result<()> {
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() {
            read_pages(&path, pages)?;
        } else if path.extension().is_some_and(|end| end == "html") {
            let text = fs::read_to_string(&path)?;
            pages.insert(path, text);
        }
    }
    Ok(())
}

/// The targets of `<a href="…">`.
fn links(page: &str) -> Vec<String> {
    let tags = page.split("<a ").skip(1).filter_map(|rest| rest.split('>').next());
    let targets = tags.filter_map(|tag| tag.split("href=\"").nth(1)?.split('"').next());
    targets.map(str::to_owned).collect()
}

/// The targets of `[…](…)`, and of `[…]: …` at the beginning of a line.
fn markdown_links(text: &str) -> Vec<String> {
    let inline = text.split("](").skip(1).filter_map(|rest| rest.split([')', ' ']).next());
    let definition = |line: &str| {
        let (name, target) = line.strip_prefix('[')?.split_once("]: ")?;
        Some(target.trim().to_owned()).filter(|_| !name.contains(']'))
    };
    inline.map(str::to_owned).chain(text.lines().filter_map(definition)).collect()
}

fn is_elsewhere(link: &str) -> bool {
    link.contains("://") || link.starts_with("mailto:") || link.starts_with("javascript:")
}

fn leads_somewhere(page: &Path, link: &str, pages: &BTreeMap<PathBuf, String>) -> bool {
    if is_elsewhere(link) {
        return true;
    }
    let (path, place) = link.split_once('#').unwrap_or((link, ""));
    let folder = page.parent().unwrap_or(page);
    let target = if path.is_empty() { page.to_owned() } else { folder.join(path) };
    let Ok(target) = target.canonicalize() else { return false };
    // Line numbers of a source page are not anchors.
    let is_source = target.to_string_lossy().ends_with(".rs.html");
    if place.is_empty() || is_source || target.is_dir() {
        return true;
    }
    pages.get(&target).is_none_or(|text| text.contains(&format!("id=\"{place}\"")))
}

#[cfg(test)]
mod tests {
    use super::{check_pages, links, markdown_links};

    #[test]
    fn links_are_found() {
        assert_eq!(
            links("<a href=\"a.html#b\">x</a> <a class=\"c\" href=\"d\">"),
            ["a.html#b", "d"]
        );
        let text = "[a](b.md) and [c](d.md#e)\n[f]: g.md\n| [h] | text ]: no |";
        assert_eq!(markdown_links(text), ["b.md", "d.md#e", "g.md"]);
    }

    #[test]
    fn a_broken_link_is_told() {
        let folder = std::env::temp_dir().join(format!("xtask-links-{}", std::process::id()));
        std::fs::create_dir_all(&folder).expect("a folder");
        let try_page = |text: &str| {
            std::fs::write(folder.join("page.html"), text).expect("a page");
            check_pages(&folder).map_err(|error| error.to_string())
        };
        let right = "<h1 id=\"top\">x</h1><a href=\"page.html#top\"><a href=\"#top\">";
        assert_eq!(try_page(right), Ok(()));
        for wrong in ["<a href=\"other.md\">", "<a href=\"page.html#bottom\">", "<a href=\"#x\">"] {
            let error = try_page(wrong).expect_err(wrong);
            assert!(error.contains("page.html: "), "{error}");
        }
        std::fs::remove_dir_all(&folder).expect("the folder");
    }
}
