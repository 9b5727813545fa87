//! Clients and real servers in their own processes, on any host.

use std::io::{BufRead, BufReader, Write, stdin};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::process::{Child, ChildStdout, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use crate::guest::part;
use crate::labs::Host;
use crate::traffic;

pub(crate) const PORT: u16 = 7;
const TOLD: &str = "vsched_told";
/// Of a client that hears nothing, neither good nor bad: without a connection, and with one.
const PATIENCE: [Duration; 2] = [Duration::from_secs(5), Duration::from_secs(2)];

/// A part of this program on a host, which answers a line for a line.
struct Talk {
    process: Child,
    answers: BufReader<ChildStdout>,
}

impl Talk {
    fn start(host: &Host, name: &str, told: &str) -> Self {
        let mut process = part(&host.exec(), name);
        process.env(TOLD, told).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut process = process.spawn().expect("a part");
        let answers = BufReader::new(process.stdout.take().expect("piped"));
        Talk { process, answers }
    }

    fn ask(&mut self) -> String {
        self.process.stdin.as_mut().expect("piped").write_all(b"\n").expect("it reads");
        let mut answer = String::new();
        self.answers.read_line(&mut answer).expect("an answer");
        answer.trim_end().to_owned()
    }
}

impl Drop for Talk {
    fn drop(&mut self) {
        // Without its input it ends.
        drop(self.process.stdin.take());
        let _ = self.process.wait();
    }
}

fn told() -> String {
    std::env::var(TOLD).expect("what is told")
}

fn answer_lines(mut answer: impl FnMut() -> String) {
    for line in stdin().lines() {
        let _ = line.expect("a line");
        println!("{}", answer());
    }
}

/// A real server, which answers every byte with its number.
pub(crate) struct Server {
    _talk: Talk,
}

impl Server {
    pub(crate) fn start(host: &Host, number: u8) -> Self {
        let mut talk = Talk::start(host, "clients_server", &number.to_string());
        assert_eq!(talk.ask(), "ready");
        Server { _talk: talk }
    }
}

pub(crate) fn server_part() {
    let number = told().parse().expect("a number");
    let listener = TcpListener::bind(("0.0.0.0", PORT)).expect("a listener");
    thread::spawn(move || traffic::answer(&listener, number));
    answer_lines(|| "ready".to_owned());
}

/// One connection that stays.
pub(crate) struct Held(Talk);

impl Held {
    pub(crate) fn connect(host: &Host, address: &str) -> Self {
        Held(Talk::start(host, "clients_held", address))
    }

    /// Which server answers.
    pub(crate) fn ask(&mut self) -> String {
        self.0.ask()
    }
}

fn connect() -> std::io::Result<TcpStream> {
    let address = SocketAddr::new(told().parse().expect("an address"), PORT);
    let stream = TcpStream::connect_timeout(&address, PATIENCE[0])?;
    stream.set_read_timeout(Some(PATIENCE[1]))?;
    Ok(stream)
}

pub(crate) fn held_part() {
    let mut stream = connect().expect("connected");
    answer_lines(|| traffic::ask(&mut stream).map_or_else(|e| e.to_string(), |n| n.to_string()));
}

/// Clients without pause, each with a connection of its own.
pub(crate) struct Clients(Talk);

/// How they have fared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Fared {
    pub(crate) clients: u32,
    /// Without a connection.
    pub(crate) refused: u32,
    /// Connected, and not answered.
    pub(crate) cut: u32,
}

impl Clients {
    pub(crate) fn start(host: &Host, address: &str) -> Self {
        Clients(Talk::start(host, "clients_many", address))
    }

    pub(crate) fn fared(&mut self) -> Fared {
        let text = self.0.ask();
        let mut numbers = text.split(' ').map(|word| word.parse().expect("a number"));
        let [clients, refused, cut] = [(); 3].map(|()| numbers.next().expect("three numbers"));
        Fared { clients, refused, cut }
    }

    /// Waits for as many more.
    pub(crate) fn wait(&mut self, more: u32) {
        let (begun, target) = (Instant::now(), self.fared().clients + more);
        while self.fared().clients < target {
            assert!(begun.elapsed() < 4 * PATIENCE[0], "they stand still");
            thread::sleep(Duration::from_millis(1));
        }
    }
}

static FARED: [AtomicU32; 3] = [const { AtomicU32::new(0) }; 3];

pub(crate) fn clients_part() {
    thread::spawn(|| {
        loop {
            let place = match connect() {
                Ok(mut stream) => usize::from(traffic::ask(&mut stream).is_err()) * 2,
                Err(_) => 1,
            };
            if place > 0 {
                FARED[place].fetch_add(1, Ordering::SeqCst);
            }
            FARED[0].fetch_add(1, Ordering::SeqCst);
        }
    });
    answer_lines(|| {
        let [clients, refused, cut] = [0, 1, 2].map(|n| FARED[n].load(Ordering::SeqCst));
        format!("{clients} {refused} {cut}")
    });
}
