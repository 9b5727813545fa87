//! Lines for settings that belong to no service: `--set`, `--start-daemon` and `--stop-daemon` of
//! ipvsadm, and `--vsched-kernel-rules`, `--vsched-seed`, `--vsched-expire-quiescent-template`.

use std::net::IpAddr;

use crate::config::rules::number;
use crate::config::rules::options::{Opt, Spec};
use crate::config::rules::popt::{Argument, Scanner};
use crate::config::rules::words::Word;
use crate::config::validate::{MAX_INTERFACE, MAX_MESSAGE};
use crate::config::{KernelRules, MAX_TIMEOUT, Setting, SyncDaemon, SyncRole, Timeouts};
use crate::error::RulesError;

/// The default multicast interface of ipvsadm's daemons.
const DEFAULT_INTERFACE: &str = "eth0";

/// True if this command changes a setting that belongs to no service.
pub(super) const fn is_setting(opt: Opt) -> bool {
    matches!(
        opt,
        Opt::SetTimeouts
            | Opt::StartDaemon
            | Opt::StopDaemon
            | Opt::KernelRules
            | Opt::Seed
            | Opt::ExpireQuiescentTemplate
    )
}

/// Parses the rest of a line that started with this command; `at` is the command as written, `value`
/// its value.
pub(super) fn read<'t>(
    spec: &Spec,
    at: Word<'t>,
    value: Option<Word<'t>>,
    rest: Scanner<'_, 't>,
) -> Result<Setting, RulesError> {
    // Every command with a value has one here; `at` only satisfies the types.
    let word = value.unwrap_or(at);
    match spec.opt {
        Opt::SetTimeouts => return timeouts(at, rest).map(Setting::Timeouts),
        Opt::StartDaemon => return daemon(role(word)?, rest).map(Setting::StartDaemon),
        _ => {}
    }
    let setting = match spec.opt {
        Opt::StopDaemon => Setting::StopDaemon(role(word)?),
        Opt::KernelRules => Setting::KernelRules(match word.text {
            "A" => KernelRules::A,
            "B" => KernelRules::B,
            _ => return Err(word.error("illegal kernel rules: expected A or B")),
        }),
        Opt::Seed => Setting::Seed(number::wide(word, "seed")?),
        _ => Setting::ExpireQuiescentTemplate(
            number::within(word, "expire_quiescent_template", 0, 1)? == 1,
        ),
    };
    for item in rest {
        match item? {
            // ipvsadm accepts it, and the kernel ignores it.
            Argument::Option(option, _, Some(word))
                if spec.opt == Opt::StopDaemon && option.opt == Opt::SyncId =>
            {
                number::within(word, "syncid", 0, 255)?;
            }
            item => return Err(stray(item, spec.long, "nothing else")),
        }
    }
    Ok(setting)
}

fn stray(item: Argument<'_>, command: &str, takes: &str) -> RulesError {
    match item {
        Argument::Argument(word) => word.error("unexpected argument: it belongs to no option"),
        Argument::Option(spec, at, _) => at.error(format!(
            "option --{} does not go with --{command}, which takes {takes}",
            spec.long
        )),
    }
}

fn timeouts<'t>(at: Word<'t>, rest: Scanner<'_, 't>) -> Result<Timeouts, RulesError> {
    let mut words = Vec::new();
    for item in rest {
        match item? {
            Argument::Argument(word) if words.len() < 3 => words.push(word),
            item => return Err(stray(item, "set", "three timeouts")),
        }
    }
    let seconds = |word: Word<'t>| match number::within(word, "timeout", 0, MAX_TIMEOUT)? {
        0 => Ok(None),
        seconds => Ok(Some(seconds)),
    };
    match words[..] {
        [tcp, tcp_fin, udp] => {
            Ok(Timeouts { tcp: seconds(tcp)?, tcp_fin: seconds(tcp_fin)?, udp: seconds(udp)? })
        }
        _ => Err(at.error(
            "--set needs three timeouts in seconds, TCP, TCP after a FIN and UDP; 0 leaves one as it is",
        )),
    }
}

fn role(word: Word<'_>) -> Result<SyncRole, RulesError> {
    match word.text {
        "master" => Ok(SyncRole::Master),
        "backup" => Ok(SyncRole::Backup),
        _ => Err(word.error("illegal role of a daemon: expected master or backup")),
    }
}

fn daemon<'t>(role: SyncRole, rest: Scanner<'_, 't>) -> Result<SyncDaemon, RulesError> {
    let mut daemon = SyncDaemon {
        role,
        interface: DEFAULT_INTERFACE.to_owned(),
        sync_id: 0,
        max_len: None,
        group: None,
        port: None,
        ttl: None,
    };
    let mut seen: Vec<(Opt, Word<'t>)> = Vec::new();
    for item in rest {
        let (spec, at, word) = match item? {
            Argument::Option(spec, at, Some(word)) => (spec, at, word),
            item => return Err(stray(item, "start-daemon", DAEMON_OPTIONS)),
        };
        if let Some((_, first)) = seen.iter().find(|(opt, _)| *opt == spec.opt) {
            return Err(at.duplicates(*first));
        }
        seen.push((spec.opt, at));
        let number = |what, min, max: u16| {
            number::within(word, what, min, u32::from(max)).map(|number| number as u16)
        };
        let byte = |what, min| number(what, min, 255).map(|number| number as u8);
        match spec.opt {
            Opt::Interface if (1..=MAX_INTERFACE).contains(&word.text.len()) => {
                daemon.interface = word.text.to_owned();
            }
            Opt::Interface => {
                return Err(word.error(format!(
                    "illegal interface: expected a name of at most {MAX_INTERFACE} bytes"
                )));
            }
            Opt::SyncId => daemon.sync_id = byte("syncid", 0)?,
            Opt::SyncMaxLength => daemon.max_len = Some(number("length", 1, MAX_MESSAGE)?),
            Opt::Group => daemon.group = Some(group(word)?),
            Opt::GroupPort => daemon.port = Some(number("port", 1, u16::MAX)?),
            Opt::Ttl => daemon.ttl = Some(byte("ttl", 1)?),
            _ => {
                let item = Argument::Option(spec, at, None);
                return Err(stray(item, "start-daemon", DAEMON_OPTIONS));
            }
        }
    }
    Ok(daemon)
}

const DAEMON_OPTIONS: &str = "--mcast-interface --syncid --sync-maxlen --mcast-group --mcast-port \
                              --mcast-ttl";

fn group(word: Word<'_>) -> Result<IpAddr, RulesError> {
    word.text
        .parse()
        .ok()
        .filter(IpAddr::is_multicast)
        .ok_or_else(|| word.error("illegal group: expected a multicast address such as 224.0.0.81"))
}
