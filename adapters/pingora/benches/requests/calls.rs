//! What the proxies' own calls cost per request, without sockets and other tasks, so without their noise.

use std::error::Error;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use pingora_http::ResponseHeader;
use pingora_proxy::{ProxyHttp, Session};
use tokio::io::AsyncWriteExt;

use crate::proxies;

const REQUESTS: u32 = 100_000;

/// Prints the least of seven measurements for each proxy.
pub(crate) fn report() -> Result<(), Box<dyn Error>> {
    let servers: Vec<SocketAddr> = (1..=3).map(|n| SocketAddr::from(([10, 0, 1, n], 80))).collect();
    let (pingora, rr) = (proxies::pingora(&servers)?, proxies::vsched(&servers, "rr")?);
    let wlc = proxies::vsched(&servers, "wlc")?;
    let runtime = tokio::runtime::Builder::new_current_thread().build()?;
    runtime.block_on(async {
        let mut least = [Duration::MAX; 3];
        for _ in 0..7 {
            let times = [cost(&pingora).await?, cost(&rr).await?, cost(&wlc).await?];
            for (least, time) in least.iter_mut().zip(times) {
                *least = time.min(*least);
            }
        }
        let [pingora, rr, wlc] = least.map(|time| time / REQUESTS);
        println!(
            "All calls of a request: pingora RoundRobin {pingora:?}, vsched rr {rr:?}, wlc {wlc:?}"
        );
        Ok(())
    })
}

async fn cost<P>(proxy: &P) -> Result<Duration, Box<dyn Error>>
where
    P: ProxyHttp + Send + Sync,
    P::CTX: Send + Sync,
{
    let (mut client, server) = tokio::io::duplex(4096);
    client.write_all(b"GET / HTTP/1.1\r\nHost: test\r\n\r\n").await?;
    let mut session = Session::new_h1(Box::new(server));
    session.as_downstream_mut().read_request().await?;
    let mut response = ResponseHeader::build(200, None)?;
    let start = Instant::now();
    for _ in 0..REQUESTS {
        let mut context = proxy.new_ctx();
        std::hint::black_box(proxy.upstream_peer(&mut session, &mut context).await?);
        proxy.upstream_response_filter(&mut session, &mut response, &mut context).await?;
        proxy.logging(&mut session, None, &mut context).await;
    }
    Ok(start.elapsed())
}
