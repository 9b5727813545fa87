//! What `vsched_status` says.

use crate::client;

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Server {
    pub(crate) address: String,
    pub(crate) state: String,
    pub(crate) weight: u64,
    /// Active and inactive connections.
    pub(crate) open: u64,
    pub(crate) done: u64,
    pub(crate) failed: u64,
    pub(crate) abandoned: u64,
}

/// Of an upstream, as one worker sees it.
#[derive(Debug, Clone, Default)]
pub(crate) struct Status {
    pub(crate) worker: u32,
    pub(crate) joined: bool,
    pub(crate) servers: Vec<Server>,
}

pub(crate) fn of(port: u16, upstream: &str) -> Status {
    let answer = client::get(port, &format!("/status?upstream={upstream}"));
    let mut lines = answer.body.lines();
    let head = lines.next().unwrap_or_default();
    let joined = head.starts_with("upstream ") && !head.contains("NOT JOINED");
    let servers = lines.skip(1).filter_map(server).collect();
    Status { worker: answer.worker(), joined, servers }
}

fn server(line: &str) -> Option<Server> {
    let words: Vec<&str> = line.split_whitespace().collect();
    let number = |at: usize| words.get(at)?.parse::<u64>().ok();
    Some(Server {
        address: (*words.first()?).to_owned(),
        state: (*words.get(1)?).to_owned(),
        weight: number(2)?,
        open: number(3)? + number(4)?,
        done: number(6)?,
        failed: number(7)?,
        abandoned: number(8)?,
    })
}

impl Status {
    /// Open connections of all servers.
    pub(crate) fn open(&self) -> u64 {
        self.servers.iter().map(|server| server.open).sum()
    }

    /// True if it is known that nothing is open.
    pub(crate) fn is_idle(&self) -> bool {
        self.joined && !self.servers.is_empty() && self.open() == 0
    }

    pub(crate) fn server(&self, port: u16) -> Option<&Server> {
        let address = format!("127.0.0.1:{port}");
        self.servers.iter().find(|server| server.address == address)
    }
}
