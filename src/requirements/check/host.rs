//! The files of a host, and the sysctls, modules and interfaces that they describe.

use std::cell::RefCell;
use std::collections::HashMap;
use std::fs;
use std::io::ErrorKind;
use std::path::Path;
use std::rc::Rc;

/// Interface flags of the kernel.
pub(super) const UP: u32 = 0x1;
const LOOPBACK: u32 = 0x8;
const NO_ARP: u32 = 0x80;

/// A host, described by its files, each of which is read once.
pub(super) struct Host<'r> {
    root: &'r Path,
    texts: RefCell<HashMap<String, Text>>,
}

/// A text, `None` if there is no such file, or why it cannot be read.
type Text = Result<Option<Rc<str>>, String>;

impl<'r> Host<'r> {
    pub(super) fn new(root: &'r Path) -> Self {
        Host { root, texts: RefCell::default() }
    }

    /// The text of a file; `None` if there is no such file.
    pub(super) fn find(&self, path: &str) -> Text {
        if let Some(text) = self.texts.borrow().get(path) {
            return text.clone();
        }
        let text = match fs::read_to_string(self.root.join(path)) {
            Ok(text) => Ok(Some(Rc::from(text))),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
            Err(error) => Err(format!("/{path}: {error}")),
        };
        self.texts.borrow_mut().insert(path.to_owned(), text.clone());
        text
    }

    /// The text of a file that should exist.
    pub(super) fn read(&self, path: &str) -> Result<Rc<str>, String> {
        self.find(path)?.ok_or_else(|| format!("there is no /{path}"))
    }

    /// The value of the sysctl at this path below `/proc/sys`.
    pub(super) fn sysctl(&self, path: &str) -> Result<i32, String> {
        let path = format!("proc/sys/{path}");
        let text = self.read(&path)?;
        text.trim().parse().map_err(|_| format!("/{path} is not a number"))
    }

    /// The value that applies to this interface: the greater of its own and that of `all`.
    pub(super) fn interface_sysctl(&self, name: &str, interface: &str) -> Result<i32, String> {
        let own = self.sysctl(&format!("net/ipv4/conf/{interface}/{name}"))?;
        Ok(own.max(self.sysctl(&format!("net/ipv4/conf/all/{name}"))?))
    }

    /// The interfaces that are up and answer ARP requests.
    pub(super) fn interfaces_with_arp(&self) -> Result<Vec<String>, String> {
        const CONF: &str = "proc/sys/net/ipv4/conf";
        let unreadable = |error: std::io::Error| format!("/{CONF}: {error}");
        let mut names = Vec::new();
        for entry in fs::read_dir(self.root.join(CONF)).map_err(unreadable)? {
            let name = entry.map_err(unreadable)?.file_name().to_string_lossy().into_owned();
            if matches!(name.as_str(), "all" | "default" | "lo") {
                continue;
            }
            // An interface without known flags is assumed to answer ARP.
            let flags = self.interface_flags(&name)?.unwrap_or(UP);
            if flags & UP != 0 && flags & (LOOPBACK | NO_ARP) == 0 {
                names.push(name);
            }
        }
        names.sort();
        Ok(names)
    }

    /// The flags of an interface; `None` if there is no such interface.
    pub(super) fn interface_flags(&self, name: &str) -> Result<Option<u32>, String> {
        let path = format!("sys/class/net/{name}/flags");
        let Some(text) = self.find(&path)? else {
            // On a host without interfaces the folder itself is missing.
            let folder = self.root.join("sys/class/net");
            return if folder.is_dir() { Ok(None) } else { Err(format!("there is no /{path}")) };
        };
        let digits = text.trim().trim_start_matches("0x");
        u32::from_str_radix(digits, 16)
            .map(Some)
            .map_err(|_| format!("/{path} is not a hexadecimal number"))
    }

    /// True if a module is loaded or built into the kernel.
    pub(super) fn has_module(&self, name: &str) -> Result<bool, String> {
        let name = name.replace('-', "_");
        if self.root.join("sys/module").join(&name).is_dir() {
            return Ok(true);
        }
        let loaded = self.find("proc/modules")?;
        let lists = |text: &str| text.lines().any(|line| line.split(' ').next() == Some(&name));
        if loaded.as_deref().is_some_and(lists) {
            return Ok(true);
        }
        if self.is_built_in(&name)? {
            return Ok(true);
        }
        // A kernel without loadable modules has no list of them.
        match loaded {
            Some(_) => Ok(false),
            None => Err("there is no /proc/modules".to_owned()),
        }
    }
    /// True if the running kernel's list of built-in modules contains this one.
    fn is_built_in(&self, name: &str) -> Result<bool, String> {
        let Some(release) = self.find("proc/sys/kernel/osrelease")? else {
            return Ok(false);
        };
        let list = self.find(&format!("lib/modules/{}/modules.builtin", release.trim()))?;
        let file = |line: &str| line.rsplit('/').next().unwrap_or_default().replace('-', "_");
        let is_it = |line: &str| file(line).strip_suffix(".ko") == Some(name);
        Ok(list.is_some_and(|text| text.lines().any(is_it)))
    }
}
