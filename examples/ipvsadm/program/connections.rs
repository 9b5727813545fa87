//! The connection table, which the kernel provides only as a file.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use super::names::Names;

/// Where the kernel lists its connections.
pub(crate) const FILE: &str = "/proc/net/ip_vs_conn";

/// The table; `engines` adds the data of persistence engines.
pub(crate) fn table(file: &str, engines: bool, names: Option<&Names>) -> String {
    let title = ("source", "virtual", "destination");
    let mut text = "IPVS connection entries\n".to_owned();
    let (source, address, destination) = title;
    text += &format!("pro expire {:<11} {source:<18} {address:<18} ", "state");
    text += &match engines {
        true => format!("{destination:<18} {:<16} pe_data\n", "pe name"),
        false => format!("{destination}\n"),
    };
    // The first line is the file's own title.
    for line in file.lines().skip(1) {
        text += &connection(line, engines, names).unwrap_or_default();
    }
    text
}

fn connection(line: &str, engines: bool, names: Option<&Names>) -> Option<String> {
    let words: Vec<&str> = line.split_whitespace().collect();
    let [kind, source, source_port, address, port, server, server_port, state, expires, rest @ ..] =
        words.as_slice()
    else {
        return None;
    };
    let protocol = match *kind {
        "TCP" => Some("tcp"),
        "UDP" => Some("udp"),
        "SCTP" => Some("sctp"),
        _ => None,
    };
    let end = |ip: &str, port: &str| {
        let numeric = SocketAddr::new(ip_address(ip)?, u16::from_str_radix(port, 16).ok()?);
        let numeric = numeric.to_string();
        Some(names.map_or(numeric.clone(), |names| names.name(&numeric, protocol)))
    };
    let seconds: u64 = expires.parse().ok()?;
    let (source, address) = (end(source, source_port)?, end(address, port)?);
    let server = end(server, server_port)?;
    let time = format!("{:02}:{:02}", seconds / 60, seconds % 60);
    let mut text = format!("{kind:<3} {time:<6} {state:<11} {source:<18} {address:<18} ");
    match rest {
        [engine, data @ ..] if engines => {
            text += &format!("{server:<16} {engine:<18} {}\n", data.join(" "));
        }
        _ => text += &format!("{server}\n"),
    }
    Some(text)
}

/// Eight hexadecimal digits, or a whole IPv6 address.
fn ip_address(text: &str) -> Option<IpAddr> {
    if text.contains(':') {
        return text.trim_matches(['[', ']']).parse::<Ipv6Addr>().ok().map(IpAddr::V6);
    }
    u32::from_str_radix(text, 16).ok().map(|bits| IpAddr::V4(Ipv4Addr::from(bits)))
}
