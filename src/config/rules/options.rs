//! The options of ipvsadm 1.31 and those of this crate, which start with `--vsched-`: their names,
//! whether they take a value, and which commands accept them.

/// A command or an option.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Opt {
    AddService,
    EditService,
    DeleteService,
    Clear,
    AddServer,
    EditServer,
    DeleteServer,
    // Commands for settings that belong to no service.
    SetTimeouts,
    StartDaemon,
    StopDaemon,
    KernelRules,
    Seed,
    ExpireQuiescentTemplate,
    /// A command that does not configure, such as `--list`.
    OtherCommand,
    Tcp,
    Udp,
    Sctp,
    FirewallMark,
    Ipv6,
    Scheduler,
    Persistent,
    Netmask,
    Engine,
    OnePacket,
    Flags,
    Server,
    Masq,
    Tunnel,
    Route,
    Weight,
    Upper,
    Lower,
    TunnelType,
    TunnelPort,
    NoChecksum,
    Checksum,
    RemoteChecksum,
    /// `--sort`, the default of listings: ipvsadm accepts it with every command, without effect.
    Sort,
    // Of a daemon.
    Interface,
    SyncId,
    SyncMaxLength,
    Group,
    GroupPort,
    Ttl,
    // Of a service, unknown to ipvsadm.
    MhTableIndex,
    AffinityCapacity,
    AffinityExpiration,
    Sharing,
    Ties,
    Ejection,
    SlowStart,
    SpillOver,
    PanicThreshold,
    // Of a server, unknown to ipvsadm.
    Local,
    Bypass,
    KeepPort,
    LargeUpper,
    LargeLower,
    Priority,
    UserData,
    // Of a service or a server, unknown to ipvsadm.
    Name,
    /// An option of listings.
    OtherOption,
}

/// Whether an option is followed by a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Value {
    No,
    Yes,
    /// Taken from the next word unless that begins with `-`.
    Maybe,
}

/// One row of the option table.
#[derive(Debug)]
pub(super) struct Spec {
    pub(super) opt: Opt,
    pub(super) short: Option<char>,
    pub(super) long: &'static str,
    pub(super) value: Value,
}

const fn spec(opt: Opt, short: Option<char>, long: &'static str, value: Value) -> Spec {
    Spec { opt, short, long, value }
}

const TABLE: &[Spec] = &[
    spec(Opt::AddService, Some('A'), "add-service", Value::No),
    spec(Opt::EditService, Some('E'), "edit-service", Value::No),
    spec(Opt::DeleteService, Some('D'), "delete-service", Value::No),
    spec(Opt::Clear, Some('C'), "clear", Value::No),
    spec(Opt::AddServer, Some('a'), "add-server", Value::No),
    spec(Opt::EditServer, Some('e'), "edit-server", Value::No),
    spec(Opt::DeleteServer, Some('d'), "delete-server", Value::No),
    spec(Opt::OtherCommand, Some('L'), "list", Value::No),
    spec(Opt::OtherCommand, Some('l'), "list", Value::No),
    spec(Opt::OtherCommand, Some('Z'), "zero", Value::No),
    spec(Opt::OtherCommand, Some('S'), "save", Value::No),
    spec(Opt::OtherCommand, Some('R'), "restore", Value::No),
    spec(Opt::OtherCommand, Some('h'), "help", Value::No),
    spec(Opt::OtherCommand, Some('v'), "version", Value::No),
    spec(Opt::SetTimeouts, None, "set", Value::No),
    spec(Opt::StartDaemon, None, "start-daemon", Value::Yes),
    spec(Opt::StopDaemon, None, "stop-daemon", Value::Yes),
    spec(Opt::KernelRules, None, "vsched-kernel-rules", Value::Yes),
    spec(Opt::Seed, None, "vsched-seed", Value::Yes),
    spec(Opt::ExpireQuiescentTemplate, None, "vsched-expire-quiescent-template", Value::Yes),
    spec(Opt::Tcp, Some('t'), "tcp-service", Value::Yes),
    spec(Opt::Udp, Some('u'), "udp-service", Value::Yes),
    spec(Opt::Sctp, None, "sctp-service", Value::Yes),
    spec(Opt::FirewallMark, Some('f'), "fwmark-service", Value::Yes),
    spec(Opt::Ipv6, Some('6'), "ipv6", Value::No),
    spec(Opt::Scheduler, Some('s'), "scheduler", Value::Yes),
    spec(Opt::Persistent, Some('p'), "persistent", Value::Maybe),
    spec(Opt::Netmask, Some('M'), "netmask", Value::Yes),
    spec(Opt::Engine, None, "pe", Value::Yes),
    spec(Opt::OnePacket, Some('o'), "ops", Value::No),
    spec(Opt::Flags, Some('b'), "sched-flags", Value::Yes),
    spec(Opt::Server, Some('r'), "real-server", Value::Yes),
    spec(Opt::Masq, Some('m'), "masquerading", Value::No),
    spec(Opt::Tunnel, Some('i'), "ipip", Value::No),
    spec(Opt::Route, Some('g'), "gatewaying", Value::No),
    spec(Opt::Weight, Some('w'), "weight", Value::Yes),
    spec(Opt::Upper, Some('x'), "u-threshold", Value::Yes),
    spec(Opt::Lower, Some('y'), "l-threshold", Value::Yes),
    spec(Opt::TunnelType, None, "tun-type", Value::Yes),
    spec(Opt::TunnelPort, None, "tun-port", Value::Yes),
    spec(Opt::NoChecksum, None, "tun-nocsum", Value::No),
    spec(Opt::Checksum, None, "tun-csum", Value::No),
    spec(Opt::RemoteChecksum, None, "tun-remcsum", Value::No),
    spec(Opt::Sort, None, "sort", Value::No),
    spec(Opt::OtherOption, Some('n'), "numeric", Value::No),
    spec(Opt::OtherOption, Some('c'), "connection", Value::No),
    spec(Opt::OtherOption, Some('X'), "exact", Value::No),
    spec(Opt::OtherOption, None, "stats", Value::No),
    spec(Opt::OtherOption, None, "rate", Value::No),
    spec(Opt::OtherOption, None, "timeout", Value::No),
    spec(Opt::OtherOption, None, "daemon", Value::No),
    spec(Opt::OtherOption, None, "thresholds", Value::No),
    spec(Opt::OtherOption, None, "persistent-conn", Value::No),
    spec(Opt::OtherOption, None, "nosort", Value::No),
    spec(Opt::OtherOption, None, "tun-info", Value::No),
    spec(Opt::Interface, None, "mcast-interface", Value::Yes),
    spec(Opt::SyncId, None, "syncid", Value::Yes),
    spec(Opt::SyncMaxLength, None, "sync-maxlen", Value::Yes),
    spec(Opt::Group, None, "mcast-group", Value::Yes),
    spec(Opt::GroupPort, None, "mcast-port", Value::Yes),
    spec(Opt::Ttl, None, "mcast-ttl", Value::Yes),
    spec(Opt::MhTableIndex, None, "vsched-mh-table-index", Value::Yes),
    spec(Opt::AffinityCapacity, None, "vsched-affinity-capacity", Value::Yes),
    spec(Opt::AffinityExpiration, None, "vsched-affinity-expiration", Value::Yes),
    spec(Opt::Sharing, None, "vsched-sharing", Value::Yes),
    spec(Opt::Ties, None, "vsched-ties", Value::Yes),
    spec(Opt::Ejection, None, "vsched-ejection", Value::Yes),
    spec(Opt::SlowStart, None, "vsched-slow-start", Value::Yes),
    spec(Opt::SpillOver, None, "vsched-spill-over", Value::Yes),
    spec(Opt::PanicThreshold, None, "vsched-panic-threshold", Value::Yes),
    spec(Opt::Local, None, "vsched-local", Value::No),
    spec(Opt::Bypass, None, "vsched-bypass", Value::No),
    spec(Opt::KeepPort, None, "vsched-keep-port", Value::No),
    spec(Opt::LargeUpper, None, "vsched-upper-threshold", Value::Yes),
    spec(Opt::LargeLower, None, "vsched-lower-threshold", Value::Yes),
    spec(Opt::Priority, None, "vsched-priority", Value::Yes),
    spec(Opt::UserData, None, "vsched-user-data", Value::Yes),
    spec(Opt::Name, None, "vsched-name", Value::Yes),
];

/// The option with this letter, if any.
pub(super) fn short(letter: char) -> Option<&'static Spec> {
    TABLE.iter().find(|spec| spec.short == Some(letter))
}

/// The option with this long name; ipvsadm accepts no abbreviations.
pub(super) fn long(name: &str) -> Option<&'static Spec> {
    TABLE.iter().find(|spec| spec.long == name)
}

impl Spec {
    /// True for options that ipvsadm does not have.
    pub(super) fn is_own(&self) -> bool {
        self.long.starts_with("vsched-")
    }
}

/// The seven commands that configure services.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verb {
    AddService,
    EditService,
    DeleteService,
    Clear,
    AddServer,
    EditServer,
    DeleteServer,
}

impl Verb {
    pub(super) fn of(opt: Opt) -> Option<Verb> {
        Some(match opt {
            Opt::AddService => Verb::AddService,
            Opt::EditService => Verb::EditService,
            Opt::DeleteService => Verb::DeleteService,
            Opt::Clear => Verb::Clear,
            Opt::AddServer => Verb::AddServer,
            Opt::EditServer => Verb::EditServer,
            Opt::DeleteServer => Verb::DeleteServer,
            _ => return None,
        })
    }

    /// The command as users write it.
    pub(super) const fn name(self) -> &'static str {
        match self {
            Verb::AddService => "-A",
            Verb::EditService => "-E",
            Verb::DeleteService => "-D",
            Verb::Clear => "-C",
            Verb::AddServer => "-a",
            Verb::EditServer => "-e",
            Verb::DeleteServer => "-d",
        }
    }

    /// A description of what the command takes.
    pub(super) const fn takes(self) -> &'static str {
        match self {
            Verb::AddService | Verb::EditService => {
                "a service (-t -u --sctp-service -f -6) and -s -p -M -o -b --pe"
            }
            Verb::DeleteService => "a service (-t -u --sctp-service -f -6)",
            Verb::Clear => "nothing",
            Verb::AddServer | Verb::EditServer => {
                "a service (-t -u --sctp-service -f -6), -r and -m -g -i -w -x -y --tun-type \
                 --tun-port --tun-nocsum --tun-csum --tun-remcsum"
            }
            Verb::DeleteServer => "a service (-t -u --sctp-service -f -6) and -r",
        }
    }

    /// True for commands on one real server.
    pub(super) const fn is_on_server(self) -> bool {
        matches!(self, Verb::AddServer | Verb::EditServer | Verb::DeleteServer)
    }

    pub(super) fn allows(self, opt: Opt) -> bool {
        match opt {
            Opt::Sort => true,
            Opt::Tcp | Opt::Udp | Opt::Sctp | Opt::FirewallMark | Opt::Ipv6 => self != Verb::Clear,
            Opt::Scheduler
            | Opt::Persistent
            | Opt::Netmask
            | Opt::Engine
            | Opt::OnePacket
            | Opt::Flags
            | Opt::MhTableIndex
            | Opt::AffinityCapacity
            | Opt::AffinityExpiration
            | Opt::Sharing
            | Opt::Ties
            | Opt::Ejection
            | Opt::SlowStart
            | Opt::SpillOver
            | Opt::PanicThreshold => matches!(self, Verb::AddService | Verb::EditService),
            Opt::Name => !matches!(self, Verb::Clear | Verb::DeleteService | Verb::DeleteServer),
            Opt::Server => self.is_on_server(),
            Opt::Masq
            | Opt::Tunnel
            | Opt::Route
            | Opt::Weight
            | Opt::Upper
            | Opt::Lower
            | Opt::TunnelType
            | Opt::TunnelPort
            | Opt::NoChecksum
            | Opt::Checksum
            | Opt::RemoteChecksum
            | Opt::Local
            | Opt::Bypass
            | Opt::KeepPort
            | Opt::LargeUpper
            | Opt::LargeLower
            | Opt::Priority
            | Opt::UserData => matches!(self, Verb::AddServer | Verb::EditServer),
            _ => false,
        }
    }
}

impl Opt {
    /// Options of one kind exclude each other and themselves.
    pub(super) const fn kind(self) -> Opt {
        match self {
            Opt::Udp | Opt::Sctp | Opt::FirewallMark => Opt::Tcp,
            Opt::Tunnel | Opt::Route | Opt::Local | Opt::Bypass => Opt::Masq,
            Opt::LargeUpper => Opt::Upper,
            Opt::LargeLower => Opt::Lower,
            other => other,
        }
    }

    /// Options that may be repeated without effect.
    pub(super) const fn may_repeat(self) -> bool {
        matches!(self, Opt::Ipv6 | Opt::Sort)
    }
}
