//! Workers that end without a word.

use std::thread;
use std::time::Duration;

use crate::backend::{FAST, Mode};
use crate::nginx::{Config, Nginx, Setup, servers, signal};
use crate::reload::Load;
use crate::{Outcome, check, client, status, wait_until};

/// Killed three times under load, while each of two workers holds requests.
pub(crate) fn killed(setup: &Setup) -> Outcome {
    let fast = setup.backends(&[FAST; 2]);
    let held = setup.backends(&[Mode::Waits; 2]);
    let text = format!(
        "upstream u {{ vsched scheduler=wlc; {} }} upstream held {{ vsched scheduler=lc; {} }}",
        servers(&fast, ""),
        servers(&held, "")
    );
    let more = "location /held { proxy_pass http://held; }".to_owned();
    let nginx = Nginx::start(setup, &Config { more, ..Config::new(2, text) })?;
    for round in 1..=3 {
        let load = Load::start(nginx.port);
        let requests = client::start(16, nginx.port, "/held");
        let arrived = wait_until(|| status::of(nginx.port, "held").open() == 16);
        check(arrived, || "the held requests do not arrive".to_owned())?;
        let killed = nginx.workers()[round % 2];
        signal("-KILL", killed);
        // What the other worker holds, and nothing else: its clients still wait.
        let mut last = status::Status::default();
        let mut waiting = 0;
        let is_exact = wait_until(|| {
            last = status::of(nginx.port, "held");
            waiting = requests.iter().filter(|request| !request.is_finished()).count() as u64;
            waiting < 16 && last.joined && last.open() == waiting
        });
        check(is_exact, || format!("round {round}: {waiting} wait: {last:?}"))?;
        let (good, bad) = load.end();
        check(good > 0 && bad <= 4, || format!("{good} answered, {bad} not"))?;
        held.iter().for_each(|backend| backend.release());
        let served =
            client::finish(requests).iter().filter(|answer| answer.status == 200).count() as u64;
        check(served == waiting, || format!("round {round}: {served} of {waiting} served"))?;
        let is_idle = wait_until(|| status::of(nginx.port, "held").is_idle());
        check(is_idle, || "held is open".to_owned())?;
        nginx.idle()?;
    }
    check(setup.error_log().contains("gave back what process"), || "not in the log".to_owned())
}

/// No successor gets its place: another worker finds it.
pub(crate) fn killed_while_it_drains(setup: &Setup) -> Outcome {
    let backends = setup.backends(&[Mode::Waits]);
    let text = format!("upstream u {{ vsched scheduler=lc; {} }}", servers(&backends, ""));
    let config = Config { spread: false, ..Config::new(1, text) };
    let nginx = Nginx::start(setup, &config)?;
    let old = nginx.workers()[0];
    let requests = client::start(3, nginx.port, "/");
    check(wait_until(|| nginx.status().open() == 3), || "they do not arrive".to_owned())?;
    nginx.reload(&config)?;
    check(nginx.status().open() == 3, || "not seen by the new worker".to_owned())?;
    signal("-KILL", old);
    let status = nginx.idle()?;
    check(status.worker != old && backends[0].open() == 3, || format!("{status:?}"))?;
    let answers = client::finish(requests);
    check(answers.iter().all(|answer| answer.status == 0), || "served after death".to_owned())?;
    // The counts do not fall again when the backend ends.
    backends[0].release();
    thread::sleep(Duration::from_millis(50));
    nginx.idle().map(|_| ())
}

/// The only worker dies: what an administrator has said and what was reported is not lost with it, and the
/// rotation goes on.
pub(crate) fn killed_while_single(setup: &Setup) -> Outcome {
    let backends = setup.backends(&[FAST; 3]);
    let text = format!("upstream u {{ vsched scheduler=rr; {} }}", servers(&backends, ""));
    let nginx = Nginx::start(setup, &Config::new(1, text))?;
    let down = backends[2].port;
    let path = format!("/set?upstream=u&server=127.0.0.1:{down}&state=down");
    check(client::request(nginx.port, "POST", &path, "").status == 200, || "not set".to_owned())?;
    for round in 1..=4 {
        check(client::get(nginx.port, "/").status == 200, || "no answer".to_owned())?;
        let killed = nginx.workers()[0];
        signal("-KILL", killed);
        let mut seen = status::Status::default();
        let is_back = wait_until(|| {
            seen = nginx.status();
            seen.joined && seen.worker != killed
        });
        check(is_back, || "no successor".to_owned())?;
        let state = seen.server(down).map(|server| server.state.as_str());
        let done: u64 = seen.servers.iter().map(|server| server.done).sum();
        check(state == Some("down") && done == round, || format!("round {round}: {seen:?}"))?;
    }
    let log = setup.take_log();
    check([[0, 1, 0, 1], [1, 0, 1, 0]].contains(&log[..].try_into().unwrap_or_default()), || {
        format!("{log:?}")
    })
}
