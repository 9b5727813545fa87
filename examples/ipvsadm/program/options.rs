//! Commands and options of ipvsadm 1.31: names, values, valid combinations.

/// A command.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verb {
    AddService,
    EditService,
    DeleteService,
    Clear,
    Restore,
    Save,
    AddServer,
    EditServer,
    DeleteServer,
    List,
    Zero,
    Set,
    StartDaemon,
    StopDaemon,
    Help,
    Version,
}

use Verb::{
    AddServer as Asrv, AddService as A, DeleteServer as Dsrv, DeleteService as D,
    EditServer as Esrv, EditService as E, List as L, Save as S, StartDaemon as Start,
    StopDaemon as Stop, Zero as Z,
};

impl Verb {
    /// Its name in messages.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Verb::AddService => "add-service",
            Verb::EditService => "edit-service",
            Verb::DeleteService => "delete-service",
            Verb::Clear => "flush",
            Verb::Restore => "restore",
            Verb::Save => "save",
            Verb::AddServer => "add-server",
            Verb::EditServer => "edit-server",
            Verb::DeleteServer => "delete-server",
            Verb::List => "list",
            Verb::Zero => "zero",
            Verb::Set => "set",
            Verb::StartDaemon => "start-daemon",
            Verb::StopDaemon => "stop-daemon",
            Verb::Help => "help",
            Verb::Version => "version",
        }
    }

    /// Kinds of options that it needs.
    pub(crate) const fn needs(self) -> &'static [&'static str] {
        match self {
            A | E | D => &[SERVICE],
            Asrv | Esrv | Dsrv => &[SERVICE, SERVER],
            _ => &[],
        }
    }
}

/// Whether an option has a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Value {
    No,
    Yes,
    /// The next word, unless that begins with `-`.
    Maybe,
}

/// A command or option.
#[derive(Debug)]
pub(crate) struct Spec {
    pub(crate) short: Option<char>,
    pub(crate) long: &'static str,
    pub(crate) value: Value,
    /// The command that it stands for.
    pub(crate) verb: Option<Verb>,
    /// Options of one kind exclude each other and themselves; its name in messages. The kinds of
    /// `--sort` and `-6` are empty: they count as nothing.
    pub(crate) kind: &'static str,
    /// The commands that accept it.
    pub(crate) with: &'static [Verb],
}

pub(crate) const SERVICE: &str = "service-address";
pub(crate) const SERVER: &str = "real-server";
const ANY_SERVICE: &[Verb] = &[A, E, D, Asrv, Esrv, Dsrv, L, Z];
const ON_SERVICE: &[Verb] = &[A, E];
const ON_SERVER: &[Verb] = &[Asrv, Esrv];
const METHOD: &str = "forwarding-method";

const fn command(verb: Verb, short: Option<char>, long: &'static str, value: Value) -> Spec {
    Spec { short, long, value, verb: Some(verb), kind: "", with: &[] }
}

const fn option(
    short: Option<char>,
    long: &'static str,
    value: Value,
    kind: &'static str,
    with: &'static [Verb],
) -> Spec {
    Spec { short, long, value, verb: None, kind, with }
}

const fn flag(long: &'static str, with: &'static [Verb]) -> Spec {
    option(None, long, Value::No, long, with)
}

const fn valued(short: Option<char>, long: &'static str, with: &'static [Verb]) -> Spec {
    option(short, long, Value::Yes, long, with)
}

/// Options in the order in which ipvsadm complains about them.
pub(crate) const TABLE: &[Spec] = &[
    command(A, Some('A'), "add-service", Value::No),
    command(E, Some('E'), "edit-service", Value::No),
    command(D, Some('D'), "delete-service", Value::No),
    command(Verb::Clear, Some('C'), "clear", Value::No),
    command(Verb::Restore, Some('R'), "restore", Value::No),
    command(S, Some('S'), "save", Value::No),
    command(Asrv, Some('a'), "add-server", Value::No),
    command(Esrv, Some('e'), "edit-server", Value::No),
    command(Dsrv, Some('d'), "delete-server", Value::No),
    command(L, Some('L'), "list", Value::No),
    command(L, Some('l'), "list", Value::No),
    command(Z, Some('Z'), "zero", Value::No),
    command(Verb::Set, None, "set", Value::No),
    command(Start, None, "start-daemon", Value::Yes),
    command(Stop, None, "stop-daemon", Value::Yes),
    command(Verb::Help, Some('h'), "help", Value::No),
    command(Verb::Version, Some('v'), "version", Value::No),
    option(Some('n'), "numeric", Value::No, "numeric", &[L, S]),
    option(Some('c'), "connection", Value::No, "connection", &[L]),
    option(Some('t'), "tcp-service", Value::Yes, SERVICE, ANY_SERVICE),
    option(Some('u'), "udp-service", Value::Yes, SERVICE, ANY_SERVICE),
    option(None, "sctp-service", Value::Yes, SERVICE, ANY_SERVICE),
    option(Some('f'), "fwmark-service", Value::Yes, SERVICE, ANY_SERVICE),
    valued(Some('s'), "scheduler", ON_SERVICE),
    option(Some('p'), "persistent", Value::Maybe, "persistent", ON_SERVICE),
    valued(Some('M'), "netmask", ON_SERVICE),
    valued(Some('r'), SERVER, &[Asrv, Esrv, Dsrv]),
    option(Some('m'), "masquerading", Value::No, METHOD, ON_SERVER),
    option(Some('i'), "ipip", Value::No, METHOD, ON_SERVER),
    option(Some('g'), "gatewaying", Value::No, METHOD, ON_SERVER),
    valued(Some('w'), "weight", ON_SERVER),
    valued(Some('x'), "u-threshold", ON_SERVER),
    valued(Some('y'), "l-threshold", ON_SERVER),
    valued(None, "mcast-interface", &[Start]),
    flag("timeout", &[L]),
    flag("daemon", &[L]),
    flag("stats", &[L]),
    flag("rate", &[L]),
    flag("thresholds", &[L]),
    flag("persistent-conn", &[L]),
    flag("nosort", &[L]),
    // A list accepts it, without effect.
    valued(None, "syncid", &[L, Start, Stop]),
    option(Some('X'), "exact", Value::No, "exact", &[L]),
    option(Some('o'), "ops", Value::No, "ops", ON_SERVICE),
    valued(None, "pe", ON_SERVICE),
    valued(Some('b'), "sched-flags", ON_SERVICE),
    valued(None, "sync-maxlen", &[Start]),
    valued(None, "mcast-group", &[Start]),
    valued(None, "mcast-port", &[Start]),
    valued(None, "mcast-ttl", &[Start]),
    flag("tun-info", &[L]),
    valued(None, "tun-type", ON_SERVER),
    valued(None, "tun-port", ON_SERVER),
    flag("tun-nocsum", ON_SERVER),
    flag("tun-csum", ON_SERVER),
    flag("tun-remcsum", ON_SERVER),
    option(None, "sort", Value::No, "", &[]),
    option(Some('6'), "ipv6", Value::No, "", &[]),
];

/// What a list can be of instead of services: one of these, or one service.
pub(crate) const SUBJECTS: [&str; 4] = ["connection", SERVICE, "timeout", "daemon"];

/// The option with this letter.
pub(crate) fn short(letter: char) -> Option<&'static Spec> {
    TABLE.iter().find(|spec| spec.short == Some(letter))
}

/// The option with this name, which may not be abbreviated.
pub(crate) fn long(name: &str) -> Option<&'static Spec> {
    TABLE.iter().find(|spec| spec.long == name)
}
