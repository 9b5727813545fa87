//! Translates an address of the child to a symbol.

use std::fs;
use std::process::Command;

/// Function, file and line; the bare address if they cannot be told.
pub(crate) fn place(process: u32, address: u64) -> String {
    words(process, address).unwrap_or_else(|| format!("{address:#x}"))
}

fn words(process: u32, address: u64) -> Option<String> {
    let program = fs::read_link(format!("/proc/{process}/exe")).ok()?;
    let maps = fs::read_to_string(format!("/proc/{process}/maps")).ok()?;
    let name = program.to_str()?;
    // The program's first mapping begins where its addresses count from.
    let first = maps.lines().find(|line| line.ends_with(name))?;
    let base = u64::from_str_radix(first.split('-').next()?, 16).ok()?;
    let found = Command::new("addr2line")
        .args(["-Cfie"])
        .arg(program)
        .arg(format!("{:#x}", address.checked_sub(base)?))
        .output()
        .ok()?;
    let text = String::from_utf8(found.stdout).ok()?;
    // Two lines a function, the innermost first, with those that it is inlined in.
    let lines: Vec<&str> = text.lines().collect();
    let functions = lines.chunks_exact(2).map(|pair| format!("{} ({})", pair[0], pair[1]));
    Some(functions.take(6).collect::<Vec<_>>().join("\n    in "))
}
