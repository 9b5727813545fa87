//! TCP's urgent data, at which every read ends, is no end of what follows.

use std::io::{Read, Write};
use std::net::TcpStream;

use rustix::net::{SendFlags, send};

use crate::process::{self, Process};
use crate::servers::{File, server};
use crate::service;

#[test]
fn what_follows_urgent_data_arrives() {
    let address = service();
    let echo = server(|mut stream| {
        let mut bytes = [0; 64];
        while let Ok(length @ 1..) = stream.read(&mut bytes) {
            let _ = stream.write_all(&bytes[..length]);
        }
    });
    let file = File::new("urgent", &format!("-A -t {address}\n-a -t {address} -r {echo} -m\n"));
    let _process = Process::serving(&["--rules", file.path(), "--workers", "1"]);
    for _ in 0..20 {
        // All of it is there before the server has accepted.
        let mut client = TcpStream::connect(address).expect("it listens");
        client.set_read_timeout(Some(process::PATIENCE)).expect("a timeout");
        for (text, flags) in
            [("before", SendFlags::empty()), ("!", SendFlags::OOB), ("after", SendFlags::empty())]
        {
            assert_eq!(send(&client, text.as_bytes(), flags), Ok(text.len()));
        }
        let mut echoed = [0; 11];
        client.read_exact(&mut echoed).expect("all of it comes back");
        assert_eq!(&echoed, b"beforeafter");
    }
}
