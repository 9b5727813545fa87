//! `vsched_status` and `vsched_set`.

use std::collections::BTreeSet;

use crate::backend::FAST;
use crate::nginx::{Config, Nginx, Setup, servers};
use crate::{Outcome, check, client, wait_until};

/// Set through one worker of four.
pub(crate) fn states(setup: &Setup) -> Outcome {
    let backends = setup.backends(&[FAST; 3]);
    let upstream = format!("upstream u {{ vsched scheduler=rr; {} }}", servers(&backends, ""));
    let config = Config::new(4, upstream);
    let nginx = Nginx::start(setup, &config)?;
    let port = backends[1].port;
    let set = |state: &str| {
        let path = format!("/set?upstream=u&server=127.0.0.1:{port}&state={state}&reason=test");
        client::request(nginx.port, "POST", &path, "")
    };
    let served = || -> Result<bool, String> {
        let mut workers = BTreeSet::new();
        setup.take_log();
        for _ in 0..60 {
            let answer = client::get(nginx.port, "/");
            check(answer.status == 200, || format!("status {}", answer.status))?;
            workers.insert(answer.worker());
        }
        check(workers.len() > 1, || "one worker served all".to_owned())?;
        Ok(setup.take_log().contains(&1))
    };
    check(served()?, || "not served at first".to_owned())?;
    for state in ["down", "draining"] {
        let answer = set(state);
        check(answer.status == 200 && answer.body.trim() == state, || format!("{answer:?}"))?;
        check(!served()?, || format!("served while it is {state}"))?;
        let status = nginx.status();
        let seen = status.server(port).map(|server| server.state.as_str());
        check(seen == Some(state), || format!("{status:?}"))?;
    }
    nginx.reload(&config)?;
    check(!served()?, || "served after a reload".to_owned())?;
    let answer = set("up");
    check(answer.status == 200 && served()?, || format!("not back: {answer:?}"))?;

    // A weight that was set: soon every worker's, and after a reload of the same config.
    let set = |weight: &str| {
        let path = format!("/set?upstream=u&server=127.0.0.1:{port}&weight={weight}");
        client::request(nginx.port, "POST", &path, "")
    };
    let answer = set("0");
    check(answer.status == 200 && answer.body.trim() == "0", || format!("{answer:?}"))?;
    check(wait_until(|| served() == Ok(false)), || "served with weight 0".to_owned())?;
    nginx.reload(&config)?;
    check(!served()?, || "served with weight 0 after a reload".to_owned())?;
    check(set("1").status == 200, || "not set back".to_owned())?;
    check(wait_until(|| served() == Ok(true)), || "not back".to_owned())?;

    // What is wrong changes nothing and says why.
    let wrong = [
        ("GET", "/set?upstream=u&server=127.0.0.1:1&state=down", 405, ""),
        ("POST", "/set?upstream=x&server=127.0.0.1:1&state=down", 404, "no such upstream"),
        ("POST", "/set?upstream=u&server=127.0.0.1:1&state=down", 404, "no such server"),
        ("POST", "/set?upstream=u&server=127.0.0.1:1&state=off", 400, "up, draining or down"),
        ("POST", "/set?upstream=u&server=nonsense:&state=down", 400, ""),
        ("POST", "/set?upstream=u", 400, "needs"),
        ("POST", "/set?upstream=u&server=127.0.0.1:1&weight=3&state=up", 400, "either"),
        ("POST", "/set?upstream=u&server=127.0.0.1:1&weight=3", 404, "no such server"),
        ("POST", "/set?upstream=u&server=127.0.0.1:1&weight=x", 400, "from 0 to 65535"),
        ("POST", "/status", 405, ""),
        ("GET", "/status?format=xml", 400, ""),
    ];
    for (method, path, status, part) in wrong {
        let answer = client::request(nginx.port, method, path, "");
        check(answer.status == status && answer.body.contains(part), || {
            format!("{method} {path}: {answer:?}")
        })?;
    }
    let up = nginx.status().servers.iter().all(|server| server.state == "up");
    check(up, || "something was set".to_owned())
}

pub(crate) fn formats(setup: &Setup) -> Outcome {
    let backends = setup.backends(&[FAST; 2]);
    let port = backends[0].port;
    let upstreams = format!(
        "upstream u {{ vsched scheduler=rr; {} }} upstream v {{ vsched scheduler=rr; {} }}",
        servers(&backends, "weight=7"),
        servers(&backends, "")
    );
    let more = "location /metrics { vsched_status prometheus; }".to_owned();
    let nginx = Nginx::start(setup, &Config { more, ..Config::new(1, upstreams) })?;
    for _ in 0..4 {
        check(client::get(nginx.port, "/").status == 200, || "no answer".to_owned())?;
    }
    nginx.idle()?;
    let json =
        format!("{{\"address\":\"127.0.0.1:{port}\",\"state\":\"up\",\"weight\":7,\"active\":0,");
    let sample = format!(
        "vsched_server_done_total{{module=\"http\",upstream=\"u\",server=\"127.0.0.1:{port}\"}} 2\n"
    );
    let text = format!("  127.0.0.1:{port} up 7 0 0 0 2 0 0 ");
    let expected = [
        ("/status", "", "text/plain", text.as_str()),
        ("/status?format=json", "", "application/json", json.as_str()),
        ("/status", "Accept: application/json\r\n", "application/json", json.as_str()),
        ("/status", "Accept: text/plain;version=0.0.4\r\n", "text/plain; version", sample.as_str()),
        ("/status?format=prometheus", "", "text/plain; version", sample.as_str()),
        ("/metrics", "", "text/plain; version", sample.as_str()),
        ("/metrics?format=text", "", "text/plain", text.as_str()),
    ];
    for (path, headers, kind, part) in expected {
        let answer = client::request(nginx.port, "GET", path, headers);
        let is_right = answer.status == 200
            && answer.header("Content-Type").starts_with(kind)
            && answer.body.contains(part);
        check(is_right, || format!("{path} {headers}: {answer:?}"))?;
    }
    // A family of metrics is announced once, and each sample is there once.
    let answer = client::get(nginx.port, "/metrics");
    let mut seen = BTreeSet::new();
    for line in answer.body.lines() {
        let name = line.rsplit_once(' ').map_or(line, |(name, _)| name);
        check(seen.insert(name), || format!("twice: {name}"))?;
    }
    let one = client::get(nginx.port, "/status?upstream=v");
    check(one.body.contains("upstream v (http)") && !one.body.contains("upstream u"), || {
        format!("{one:?}")
    })
}
