//! Reloads: old and new workers on one block.

use std::fs;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};
use std::thread;

use crate::backend::{FAST, Mode};
use crate::nginx::{Config, Nginx, Setup, servers, signal};
use crate::{Outcome, check, client, status, wait_until};

/// Requests in four threads until it is dropped.
pub(crate) struct Load {
    ends: Arc<AtomicBool>,
    good: Arc<AtomicUsize>,
    bad: Arc<AtomicUsize>,
    threads: Vec<thread::JoinHandle<()>>,
}

impl Load {
    pub(crate) fn start(port: u16) -> Self {
        let (ends, good, bad) = (
            <Arc<AtomicBool>>::default(),
            <Arc<AtomicUsize>>::default(),
            <Arc<AtomicUsize>>::default(),
        );
        let run = || {
            let (ends, good, bad) = (ends.clone(), good.clone(), bad.clone());
            thread::spawn(move || {
                while !ends.load(SeqCst) {
                    let status = client::get(port, "/").status;
                    let counter = if status == 200 { &good } else { &bad };
                    counter.fetch_add(1, SeqCst);
                }
            })
        };
        let threads = (0..4).map(|_| run()).collect();
        Load { ends, good, bad, threads }
    }

    pub(crate) fn good(&self) -> usize {
        self.good.load(SeqCst)
    }

    /// Ends it; requests that were answered, and those that were not.
    pub(crate) fn end(self) -> (usize, usize) {
        self.ends.store(true, SeqCst);
        for thread in self.threads {
            let _ = thread.join();
        }
        (self.good.load(SeqCst), self.bad.load(SeqCst))
    }
}

/// Five reloads under load, and a request that an old worker holds all the time.
pub(crate) fn counts(setup: &Setup) -> Outcome {
    let fast = setup.backends(&[FAST; 3]);
    let held = setup.backends(&[Mode::Waits]);
    let config = |weight: usize| {
        let text = format!(
            "upstream u {{ vsched scheduler=wlc; {} }} upstream held {{ vsched scheduler=lc; {} }}",
            servers(&fast, &format!("weight={weight}")),
            servers(&held, "")
        );
        let more = "location /held { proxy_pass http://held; }".to_owned();
        Config { spread: false, more, ..Config::new(2, text) }
    };
    let nginx = Nginx::start(setup, &config(1))?;
    let old = nginx.workers();
    let holds = client::start(1, nginx.port, "/held");
    check(wait_until(|| held[0].open() == 1), || "no request arrived".to_owned())?;
    let load = Load::start(nginx.port);
    for weight in 2..7 {
        nginx.reload(&config(weight))?;
        let seen = status::of(nginx.port, "held");
        check(held[0].open() == 1, || "the held request has ended too early".to_owned())?;
        check(!old.contains(&seen.worker) && seen.open() == 1, || format!("{seen:?}"))?;
        let target = load.good() + 20;
        check(wait_until(|| load.good() >= target), || "the load stands still".to_owned())?;
    }
    let weights = nginx.status();
    check(weights.servers.iter().all(|server| server.weight == 6), || format!("{weights:?}"))?;
    let (good, bad) = load.end();
    check(bad == 0 && good >= 100, || format!("{good} answered, {bad} not"))?;
    held[0].release();
    let answers = client::finish(holds);
    check(answers[0].status == 200, || "the held request failed".to_owned())?;
    check(wait_until(|| status::of(nginx.port, "held").is_idle()), || "held is open".to_owned())?;
    let done = status::of(nginx.port, "held").servers[0].done;
    check(done == 1, || format!("{done} held requests are done"))?;
    let status = nginx.idle()?;
    let done: u64 = status.servers.iter().map(|server| server.done).sum();
    check(done == good as u64, || format!("{good} answered: {status:?}"))
}

/// Blocks come and go: an upstream is removed, added, and gets a block of another size, while an old worker
/// still counts on the first block.
pub(crate) fn blocks(setup: &Setup) -> Outcome {
    let fast = setup.backends(&[FAST]);
    let held = setup.backends(&[Mode::Waits]);
    let config = |held_upstream: &str| {
        let lines = servers(&fast, "");
        let text = format!("upstream u {{ vsched scheduler=rr; {lines} }} {held_upstream}");
        let held = if held_upstream.is_empty() { "u" } else { "held" };
        let more = format!("location /held {{ proxy_pass http://{held}; }}");
        Config { spread: false, more, ..Config::new(1, text) }
    };
    let lines = servers(&held, "");
    let small = config(&format!("upstream held {{ vsched scheduler=lc; {lines} }}"));
    let large = config(&format!("upstream held {{ vsched scheduler=lc room=1000; {lines} }}"));
    let nginx = Nginx::start(setup, &small)?;
    let master = nginx.master();
    let requests = client::start(2, nginx.port, "/held");
    check(wait_until(|| held[0].open() == 2), || "no request arrived".to_owned())?;
    nginx.reload(&config(""))?;
    check(!status::of(nginx.port, "held").joined, || "the upstream is still there".to_owned())?;
    nginx.reload(&large)?;
    check(status::of(nginx.port, "held").is_idle(), || "not a new block".to_owned())?;
    nginx.reload(&small)?;
    held[0].release();
    let answers = client::finish(requests);
    check(answers.iter().all(|answer| answer.status == 200), || "a request was lost".to_owned())?;
    nginx.reload(&small)?;
    check(client::get(nginx.port, "/").status == 200, || "no answer".to_owned())?;
    check(nginx.master() == master, || "the master has died".to_owned())?;
    let is_single = wait_until(|| nginx.workers().len() == 1);
    check(is_single, || "an old worker does not end".to_owned())?;
    setup.check_log()
}

/// Kilobytes that a process has in memory.
fn resident(process: u32) -> u64 {
    let text = fs::read_to_string(format!("/proc/{process}/status")).unwrap_or_default();
    let line = text.lines().find(|line| line.starts_with("VmRSS:")).unwrap_or_default();
    line.split_whitespace().nth(1).and_then(|word| word.parse().ok()).unwrap_or(0)
}

/// 200 reloads, each with another config: three times as many workers as a block has places for.
pub(crate) fn many(setup: &Setup) -> Outcome {
    const WARM: usize = 60;
    const SLACK: u64 = 1024;
    let backends = setup.backends(&[FAST; 3]);
    let config = |weight: usize| {
        let lines = servers(&backends, &format!("weight={weight}"));
        let text = format!("upstream u {{ vsched scheduler=wrr; {lines} }}");
        Config { spread: false, ..Config::new(1, text) }
    };
    let nginx = Nginx::start(setup, &config(1))?;
    let mut warm = (0, 0);
    for at in 0..=200 {
        nginx.reload(&config(1 + at % 3))?;
        check(client::get(nginx.port, "/").status == 200, || "no answer".to_owned())?;
        let seen = nginx.status();
        check(seen.joined && seen.open() == 0, || format!("reload {at}: {seen:?}"))?;
        let memory = (resident(nginx.master()), resident(seen.worker));
        if at == WARM {
            warm = memory;
        }
        if at == 200 {
            let grown = memory.0 > warm.0 + SLACK || memory.1 > warm.1 + SLACK;
            check(!grown && warm.0 > 0 && warm.1 > 0, || {
                format!("master and worker: {warm:?} kB after {WARM} reloads, {memory:?} after 200")
            })?;
        }
    }
    setup.check_log()
}

/// As in an upgrade of the program: the masters know nothing of each other.
pub(crate) fn named(setup: &Setup) -> Outcome {
    let backends = setup.backends(&[Mode::Waits; 2]);
    let lines = servers(&backends, "max_conns=1");
    let zone = setup.folder.join("block");
    let text = format!("upstream u {{ vsched scheduler=lc zone={}; {lines} }}", zone.display());
    let first = Nginx::start(setup, &Config::new(1, text.clone()))?;
    let second = Nginx::start(setup, &Config::new(1, text))?;
    let mut requests = client::start(1, first.port, "/");
    check(wait_until(|| second.status().open() == 1), || "not seen by the other".to_owned())?;
    requests.extend(client::start(1, second.port, "/"));
    check(wait_until(|| first.status().open() == 2), || "not seen by the first".to_owned())?;
    let full = [client::get(first.port, "/").status, client::get(second.port, "/").status];
    check(full == [502, 502], || format!("{full:?} while both servers are full"))?;
    backends.iter().for_each(|backend| backend.release());
    let answers = client::finish(requests);
    check(answers.iter().all(|answer| answer.status == 200), || "no answer".to_owned())?;
    check(backends.iter().all(|backend| backend.requests() == 1), || "not one each".to_owned())?;
    drop(first);
    second.idle().map(|_| ())
}

/// An upgrade of the program, with a named block: the old master's request counts, and states stay.
pub(crate) fn upgrade(setup: &Setup) -> Outcome {
    let backends = setup.backends(&[Mode::Waits; 2]);
    let lines = servers(&backends, "");
    let zone = setup.folder.join("block");
    let text = format!("upstream u {{ vsched scheduler=lc zone={}; {lines} }}", zone.display());
    let config = Config { spread: false, daemon: true, ..Config::new(1, text) };
    let nginx = Nginx::start(setup, &config)?;
    let (down, old) = (backends[1].port, nginx.workers()[0]);
    let path = format!("/set?upstream=u&server=127.0.0.1:{down}&state=down");
    check(client::request(nginx.port, "POST", &path, "").status == 200, || "not set".to_owned())?;
    let requests = client::start(2, nginx.port, "/");
    check(wait_until(|| backends[0].open() == 2), || "no request arrived".to_owned())?;
    let upgraded = nginx.upgrade()?;
    signal("-QUIT", nginx.master());
    check(wait_until(|| !nginx.listens(old)), || "the old worker listens".to_owned())?;
    let seen = nginx.status();
    let state = seen.server(down).map(|server| server.state.as_str());
    check(seen.worker != old && seen.open() == 2 && state == Some("down"), || format!("{seen:?}"))?;
    backends[0].release();
    let answers = client::finish(requests);
    check(answers.iter().all(|answer| answer.status == 200), || "a request was lost".to_owned())?;
    let seen = nginx.idle()?;
    check(seen.server(backends[0].port).is_some_and(|server| server.done == 2), || {
        format!("{seen:?}")
    })?;
    drop(upgraded);
    Ok(())
}
