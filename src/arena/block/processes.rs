//! Whether the process of an owner still runs, where the system says so: Linux, by its files of processes.
//!
//! Process ids are used again, and mean something else in another pid namespace. So an owner records when its process
//! began, and in which namespace that is.

/// What tells a process from others of the same id; zeros where the system does not say.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Process {
    /// When it began, in a unit of the system's.
    pub(super) birth: u64,
    /// Its pid namespace.
    pub(super) space: u64,
}

/// What the system says of the process with an id.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Found {
    /// It runs, and began then.
    Running(u64),
    /// There is none, or it has ended and its parent has not been told yet.
    Ended,
    /// The system does not say.
    Unknown,
}

impl Process {
    pub(super) fn this() -> Self {
        match (find(std::process::id()), space()) {
            (Found::Running(birth), Some(space)) => Process { birth, space },
            _ => Process::default(),
        }
    }

    /// Whether this process, with this id, still runs; `None` if that is unknown. A few system calls.
    pub(super) fn is_running(self, id: u32) -> Option<bool> {
        if self.space == 0 || space() != Some(self.space) {
            return None;
        }
        match find(id) {
            Found::Running(birth) => Some(birth == self.birth),
            Found::Ended => Some(false),
            Found::Unknown => None,
        }
    }
}

#[cfg(target_os = "linux")]
fn find(id: u32) -> Found {
    use std::io::ErrorKind;
    match std::fs::read_to_string(format!("/proc/{id}/stat")) {
        Ok(stat) => of_stat(&stat),
        // Unless there are no files of processes at all.
        Err(error) if error.kind() == ErrorKind::NotFound && space().is_some() => Found::Ended,
        Err(_) => Found::Unknown,
    }
}

/// What is in `/proc/PID/stat`: the name, which may contain anything, in parentheses; then the state, the third field,
/// and the 22nd when it began.
#[cfg(target_os = "linux")]
fn of_stat(stat: &str) -> Found {
    let Some((_, rest)) = stat.rsplit_once(')') else { return Found::Unknown };
    let mut fields = rest.split_ascii_whitespace();
    match (fields.next(), fields.nth(18).and_then(|birth| birth.parse().ok())) {
        (Some("Z" | "X"), _) => Found::Ended,
        (Some(_), Some(birth)) => Found::Running(birth),
        _ => Found::Unknown,
    }
}

/// The number of this process's pid namespace.
#[cfg(target_os = "linux")]
fn space() -> Option<u64> {
    use std::os::unix::fs::MetadataExt;
    std::fs::metadata("/proc/self/ns/pid").ok().map(|space| space.ino())
}

#[cfg(not(target_os = "linux"))]
fn find(_: u32) -> Found {
    Found::Unknown
}

#[cfg(not(target_os = "linux"))]
fn space() -> Option<u64> {
    None
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::{Found, Process, of_stat};

    #[test]
    fn processes_are_found() {
        let this = Process::this();
        let id = std::process::id();
        assert!(this.birth > 0 && this.space > 0);
        assert_eq!(this.is_running(id), Some(true));
        let other = Process { birth: this.birth + 1, ..this };
        assert_eq!(other.is_running(id), Some(false), "another process had this id");
        assert_eq!(this.is_running(u32::MAX), Some(false));
        let elsewhere = Process { space: this.space + 1, ..this };
        assert_eq!(elsewhere.is_running(u32::MAX), None);
        assert_eq!(Process::default().is_running(id), None);
    }

    #[test]
    fn names_do_not_mislead() {
        let rest = "1 1 1 0 -1 4194304 1 2 3 4 5 6 7 8 20 0 1 0 777 9 10";
        assert_eq!(of_stat(&format!("7 (a) Z 1 (b)) S {rest}")), Found::Running(777));
        assert_eq!(of_stat(&format!("7 (a) Z {rest}")), Found::Ended);
        for damaged in
            ["", "7 (a", "7 (a) S 1 2", "7 (a) S 1 1 1 0 -1 1 1 2 3 4 5 6 7 8 20 0 1 0 x"]
        {
            assert_eq!(of_stat(damaged), Found::Unknown, "{damaged}");
        }
    }
}
