//! Checks the crate as it would be published.

use anyhow::{Result, ensure};

use crate::project::Project;

/// Maximum size of the packed crate, in bytes. An eighth of it is the C headers and the documents, a seventh
/// the kernel plane.
const LARGEST: u64 = 620_000;

pub(crate) fn package(project: &Project) -> Result<()> {
    // This also builds the packed crate.
    project.cargo("package --allow-dirty --quiet")?;
    let version = project.package()?.version;
    let packed = project.path(format!("target/package/vsched-{version}.crate"));
    let size = std::fs::metadata(packed)?.len();
    println!("vsched {version}: {} KB packed", size.div_ceil(1000));
    ensure!(size < LARGEST, "the packed crate has {size} bytes, limit {LARGEST}: see `include`");
    Ok(())
}
