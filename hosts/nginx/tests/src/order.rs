//! The order of picks, as the backends see it.

use std::collections::BTreeMap;

use crate::backend::FAST;
use crate::nginx::{Config, Nginx, Setup, servers};
use crate::{Outcome, check, client};

/// Weighted round robin as in a kernel: servers in list order, those with a weight of at least the level;
/// after each turn the level falls by one.
fn weighted(list: &[(usize, u32)]) -> Vec<usize> {
    let most = list.iter().map(|(_, weight)| *weight).max().unwrap_or(0);
    let levels = (1..=most).rev();
    let at = |level: u32| list.iter().filter(move |(_, weight)| *weight >= level);
    levels.flat_map(|level| at(level).map(|(number, _)| *number)).collect()
}

/// Servers from a rules file; two workers take turns.
pub(crate) fn one_sequence(setup: &Setup) -> Outcome {
    let backends = setup.backends(&[FAST; 3]);
    let mut rules = "-A -t 192.0.2.9:80 -s rr\n-A -t 192.0.2.1:80 -s wrr\n".to_owned();
    for (backend, weight) in backends.iter().zip([5, 2, 3]) {
        let port = backend.port;
        rules += &format!("-a -t 192.0.2.1:80 -r 127.0.0.1:{port} -m -w {weight}\n");
    }
    let path = setup.write("vsched.rules", &rules);
    let upstream = format!("upstream u {{ vsched {path} \"tcp 192.0.2.1:80\"; }}");
    let nginx = Nginx::start(setup, &Config::new(2, upstream))?;
    let mut by_worker = BTreeMap::new();
    for _ in 0..100 {
        let answer = client::get(nginx.port, "/");
        check(answer.status == 200, || format!("status {}", answer.status))?;
        *by_worker.entry(answer.worker()).or_insert(0) += 1;
    }
    let log = setup.take_log();
    let busy = by_worker.values().filter(|requests| **requests >= 20).count();
    check(busy == 2, || format!("not both workers served: {by_worker:?}"))?;
    // In a rules text the last server that was added is the first.
    let turn = weighted(&[(2, 3), (1, 2), (0, 5)]);
    let wanted: Vec<usize> = turn.iter().copied().cycle().take(100).collect();
    check(log == wanted, || format!("wanted {wanted:?}\nfound  {log:?}"))
}

/// Of three servers in turn the second refuses: each of its requests goes to one of the others, and the next
/// request goes where it would have gone anyway.
pub(crate) fn retries(setup: &Setup) -> Outcome {
    let backends = setup.backends(&[FAST; 2]);
    let refused = setup.port();
    let lines = [
        servers(&backends[..1], ""),
        format!("server 127.0.0.1:{refused};"),
        servers(&backends[1..], ""),
    ];
    let upstream = format!("upstream u {{ vsched scheduler=rr; {} }}", lines.concat());
    let nginx = Nginx::start(setup, &Config::new(2, upstream))?;
    for _ in 0..60 {
        check(client::get(nginx.port, "/").status == 200, || "no answer".to_owned())?;
    }
    let log = setup.take_log();
    let is_right = |(at, number): (usize, &usize)| match at % 3 {
        0 => *number == 0,
        2 => *number == 1,
        _ => true,
    };
    check(log.len() == 60 && log.iter().enumerate().all(is_right), || format!("{log:?}"))?;
    let retried = log.iter().skip(1).step_by(3).filter(|number| **number == 0).count();
    check(retried == 10, || format!("{retried} of 20 retries went to the first"))?;
    let status = nginx.idle()?;
    let failed = status.server(refused).map(|server| (server.done, server.failed));
    check(failed == Some((0, 20)), || format!("{status:?}"))
}

/// Servers from a JSON file, the service by its name; two upstreams on two services of one file.
pub(crate) fn json(setup: &Setup) -> Outcome {
    let backends = setup.backends(&[FAST; 2]);
    let server =
        |at: usize| format!("{{\"address\": \"127.0.0.1:{}\", \"weight\": 1}}", backends[at].port);
    let text = format!(
        "{{\"services\": [
            {{\"key\": \"tcp 192.0.2.1:80\", \"name\": \"both\", \"scheduler\": \"rr\", \"servers\": [{}, {}]}},
            {{\"key\": \"fwmark 7\", \"scheduler\": \"rr\", \"servers\": [{}]}}
        ]}}",
        server(0),
        server(1),
        server(1)
    );
    let path = setup.write("vsched.json", &text);
    let upstreams = format!(
        "upstream u {{ vsched {path} both; }} upstream one {{ vsched {path} \"fwmark 7\" room=70; }}"
    );
    let more = "location /one { proxy_pass http://one; }".to_owned();
    let nginx = Nginx::start(setup, &Config { more, ..Config::new(1, upstreams) })?;
    for path in ["/", "/", "/", "/", "/one", "/one"] {
        check(client::get(nginx.port, path).status == 200, || format!("{path}: no answer"))?;
    }
    let log = setup.take_log();
    check([&[0, 1, 0, 1, 1, 1][..], &[1, 0, 1, 0, 1, 1]].contains(&&log[..]), || format!("{log:?}"))
}
