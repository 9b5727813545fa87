//! Turns a line into an action. The library's own parser reads rules.

use vsched::config::listing::View;
use vsched::config::{Command, ServiceKey, SyncDaemon};
use vsched::netlink::Request;

use super::line::{Given, Line, Refusal};
use super::names::Names;
use super::options::{SERVICE, Verb};
use super::values::{self, cut, group, number, option, role, timeouts, unknown_scheduler};

/// The action of a line.
#[derive(Debug)]
pub(crate) enum Action {
    Help,
    Version,
    Restore,
    /// True for numbers instead of names.
    Save(bool),
    List(List),
    Change(Box<Request>),
}

/// A listing.
#[derive(Debug)]
pub(crate) struct List {
    pub(crate) subject: Subject,
    pub(crate) numeric: bool,
    pub(crate) view: View,
    pub(crate) exact: bool,
    pub(crate) unsorted: bool,
}

/// What is listed.
#[derive(Debug)]
pub(crate) enum Subject {
    Everything,
    Service(ServiceKey),
    /// True with the columns of persistence engines.
    Connections(bool),
    Timeouts,
    Daemons,
}

impl Action {
    /// The action without any arguments.
    pub(crate) fn plain_list() -> Self {
        Action::List(List {
            subject: Subject::Everything,
            numeric: false,
            view: View::Plain,
            exact: false,
            unsorted: false,
        })
    }

    /// Reads a line that is already split into words.
    pub(crate) fn read(words: &[String], names: &Names) -> Result<Self, Refusal> {
        let line = Line::read(words, names)?;
        let request = match line.verb {
            Verb::Help => return Ok(Action::Help),
            Verb::Version => return Ok(Action::Version),
            Verb::Restore => return Ok(Action::Restore),
            Verb::Save => return Ok(Action::Save(line.has("numeric"))),
            Verb::List => return Ok(Action::List(list(&line)?)),
            Verb::Zero if line.has_kind(SERVICE) => Request::zero_service(&service(&line)?),
            Verb::Zero => Request::zero(),
            Verb::Set => Request::set_timeouts(timeouts(&line.arguments)?),
            Verb::StartDaemon => Request::start_daemon(&daemon(&line)?),
            Verb::StopDaemon => Request::stop_daemon(role(&line)?),
            _ => change(&line)?,
        };
        Ok(Action::Change(Box::new(request)))
    }
}

fn change(line: &Line) -> Result<Request, Refusal> {
    let verb = if line.verb == Verb::Clear { "clear" } else { line.verb.name() };
    let mut words = vec![format!("--{verb}")];
    words.extend(line.options.iter().map(option));
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let command = Command::from_words(&words)
        .map_err(|error| Refusal::Usage(format!("`{}': {}", error.word(), error.message())))?;
    let request =
        Request::from_command(&command).ok_or_else(|| Refusal::Usage("no request".into()))?;
    let scheduler = line.value_of("scheduler").filter(|name| unknown_scheduler(name));
    let Some(name) = scheduler else { return Ok(request) };
    let mut message = request.message();
    if let Some(service) = &mut message.service {
        service.scheduler = Some(cut(name).to_owned());
    }
    Ok(Request::raw(message, request.object()))
}

/// The service of commands that take nothing else.
fn service(line: &Line) -> Result<ServiceKey, Refusal> {
    let about = |given: &&Given| given.spec.kind == SERVICE || given.spec.long == "ipv6";
    let options: Vec<String> = line.options.iter().filter(about).map(option).collect();
    values::service(&options).map_err(Refusal::Usage)
}

fn list(line: &Line) -> Result<List, Refusal> {
    let subject = match () {
        () if line.has("connection") => Subject::Connections(line.has("persistent-conn")),
        () if line.has_kind(SERVICE) => Subject::Service(service(line)?),
        () if line.has("timeout") => Subject::Timeouts,
        () if line.has("daemon") => Subject::Daemons,
        () => Subject::Everything,
    };
    let views = [
        ("stats", View::Statistics),
        ("rate", View::Rates),
        ("thresholds", View::Thresholds),
        ("persistent-conn", View::PersistentConnections),
        ("tun-info", View::TunnelInfo),
    ];
    let view = views.into_iter().find(|(name, _)| line.has(name));
    Ok(List {
        subject,
        numeric: line.has("numeric"),
        view: view.map_or(View::Plain, |(_, view)| view),
        exact: line.has("exact"),
        unsorted: line.has("nosort"),
    })
}

fn daemon(line: &Line) -> Result<SyncDaemon, Refusal> {
    let interface = line.value_of("mcast-interface").filter(|name| !name.is_empty());
    let mut daemon = SyncDaemon::new(role(line)?, cut(interface.unwrap_or("eth0")))
        .with_sync_id(of(line, "syncid")?.unwrap_or(0));
    daemon.max_len = of(line, "sync-maxlen")?;
    daemon.group = line.value_of("mcast-group").map(group).transpose()?;
    daemon.port = of(line, "mcast-port")?;
    daemon.ttl = of(line, "mcast-ttl")?;
    Ok(daemon)
}

fn of<T: TryFrom<u32>>(line: &Line, name: &str) -> Result<Option<T>, Refusal> {
    line.value_of(name).map(|text| number(name, text)).transpose()
}
