//! Clients keep being served while the config changes. Everything is local: clients, virtual
//! address, real servers.

use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use vsched::netlink::plan::{Drain, Ended, Policy, Removal};
use vsched::netlink::{Ipvs, Options, Progress, Request, Rollout, Status};

use crate::guest::{StopAtEnd, note};
use crate::sync::{config, ipvs, key};

pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

/// Real servers that answer every byte with their number.
fn serve(numbers: &[u8]) {
    for number in numbers.iter().copied() {
        let listener =
            TcpListener::bind(SocketAddr::from(([127, 0, 9, number], 80))).expect("a listener");
        thread::spawn(move || answer(&listener, number));
    }
}

pub(crate) fn answer(listener: &TcpListener, number: u8) {
    for stream in listener.incoming() {
        let mut stream = stream.expect("a connection");
        thread::spawn(move || {
            let mut byte = [0];
            while stream.read_exact(&mut byte).is_ok() {
                if stream.write_all(&[number]).is_err() {
                    break;
                }
            }
        });
    }
}

fn connect() -> TcpStream {
    let stream = TcpStream::connect(("127.0.0.10", 80)).expect("connected");
    stream.set_read_timeout(Some(Duration::from_secs(1))).expect("a limit");
    stream
}

/// Which server answers.
pub(crate) fn ask(stream: &mut TcpStream) -> std::io::Result<u8> {
    let mut answer = [0];
    stream.write_all(b"?")?;
    stream.read_exact(&mut answer)?;
    Ok(answer[0])
}

fn rules(servers: &[u8]) -> String {
    let server = |n: &u8| format!("-a -t 127.0.0.10:80 -r 127.0.9.{n} -m\n");
    let servers: String = servers.iter().map(server).collect();
    format!("-A -t 127.0.0.10:80 -s rr\n{servers}")
}

pub(crate) fn draining(deadline: Duration) -> Policy {
    let removal =
        Removal::Drain(Drain::default().with_deadline(deadline).with_until(Ended::Active));
    Policy::default().with_removal(removal)
}

/// A rollout that waits for the server's one connection.
fn begin(ipvs: &mut Ipvs, policy: &Policy) -> Rollout {
    let mut rollout = Rollout::new(ipvs.plan(config(&rules(&[2])), policy).expect("a plan"));
    for _ in 0..3 {
        let Progress::Wait(_) = rollout.poll(ipvs) else { panic!("it does not wait") };
        let [server] = rollout.draining() else { panic!("{:?}", rollout.draining()) };
        assert_eq!(server.connections, 1);
    }
    rollout
}

pub(crate) fn end(rollout: &mut Rollout, ipvs: &mut Ipvs) {
    let begun = Instant::now();
    while let Progress::Wait(time) = rollout.poll(ipvs) {
        assert!(begun.elapsed() < PATIENCE, "it waits for ever: {:?}", rollout.draining());
        thread::sleep(time);
    }
}

/// A connection is not disturbed by a drain, which ends with it; a deadline cuts it off.
pub(crate) fn live_connection() {
    serve(&[1, 2]);
    let mut ipvs = ipvs();
    for cut_off in [false, true] {
        let _ = ipvs.sync(config(&rules(&[1, 2])), &Policy::default()).expect("in sync");
        let mut streams = [connect(), connect(), connect()];
        let mut held = streams
            .iter_mut()
            .map(|stream| ask(stream).expect("an answer"))
            .position(|number| number == 1)
            .map(|place| streams[place].try_clone().expect("a stream"))
            .expect("a connection to the first server");
        drop_others(streams, &mut held, &mut ipvs);
        let long = draining(if cut_off { Duration::ZERO } else { PATIENCE });
        let mut rollout = if cut_off {
            Rollout::new(ipvs.plan(config(&rules(&[2])), &long).expect("a plan"))
        } else {
            begin(&mut ipvs, &long)
        };
        if cut_off {
            end(&mut rollout, &mut ipvs);
            let report = rollout.into_report();
            let cut = |status| matches!(status, Status::CutOff(1));
            assert!(report.outcomes().iter().any(|outcome| cut(outcome.status)), "{report}");
            assert!(report.is_complete(), "{report}");
            let silent = ask(&mut held).expect_err("its packets are dropped");
            let expected = [ErrorKind::WouldBlock, ErrorKind::TimedOut, ErrorKind::ConnectionReset];
            assert!(expected.contains(&silent.kind()), "{silent}");
        } else {
            for _ in 0..10 {
                assert_eq!(ask(&mut held).expect("an answer"), 1);
                let Progress::Wait(_) = rollout.poll(&mut ipvs) else { panic!("it is over") };
            }
            assert_eq!(ask(&mut connect()).expect("an answer"), 2);
            drop(held);
            end(&mut rollout, &mut ipvs);
            let report = rollout.into_report();
            let drained = report.outcomes().iter().any(|o| o.status == Status::Drained);
            assert!(drained && report.is_complete(), "{report}");
        }
        assert_eq!(
            ipvs.kernel().read_servers(&key("tcp 127.0.0.10:80")).expect("servers").len(),
            1
        );
        ipvs.kernel().execute_one(&Request::flush()).expect("flushed");
    }
}

/// Waits until only `held` counts.
fn drop_others(streams: [TcpStream; 3], held: &mut TcpStream, ipvs: &mut Ipvs) {
    drop(streams);
    let begun = Instant::now();
    let active = |ipvs: &mut Ipvs| -> u32 {
        let servers = ipvs.kernel().read_servers(&key("tcp 127.0.0.10:80")).expect("servers");
        servers.iter().map(|server| server.counts.active).sum()
    };
    while active(ipvs) != 1 {
        assert!(begun.elapsed() < PATIENCE, "they never end");
        thread::sleep(Duration::from_millis(10));
    }
    assert_eq!(ask(held).expect("an answer"), 1);
}

/// Another program gives a draining server weight again: the server stays.
pub(crate) fn wanted_again() {
    serve(&[1, 2]);
    let mut ipvs = ipvs();
    let both = config(&rules(&[1, 2]));
    let _ = ipvs.sync(both.clone(), &Policy::default()).expect("in sync");
    let mut streams = [connect(), connect()];
    streams.iter_mut().for_each(|stream| assert!(ask(stream).is_ok()));
    let mut rollout = begin(&mut ipvs, &draining(PATIENCE));
    let service = &both.services[0];
    let again = Request::edit_server(&service.key, &service.servers[0]);
    ipvs.kernel().execute_one(&again).expect("edited");
    end(&mut rollout, &mut ipvs);
    let report = rollout.into_report();
    let kept = report.outcomes().iter().filter(|outcome| outcome.status == Status::Kept);
    assert_eq!((kept.count(), report.is_complete()), (2, false), "{report}");
    assert!(ipvs.plan(both.clone(), &Policy::default()).expect("a plan").is_empty());
    streams.iter_mut().for_each(|stream| assert!(ask(stream).is_ok()));
    // One server by name: the one that is left cannot go.
    let (key, drain) =
        (service.key, Drain::default().with_deadline(PATIENCE).with_until(Ended::Active));
    drop(streams);
    let report = ipvs.drain(&key, service.servers[0].address, drain).expect("drained");
    assert_eq!(
        report.outcomes().iter().last().map(|last| last.status),
        Some(Status::Done),
        "{report}"
    );
    let last = ipvs.drain(&key, service.servers[1].address, drain).expect_err("the last one");
    assert!(last.to_string().contains("would have none"), "{last}");
}

/// How many clients there have been.
static CLIENTS: AtomicU32 = AtomicU32::new(0);

/// Clients from many addresses, a new one each time, until `change` is through. Tells how many of
/// them asked and how many were refused.
fn under_traffic(change: impl FnOnce()) -> (u32, u32) {
    let (stop, asked, refused) = (AtomicBool::new(false), AtomicU32::new(0), AtomicU32::new(0));
    thread::scope(|scope| {
        let clients = scope.spawn(|| {
            while !stop.load(Ordering::SeqCst) {
                // None twice: the kernel remembers the servers of earlier ones, deleted servers too.
                let number = CLIENTS.fetch_add(1, Ordering::SeqCst);
                let [_, high, middle, low] = number.to_be_bytes();
                let address = SocketAddr::from(([127, 1 + high, middle, low], 0));
                let client = UdpSocket::bind(address).expect("a client");
                let sent = client.send_to(b"?", "127.0.0.20:53");
                asked.fetch_add(1, Ordering::SeqCst);
                refused.fetch_add(u32::from(sent.is_err()), Ordering::SeqCst);
            }
        });
        let _end = StopAtEnd(&stop);
        let wait = |more: u32| {
            let target = asked.load(Ordering::SeqCst) + more;
            while asked.load(Ordering::SeqCst) < target && !clients.is_finished() {
                thread::sleep(Duration::from_millis(1));
            }
        };
        wait(300);
        change();
        wait(300);
    });
    (asked.into_inner(), refused.into_inner())
}

fn udp(scheduler: &str, servers: &[(u8, u32)]) -> vsched::Config {
    let server =
        |(n, weight): &(u8, u32)| format!("-a -u 127.0.0.20:53 -r 127.0.9.{n} -m -w {weight}\n");
    let servers: String = servers.iter().map(server).collect();
    config(&format!("-A -u 127.0.0.20:53 -s {scheduler}\n{servers}"))
}

const FOUR: &[(u8, u32)] = &[(1, 1), (2, 1), (3, 1), (4, 1)];

fn real_servers() -> Vec<UdpSocket> {
    (1..=5)
        .map(|n| UdpSocket::bind(SocketAddr::from(([127, 0, 9, n], 53))).expect("a real server"))
        .collect()
}

/// Schedulers that hash clients to servers refuse those of a quiesced one, unless they fall back.
pub(crate) fn hashed_drain() {
    let _servers = real_servers();
    for scheduler in ["sh", "mh"] {
        let mut ipvs = ipvs();
        let four = udp(scheduler, FOUR);
        let _ = ipvs.sync(four.clone(), &Policy::default()).expect("in sync");
        // By hand, for these tests to be able to fail.
        let service = &four.services[0];
        let quiesced = service.servers[0].clone().with_weight(0);
        let by_hand = under_traffic(|| {
            let edit = Request::edit_server(&service.key, &quiesced);
            ipvs.kernel().execute_one(&edit).expect("edited");
        });
        assert!(by_hand.1 > 0, "nobody was refused by hand");
        let _ = ipvs.sync(four.clone(), &Policy::default()).expect("in sync");
        let three = udp(scheduler, &FOUR[1..]);
        let drained = under_traffic(|| {
            let mut rollout =
                Rollout::new(ipvs.plan(three.clone(), &hashed_policy()).expect("a plan"));
            let Progress::Wait(_) = rollout.poll(&mut ipvs) else { panic!("it does not wait") };
            thread::sleep(Duration::from_millis(300));
            end(&mut rollout, &mut ipvs);
            assert!(rollout.into_report().is_complete());
        });
        let (asked, refused) = drained;
        note(format!(
            "{scheduler}: by hand {} of {} clients were refused, in a drain {refused} of {asked}",
            by_hand.1, by_hand.0
        ));
        assert_eq!(refused, 0);
        assert!(ipvs.plan(three.clone(), &Policy::default()).expect("a plan").is_empty());
        ipvs.kernel().execute_one(&Request::flush()).expect("flushed");
    }
}

/// UDP connections stay for five minutes: the deadline ends this drain.
pub(crate) fn hashed_policy() -> Policy {
    let removal = Removal::Drain(
        Drain::default().with_deadline(Duration::from_millis(600)).with_until(Ended::All),
    );
    Policy::default().with_removal(removal)
}

/// Servers, weights and schedulers change under traffic, and no client is refused.
pub(crate) fn swaps() {
    let _servers = real_servers();
    // One change a system call, for clients to get in between.
    let options = Options::default().with_batch(1);
    let mut ipvs = Ipvs::with_options(&options).expect("IPVS");
    let configs = [
        udp("rr", &[(1, 1), (2, 1)]),
        udp("rr", &[(3, 1), (4, 1)]),
        udp("wrr", &[(4, 5)]),
        udp("wlc", &[(1, 3), (4, 1), (5, 0)]),
        udp("sh", &[(5, 1), (2, 2)]),
        udp("mh", &[(3, 1), (2, 2)]),
        udp("lc", &[(1, 1)]),
    ];
    let _ = ipvs.sync(configs[0].clone(), &Policy::default()).expect("in sync");
    let immediate = crate::sync::immediate();
    for policy in [&draining(PATIENCE), &immediate] {
        let mut syncs = 0;
        let (asked, refused) = under_traffic(|| {
            for wanted in configs.iter().cycle().take(5 * configs.len()) {
                let report = ipvs.sync(wanted.clone(), policy).expect("in sync");
                syncs += u32::from(report.requests() > 0);
            }
        });
        note(format!("{syncs} swaps: {refused} of {asked} clients refused"));
        assert_eq!(refused, 0);
        assert!(syncs > 30, "{syncs}");
    }
    // Deleted first and added afterwards, as others do it: for this test to be able to fail.
    let service = &configs[0].services[0];
    let (asked, refused) = under_traffic(|| {
        let kernel = ipvs.kernel();
        let gone = &configs[6].services[0].servers[0];
        let delete = Request::delete_server(&service.key, gone.address);
        kernel.execute_one(&delete).expect("deleted");
        thread::sleep(Duration::from_millis(20));
        let add = Request::add_server(&service.key, &service.servers[1]);
        kernel.execute_one(&add).expect("added");
    });
    assert!(refused > 0, "nobody of {asked} was refused");
}
