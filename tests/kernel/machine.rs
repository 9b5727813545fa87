//! The host side: boots the kernel and reads its output.

use std::io::{BufRead, BufReader};
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{Child, Command, ExitCode, Stdio};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread;
use std::time::{Duration, Instant};

use crate::{MEASURE, SCENARIOS, SOAK, Scenario, is_chosen};

/// Programs that are needed, and the Debian packages that have them.
const NEEDED: &[(&str, &str)] = &[
    ("linux.uml", "user-mode-linux"),
    ("modprobe", "kmod"),
    ("ip", "iproute2"),
    ("busybox", "busybox"),
    ("unshare", "util-linux"),
    ("taskset", "util-linux"),
];
/// The same with measurements, most of which is spent in what is compared with.
const MEASURING_LIMIT: Duration = Duration::from_secs(900);
/// Longest time the kernel may run, and if it soaks.
const LIMIT: Duration = Duration::from_secs(600);
const SOAK_LIMIT: Duration = Duration::from_secs(24 * 3600);
/// What scenarios can be told from outside; see `side` and `compat`.
const SETTINGS: [&str; 4] = ["seed", "script", "decisions", "sequences"];

fn on_path(program: &str) -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    // Not in every user's PATH, but in the kernel's.
    let system = ["/usr/sbin", "/sbin"].map(PathBuf::from);
    std::env::split_paths(&path).chain(system).any(|folder| folder.join(program).is_file())
}

/// True unless a program is missing that only this scenario needs.
pub(crate) fn can_run(scenario: &Scenario) -> bool {
    scenario.needs.is_none_or(on_path)
}

/// Boots a kernel, runs the scenarios whose names contain one of the words in it (all, if there are
/// no words), and tells how they came out.
pub(crate) fn boot(words: &[&str]) -> ExitCode {
    let chosen = |scenario: &&Scenario| is_chosen(scenario.name, words);
    let (chosen, skipped): (Vec<&Scenario>, Vec<&Scenario>) =
        SCENARIOS.iter().filter(chosen).partition(|scenario| can_run(scenario));
    let chosen: Vec<&str> = chosen.into_iter().map(|scenario| scenario.name).collect();
    let required = std::env::var("VSCHED_KERNEL").is_ok_and(|word| word == "required");
    for scenario in &skipped {
        let package = scenario.needs.unwrap_or_default();
        println!("SKIPPED: scenario {}; install {package} (Debian)", scenario.name);
        if required {
            return ExitCode::FAILURE;
        }
    }
    println!("\nrunning {} scenarios in a kernel, Linux {}", chosen.len(), version());
    if chosen.is_empty() {
        return ExitCode::SUCCESS;
    }
    let measures = chosen.iter().any(|name| name.starts_with(MEASURE));
    let compared = [("ipvsadm", "ipvsadm")];
    let mut lacking: Vec<&str> = NEEDED
        .iter()
        .chain(compared.iter().filter(|_| measures))
        .filter(|(program, _)| !on_path(program))
        .map(|(_, package)| *package)
        .collect();
    lacking.dedup();
    if !lacking.is_empty() {
        let packages = lacking.join(" ");
        println!("SKIPPED: all {} scenarios; install {packages} (Debian)\n", chosen.len());
        return if required { ExitCode::FAILURE } else { ExitCode::SUCCESS };
    }
    let begun = Instant::now();
    let soaks = chosen.iter().any(|name| name.starts_with(SOAK));
    let limit = if soaks {
        SOAK_LIMIT
    } else if measures {
        MEASURING_LIMIT
    } else {
        LIMIT
    };
    let (lines, complete) = output(start(&words.join(",")), limit);
    let mut failed = Vec::new();
    for name in &chosen {
        let mark = format!("@ok {name} ");
        match lines.iter().find_map(|line| line.strip_prefix(&mark)) {
            Some(time) => println!("scenario {name} ... ok ({time})"),
            None => {
                println!("scenario {name} ... FAILED");
                failed.push(*name);
            }
        }
    }
    for note in lines.iter().filter_map(|line| line.strip_prefix("@note ")) {
        println!("  {note}");
    }
    if !complete || !failed.is_empty() {
        println!("\nwhat the kernel wrote:");
        lines.iter().for_each(|line| println!("  {line}"));
        println!("failed: {}", failed.join(" "));
    }
    let (passed, time) = (chosen.len() - failed.len(), begun.elapsed());
    println!("\nkernel result: {passed} passed; {} failed; {:.1?}\n", failed.len(), time);
    if complete && failed.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn version() -> String {
    let told = Command::new("linux.uml").arg("--version").output();
    let told = told.map(|output| String::from_utf8_lossy(&output.stdout).trim().to_owned());
    told.unwrap_or_else(|_| "of no version".into())
}

fn first_allowed_cpu() -> String {
    let status = std::fs::read_to_string("/proc/self/status").expect("this process's status");
    let list = status.lines().find_map(|line| line.strip_prefix("Cpus_allowed_list:"));
    let first = list.and_then(|list| list.trim().split(['-', ',']).next());
    first.expect("a list of CPUs").to_owned()
}

/// As words of the kernel's command line.
fn settings() -> impl Iterator<Item = String> {
    let named = |name: &&str| std::env::var(format!("VSCHED_{}", name.to_uppercase())).ok();
    let named = SETTINGS.iter().filter_map(move |name| Some((name, named(name)?)));
    named.map(|(name, value)| format!("vsched_{name}={value}"))
}

/// What `xstate.c` says, compiled.
fn preloaded() -> PathBuf {
    let library = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("xstate.so");
    // Programs that run at the same time put the same file into its place.
    let built = library.with_extension(std::process::id().to_string());
    let source = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/kernel/xstate.c");
    let mut compiler = Command::new("cc");
    compiler.args(["-O2", "-Wall", "-Wextra", "-shared", "-fPIC", source, "-o"]).arg(&built);
    assert!(compiler.status().is_ok_and(|status| status.success()), "{compiler:?}");
    std::fs::rename(&built, &library).expect("the library in its place");
    library
}

fn start(only: &str) -> Child {
    let program = std::env::current_exe().expect("this program's path");
    let init = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/kernel/init.sh");
    let modules = std::env::var("UML_MODULES").unwrap_or("/usr/lib/uml/modules".into());
    // A system call in there is a change of processes out here: four times as fast on one CPU.
    Command::new("taskset")
        .args(["-c", &first_allowed_cpu(), "linux.uml"])
        .args(["mem=256M", "root=/dev/root", "rootfstype=hostfs", "rootflags=/", "rw", "quiet"])
        .args(["loglevel=0", "con=null", "con0=null,fd:1", &format!("init={init}")])
        .arg(format!("vsched_program={}", program.display()))
        .arg(concat!("vsched_root=", env!("CARGO_MANIFEST_DIR")))
        .args([format!("vsched_modules={modules}"), format!("vsched_only={only}")])
        .args(settings())
        // Where its memory is a file. In containers /dev/shm is small and not executable.
        .env("TMPDIR", std::env::temp_dir())
        .env("LD_PRELOAD", preloaded())
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        // The kernel is several processes: a group, so that all of them can be ended.
        .process_group(0)
        .spawn()
        .expect("linux.uml starts")
}

/// All lines, and whether the last one came in time.
fn output(mut kernel: Child, limit: Duration) -> (Vec<String>, bool) {
    let stdout = kernel.stdout.take().expect("a pipe");
    let (sender, receiver) = mpsc::channel();
    let reading = thread::spawn(move || {
        for line in BufReader::new(stdout).split(b'\n').map_while(Result::ok) {
            let line = String::from_utf8_lossy(&line).trim_end_matches('\r').to_owned();
            if sender.send(line).is_err() {
                break;
            }
        }
    });
    let deadline = Instant::now() + limit;
    let mut lines = Vec::new();
    let complete = loop {
        match receiver.recv_timeout(deadline.saturating_duration_since(Instant::now())) {
            Ok(line) if line == "@end" => break true,
            Ok(line) => match line.strip_prefix("@now ") {
                Some(text) => println!("  {text}"),
                None => lines.push(line),
            },
            Err(RecvTimeoutError::Timeout) => {
                lines.push(format!("(stopped after {limit:?})"));
                break false;
            }
            Err(RecvTimeoutError::Disconnected) => break false,
        }
    };
    end(&mut kernel);
    reading.join().expect("the reader");
    (lines, complete)
}

/// Waits a moment for the kernel to halt by itself.
fn end(kernel: &mut Child) {
    let deadline = Instant::now() + Duration::from_secs(5);
    while kernel.try_wait().expect("its state").is_none() {
        if Instant::now() > deadline {
            let group = format!("-{}", kernel.id());
            let ended = Command::new("kill").args(["-KILL", "--", &group]).status();
            assert!(ended.is_ok_and(|status| status.success()), "kill {group}");
            kernel.wait().expect("its end");
            break;
        }
        thread::sleep(Duration::from_millis(10));
    }
}
