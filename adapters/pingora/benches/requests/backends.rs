//! Servers with a known speed: requests wait for one of a few places, and work there for some time.

use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::Semaphore;

const ANSWER: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello";

#[derive(Clone, Copy)]
pub(crate) struct Speed {
    work: Duration,
    places: usize,
}

impl Speed {
    pub(crate) const AT_ONCE: Speed = Speed::of(0, Semaphore::MAX_PERMITS);

    pub(crate) const fn of(milliseconds: u64, places: usize) -> Self {
        Speed { work: Duration::from_millis(milliseconds), places }
    }
}

/// Starts a server on a thread of its own.
pub(crate) fn start(speed: Speed) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("an address");
    std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        runtime.expect("a runtime").block_on(listen(listener, speed));
    });
    address
}

async fn listen(listener: TcpListener, speed: Speed) {
    listener.set_nonblocking(true).expect("a socket");
    let listener = tokio::net::TcpListener::from_std(listener).expect("a listener");
    let places = Arc::new(Semaphore::new(speed.places));
    while let Ok((stream, _)) = listener.accept().await {
        let places = Arc::clone(&places);
        tokio::spawn(async move {
            // The proxy has closed the connection.
            let _ = serve(stream, &places, speed.work).await;
        });
    }
}

async fn serve(mut stream: TcpStream, places: &Semaphore, work: Duration) -> std::io::Result<()> {
    stream.set_nodelay(true)?;
    let (mut buffer, mut filled) = ([0; 4096], 0);
    loop {
        let read = stream.read(&mut buffer[filled..]).await?;
        if read == 0 {
            return Ok(());
        }
        filled += read;
        if buffer[..filled].ends_with(b"\r\n\r\n") {
            filled = 0;
            if !work.is_zero() {
                let _place = places.acquire().await;
                tokio::time::sleep(work).await;
            }
            stream.write_all(ANSWER).await?;
        }
    }
}
