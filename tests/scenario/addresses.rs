//! Client and destination addresses, with ranges of their last number: `192.168.7.1-8`,
//! `10.0.0.1:1000-1011`, `[2001:db8::7]:4000`.

use std::net::{IpAddr, SocketAddr};

pub(super) fn addresses(word: &str, default_port: u16) -> Result<Vec<SocketAddr>, String> {
    let wrong = || format!("expected an address, perhaps with a port or a range, found `{word}`");
    if let Some(found) = one(word, default_port) {
        return Ok(vec![found]);
    }
    let (start, last) = word.rsplit_once('-').ok_or_else(wrong)?;
    let digits = start.trim_end_matches(|letter: char| letter.is_ascii_digit());
    let first: u32 = start[digits.len()..].parse().map_err(|_| wrong())?;
    let last: u32 = last.parse().map_err(|_| wrong())?;
    if first >= last {
        return Err(format!("expected a rising range, found `{word}`"));
    }
    (first..=last)
        .map(|number| one(&format!("{digits}{number}"), default_port).ok_or_else(wrong))
        .collect()
}

fn one(word: &str, default_port: u16) -> Option<SocketAddr> {
    let ip = || Some(SocketAddr::new(word.parse::<IpAddr>().ok()?, default_port));
    word.parse().ok().or_else(ip)
}
