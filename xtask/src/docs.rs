//! The documentation, with every link followed.

use anyhow::Result;

use crate::project::Project;

/// In target/doc; private items' in target/private, for their links.
pub(crate) fn doc(project: &Project) -> Result<()> {
    let public = project.cargo_command("doc --no-deps --features netlink");
    public.env("RUSTDOCFLAGS", "-D warnings").run()?;
    let private = project.cargo_command(
        "doc --no-deps --features netlink --document-private-items --target-dir target/private",
    );
    let flags = "-D warnings -A rustdoc::private_intra_doc_links";
    private.env("RUSTDOCFLAGS", flags).run()?;
    Ok(())
}
