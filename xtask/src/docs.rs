//! Builds the documentation and follows every link.

use anyhow::Result;

use crate::links;
use crate::project::Project;

/// Writes the JSON Schema of a config.
pub(crate) fn schema(project: &Project) -> Result<()> {
    let test = project.cargo_command("test --quiet --features schema --test schema committed");
    test.env("WRITE_SCHEMA", "1").run()?;
    Ok(())
}

/// Builds public docs in target/doc, and those of private items in target/private to check their links.
pub(crate) fn doc(project: &Project) -> Result<()> {
    links::check_markdown(project)?;
    let pages = project.path("target/doc/vsched");
    // Otherwise pages of removed items would be checked too.
    project.sh.remove_path(&pages)?;
    // The same options as on docs.rs.
    let public = project.cargo_command("doc --no-deps --all-features");
    public.env("RUSTDOCFLAGS", "-D warnings").run()?;
    links::check_pages(&pages)?;
    // Without `capi`: comments on C functions are the header's, not Markdown.
    let private = project.cargo_command(
        "doc --no-deps --features netlink --document-private-items --target-dir target/private",
    );
    let flags = "-D warnings -A rustdoc::private_intra_doc_links";
    private.env("RUSTDOCFLAGS", flags).run()?;
    Ok(())
}
