//! Parsing takes memory and lookups in proportion to the length of the text, whatever the commands.
//! Counted in allocated bytes, not in time.
#![cfg(feature = "serde")]

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

use vsched::Config;

struct Counting;

thread_local! {
    static BYTES: Cell<usize> = const { Cell::new(0) };
}

// SAFETY: every call is passed on unchanged to the system allocator; counting touches only a
// constant-initialized thread-local without a destructor.
#[allow(unsafe_code)]
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        BYTES.set(BYTES.get() + layout.size());
        // SAFETY: the caller's duty, passed on.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        // SAFETY: the caller's duty, passed on.
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

fn bytes_of<T>(work: impl FnOnce() -> T) -> (T, usize) {
    let before = BYTES.get();
    let done = work();
    (done, BYTES.get() - before)
}

/// The `i`-th of many addresses.
fn ip(i: usize) -> String {
    format!("10.{}.{}.{}", 1 + i / 65536, i / 256 % 256, i % 256)
}

fn lines(n: usize, line: impl Fn(usize) -> String) -> String {
    (0..n).map(line).collect()
}

fn one_service(n: usize) -> String {
    let server = |i| format!("-a -t 10.0.0.1:80 -r {}:80 -m\n", ip(i));
    "-A -t 10.0.0.1:80 -s rr\n".to_owned() + &lines(n, server)
}

fn many_services(n: usize) -> String {
    lines(n, |i| format!("-A -t {}:80 -s rr\n", ip(i)))
}

type Text = fn(usize) -> String;

/// Rules texts, and whether they can be read.
const RULES: &[(&str, bool, Text)] = &[
    ("one service, many servers", true, one_service),
    ("many services", true, many_services),
    ("servers of two services by turns", true, |n| {
        let server = |i| format!("-a -t 10.0.0.{}:80 -r {}:80 -m\n", i % 2, ip(i));
        "-A -t 10.0.0.0:80\n-A -t 10.0.0.1:80\n".to_owned() + &lines(n, server)
    }),
    ("every server edited", true, |n| {
        one_service(n) + &lines(n, |i| format!("-e -t 10.0.0.1:80 -r {}:80 -m -w 3\n", ip(i)))
    }),
    ("every service edited", true, |n| {
        many_services(n) + &lines(n, |i| format!("-E -t {}:80 -s wrr\n", ip(i)))
    }),
    ("every server deleted, oldest first", true, |n| {
        one_service(n) + &lines(n, |i| format!("-d -t 10.0.0.1:80 -r {}:80\n", ip(i)))
    }),
    ("every server deleted, newest first", true, |n| {
        one_service(n) + &lines(n, |i| format!("-d -t 10.0.0.1:80 -r {}:80\n", ip(n - 1 - i)))
    }),
    ("every service deleted, oldest first", true, |n| {
        many_services(n) + &lines(n, |i| format!("-D -t {}:80\n", ip(i)))
    }),
    ("every service deleted, newest first", true, |n| {
        many_services(n) + &lines(n, |i| format!("-D -t {}:80\n", ip(n - 1 - i)))
    }),
    ("a server added and deleted beside many", true, |n| {
        let pair = "-a -t 10.0.0.1:80 -r 10.9.9.9:80\n-d -t 10.0.0.1:80 -r 10.9.9.9:80\n";
        one_service(n) + &pair.repeat(n)
    }),
    ("a service added and deleted beside many", true, |n| {
        many_services(n) + &"-A -t 10.0.0.1:80\n-D -t 10.0.0.1:80\n".repeat(n)
    }),
    ("services with a server each deleted", true, |n| {
        let service = |i| format!("-A -t {0}:80\n-a -t {0}:80 -r 10.9.9.9\n", ip(i));
        lines(n, service) + &lines(n, |i| format!("-D -t {}:80\n", ip(i)))
    }),
    ("cleared again and again", true, |n| many_services(n) + &"-C\n-A -t 10.0.0.1:80\n".repeat(n)),
    ("a service twice", false, |n| "-A -t 10.0.0.1:80 -s rr\n".repeat(n)),
    ("no such service, at last", false, |n| many_services(n) + "-D -t 10.0.0.1:80\n"),
    ("garbage", false, |n| "x y z\n".repeat(n)),
    ("an option again and again", false, |n| format!("-A -t 10.0.0.1:80{}\n", " -s rr".repeat(n))),
    ("a harmless option again and again", true, |n| format!("-A -f 7{}\n", " -6".repeat(n))),
    ("a bundle", true, |n| format!("-A -f 7 -{}\n", "6".repeat(n))),
    ("one word", false, |n| "a".repeat(n * 10)),
    ("a long address", false, |n| format!("-A -t {}\n", "1.".repeat(n))),
    ("a long list of flags", true, |n| format!("-A -f 7 -s rr -b {}\n", "flag-1,".repeat(n))),
    ("quotes", false, |n| "\"' \\".repeat(n)),
    ("blank lines", true, |n| "\n".repeat(n)),
    ("comments", true, |n| "# -A -t\n".repeat(n)),
];

/// JSON texts; `true` where they are valid configs, `false` where they are refused as texts or as
/// configs.
const JSON: &[(&str, bool, Text)] = &[
    ("one service, many servers", true, |n| {
        let servers = (0..n).map(|i| format!("{{\"address\":\"{}:80\"}}", ip(i)));
        json_service(&servers.collect::<Vec<_>>().join(","))
    }),
    ("bad servers, all the same", false, |n| {
        json_service(&vec!["{\"address\":\"0.0.0.0:0\",\"weight\":4294967295}"; n].join(","))
    }),
    ("a service again and again", false, |n| {
        let services = vec!["{\"key\":\"tcp 10.0.0.1:80\"}"; n].join(",");
        format!("{{\"services\":[{services}]}}")
    }),
    ("a daemon again and again", false, |n| {
        let daemons = vec!["{\"role\":\"master\",\"interface\":\"eth0\"}"; n].join(",");
        format!("{{\"daemons\":[{daemons}]}}")
    }),
    ("nested arrays", false, |n| "[".repeat(n) + &"]".repeat(n)),
    ("nested objects", false, |n| "{\"services\":".repeat(n)),
];

fn json_service(servers: &str) -> String {
    format!(
        "{{\"services\":[{{\"key\":\"tcp 10.0.0.1:80\",\"scheduler\":\"rr\",\"servers\":[{servers}]}}]}}"
    )
}

fn read_rules(text: &str) -> bool {
    match text.parse::<Config>() {
        Ok(config) => config.validate().is_ok(),
        Err(error) => error.to_string().is_empty(),
    }
}

fn read_json(text: &str) -> bool {
    match serde_json::from_str::<Config>(text) {
        Ok(config) => match config.validate() {
            Ok(()) => true,
            Err(error) => error.to_string().is_empty(),
        },
        Err(error) => error.to_string().is_empty(),
    }
}

#[test]
fn bytes_grow_with_the_length_of_the_text() {
    let rules = RULES.iter().map(|case| (case, read_rules as fn(&str) -> bool));
    let json = JSON.iter().map(|case| (case, read_json as fn(&str) -> bool));
    for ((what, good, text), read) in rules.chain(json) {
        let [few, many] = [500, 4000].map(|n| {
            let text = text(n);
            let (accepted, bytes) = bytes_of(|| read(&text));
            assert_eq!(accepted, *good, "{what}");
            bytes
        });
        // Eight times as long: eight times as many bytes, and a doubled vector more at most; if each
        // command cost what all before it made, it would be 64 times as many.
        assert!(many <= 16 * few + 4096, "{what}: {few} bytes, then {many}");
    }
}

#[test]
fn the_counter_counts() {
    let (kept, bytes) = bytes_of(|| std::hint::black_box(vec![0u8; 1000]));
    assert_eq!((kept.len(), bytes), (1000, 1000));
}
