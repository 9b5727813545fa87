//! The stream module.

use crate::backend::{FAST, slow};
use crate::nginx::{Config, Nginx, Setup, servers};
use crate::{Outcome, check, client, status, wait_until};

/// Connections to a refused server go to the next one.
pub(crate) fn refused(setup: &Setup) -> Outcome {
    let backends = setup.backends(&[FAST, slow(1500)]);
    let (port, slow_port, refused) = (setup.port(), setup.port(), setup.port());
    let unused = format!("upstream u {{ vsched scheduler=rr; {} }}", servers(&backends, ""));
    let stream = format!(
        "stream {{
            upstream s {{ vsched scheduler=rr; {} server 127.0.0.1:{refused}; }}
            upstream held {{ vsched scheduler=lc; {} }}
            server {{ listen 127.0.0.1:{port} reuseport; proxy_pass s; }}
            server {{ listen 127.0.0.1:{slow_port} reuseport; proxy_pass held; }}
        }}",
        servers(&backends[..1], ""),
        servers(&backends[1..], "")
    );
    let nginx = Nginx::start(setup, &Config { stream, ..Config::new(2, unused) })?;
    for _ in 0..40 {
        check(client::get(port, "/").status == 200, || "no answer".to_owned())?;
    }
    let is_idle = wait_until(|| status::of(nginx.port, "s").is_idle());
    let seen = status::of(nginx.port, "s");
    check(is_idle, || format!("still open: {seen:?}"))?;
    let counts = |port: u16| seen.server(port).map(|server| (server.done, server.failed));
    check(counts(backends[0].port) == Some((40, 0)), || format!("{seen:?}"))?;
    check(counts(refused) == Some((0, 20)), || format!("{seen:?}"))?;

    // The http module shows sessions that run.
    let requests = client::start(3, slow_port, "/");
    let counted = wait_until(|| status::of(nginx.port, "held").open() == 3);
    check(counted, || "sessions do not count".to_owned())?;
    let answers = client::finish(requests);
    check(answers.iter().all(|answer| answer.status == 200), || "no answer".to_owned())?;
    check(wait_until(|| status::of(nginx.port, "held").is_idle()), || "still open".to_owned())
}
