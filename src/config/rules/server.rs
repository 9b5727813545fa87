//! The options of one real server.

use std::net::SocketAddr;

use crate::config::rules::Checks;
use crate::config::rules::address::{endpoint, may_be_server};
use crate::config::rules::number;
use crate::config::rules::options::{Opt, Verb};
use crate::config::rules::words::Word;
use crate::config::{
    Family, Forwarding, MAX_WEIGHT, RealServer, ServiceKey, Thresholds, Tunnel, TunnelChecksum,
};
use crate::error::RulesError;

/// Largest threshold that ipvsadm takes.
const MAX_THRESHOLD: u32 = i32::MAX as u32;

/// What the options of a line have said of a real server so far.
#[derive(Debug, Default)]
pub(super) struct ServerDraft<'t> {
    address: Option<(SocketAddr, Word<'t>)>,
    forwarding: Option<Opt>,
    weight: Option<u32>,
    upper: u32,
    lower: Option<(u32, Word<'t>)>,
    tunnel: TunnelDraft<'t>,
}

#[derive(Debug, Default)]
struct TunnelDraft<'t> {
    kind: Option<Word<'t>>,
    port: Option<(u16, Word<'t>)>,
    checksum: Option<(TunnelChecksum, Word<'t>)>,
}

impl<'t> ServerDraft<'t> {
    /// Takes in `-r`; `port` is the one of a server that names none.
    pub(super) fn set_address(&mut self, word: Word<'t>, port: u16) -> Result<(), RulesError> {
        let found = endpoint(word)?;
        let address = SocketAddr::new(found.ip, found.port.unwrap_or(port));
        self.address = Some((address, word));
        Ok(())
    }

    /// Takes in any other option of a server; `at` is the option as written, `word` its value.
    pub(super) fn set(&mut self, opt: Opt, at: Word<'t>, word: Word<'t>) -> Result<(), RulesError> {
        match opt {
            Opt::Masq | Opt::Tunnel | Opt::Route => self.forwarding = Some(opt),
            Opt::Weight => self.weight = Some(number::within(word, "weight", 0, MAX_WEIGHT)?),
            Opt::Upper => {
                self.upper = number::within(word, "upper threshold", 0, MAX_THRESHOLD)?;
            }
            Opt::Lower => {
                let lower = number::within(word, "lower threshold", 0, MAX_THRESHOLD)?;
                self.lower = Some((lower, word));
            }
            Opt::TunnelType => match word.text {
                "ipip" | "gue" | "gre" => self.tunnel.kind = Some(word),
                _ => return Err(word.error("illegal tunnel type: expected ipip, gue or gre")),
            },
            Opt::TunnelPort => {
                let port = number::within(word, "tunnel port", 1, u32::from(u16::MAX))?;
                self.tunnel.port = Some((port as u16, word));
            }
            Opt::NoChecksum => self.tunnel.checksum = Some((TunnelChecksum::None, at)),
            Opt::Checksum => self.tunnel.checksum = Some((TunnelChecksum::Full, at)),
            Opt::RemoteChecksum => self.tunnel.checksum = Some((TunnelChecksum::Remote, at)),
            _ => {}
        }
        Ok(())
    }

    /// The address, which every command on a server needs.
    pub(super) fn address(
        &self,
        verb: Verb,
        command: Word<'t>,
    ) -> Result<(SocketAddr, Word<'t>), RulesError> {
        self.address.ok_or_else(|| command.error(format!("{} needs -r", verb.name())))
    }

    /// Builds the server as a server of this service.
    pub(super) fn finish(
        self,
        verb: Verb,
        command: Word<'t>,
        service: &ServiceKey,
        checks: Checks,
    ) -> Result<RealServer, RulesError> {
        let (mut address, word) = self.address(verb, command)?;
        let forwarding = match self.forwarding {
            Some(Opt::Tunnel) => Forwarding::Tunnel(self.tunnel.finish(command)?),
            other => {
                self.tunnel.refuse()?;
                match other {
                    Some(Opt::Masq) => Forwarding::Masq,
                    _ => Forwarding::Route,
                }
            }
        };
        // Only masquerading can change the port; ipvsadm overrides it silently.
        if let Some(port) = service.port().filter(|_| forwarding != Forwarding::Masq) {
            address.set_port(port);
        }
        if Family::of(address.ip()) != service.family()
            && !matches!(forwarding, Forwarding::Tunnel(_))
        {
            return Err(word.error(
                "a server of the other address family than its service needs tunnelling (-i)",
            ));
        }
        let all = checks == Checks::All;
        if all && !may_be_server(address.ip()) {
            return Err(word.error("illegal real server: expected a unicast address"));
        }
        let (lower, upper) = (self.lower.map_or(0, |(lower, _)| lower), self.upper);
        if let Some((_, word)) = self.lower.filter(|_| all && lower > upper) {
            return Err(word.error(format!(
                "illegal lower threshold: expected at most the upper one, which is {upper}"
            )));
        }
        Ok(RealServer {
            weight: self.weight.unwrap_or(1),
            forwarding,
            thresholds: Thresholds { upper, lower },
            ..RealServer::new(address)
        })
    }
}

impl<'t> TunnelDraft<'t> {
    fn finish(self, command: Word<'t>) -> Result<Tunnel, RulesError> {
        let checksum = self.checksum.map_or(TunnelChecksum::None, |(sum, _)| sum);
        match self.kind.map(|word| word.text) {
            Some("gue") => match self.port {
                Some((port, _)) => Ok(Tunnel::Gue { port, checksum }),
                None => Err(self.kind.unwrap_or(command).error("a gue tunnel needs --tun-port")),
            },
            Some("gre") => match (self.port, self.checksum) {
                (Some((_, word)), _) => Err(word.error("a gre tunnel has no port")),
                (_, Some((TunnelChecksum::Remote, word))) => {
                    Err(word.error("a gre tunnel has no remote checksum"))
                }
                _ => Ok(Tunnel::Gre { checksum }),
            },
            _ => match (self.port, self.checksum) {
                (Some((_, word)), _) => Err(word.error("an ipip tunnel has no port")),
                (_, Some((_, word))) => Err(word.error("an ipip tunnel has no checksum")),
                _ => Ok(Tunnel::Ipip {}),
            },
        }
    }

    /// Refuses tunnel options without tunnelling.
    fn refuse(&self) -> Result<(), RulesError> {
        let port = self.port.map(|(_, word)| word);
        let checksum = self.checksum.map(|(_, word)| word);
        match self.kind.or(port).or(checksum) {
            Some(word) => Err(word.error("tunnel options need tunnelling (-i)")),
            None => Ok(()),
        }
    }
}
