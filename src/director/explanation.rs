//! What [`Director::explain`](crate::Director::explain) says: plain data, a text for people, serde.

use std::fmt;
use std::net::SocketAddr;

use crate::arena::id::ServerId;
use crate::config::{
    ObservedServer, PickReason, SchedulerKind, ServerCounts, ServerHealth, ServerState, ServiceKey,
    Sharing,
};
use crate::director::held::Hold;
use crate::error::Refused;

/// Which server the next pick of a flow would choose and why, and what decides for each server.
///
/// Its text has a line for the service, a line for the pick and one per server, in list order.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Explanation {
    /// The service.
    pub service: ServiceKey,
    /// Its scheduler.
    pub scheduler: Option<SchedulerKind>,
    /// Unless `exact`, this is what a caller without a worker would get.
    pub sharing: Sharing,
    /// The server that the client's persistence template names, even if it may not be used.
    pub template: Option<SocketAddr>,
    /// The pick, or the reason why there is none.
    pub pick: Result<ExplainedPick, Refused>,
    /// The servers in list order: the newest first.
    pub servers: Vec<ExplainedServer>,
}

/// The server that would be picked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct ExplainedPick {
    /// The server.
    pub server: ServerId,
    /// Its address, with the port to which the flow would go.
    pub address: SocketAddr,
    /// Why this one.
    pub reason: PickReason,
}

/// What decides for a server.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct ExplainedServer {
    /// The server.
    pub id: ServerId,
    /// Its address as configured.
    pub address: SocketAddr,
    /// Its weight as configured.
    pub weight: u32,
    /// The weight that picks go by.
    pub effective_weight: u32,
    /// Its connections.
    pub counts: ServerCounts,
    /// The state that results from `holds`.
    pub state: ServerState,
    /// Who holds it draining or down, and why.
    pub holds: Vec<Hold>,
    /// What hosts have reported of it.
    pub health: ServerHealth,
    /// Why it gets no new connections; `None` if it is eligible.
    pub bar: Option<Bar>,
    /// Its load as the scheduler compares it, a number and by how much it is divided: 257 active
    /// connections of weight 2 are `(66049, 2)` for wlc. `None` if the scheduler
    /// compares no loads, or the weight is 0.
    pub load: Option<(u64, u32)>,
}

/// Why a server gets no new connections.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[cfg_attr(feature = "serde", serde(rename_all = "lowercase"))]
#[non_exhaustive]
pub enum Bar {
    /// Its weight is 0.
    Quiesced,
    /// It is held draining.
    Draining,
    /// It is held down.
    Down,
    /// It is ejected.
    Ejected,
    /// It is in a tier that does not serve: picked only if no other tier before it has a server.
    Standby,
    /// It reached its upper threshold.
    Overloaded,
}

impl Bar {
    /// Returns the name, as in every text.
    pub const fn name(self) -> &'static str {
        match self {
            Bar::Quiesced => "quiesced",
            Bar::Draining => "draining",
            Bar::Down => "down",
            Bar::Ejected => "ejected",
            Bar::Standby => "standby",
            Bar::Overloaded => "overloaded",
        }
    }

    pub(crate) fn of(weight: u32, observed: &ObservedServer) -> Option<Bar> {
        match observed.state {
            ServerState::Down if observed.health.ejected => Some(Bar::Ejected),
            ServerState::Down => Some(Bar::Down),
            ServerState::Draining => Some(Bar::Draining),
            ServerState::Up if observed.server.weight == 0 => Some(Bar::Quiesced),
            ServerState::Up if weight == 0 => Some(Bar::Standby),
            ServerState::Up => observed.counts.overloaded.then_some(Bar::Overloaded),
        }
    }
}

impl fmt::Display for Bar {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl ExplainedServer {
    /// The load as a text: a number, or a fraction such as `771/2`.
    fn load_text(&self) -> Option<String> {
        self.load.map(|(load, share)| match share {
            1 => load.to_string(),
            _ => format!("{load}/{share}"),
        })
    }
}

impl fmt::Display for Explanation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scheduler = self.scheduler.map_or("no scheduler", SchedulerKind::name);
        write!(f, "{}, {scheduler}", self.service)?;
        match self.sharing {
            Sharing::Exact => {}
            Sharing::PerWorker => write!(f, ", per worker: as for a caller without one")?,
            Sharing::Chunks(_) => {
                write!(f, ", {}: as for a caller without a worker", self.sharing)?
            }
        }
        match &self.pick {
            Ok(pick) => write!(f, "\nnext: {}, {}", pick.address, pick.reason)?,
            Err(refused) => write!(f, "\nnext: none, {refused}")?,
        }
        if let Some(template) = self.template {
            write!(f, "\ntemplate: {template}")?;
        }
        writeln!(f)?;
        self.servers.iter().try_for_each(|server| writeln!(f, "{server}"))
    }
}

impl fmt::Display for ExplainedServer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: weight {}", self.address, self.weight)?;
        if self.effective_weight != self.weight {
            write!(f, " (now {})", self.effective_weight)?;
        }
        let ServerCounts { active, inactive, .. } = self.counts;
        write!(f, ", {active} active, {inactive} inactive")?;
        if let Some(load) = self.load_text() {
            write!(f, ", load {load}")?;
        }
        if self.health.consecutive_failures > 0 {
            write!(f, ", {} failures in a row", self.health.consecutive_failures)?;
        }
        if let Some(bar) = self.bar {
            write!(f, ", {bar}")?;
        }
        for (number, Hold { holder, reason, .. }) in self.holds.iter().enumerate() {
            f.write_str(if number == 0 { " (" } else { ", " })?;
            let colon = if reason.is_empty() { "" } else { ": " };
            write!(f, "{holder}{colon}{reason}")?;
        }
        f.write_str(if self.holds.is_empty() { "" } else { ")" })
    }
}

#[cfg(feature = "serde")]
mod text {
    use serde::{Serialize, Serializer};

    use super::{ExplainedServer, Explanation, Hold, PickReason, Sharing, SocketAddr};

    #[derive(Serialize)]
    struct Text<'a> {
        service: String,
        scheduler: Option<&'static str>,
        sharing: Sharing,
        template: Option<SocketAddr>,
        next: Option<SocketAddr>,
        reason: Option<PickReason>,
        refused: Option<String>,
        servers: Vec<ServerText<'a>>,
    }

    #[derive(Serialize)]
    struct ServerText<'a> {
        address: SocketAddr,
        weight: u32,
        effective_weight: u32,
        active: u32,
        inactive: u32,
        persistent: u32,
        state: &'static str,
        holds: Vec<HoldText<'a>>,
        eligible: bool,
        bar: Option<&'static str>,
        load: Option<String>,
        done: u64,
        failed: u64,
        abandoned: u64,
        consecutive_failures: u32,
        recent_done: u64,
        recent_failed: u64,
        latency_us: Option<u64>,
    }

    #[derive(Serialize)]
    struct HoldText<'a> {
        holder: &'static str,
        state: &'static str,
        reason: &'a str,
    }

    /// Names and numbers; ids are not part of the text.
    impl Serialize for Explanation {
        fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
            Text {
                service: self.service.to_string(),
                scheduler: self.scheduler.map(|scheduler| scheduler.name()),
                sharing: self.sharing,
                template: self.template,
                next: self.pick.ok().map(|pick| pick.address),
                reason: self.pick.ok().map(|pick| pick.reason),
                refused: self.pick.err().map(|refused| refused.to_string()),
                servers: self.servers.iter().map(server).collect(),
            }
            .serialize(serializer)
        }
    }

    fn server(server: &ExplainedServer) -> ServerText<'_> {
        let hold = |hold: &'_ Hold| (hold.holder.name(), hold.state.name());
        let holds = server.holds.iter().map(|it| {
            let (holder, state) = hold(it);
            HoldText { holder, state, reason: &it.reason }
        });
        let micros =
            |latency: std::time::Duration| latency.as_micros().try_into().unwrap_or(u64::MAX);
        ServerText {
            address: server.address,
            weight: server.weight,
            effective_weight: server.effective_weight,
            active: server.counts.active,
            inactive: server.counts.inactive,
            persistent: server.counts.persistent,
            state: server.state.name(),
            holds: holds.collect(),
            eligible: server.bar.is_none(),
            bar: server.bar.map(super::Bar::name),
            load: server.load_text(),
            done: server.health.done,
            failed: server.health.failed,
            abandoned: server.health.abandoned,
            consecutive_failures: server.health.consecutive_failures,
            recent_done: server.health.recent_done,
            recent_failed: server.health.recent_failed,
            latency_us: server.health.latency.map(micros),
        }
    }
}
