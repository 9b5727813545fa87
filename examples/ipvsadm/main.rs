//! The command line of ipvsadm 1.31 on this crate: scripts and tutorials run unchanged.
//!
//! `cargo run --release --features netlink --example ipvsadm -- -L -n` (as root)

#[cfg(target_os = "linux")]
mod program;

#[cfg(target_os = "linux")]
fn main() -> std::process::ExitCode {
    let mut words = std::env::args_os().map(|word| word.to_string_lossy().into_owned());
    let program = words.next().unwrap_or_else(|| "ipvsadm".to_owned());
    let words: Vec<String> = words.collect();
    let (mut input, mut out) = (std::io::stdin().lock(), std::io::stdout().lock());
    let streams =
        program::Streams { input: &mut input, out: &mut out, err: &mut std::io::stderr() };
    program::run(&program, &words, streams).into()
}

#[cfg(not(target_os = "linux"))]
fn main() {
    eprintln!("only Linux has IPVS");
}
