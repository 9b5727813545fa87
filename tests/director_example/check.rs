//! The example's `--check` and `--version`.

use crate::process::Process;
use crate::servers::File;

#[test]
fn check_says_what_each_service_does() {
    let rules = "-A -t 127.0.0.1:80 -s wrr -p 60 --vsched-ejection failures=3 \
                 --vsched-slow-start duration=20 --vsched-panic-threshold 40\n\
                 -a -t 127.0.0.1:80 -r 127.0.0.11:80 -m -w 3\n\
                 -a -t 127.0.0.1:80 -r 127.0.0.12:80 -m -w 1\n\
                 -a -t 127.0.0.1:80 -r 127.0.0.13:80 -m -w 0\n\
                 -A -f 7\n\
                 -A -t 127.0.0.1:81 -s sh\n";
    let file = File::new("check", rules);
    let ended = Process::start(&["--rules", file.path(), "--check"]).end();
    assert_eq!((ended.code, ended.stderr.as_str()), (Some(0), ""));
    let (warnings, services): (Vec<&str>, Vec<&str>) =
        ended.stdout.lines().partition(|line| line.starts_with("warning: "));
    assert!(
        warnings.iter().any(|line| line.contains("service fwmark 7: left out")),
        "{warnings:?}"
    );
    let wanted = [
        "service tcp 127.0.0.1:80: wrr: weighted round robin: in turn, as often as the weight says",
        "  server 127.0.0.11:80: weight 3, 75 % of the connections",
        "  server 127.0.0.12:80: weight 1, 25 % of the connections",
        "  server 127.0.0.13:80: weight 0, 0 % of the connections, quiesced",
        "  persistence: a client stays with its server for 60 s",
        "  ejection: after 3 failures in a row, for 30 s to 300 s, at most 50 % of the servers",
        "  slow start: from 10 % to the whole weight in 20 s",
        "  panic: all servers take part if fewer than 40 % are up",
        "service tcp 127.0.0.1:81: sh: source hashing: one client, one server",
        "  no servers: it refuses every connection",
    ];
    assert_eq!(services, wanted);
}

#[test]
fn check_refuses_wrong_files_with_the_place() {
    for (name, text, place) in [
        (
            "check-wrong",
            "-A -t 127.0.0.1:80\n-a -t 127.0.0.1:80 -r x -m\n",
            ": line 2, column 23: ",
        ),
        ("check-wrong.toml", "[[services]]\nkey = 'tcp nowhere'\n", "line 2, column 7"),
        ("check-none", "-A -f 7\n", "there is no service to serve"),
        ("check-empty", "", "there is no service to serve"),
    ] {
        let file = File::new(name, text);
        let option = if name.ends_with("toml") { "--config" } else { "--rules" };
        let ended = Process::start(&[option, file.path(), "--check"]).end();
        assert_eq!((ended.code, ended.stdout.as_str()), (Some(2), ""), "{name}");
        assert!(ended.stderr.contains(place), "{name}: {}", ended.stderr);
    }
}

#[test]
fn version_is_the_crates() {
    for option in ["--version", "-V"] {
        let ended = Process::start(&[option]).end();
        let version = format!("director {}\n", env!("CARGO_PKG_VERSION"));
        assert_eq!((ended.code, ended.stdout, ended.stderr), (Some(0), version, String::new()));
    }
}

#[test]
fn wrong_options_are_refused() {
    for arguments in [
        &["--check"][..],
        &["--health", "ping"],
        &["--health", "http:health"],
        &["--health", "http:/a b"],
        &["--health", "http:/=600"],
        &["--fall", "2"],
        &["--health", "tcp", "--rise", "0"],
        &["--health", "tcp", "--health-interval", "0"],
        &["--status", "0"],
        &["--status", "localhost"],
        &["--log", "xml"],
    ] {
        let ended = Process::start(arguments).end();
        assert_eq!((ended.code, ended.stdout.as_str()), (Some(2), ""), "{arguments:?}");
        assert_eq!(ended.stderr.lines().count(), 1, "{}", ended.stderr);
    }
}

#[test]
fn help_fits_a_terminal() {
    let ended = Process::start(&["--help"]).end();
    let long: Vec<&str> = ended.stdout.lines().filter(|line| line.len() > 80).collect();
    assert!(long.is_empty(), "{long:?}");
    for option in ["--health", "--rise", "--fall", "--status", "--check", "--version", "--log"] {
        assert!(ended.stdout.contains(option), "{option}");
    }
}
