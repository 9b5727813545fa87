//! Clients: one connection and one request each.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::thread::{self, JoinHandle};
use std::time::Duration;

#[derive(Debug, Default)]
pub(crate) struct Answer {
    /// 0: the connection ended without an answer.
    pub(crate) status: u16,
    head: String,
    pub(crate) body: String,
}

impl Answer {
    /// The process that answered, from the header that the tests' configs add.
    pub(crate) fn worker(&self) -> u32 {
        self.header("X-Worker").parse().unwrap_or(0)
    }

    pub(crate) fn header(&self, name: &str) -> &str {
        let lines = self.head.lines().filter_map(|line| line.split_once(": "));
        lines.into_iter().find(|(key, _)| *key == name).map_or("", |(_, value)| value)
    }
}

fn connect(port: u16, method: &str, path: &str, headers: &str) -> std::io::Result<TcpStream> {
    let mut connection = TcpStream::connect(("127.0.0.1", port))?;
    connection.set_read_timeout(Some(Duration::from_secs(20)))?;
    let request = format!(
        "{method} {path} HTTP/1.1\r\nHost: test\r\nContent-Length: 0\r\n{headers}Connection: close\r\n\r\n"
    );
    connection.write_all(request.as_bytes())?;
    Ok(connection)
}

pub(crate) fn request(port: u16, method: &str, path: &str, headers: &str) -> Answer {
    let answer = || -> std::io::Result<String> {
        let mut text = String::new();
        connect(port, method, path, headers)?.read_to_string(&mut text)?;
        Ok(text)
    };
    let text = answer().unwrap_or_default();
    let Some((head, body)) = text.split_once("\r\n\r\n") else { return Answer::default() };
    let status = head.split(' ').nth(1).and_then(|word| word.parse().ok()).unwrap_or(0);
    Answer { status, head: head.to_owned(), body: body.to_owned() }
}

pub(crate) fn get(port: u16, path: &str) -> Answer {
    request(port, "GET", path, "")
}

/// Sends a request and leaves.
pub(crate) fn abort(port: u16, path: &str, after: Duration) {
    if let Ok(connection) = connect(port, "GET", path, "") {
        thread::sleep(after);
        drop(connection);
    }
}

/// So many requests at once, each in a thread of its own.
pub(crate) fn start(count: usize, port: u16, path: &'static str) -> Vec<JoinHandle<Answer>> {
    (0..count).map(|_| thread::spawn(move || get(port, path))).collect()
}

pub(crate) fn finish(requests: Vec<JoinHandle<Answer>>) -> Vec<Answer> {
    requests.into_iter().map(|request| request.join().unwrap_or_default()).collect()
}
