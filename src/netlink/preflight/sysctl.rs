//! Kernel settings that interfere with drains.

use std::fs;

use super::Finding;
use crate::config::Config;
use crate::netlink::{Error, Namespace};

const NAMES: [&str; 4] =
    ["expire_nodest_conn", "expire_quiescent_template", "conn_reuse_mode", "conntrack"];

pub(super) fn findings(
    wanted: &Config,
    namespace: Option<&Namespace>,
) -> Result<Vec<Finding>, Error> {
    let [nodest, template, reuse, conntrack] = match namespace {
        Some(namespace) => namespace.within(|| Ok(read()))?,
        None => read(),
    };
    let mut findings = Vec::new();
    let mut find = |name, value, effect| {
        findings.push(Finding::Setting { name, value, effect });
    };
    if let Some(value @ 1..) = nodest {
        let effect = "connections that a drain's deadline cuts off are reset at once, and a server \
                      that is added again does not get its connections back";
        find("net.ipv4.vs.expire_nodest_conn", value, effect);
    }
    let persistent = wanted.services.iter().any(|service| service.persistence.is_some());
    if persistent && template == Some(0) {
        let effect = "persistent clients of a server that drains stay with it for as long as they \
                      keep coming, so the drain may last until its deadline";
        find("net.ipv4.vs.expire_quiescent_template", 0, effect);
    }
    if reuse == Some(0) {
        let effect = "a client that uses a port again stays with a server that drains, so the drain \
                      may last until its deadline";
        find("net.ipv4.vs.conn_reuse_mode", 0, effect);
    }
    if let (Some(1..), Some(value @ 1..)) = (reuse, conntrack) {
        let effect = "with conn_reuse_mode, Linux before 5.9 drops the first packet of a client that \
                      uses a port again, which costs it a second";
        find("net.ipv4.vs.conntrack", value, effect);
    }
    Ok(findings)
}

/// The settings; `None` for those that this kernel lacks.
fn read() -> [Option<u32>; 4] {
    // Of the reading thread's network namespace.
    let text = |name: &str| fs::read_to_string(format!("/proc/sys/net/ipv4/vs/{name}"));
    NAMES.map(|name| text(name).ok().and_then(|text| text.trim().parse().ok()))
}
