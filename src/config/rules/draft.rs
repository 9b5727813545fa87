//! The options of one line, collected until the command can be built.
//!
//! The meaning of some options depends on those before them: a mask is an IPv4 one unless an address
//! family precedes it, and a server without a port takes the service's port only if the service
//! precedes it. ipvsadm behaves this way, and existing texts rely on it.

use std::net::SocketAddr;

use crate::config::rules::Checks;
use crate::config::rules::address::{self, endpoint};
use crate::config::rules::number;
use crate::config::rules::options::{Opt, Verb};
use crate::config::rules::pairs;
use crate::config::rules::server::{self, ServerDraft};
use crate::config::rules::words::Word;
use crate::config::validate::{MAX_AFFINITY, SPILL_OVER};
use crate::config::{
    Affinity, Command, DEFAULT_MH_TABLE_INDEX, Ejection, Family, MAX_MH_TABLE_INDEX, MAX_TIMEOUT,
    MIN_MH_TABLE_INDEX, Name, Netmask, Persistence, Protocol, SHARINGS, SchedulerFlags,
    SchedulerKind, ServiceKey, ServiceSettings, Sharing, SlowStart, Ties, VirtualService,
};
use crate::error::{Quoted, RulesError};

/// Longest name of a persistence engine, in bytes.
const MAX_ENGINE: usize = 15;

/// The options of a line so far.
#[derive(Debug)]
pub(super) struct Draft<'t> {
    verb: Verb,
    command: Word<'t>,
    service: Option<(ServiceKey, Word<'t>)>,
    scheduler: Option<SchedulerKind>,
    flags: Option<Word<'t>>,
    persistent: Option<u32>,
    netmask: Option<Netmask>,
    engine: Option<String>,
    one_packet: Option<Word<'t>>,
    mh_table_index: u8,
    affinity: Affinity,
    sharing: Sharing,
    ties: Ties,
    ejection: Option<Ejection>,
    slow_start: Option<SlowStart>,
    spill_over: Option<u32>,
    panic_threshold: u8,
    name: Option<Name>,
    server: ServerDraft<'t>,
}

impl<'t> Draft<'t> {
    pub(super) fn new(verb: Verb, command: Word<'t>) -> Self {
        Draft {
            verb,
            command,
            service: None,
            scheduler: Some(SchedulerKind::Wlc),
            flags: None,
            persistent: None,
            netmask: None,
            engine: None,
            one_packet: None,
            mh_table_index: DEFAULT_MH_TABLE_INDEX,
            affinity: Affinity::default(),
            sharing: Sharing::default(),
            ties: Ties::default(),
            ejection: None,
            slow_start: None,
            spill_over: None,
            panic_threshold: 0,
            name: None,
            server: ServerDraft::default(),
        }
    }

    /// Records one option; `at` is the option as written.
    pub(super) fn set(
        &mut self,
        opt: Opt,
        at: Word<'t>,
        value: Option<Word<'t>>,
    ) -> Result<(), RulesError> {
        // Every option with a value has one here; `at` only satisfies the types.
        let word = value.unwrap_or(at);
        match opt {
            Opt::Tcp => self.set_address(Protocol::Tcp, word)?,
            Opt::Udp => self.set_address(Protocol::Udp, word)?,
            Opt::Sctp => self.set_address(Protocol::Sctp, word)?,
            Opt::FirewallMark => {
                let key = ServiceKey::fwmark(number::mark(word)?, Family::Inet);
                self.service = Some((key, word));
            }
            Opt::Ipv6 => self.set_ipv6(at)?,
            Opt::Scheduler => self.scheduler = scheduler(word)?,
            Opt::Flags => self.flags = Some(word),
            Opt::Persistent => {
                self.persistent = Some(match value {
                    Some(word) => number::within(word, "timeout", 1, MAX_TIMEOUT)?,
                    None => Persistence::default().timeout,
                });
            }
            Opt::Netmask => self.netmask = self.read_netmask(word)?,
            Opt::Engine => self.engine = engine(word)?,
            Opt::OnePacket => self.one_packet = Some(at),
            Opt::MhTableIndex => {
                let (least, most) = (MIN_MH_TABLE_INDEX.into(), MAX_MH_TABLE_INDEX.into());
                self.mh_table_index = number::within(word, "mh table index", least, most)? as u8;
            }
            Opt::AffinityCapacity => {
                self.affinity.capacity =
                    number::within(word, "affinity capacity", 1, MAX_AFFINITY)?;
            }
            Opt::AffinityExpiration => {
                self.affinity.expiration =
                    number::within(word, "affinity expiration", 1, MAX_TIMEOUT)?;
            }
            Opt::Sharing => {
                let illegal = || word.error(format!("illegal sharing: expected {SHARINGS}"));
                self.sharing = Sharing::read(word.text).ok_or_else(illegal)?;
            }
            Opt::Ties => {
                self.ties = match word.text {
                    "kernel" => Ties::Kernel,
                    "rotate" => Ties::Rotate,
                    _ => return Err(word.error("illegal ties: expected kernel or rotate")),
                };
            }
            Opt::Ejection => self.ejection = Some(pairs::ejection(word)?),
            Opt::SlowStart => self.slow_start = Some(pairs::slow_start(word)?),
            Opt::SpillOver => {
                let (least, most) = SPILL_OVER;
                self.spill_over = Some(number::within(word, "spill-over", least, most)?);
            }
            Opt::PanicThreshold => {
                self.panic_threshold = number::within(word, "panic threshold", 0, 100)? as u8;
            }
            Opt::Name if !self.verb.is_on_server() => self.name = Some(server::name(word)?),
            Opt::Server => {
                let port = self.service.and_then(|(key, _)| key.port());
                self.server.set_address(word, port.unwrap_or(0))?;
            }
            other => self.server.set(other, at, word)?,
        }
        Ok(())
    }

    fn set_address(&mut self, protocol: Protocol, word: Word<'t>) -> Result<(), RulesError> {
        let found = endpoint(word)?;
        let address = SocketAddr::new(found.ip, found.port.unwrap_or(0));
        self.service = Some((ServiceKey::Address { protocol, address }, word));
        if address.is_ipv6() {
            self.netmask = None;
        }
        Ok(())
    }

    fn set_ipv6(&mut self, at: Word<'t>) -> Result<(), RulesError> {
        match &mut self.service {
            Some((ServiceKey::FirewallMark { family, .. }, _)) => {
                *family = Family::Inet6;
                self.netmask = None;
                Ok(())
            }
            _ => Err(at.error("-6 must follow the firewall mark that it goes with (-f MARK -6)")),
        }
    }

    fn read_netmask(&self, word: Word<'t>) -> Result<Option<Netmask>, RulesError> {
        if self.service.map(|(key, _)| key.family()) == Some(Family::Inet6) {
            let length = number::prefix_length(word)?;
            return Ok(Some(Netmask::Inet6(length)));
        }
        let mask = address::ipv4(word.text)
            .ok_or_else(|| word.error("illegal netmask: expected one such as 255.255.255.0"))?;
        Ok(Some(Netmask::Inet(mask)))
    }

    /// Builds the command, or returns an error for what is missing or inconsistent.
    pub(super) fn finish(self, checks: Checks) -> Result<Command, RulesError> {
        let service = self.service.ok_or_else(|| {
            self.command.error(format!(
                "{} needs a service: -t, -u, --sctp-service or -f",
                self.verb.name()
            ))
        });
        Ok(match self.verb {
            Verb::Clear => Command::Clear,
            Verb::AddService => Command::AddService(self.finish_service(service?)?),
            Verb::EditService => Command::EditService(self.finish_service(service?)?),
            Verb::DeleteService => Command::DeleteService(service?.0),
            Verb::AddServer => {
                let service = service?.0;
                let server = self.server.finish(self.verb, self.command, &service, checks)?;
                Command::AddServer { service, server }
            }
            Verb::EditServer => {
                let service = service?.0;
                let server = self.server.finish(self.verb, self.command, &service, checks)?;
                Command::EditServer { service, server }
            }
            Verb::DeleteServer => Command::DeleteServer {
                service: service?.0,
                server: self.server.address(self.verb, self.command)?.0,
            },
        })
    }

    fn finish_service(
        self,
        (service, word): (ServiceKey, Word<'t>),
    ) -> Result<ServiceSettings, RulesError> {
        let flags = match self.flags {
            Some(word) => flags(word, self.scheduler)?,
            None => SchedulerFlags::default(),
        };
        if service.port() == Some(0) && self.persistent.is_none() {
            return Err(word
                .error("a service without a port, or with port 0, takes every port and needs -p"));
        }
        let one_packet_fits = matches!(service.protocol(), None | Some(Protocol::Udp));
        if let Some(at) = self.one_packet.filter(|_| !one_packet_fits) {
            return Err(at.error("one-packet scheduling needs a UDP or firewall-mark service"));
        }
        Ok(ServiceSettings {
            scheduler: self.scheduler,
            flags,
            mh_table_index: self.mh_table_index,
            affinity: self.affinity,
            sharing: self.sharing,
            ties: self.ties,
            ejection: self.ejection,
            slow_start: self.slow_start,
            spill_over: self.spill_over,
            panic_threshold: self.panic_threshold,
            name: self.name,
            // Without persistence a mask has no effect.
            persistence: self
                .persistent
                .map(|timeout| Persistence { timeout, netmask: self.netmask }),
            persistence_engine: self.engine,
            one_packet: self.one_packet.is_some(),
            ..VirtualService::new(service).settings()
        })
    }
}

/// The kernel accepts `none` as a scheduler, which refuses every connection. An empty name is wlc.
fn scheduler(word: Word<'_>) -> Result<Option<SchedulerKind>, RulesError> {
    match word.text {
        "none" => Ok(None),
        "" => Ok(Some(SchedulerKind::Wlc)),
        name => match name.parse() {
            Ok(kind) => Ok(Some(kind)),
            Err(_) => {
                let known: Vec<_> = SchedulerKind::ALL.iter().map(|kind| kind.name()).collect();
                Err(word.error(format!("unknown scheduler: expected {} or none", known.join(", "))))
            }
        },
    }
}

fn engine(word: Word<'_>) -> Result<Option<String>, RulesError> {
    match word.text {
        "" => Ok(None),
        name if name.len() > MAX_ENGINE => Err(word.error(format!(
            "illegal persistence engine: expected a name of at most {MAX_ENGINE} bytes"
        ))),
        name => Ok(Some(name.to_owned())),
    }
}

/// Parses a list of flags; empty items are ignored, but commas alone are not a list.
fn flags(word: Word<'_>, scheduler: Option<SchedulerKind>) -> Result<SchedulerFlags, RulesError> {
    let mut flags = SchedulerFlags::default();
    if word.text.is_empty() {
        return Ok(flags);
    }
    for name in word.text.split(',').filter(|name| !name.is_empty()) {
        let flag = SchedulerFlags::named(name, scheduler).ok_or_else(|| {
            let own: String =
                SchedulerFlags::own_names(scheduler).map(|name| format!(", {name}")).collect();
            word.error(format!(
                "`{}` is no flag of scheduler {}: expected flag-1, flag-2, flag-3{own}",
                Quoted(name),
                scheduler.map_or("none", SchedulerKind::name),
            ))
        })?;
        flags = flags.union(flag);
    }
    if flags.is_empty() {
        return Err(word.error("a list of flags without a flag"));
    }
    Ok(flags)
}
