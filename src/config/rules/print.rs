//! Prints a config as `ipvsadm --save --numeric` does, or more completely.

use std::fmt::{self, Display, Formatter};
use std::net::Ipv4Addr;

use crate::config::SchedulerKind;
use crate::config::inet::Address;
use crate::config::rules::pairs;
use crate::config::rules::server::MAX_THRESHOLD;
use crate::config::rules::words::PROGRAM;
use crate::config::{
    Affinity, Config, DEFAULT_MH_TABLE_INDEX, Family, Forwarding, GENERIC_FLAG_NAMES, KernelRules,
    Name, Netmask, Protocol, RealServer, SchedulerFlags, ServiceKey, Sharing, SyncDaemon,
    Thresholds, Ties, Timeouts, Tunnel, TunnelChecksum, VirtualService, order,
};
use crate::error::OneWord;

/// The rules text of a config, made by [`Config::to_rules`].
#[derive(Debug, Clone, Copy)]
pub struct RulesText<'c> {
    config: &'c Config,
    form: Form,
    sorted: bool,
}

/// How complete a text is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Form {
    /// What `ipvsadm --save` prints.
    Save,
    /// What ipvsadm can read.
    Readable,
    /// Everything.
    Complete,
}

impl Config {
    /// Returns the rules text of this config: byte for byte what `ipvsadm --save --numeric` prints.
    ///
    /// So it is sorted, omits thresholds, prints firewall marks above 2147483647 as negative numbers and
    /// omits the third flag of schedulers that name their flags. Servers that ipvsadm cannot set
    /// ([`Forwarding::Local`], [`Forwarding::Bypass`]) print as `-g`, and settings for which it has no
    /// option are omitted. [`RulesText::complete`] prints a lossless text,
    /// [`RulesText::with_thresholds`] the most complete text that ipvsadm can read.
    ///
    /// ```
    /// use vsched::config::Config;
    /// let text = "--vsched-seed 7\n\
    ///             -A -t 192.168.4.5:80 -s mh --vsched-mh-table-index 16\n\
    ///             -a -t 192.168.4.5:80 -r 192.168.5.12:80 -m -w 1 -x 100 -y 50\n\
    ///             -a -t 192.168.4.5:80 -r 192.168.5.11:80 -m -w 1\n";
    /// let config: Config = text.parse()?;
    /// assert_eq!(config.to_rules().complete().to_string(), text);
    /// # Ok::<(), vsched::error::RulesError>(())
    /// ```
    pub fn to_rules(&self) -> RulesText<'_> {
        RulesText { config: self, form: Form::Save, sorted: true }
    }
}

impl RulesText<'_> {
    /// Returns the text with ` -x N -y N` on servers that have thresholds, and with everything else that
    /// ipvsadm's own text loses or misprints. ipvsadm can read it if no threshold is above 2147483647.
    ///
    /// ```
    /// use vsched::Config;
    /// let config: Config = "-A -t 10.0.0.1:80\n-a -t 10.0.0.1:80 -r 10.0.1.1 -x 100".parse()?;
    /// assert!(!config.to_rules().to_string().contains("-x"), "as `ipvsadm --save`");
    /// let text = config.to_rules().with_thresholds().to_string();
    /// assert!(text.ends_with("-a -t 10.0.0.1:80 -r 10.0.1.1:80 -g -w 1 -x 100 -y 0\n"));
    /// # Ok::<(), vsched::error::RulesError>(())
    /// ```
    #[must_use]
    pub fn with_thresholds(self) -> Self {
        RulesText { form: Form::Readable, ..self }
    }

    /// Returns the text in the config's own order, so that parsing it gives servers of the same age.
    #[must_use]
    pub fn unsorted(self) -> Self {
        RulesText { sorted: false, ..self }
    }

    /// Returns the complete text, in the config's own order: parsing it gives an equal config if the
    /// config was [valid](Config::validate). Settings that ipvsadm does not have are options that start
    /// with `--vsched-`, so ipvsadm refuses a text that needs them and reads any other.
    #[must_use]
    pub fn complete(self) -> Self {
        RulesText { form: Form::Complete, sorted: false, ..self }
    }

    fn says_all(&self) -> bool {
        self.form == Form::Complete
    }

    fn is_readable(&self) -> bool {
        self.form >= Form::Readable
    }

    fn service(&self, f: &mut Formatter<'_>, service: &VirtualService) -> fmt::Result {
        let key = KeyOption(&service.key, self.is_readable());
        let scheduler = service.scheduler.map_or("none", SchedulerKind::name);
        write!(f, "-A {key} -s {scheduler}")?;
        if let Some(persistence) = service.persistence {
            write!(f, " -p {}", persistence.timeout)?;
            let every_bit = self.is_readable();
            match persistence.netmask {
                Some(Netmask::Inet(mask)) if every_bit || mask != Ipv4Addr::BROADCAST => {
                    write!(f, " -M {mask}")?;
                }
                Some(Netmask::Inet6(length)) if every_bit || length != 128 => {
                    write!(f, " -M {length}")?;
                }
                _ => {}
            }
        }
        if let Some(engine) = &service.persistence_engine {
            f.write_str(" ")?;
            self.named(f, "--pe", engine)?;
        }
        if service.one_packet {
            f.write_str(" -o")?;
        }
        if !service.flags.is_empty() {
            write!(f, " -b {}", self.flags(service).join(","))?;
        }
        if self.says_all() {
            service_extension(f, service)?;
            self.label(f, service.name.as_ref())?;
        }
        f.write_str("\n")?;
        let mut servers: Vec<&RealServer> = service.servers.iter().collect();
        if self.sorted {
            // ipvsadm sorts the kernel's list, which is newest first.
            servers.reverse();
            order::servers(&mut servers, |server| server.address);
        }
        servers.into_iter().try_for_each(|server| self.server(f, key, server))
    }

    /// For a scheduler that names its flags, ipvsadm prints only the named ones, even if that is none.
    fn flags(&self, service: &VirtualService) -> Vec<&'static str> {
        let all =
            self.is_readable() || SchedulerFlags::own_names(service.scheduler).next().is_none();
        service
            .flags
            .names(service.scheduler)
            .filter(|name| all || !GENERIC_FLAG_NAMES.contains(name))
            .collect()
    }

    fn server(
        &self,
        f: &mut Formatter<'_>,
        key: KeyOption<'_>,
        server: &RealServer,
    ) -> fmt::Result {
        let method = match server.forwarding {
            Forwarding::Masq => "-m",
            Forwarding::Tunnel(_) => "-i",
            Forwarding::Local if self.says_all() => "--vsched-local",
            Forwarding::Bypass if self.says_all() => "--vsched-bypass",
            Forwarding::Route | Forwarding::Local | Forwarding::Bypass => "-g",
        };
        let address = Address(server.address);
        write!(f, "-a {key} -r {address} {method} -w {}", server.weight)?;
        match server.forwarding {
            Forwarding::Tunnel(Tunnel::Ipip {}) => f.write_str(" --tun-type ipip")?,
            Forwarding::Tunnel(Tunnel::Gue { port, checksum }) => {
                write!(f, " --tun-type gue --tun-port {port} {}", checksum_option(checksum))?
            }
            Forwarding::Tunnel(Tunnel::Gre { checksum }) => {
                write!(f, " --tun-type gre {}", checksum_option(checksum))?;
            }
            _ => {}
        }
        self.limits(f, server.thresholds)?;
        // ipvsadm gives a server that does not use masquerading its service's port.
        let other = key.0.port().is_some_and(|port| port != server.address.port());
        if self.says_all() && other && server.forwarding != Forwarding::Masq {
            f.write_str(" --vsched-keep-port")?;
        }
        if self.says_all() {
            if server.priority != 0 {
                write!(f, " --vsched-priority {}", server.priority)?;
            }
            if server.user_data != 0 {
                write!(f, " --vsched-user-data {}", server.user_data)?;
            }
            self.label(f, server.name.as_ref())?;
        }
        f.write_str("\n")
    }

    fn limits(&self, f: &mut Formatter<'_>, limits: Thresholds) -> fmt::Result {
        let Thresholds { upper, lower } = limits;
        if !self.is_readable() || (upper, lower) == (0, 0) {
            return Ok(());
        }
        for (limit, short, own) in
            [(upper, "-x", "--vsched-upper-threshold"), (lower, "-y", "--vsched-lower-threshold")]
        {
            let option = if self.says_all() && limit > MAX_THRESHOLD { own } else { short };
            write!(f, " {option} {limit}")?;
        }
        Ok(())
    }

    /// Prints an option whose value is a name. A name that would be read as a comment, or as the
    /// program's name, is joined to the option in one word.
    fn named(&self, f: &mut Formatter<'_>, option: &str, name: &str) -> fmt::Result {
        let attached = self.is_readable() && (name.starts_with('#') || name == PROGRAM);
        write!(f, "{option}{}{}", if attached { '=' } else { ' ' }, OneWord(name))
    }

    fn label(&self, f: &mut Formatter<'_>, name: Option<&Name>) -> fmt::Result {
        let Some(name) = name else { return Ok(()) };
        f.write_str(" ")?;
        self.named(f, "--vsched-name", name.as_str())
    }

    fn settings(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let config = self.config;
        if config.kernel_rules != KernelRules::default() {
            writeln!(f, "--vsched-kernel-rules {:?}", config.kernel_rules)?;
        }
        if config.seed != 0 {
            writeln!(f, "--vsched-seed {}", config.seed)?;
        }
        if config.expire_quiescent_template {
            f.write_str("--vsched-expire-quiescent-template 1\n")?;
        }
        let Timeouts { tcp, tcp_fin, udp } = config.timeouts;
        if config.timeouts != Timeouts::default() {
            let [tcp, tcp_fin, udp] = [tcp, tcp_fin, udp].map(|timeout| timeout.unwrap_or(0));
            writeln!(f, "--set {tcp} {tcp_fin} {udp}")?;
        }
        config.daemons.iter().try_for_each(|daemon| self.daemon(f, daemon))
    }

    fn daemon(&self, f: &mut Formatter<'_>, daemon: &SyncDaemon) -> fmt::Result {
        write!(f, "--start-daemon {} ", daemon.role.name())?;
        self.named(f, "--mcast-interface", &daemon.interface)?;
        if daemon.sync_id != 0 {
            write!(f, " --syncid {}", daemon.sync_id)?;
        }
        if let Some(length) = daemon.max_len {
            write!(f, " --sync-maxlen {length}")?;
        }
        if let Some(group) = daemon.group {
            write!(f, " --mcast-group {group}")?;
        }
        if let Some(port) = daemon.port {
            write!(f, " --mcast-port {port}")?;
        }
        if let Some(ttl) = daemon.ttl {
            write!(f, " --mcast-ttl {ttl}")?;
        }
        f.write_str("\n")
    }
}

/// Prints a service's settings for which ipvsadm has no option, where they differ from the default.
fn service_extension(f: &mut Formatter<'_>, service: &VirtualService) -> fmt::Result {
    let usual = Affinity::default();
    if service.mh_table_index != DEFAULT_MH_TABLE_INDEX {
        write!(f, " --vsched-mh-table-index {}", service.mh_table_index)?;
    }
    if service.affinity.capacity != usual.capacity {
        write!(f, " --vsched-affinity-capacity {}", service.affinity.capacity)?;
    }
    if service.affinity.expiration != usual.expiration {
        write!(f, " --vsched-affinity-expiration {}", service.affinity.expiration)?;
    }
    if service.sharing != Sharing::default() {
        write!(f, " --vsched-sharing {}", service.sharing)?;
    }
    if service.ties != Ties::default() {
        write!(f, " --vsched-ties {}", service.ties.name())?;
    }
    if let Some(ejection) = &service.ejection {
        pairs::write_ejection(f, ejection)?;
    }
    if let Some(slow_start) = &service.slow_start {
        pairs::write_slow_start(f, slow_start)?;
    }
    if let Some(factor) = service.spill_over {
        write!(f, " --vsched-spill-over {factor}")?;
    }
    if service.panic_threshold != 0 {
        write!(f, " --vsched-panic-threshold {}", service.panic_threshold)?;
    }
    Ok(())
}

impl Display for RulesText<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        if self.says_all() {
            self.settings(f)?;
        }
        let mut services: Vec<&VirtualService> = self.config.services.iter().collect();
        if self.sorted {
            order::services(&mut services, |service| service.key);
        }
        services.into_iter().try_for_each(|service| self.service(f, service))
    }
}

impl Display for Config {
    /// Writes the [complete](RulesText::complete) rules text: parsing it gives an equal config if this one
    /// is [valid](Config::validate).
    ///
    /// ```
    /// use vsched::Config;
    /// let config = Config::default().with_seed(7);
    /// assert_eq!(config.to_string(), "--vsched-seed 7\n");
    /// assert_eq!(config.to_string().parse(), Ok(config));
    /// ```
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        self.to_rules().complete().fmt(f)
    }
}

fn checksum_option(checksum: TunnelChecksum) -> &'static str {
    match checksum {
        TunnelChecksum::None => "--tun-nocsum",
        TunnelChecksum::Full => "--tun-csum",
        TunnelChecksum::Remote => "--tun-remcsum",
    }
}

/// A service as options; true prints marks as unsigned numbers.
#[derive(Clone, Copy)]
struct KeyOption<'c>(&'c ServiceKey, bool);

impl Display for KeyOption<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match *self.0 {
            ServiceKey::Address { protocol, address } => {
                let option = match protocol {
                    Protocol::Tcp => "-t",
                    Protocol::Udp => "-u",
                    Protocol::Sctp => "--sctp-service",
                };
                write!(f, "{option} {}", Address(address))
            }
            ServiceKey::FirewallMark { mark, family } => {
                if self.1 {
                    write!(f, "-f {mark}")?;
                } else {
                    write!(f, "-f {}", mark as i32)?;
                }
                f.write_str(match family {
                    Family::Inet => "",
                    Family::Inet6 => " -6",
                })
            }
        }
    }
}
