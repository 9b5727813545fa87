//! Instructions per operation, counted by callgrind: the same in every run.
//!
//! This program runs once more under valgrind. Around each case's loop it asks callgrind, by its
//! client requests, to zero and to dump its counts; the counts include the loop, a few instructions.

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

use crate::case::{Key, Plan, Regime, Weights};
use crate::questions::{connections, name as question, regimes, size};
use crate::subjects::name;

/// Numbers of servers for which instructions are counted.
pub const SIZES: [usize; 2] = [10, 1_000];
/// The argument of the process whose instructions are counted.
pub const ARGUMENT: &str = "--instructions";

const OPERATIONS: u64 = 1_000;
/// Cheap operations whose cost depends on the rotation's state.
const MANY_OPERATIONS: u64 = 20_000;

/// The main cases.
fn plans() -> Vec<Plan> {
    let main = |plan: &Plan| {
        let key = &plan.key;
        let depends_on_weights = matches!(key.scheduler.as_str(), "rr" | "wrr" | "wlc");
        // Its table takes half a gigabyte, too much under callgrind.
        let huge = key.subject == name::MAGLEV && key.n > 10;
        let ours = key.subject == name::RUST;
        !huge
            && match key.question.as_str() {
                question::SIZE => key.weights == Weights::Equal || depends_on_weights,
                // Our own with skewed weights are among the connections.
                question::REGIMES => key.weights == Weights::Equal || !ours,
                _ => true,
            }
    };
    let of = |n| {
        let both = [Weights::Equal, Weights::Skewed];
        let sizes = both.into_iter().flat_map(move |how| size::plans(n, how));
        let hot = move |how| regimes::with(n, how, 1, Regime::Hot);
        sizes.chain(connections::plans(n)).chain(both.into_iter().flat_map(hot))
    };
    SIZES.into_iter().flat_map(of).filter(main).collect()
}

/// In the process that callgrind watches.
pub fn counted() {
    for (number, plan) in plans().into_iter().enumerate() {
        let mut case = plan.build();
        let many = case.key.scheduler == "wrr";
        let operations = if many { MANY_OPERATIONS } else { OPERATIONS };
        let run = &mut case.runs[0];
        run(operations);
        request(START, 0);
        run(2);
        request(ZERO, 0);
        run(operations);
        let name = format!("case {number} {operations}\0");
        request(DUMP_AT, name.as_ptr() as u64);
        request(STOP, 0);
        println!("{}", serde_json::to_string(&case.key).expect("plain data"));
    }
}

/// Runs this program under callgrind: each main case with its instructions per operation. None
/// without valgrind.
pub fn count(folder: &Path) -> Option<Vec<(Key, f64)>> {
    let program = std::env::current_exe().expect("this program's path");
    let folder = folder.join("callgrind");
    let _ = fs::remove_dir_all(&folder);
    fs::create_dir_all(&folder).expect("a folder for callgrind");
    let output = Command::new("valgrind")
        .args(["--tool=callgrind", "--instr-atstart=no", "--quiet"])
        .arg(format!("--callgrind-out-file={}/out", folder.display()))
        .arg(program)
        .arg(ARGUMENT)
        .stderr(Stdio::inherit())
        .output()
        .ok()?;
    assert!(output.status.success(), "callgrind: {}", output.status);
    let text = String::from_utf8(output.stdout).expect("lines of JSON");
    let keys: Vec<Key> =
        text.lines().map(|line| serde_json::from_str(line).expect("a key")).collect();
    let mut counts = Vec::new();
    for entry in fs::read_dir(&folder).expect("what callgrind wrote").flatten() {
        let dump = fs::read_to_string(entry.path()).expect("a dump");
        if let Some((number, count)) = read_dump(&dump) {
            counts.push((keys[number].clone(), count));
        }
    }
    assert_eq!(counts.len(), keys.len(), "a dump for each case");
    Some(counts)
}

/// A case's number and its instructions per operation.
fn read_dump(dump: &str) -> Option<(usize, f64)> {
    let name = dump.lines().find_map(|line| line.split_once("Client Request: case "))?.1;
    let (number, operations) = name.split_once(' ')?;
    let total = dump.lines().find_map(|line| line.strip_prefix("totals: "))?;
    let (total, operations): (f64, f64) =
        (total.trim().parse().ok()?, operations.trim().parse().ok()?);
    Some((number.parse().ok()?, total / operations))
}

// callgrind.h: requests are numbered from 'C', 'T' in the upper bytes.
const ZERO: u64 = 0x4354_0001;
const DUMP_AT: u64 = 0x4354_0003;
const START: u64 = 0x4354_0004;
const STOP: u64 = 0x4354_0005;

/// A client request, as valgrind.h documents it; without valgrind it does nothing.
#[cfg(target_arch = "x86_64")]
fn request(number: u64, argument: u64) {
    let words = [number, argument, 0, 0, 0, 0];
    // SAFETY: four rotations by 128 bits in all and an exchange of a register with itself: together
    // nothing, which valgrind knows. It reads the words, and a name's bytes up to the NUL.
    unsafe {
        std::arch::asm!(
            "rol rdi, 3", "rol rdi, 13", "rol rdi, 61", "rol rdi, 51", "xchg rbx, rbx",
            in("rax") words.as_ptr(),
            inout("rdx") 0_u64 => _,
            options(nostack),
        );
    }
}

#[cfg(not(target_arch = "x86_64"))]
fn request(_: u64, _: u64) {
    panic!("callgrind's requests are written for x86-64 only");
}
