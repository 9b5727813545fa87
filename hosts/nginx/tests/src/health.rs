//! Servers that fail, come back, or stand by.

use std::net::TcpListener;

use crate::backend::{Backend, FAST};
use crate::nginx::{Config, Nginx, Setup, servers};
use crate::{Outcome, check, client, wait_until};

fn set(nginx: &Nginx<'_>, port: u16, what: &str) -> Outcome {
    let path = format!("/set?upstream=u&server=127.0.0.1:{port}&{what}");
    let answer = client::request(nginx.port, "POST", &path, "");
    check(answer.status == 200, || format!("{what}: {answer:?}"))
}

/// So many requests, one after the other, which are all answered.
fn requests(nginx: &Nginx<'_>, count: usize) -> Outcome {
    for _ in 0..count {
        let status = client::get(nginx.port, "/").status;
        check(status == 200, || format!("status {status}"))?;
    }
    Ok(())
}

/// A server that refuses connections gets a few tries of all workers together. An administrator changes its weight
/// meanwhile. It listens again, gets requests again, and has the weight.
pub(crate) fn ejected(setup: &Setup) -> Outcome {
    let good = setup.backends(&[FAST; 2]);
    let dead = setup.port();
    let options = "\"options=--vsched-ejection failures=3,base-time=1,max-share=50 \
                   --vsched-slow-start duration=1\"";
    let lines = servers(&good, "");
    let upstream = format!(
        "upstream u {{ vsched scheduler=wrr {options}; {lines} server 127.0.0.1:{dead}; }}"
    );
    let nginx = Nginx::start(setup, &Config::new(3, upstream))?;
    requests(&nginx, 300)?;
    let status = nginx.idle()?;
    let server = status.server(dead).ok_or("the dead server is missing")?;
    // Three failures, and one for each trial since.
    check((3..=10).contains(&server.failed), || format!("{server:?}"))?;
    set(&nginx, dead, "weight=2")?;
    let weighs = || nginx.status().server(dead).is_some_and(|server| server.weight == 2);
    check(wait_until(weighs), || "the weight is not set".to_owned())?;
    let listener = TcpListener::bind(("127.0.0.1", dead)).map_err(|error| error.to_string())?;
    let back = Backend::new(listener, 2, FAST, setup.log());
    let serves = || requests(&nginx, 5).is_ok() && back.requests() > 0;
    check(wait_until(serves), || format!("not back: {:?}", nginx.status()))?;
    // Its whole share, after slow start: two of four.
    let has_share = || {
        setup.take_log();
        let served = requests(&nginx, 20).is_ok();
        served && setup.take_log().iter().filter(|number| **number == 2).count() == 10
    };
    check(wait_until(has_share), || format!("{:?}", nginx.status()))?;
    check(weighs(), || "the weight is lost".to_owned())
}

/// A backup gets nothing while another server is up, and everything while none is.
pub(crate) fn backup(setup: &Setup) -> Outcome {
    let backends = setup.backends(&[FAST; 2]);
    let (first, second) = (backends[0].port, backends[1].port);
    let upstream = format!(
        "upstream u {{ vsched scheduler=rr; server 127.0.0.1:{first}; server 127.0.0.1:{second} backup; }}"
    );
    let nginx = Nginx::start(setup, &Config::new(2, upstream))?;
    let all_by = |number: usize| {
        setup.take_log();
        requests(&nginx, 10).is_ok() && setup.take_log() == [number; 10]
    };
    check(all_by(0), || "the backup serves".to_owned())?;
    set(&nginx, first, "state=down")?;
    check(wait_until(|| all_by(1)), || "the backup does not serve".to_owned())?;
    set(&nginx, first, "state=up")?;
    check(wait_until(|| all_by(0)), || "the backup goes on serving".to_owned())
}
