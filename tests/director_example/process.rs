//! The example as a process: its output line by line, signals, its exit.

use std::fs;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Condvar, Mutex};
use std::thread;
use std::time::{Duration, Instant, SystemTime};

/// Nothing here takes longer: a longer wait means a failure.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

pub(crate) struct Process {
    child: Child,
    output: Arc<Output>,
}

/// Standard output and standard error so far.
#[derive(Default)]
struct Output {
    texts: Mutex<[String; 2]>,
    grown: Condvar,
}

pub(crate) struct Ended {
    pub(crate) code: Option<i32>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Process {
    pub(crate) fn start(arguments: &[&str]) -> Self {
        Process::spawn(Command::new(example()).args(arguments))
    }

    /// Starts it with these variables in its environment.
    pub(crate) fn start_with(environment: &[(&str, &str)], arguments: &[&str]) -> Self {
        Process::spawn(Command::new(example()).args(arguments).envs(environment.iter().copied()))
    }

    /// Starts it with these limits of file descriptors, soft and hard, and waits until it serves.
    pub(crate) fn limited(soft: u32, hard: u32, arguments: &[&str]) -> Self {
        let script = format!("ulimit -Sn {soft} && ulimit -Hn {hard} && exec \"$0\" \"$@\"");
        let process =
            Process::spawn(Command::new("sh").args(["-c", &script]).arg(example()).args(arguments));
        process.wait_until_serving();
        process
    }

    fn spawn(command: &mut Command) -> Self {
        let mut child = command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the example starts");
        let output = Arc::new(Output::default());
        collect(&output, 0, child.stdout.take().expect("piped"));
        collect(&output, 1, child.stderr.take().expect("piped"));
        Process { child, output }
    }

    /// Starts it, and waits until it serves.
    pub(crate) fn serving(arguments: &[&str]) -> Self {
        let process = Process::start(arguments);
        process.wait_until_serving();
        process
    }

    fn wait_until_serving(&self) {
        self.wait_for("serving", |stdout, _| stdout.contains("try: curl"));
    }

    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    pub(crate) fn signal(&self, name: &str) {
        let pid = self.child.id().to_string();
        let sent = Command::new("kill").args([&format!("-{name}"), &pid]).status();
        assert!(sent.expect("kill runs").success());
    }

    /// Waits until standard output and standard error are like this.
    pub(crate) fn wait_for(&self, what: &str, seen: impl Fn(&str, &str) -> bool) {
        let texts = self.output.texts.lock().expect("no panic");
        let (texts, time) = self
            .output
            .grown
            .wait_timeout_while(texts, PATIENCE, |[stdout, stderr]| !seen(stdout, stderr))
            .expect("no panic");
        assert!(!time.timed_out(), "waited for {what} in vain: {texts:#?}");
    }

    /// Asks for the table; answers what is printed from then on.
    pub(crate) fn table(&self) -> String {
        let before = self.printed();
        self.signal("USR1");
        self.next_table(before)
    }

    /// The table that comes after this many bytes of output.
    pub(crate) fn next_table(&self, before: usize) -> String {
        let printed = |stdout: &str| {
            let new = stdout.get(before..).unwrap_or_default();
            new.contains("RemoteAddress")
        };
        self.wait_for("a table", |stdout, _| printed(stdout));
        let texts = self.output.texts.lock().expect("no panic");
        texts[0].get(before..).unwrap_or_default().to_owned()
    }

    pub(crate) fn printed(&self) -> usize {
        self.output.texts.lock().expect("no panic")[0].len()
    }

    pub(crate) fn stdout(&self) -> String {
        self.output.texts.lock().expect("no panic")[0].clone()
    }

    /// Standard error so far.
    pub(crate) fn noted(&self) -> String {
        self.output.texts.lock().expect("no panic")[1].clone()
    }

    /// Asks for the table until it is like this.
    pub(crate) fn wait_for_table(&self, what: &str, seen: impl Fn(&str) -> bool) -> String {
        let end = Instant::now() + PATIENCE;
        loop {
            let table = self.table();
            if seen(&table) {
                return table;
            }
            assert!(Instant::now() < end, "waited for {what} in vain: {table}");
            thread::sleep(Duration::from_millis(10));
        }
    }

    /// Waits for its end.
    pub(crate) fn end(mut self) -> Ended {
        let end = Instant::now() + PATIENCE;
        let status = loop {
            if let Some(status) = self.child.try_wait().expect("it is our child") {
                break status;
            }
            assert!(Instant::now() < end, "it does not end");
            thread::sleep(Duration::from_millis(10));
        };
        // The readers let go of it at the end of both outputs.
        let end = Instant::now() + PATIENCE;
        while Arc::strong_count(&self.output) > 1 {
            assert!(Instant::now() < end, "its outputs do not end");
            thread::sleep(Duration::from_millis(1));
        }
        let [stdout, stderr] = self.output.texts.lock().expect("no panic").clone();
        Ended { code: status.code(), stdout, stderr }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// In the pieces in which it was written, so that a reader that sees part of a table sees all of it.
fn collect(output: &Arc<Output>, which: usize, mut source: impl Read + Send + 'static) {
    let output = Arc::clone(output);
    thread::spawn(move || {
        let mut bytes = [0; 65536];
        while let Ok(length @ 1..) = source.read(&mut bytes) {
            let mut texts = output.texts.lock().expect("no panic");
            texts[which].push_str(&String::from_utf8_lossy(&bytes[..length]));
            output.grown.notify_all();
        }
    });
}

/// `target/PROFILE/examples/director`, next to `target/PROFILE/deps/` where this test is.
///
/// Cargo has no `CARGO_BIN_EXE_` for examples. `cargo test` builds them together with the tests;
/// `cargo test --test director_example` does not, and would test what was built before.
pub(crate) fn example() -> PathBuf {
    let test = std::env::current_exe().expect("this test has a path");
    let profile = test.parent().and_then(Path::parent).expect("target/PROFILE/deps");
    let example = profile.join("examples/director");
    let built = fs::metadata(&example).and_then(|metadata| metadata.modified());
    let sources = Path::new(env!("CARGO_MANIFEST_DIR"));
    let changed = newest(&sources.join("src")).max(newest(&sources.join("examples/director")));
    assert!(
        built.is_ok_and(|built| built >= changed),
        "{} is missing or older than its sources: build it with this test's profile, `cargo build --example director`",
        example.display()
    );
    example
}

/// When the files that the program is made of changed last.
fn newest(path: &Path) -> SystemTime {
    if path.is_dir() {
        let entries = fs::read_dir(path).expect("sources are readable");
        let times = entries.map(|entry| newest(&entry.expect("readable").path()));
        return times.max().unwrap_or(SystemTime::UNIX_EPOCH);
    }
    if path.extension().is_none_or(|end| end != "rs" && end != "html") {
        return SystemTime::UNIX_EPOCH;
    }
    let metadata = fs::metadata(path).expect("sources are readable");
    metadata.modified().expect("files have times")
}
