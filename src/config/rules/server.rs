//! The options of one real server.

use std::net::SocketAddr;

use crate::config::rules::Checks;
use crate::config::rules::address::{endpoint, may_be_server};
use crate::config::rules::number;
use crate::config::rules::options::{Opt, Verb};
use crate::config::rules::words::Word;
use crate::config::{
    Family, Forwarding, MAX_WEIGHT, Name, RealServer, ServiceKey, Thresholds, Tunnel,
    TunnelChecksum,
};
use crate::error::{NameError, RulesError};

/// Largest threshold that ipvsadm accepts.
pub(super) const MAX_THRESHOLD: u32 = i32::MAX as u32;

/// The options of a line for a real server so far.
#[derive(Debug, Default)]
pub(super) struct ServerDraft<'t> {
    address: Option<(SocketAddr, Word<'t>)>,
    forwarding: Option<Opt>,
    weight: Option<u32>,
    upper: u32,
    lower: Option<(u32, Word<'t>)>,
    keeps_port: bool,
    priority: u8,
    user_data: u64,
    name: Option<Name>,
    tunnel: TunnelDraft<'t>,
}

#[derive(Debug, Default)]
struct TunnelDraft<'t> {
    kind: Option<Word<'t>>,
    port: Option<(u16, Word<'t>)>,
    /// Per kind the option that requests it, in the order of [`CHECKSUMS`].
    checksums: [Option<Word<'t>>; CHECKSUMS.len()],
}

const CHECKSUMS: [TunnelChecksum; 3] =
    [TunnelChecksum::None, TunnelChecksum::Full, TunnelChecksum::Remote];

impl<'t> ServerDraft<'t> {
    /// Records `-r`; `port` is used if it names none.
    pub(super) fn set_address(&mut self, word: Word<'t>, port: u16) -> Result<(), RulesError> {
        let found = endpoint(word)?;
        let address = SocketAddr::new(found.ip, found.port.unwrap_or(port));
        self.address = Some((address, word));
        Ok(())
    }

    /// Records any other option of a server; `at` is the option as written, `word` its value.
    pub(super) fn set(&mut self, opt: Opt, at: Word<'t>, word: Word<'t>) -> Result<(), RulesError> {
        match opt {
            Opt::Masq | Opt::Tunnel | Opt::Route | Opt::Local | Opt::Bypass => {
                self.forwarding = Some(opt);
            }
            Opt::KeepPort => self.keeps_port = true,
            Opt::Priority => {
                self.priority = number::within(word, "priority", 0, u8::MAX.into())? as u8;
            }
            Opt::UserData => self.user_data = number::wide(word, "user data")?,
            Opt::Name => self.name = Some(name(word)?),
            Opt::LargeUpper => self.upper = number::within(word, "upper threshold", 0, u32::MAX)?,
            Opt::LargeLower => {
                let lower = number::within(word, "lower threshold", 0, u32::MAX)?;
                self.lower = Some((lower, word));
            }
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
            Opt::NoChecksum => self.tunnel.checksums[0] = Some(at),
            Opt::Checksum => self.tunnel.checksums[1] = Some(at),
            Opt::RemoteChecksum => self.tunnel.checksums[2] = Some(at),
            _ => {}
        }
        Ok(())
    }

    /// The address, which every command on a server requires.
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
        // ipvsadm takes tunneling alone; a proxy can also masquerade.
        let (fits, needs) = match (self.forwarding, checks) {
            (Some(Opt::Tunnel), _) => (true, ""),
            (other, Checks::All) => {
                (other == Some(Opt::Masq), " or, in a proxy, masquerading (-m)")
            }
            (_, Checks::Ipvsadm) => (false, ""),
        };
        if Family::of(address.ip()) != service.family() && !fits {
            return Err(word.error(format!(
                "a server of the other address family than its service needs tunneling (-i){needs}",
            )));
        }
        let forwarding = match self.forwarding {
            Some(Opt::Tunnel) => Forwarding::Tunnel(self.tunnel.finish(command)?),
            other => {
                self.tunnel.refuse()?;
                match other {
                    Some(Opt::Masq) => Forwarding::Masq,
                    Some(Opt::Local) => Forwarding::Local,
                    Some(Opt::Bypass) => Forwarding::Bypass,
                    _ => Forwarding::Route,
                }
            }
        };
        // Only masquerading can change the port; ipvsadm overrides it silently.
        let keeps_port = self.keeps_port || forwarding == Forwarding::Masq;
        if let Some(port) = service.port().filter(|_| !keeps_port) {
            address.set_port(port);
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
            priority: self.priority,
            user_data: self.user_data,
            name: self.name,
            ..RealServer::new(address)
        })
    }
}

/// The value of `--vsched-name`, of a server or a service.
pub(super) fn name(word: Word<'_>) -> Result<Name, RulesError> {
    let illegal = |_| word.error(format!("illegal name: {}", NameError::EXPECTED));
    word.text.parse().map_err(illegal)
}

impl<'t> TunnelDraft<'t> {
    fn finish(self, command: Word<'t>) -> Result<Tunnel, RulesError> {
        match self.kind.map(|word| word.text) {
            Some("gue") => match self.port {
                Some((port, _)) => Ok(Tunnel::Gue { port, checksum: self.checksum(|_| None)? }),
                None => Err(self.kind.unwrap_or(command).error("a gue tunnel needs --tun-port")),
            },
            Some("gre") => {
                if let Some((_, word)) = self.port {
                    return Err(word.error("a gre tunnel has no port"));
                }
                let checksum = self.checksum(|checksum| {
                    (checksum == TunnelChecksum::Remote)
                        .then_some("a gre tunnel has no remote checksum")
                })?;
                Ok(Tunnel::Gre { checksum })
            }
            _ => {
                if let Some((_, word)) = self.port {
                    return Err(word.error("an ipip tunnel has no port"));
                }
                self.checksum(|_| Some("an ipip tunnel has no checksum"))?;
                Ok(Tunnel::Ipip {})
            }
        }
    }

    /// The only kind of checksum that was requested; `refused` is the error if the tunnel lacks it.
    fn checksum(
        &self,
        refused: impl Fn(TunnelChecksum) -> Option<&'static str>,
    ) -> Result<TunnelChecksum, RulesError> {
        let mut found: Option<(TunnelChecksum, Word<'t>)> = None;
        for (checksum, word) in CHECKSUMS.into_iter().zip(self.checksums) {
            let Some(word) = word else { continue };
            if let Some(problem) = refused(checksum) {
                return Err(word.error(problem));
            }
            if let Some((_, other)) = found {
                return Err(word.error(format!(
                    "conflict: `{}` in column {} asks for another checksum",
                    other.text, other.column
                )));
            }
            found = Some((checksum, word));
        }
        Ok(found.map_or(TunnelChecksum::None, |(checksum, _)| checksum))
    }

    /// Refuses tunnel options without tunneling.
    fn refuse(&self) -> Result<(), RulesError> {
        let port = self.port.map(|(_, word)| word);
        let mut checksums = self.checksums.iter().flatten().copied();
        match self.kind.or(port).or(checksums.next()) {
            Some(word) => Err(word.error("tunnel options need tunneling (-i)")),
            None => Ok(()),
        }
    }
}
