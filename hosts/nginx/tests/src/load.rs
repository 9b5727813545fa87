//! Many requests at once.

use std::process::Command;
use std::thread;
use std::time::Duration;

use crate::backend::{FAST, Mode, slow};
use crate::nginx::{Config, Nginx, Setup, servers};
use crate::{Outcome, check, client, wait_until};

/// Twelve slow requests over three servers, by eight workers: four each.
pub(crate) fn least_of_all(setup: &Setup) -> Outcome {
    let backends = setup.backends(&[Mode::Waits; 3]);
    let upstream = format!("upstream u {{ vsched scheduler=wlc; {} }}", servers(&backends, ""));
    let nginx = Nginx::start(setup, &Config::new(8, upstream))?;
    for round in 1..=5 {
        let requests = client::start(12, nginx.port, "/");
        let arrived = || backends.iter().map(|backend| backend.requests()).sum::<u64>();
        check(wait_until(|| arrived() == 12 * round), || format!("round {round}: not all arrive"))?;
        backends.iter().for_each(|backend| backend.release());
        let answers = client::finish(requests);
        let served = answers.iter().filter(|answer| answer.status == 200).count();
        check(served == 12, || format!("round {round}: {served} answers"))?;
        let counts: Vec<u64> = backends.iter().map(|backend| backend.requests()).collect();
        check(counts.iter().all(|count| *count == 4 * round), || {
            format!("round {round}: {counts:?}")
        })?;
        nginx.idle()?;
    }
    Ok(())
}

/// Forty slow requests for three servers that take four each.
pub(crate) fn thresholds(setup: &Setup) -> Outcome {
    let backends = setup.backends(&[slow(400); 3]);
    let lines = servers(&backends, "max_conns=4");
    let upstream = format!("upstream u {{ vsched scheduler=wlc; {lines} }}");
    let nginx = Nginx::start(setup, &Config::new(4, upstream))?;
    let answers = client::finish(client::start(40, nginx.port, "/"));
    let served = answers.iter().filter(|answer| answer.status == 200).count();
    let refused = answers.iter().filter(|answer| answer.status == 502).count();
    check(served >= 12 && served + refused == 40 && refused > 0, || {
        format!("{served} served, {refused} refused")
    })?;
    let most: Vec<usize> = backends.iter().map(|backend| backend.most()).collect();
    check(most == [4, 4, 4], || format!("{most:?} at a time"))?;
    // There is room again.
    nginx.idle()?;
    check(client::get(nginx.port, "/").status == 200, || "refused when idle".to_owned())
}

/// A burst over a refused port and servers that close, fail and are slow, with clients that leave.
pub(crate) fn every_try_ends(setup: &Setup) -> Outcome {
    const CLIENTS: usize = 16;
    const REQUESTS: usize = 125;
    let backends = setup.backends(&[FAST, FAST, Mode::Close, Mode::Unavailable, slow(30)]);
    let refused = setup.port();
    let upstream = format!(
        "upstream u {{ vsched scheduler=rr; {} server 127.0.0.1:{refused}; }}",
        servers(&backends, "")
    );
    let nginx = Nginx::start(setup, &Config::new(2, upstream))?;
    let port = nginx.port;
    let one = move |client: usize| {
        let mut served = 0;
        for request in 0..REQUESTS {
            if (client + request).is_multiple_of(10) {
                client::abort(port, "/", Duration::from_millis(request as u64 % 8));
            } else {
                served += usize::from(client::get(port, "/").status == 200);
            }
        }
        served
    };
    let clients: Vec<_> = (0..CLIENTS).map(|client| thread::spawn(move || one(client))).collect();
    let served: usize = clients.into_iter().map(|client| client.join().unwrap_or(0)).sum();
    let left = (0..CLIENTS * REQUESTS)
        .filter(|n| (n / REQUESTS + n % REQUESTS).is_multiple_of(10))
        .count();
    check(served == CLIENTS * REQUESTS - left, || format!("{served} served, {left} left"))?;

    let status = nginx.idle()?;
    let mut abandoned = 0;
    for (backend, mode) in
        backends.iter().zip([FAST, FAST, Mode::Close, Mode::Unavailable, slow(30)])
    {
        let arrived = backend.requests();
        let server = status.server(backend.port).ok_or("a server is missing")?;
        abandoned += server.abandoned;
        let ended = server.done + server.failed;
        // An abandoned try may have ended before its request arrived.
        let is_equal = (ended..=ended + server.abandoned).contains(&arrived);
        check(is_equal, || format!("{arrived} requests arrived: {server:?}"))?;
        let is_right = match mode {
            Mode::Answer(_) | Mode::Waits | Mode::Once => server.failed == 0 && server.done > 0,
            Mode::Close | Mode::Unavailable => server.done == 0 && server.failed > 0,
        };
        check(is_right, || format!("{mode:?}: {server:?}"))?;
    }
    let server = status.server(refused).ok_or("the refused server is missing")?;
    check(server.done == 0 && server.failed > 0, || format!("{server:?}"))?;
    check(abandoned > 0, || "no client left in time".to_owned())
}

/// nginx keeps connections to servers; each request counts while it runs.
pub(crate) fn keepalive(setup: &Setup) -> Outcome {
    let backends = setup.backends(&[FAST; 2]);
    let upstream = format!(
        "upstream u {{ vsched scheduler=wrr; {} keepalive 4; }}
        proxy_http_version 1.1; proxy_set_header Connection \"\";",
        servers(&backends, "weight=2")
    );
    let nginx = Nginx::start(setup, &Config::new(1, upstream))?;
    for _ in 0..50 {
        check(client::get(nginx.port, "/").status == 200, || "no answer".to_owned())?;
    }
    let status = nginx.idle()?;
    for backend in &backends {
        let server = status.server(backend.port).ok_or("a server is missing")?;
        check(server.done == 25 && backend.requests() == 25, || format!("{server:?}"))?;
        let connections = backend.connections();
        check(connections < 5, || format!("{connections} connections, none kept alive"))?;
    }
    Ok(())
}

/// The only server closes connections that nginx has kept: that is no failure, and no reason to give up.
pub(crate) fn stale(setup: &Setup) -> Outcome {
    let backends = setup.backends(&[Mode::Once]);
    let upstream = format!(
        "upstream u {{ vsched scheduler=lc; {} keepalive 4; }}
        proxy_http_version 1.1; proxy_set_header Connection \"\";",
        servers(&backends, "")
    );
    let nginx = Nginx::start(setup, &Config::new(1, upstream))?;
    for at in 0..20 {
        let status = client::get(nginx.port, "/").status;
        check(status == 200, || format!("request {at}: status {status}"))?;
    }
    let seen = nginx.idle()?;
    let server = &seen.servers[0];
    let is_right = server.done == 20 && server.failed == 0 && server.abandoned > 10;
    check(is_right, || format!("{server:?}"))
}

/// Sessions of TLS to servers are reused, through nginx's own functions for them.
pub(crate) fn sessions(setup: &Setup) -> Outcome {
    let (key, certificate) = (setup.folder.join("key.pem"), setup.folder.join("certificate.pem"));
    let made = Command::new("openssl")
        .args(["req", "-x509", "-nodes", "-newkey", "rsa:2048", "-subj", "/CN=test", "-keyout"])
        .arg(&key)
        .arg("-out")
        .arg(&certificate)
        .output();
    check(made.is_ok_and(|made| made.status.success()), || "openssl req failed".to_owned())?;
    let ports = [setup.port(), setup.port()];
    let secure = ports.map(|port| {
        format!(
            "server {{ listen 127.0.0.1:{port} ssl; ssl_certificate {}; ssl_certificate_key {};
            ssl_session_cache shared:s{port}:1m; return 200 $ssl_session_reused; }}",
            certificate.display(),
            key.display()
        )
    });
    let text = format!(
        "{} upstream u {{ vsched scheduler=rr; server 127.0.0.1:{}; server 127.0.0.1:{}; }}",
        secure.concat(),
        ports[0],
        ports[1]
    );
    let more = "location /tls { proxy_pass https://u; }".to_owned();
    let nginx = Nginx::start(setup, &Config { more, ..Config::new(1, text) })?;
    let reused: Vec<String> = (0..8).map(|_| client::get(nginx.port, "/tls").body).collect();
    check(reused == [".", ".", "r", "r", "r", "r", "r", "r"], || format!("{reused:?}"))
}
