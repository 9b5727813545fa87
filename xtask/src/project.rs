//! The project as cargo describes it, and commands run in its folder.

use std::env;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use cargo_metadata::{Artifact, Message, Metadata, MetadataCommand, Package};
use xshell::{Cmd, Shell, cmd};

pub(crate) struct Project {
    /// A command whose current folder is the project's.
    pub(crate) sh: Shell,
    root: PathBuf,
}

/// The numbers in the names of the shared library.
pub(crate) struct LibraryNames {
    /// `libvsched.so.1`, the library's soname.
    pub(crate) soname: String,
    /// `libvsched.so.1.0.1`, the installed file.
    pub(crate) file: String,
}

impl Project {
    pub(crate) fn new() -> Result<Self> {
        let sh = Shell::new()?;
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().context("a parent folder")?;
        sh.change_dir(root);
        Ok(Project { sh, root: root.to_owned() })
    }

    pub(crate) fn path(&self, below: impl AsRef<Path>) -> PathBuf {
        self.root.join(below)
    }

    /// Runs cargo with these arguments.
    pub(crate) fn cargo(&self, words: &str) -> Result<()> {
        self.cargo_command(words).run().map_err(Into::into)
    }

    pub(crate) fn cargo_command(&self, words: &str) -> Cmd<'_> {
        // The cargo that runs this program, which need not be in PATH. Only rustup's knows `+nightly`.
        let this = env::var("CARGO").ok().filter(|_| !words.starts_with('+'));
        let cargo = this.unwrap_or_else(|| "cargo".to_owned());
        let words = words.split_whitespace();
        cmd!(self.sh, "{cargo} {words...}")
    }

    /// Builds; returns the artifacts of the crate itself that cargo reports.
    pub(crate) fn build(&self, command: Cmd<'_>, words: &[&str]) -> Result<Vec<Artifact>> {
        // Options for rustc, if any, follow a `--`.
        let format = "--message-format=json-render-diagnostics";
        let text = command.arg(format).args(words).read()?;
        let mut artifacts = Vec::new();
        for message in Message::parse_stream(text.as_bytes()) {
            if let Message::CompilerArtifact(artifact) = message? {
                artifacts.push(artifact);
            }
        }
        ensure!(!artifacts.is_empty(), "cargo built nothing");
        Ok(artifacts)
    }

    /// Builds; returns the path of the program.
    pub(crate) fn build_program(&self, words: &str) -> Result<PathBuf> {
        let artifacts = self.build(self.cargo_command(words), &[])?;
        let program = artifacts.into_iter().find_map(|artifact| artifact.executable);
        Ok(program.context("cargo built no program")?.into_std_path_buf())
    }

    fn metadata(&self) -> Result<Metadata> {
        Ok(MetadataCommand::new().current_dir(&self.root).no_deps().exec()?)
    }

    /// The crate, as its manifest describes it.
    pub(crate) fn package(&self) -> Result<Package> {
        self.metadata()?.root_package().cloned().context("a package at the root")
    }
}

/// Cargo.toml has the numbers for cargo-c; a test compares them with the sources.
pub(crate) fn library_names(package: &Package) -> Result<LibraryNames> {
    let version = package.metadata["capi"]["library"]["version"].as_str();
    let version = version.context("no version in [package.metadata.capi.library]")?;
    let abi = version.split('.').next().unwrap_or_default();
    Ok(LibraryNames {
        soname: format!("libvsched.so.{abi}"),
        file: format!("libvsched.so.{version}"),
    })
}

/// An environment variable, or this default.
pub(crate) fn variable(name: &str, otherwise: &str) -> String {
    env::var(name).ok().filter(|value| !value.is_empty()).unwrap_or_else(|| otherwise.to_owned())
}

/// VSCHED_SEED, or the time if it is not set.
pub(crate) fn seed() -> String {
    let now = std::time::SystemTime::UNIX_EPOCH.elapsed().map_or(1, |time| time.as_secs());
    variable("VSCHED_SEED", &now.to_string())
}

/// The program that the shell would run, including those in the administrator's folders.
pub(crate) fn find_program(name: &str) -> Option<PathBuf> {
    let path = env::var_os("PATH").unwrap_or_default();
    let folders = env::split_paths(&path).chain(["/usr/sbin".into(), "/sbin".into()]);
    folders.map(|folder| folder.join(name)).find(|file| file.is_file())
}

/// Reports in a separate line what cannot run here.
pub(crate) fn skipped(what: &str) {
    eprintln!("SKIPPED {what}");
}
