//! A connection to the kernel's IPVS.

use std::fmt;
use std::time::Duration;

use super::error::{Error, Failure, Object, Refused, Stopped};
use super::exchange::{Exchange, Outcome};
use super::namespace::{Namespace, Sockets};
use super::request::{Encoder, Request};
use super::socket::Socket;
use super::sockopt::Lists;
use super::wire::{
    ACK, Command, FAMILY_NAME, Header, Info, Message, REQUEST, WireError, decode_family,
    encode_family_request,
};
use crate::config::Timeouts;

/// Most requests per system call, with one acknowledgment. If all are refused, all answers must fit into
/// the receive buffer, at about 900 bytes each.
pub(super) const BATCH: usize = 128;
/// Bytes of a request that adds a server, rounded up.
const USUAL: usize = 176;
/// Datagrams of two sizes, so that two dumps are split at different places. The kernel fills them up to
/// the size offered, but not beyond 32 KiB.
const DATAGRAMS: [usize; 2] = [32 << 10, 20 << 10];

/// How to talk to the kernel.
///
/// ```
/// use std::time::Duration;
/// use vsched::netlink::{Namespace, Options};
/// let options = Options::default()
///     .with_namespace(Namespace::at("/run/netns/blue"))
///     .with_timeout(Duration::from_secs(1));
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Options {
    /// The network namespace; `None` = the calling thread's.
    pub namespace: Option<Namespace>,
    /// Longest wait for the kernel's next answer.
    pub timeout: Duration,
    /// Size of the socket's receive buffer in bytes.
    pub receive_buffer: usize,
    /// Requests per batch, 1 to 128.
    pub batch: usize,
    /// How often to read an object that other programs keep changing before [`Error::Unsettled`].
    pub attempts: u32,
}

impl Options {
    /// Returns the options with this network namespace.
    pub fn with_namespace(mut self, namespace: Namespace) -> Self {
        self.namespace = Some(namespace);
        self
    }

    /// Returns the options with this longest wait for the kernel's next answer.
    pub const fn with_timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    /// Returns the options with this size of the receive buffer in bytes.
    pub const fn with_receive_buffer(mut self, bytes: usize) -> Self {
        self.receive_buffer = bytes;
        self
    }

    /// Returns the options with this many requests per batch, 1 to 128.
    pub const fn with_batch(mut self, requests: usize) -> Self {
        self.batch = requests;
        self
    }

    /// Returns the options with this many attempts to read what others keep changing.
    pub const fn with_attempts(mut self, attempts: u32) -> Self {
        self.attempts = attempts;
        self
    }
}

impl Default for Options {
    /// The thread's own namespace, 5 seconds, 1 MiB, 128 requests, 10 attempts.
    fn default() -> Self {
        Options {
            namespace: None,
            timeout: Duration::from_secs(5),
            receive_buffer: 1 << 20,
            batch: BATCH,
            attempts: 10,
        }
    }
}

/// A connection to the IPVS of one network namespace, for one thread at a time.
///
/// ```no_run
/// use vsched::config::{RealServer, ServiceKey, VirtualService};
/// use vsched::netlink::{Kernel, Request};
/// let mut kernel = Kernel::open()?;
/// let key: ServiceKey = "tcp 192.168.4.5:80".parse()?;
/// let server = RealServer::new("192.168.5.11:80".parse()?);
/// let failures = kernel.execute(&[
///     Request::add_service(&VirtualService::new(key)),
///     Request::add_server(&key, &server),
/// ])?;
/// for failure in failures {
///     eprintln!("{}", failure.refused);
/// }
/// println!("{}", kernel.read()?.observed.config().to_rules());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct Kernel {
    /// Used alternately, for dumps that are compared.
    exchanges: [Exchange; 2],
    /// `None` where the kernel lacks it, or once it returned something unexpected.
    pub(super) lists: Option<Lists>,
    family: u16,
    pub(super) attempts: u32,
    batch: usize,
}

impl fmt::Debug for Kernel {
    /// Writes the numbers of the family and of the sockets' ports, and the options.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Kernel")
            .field("family", &self.family)
            .field("ports", &self.exchanges.each_ref().map(Exchange::port))
            .field("batch", &self.batch)
            .field("attempts", &self.attempts)
            .finish()
    }
}

impl Kernel {
    /// Connects to the IPVS of the calling thread's network namespace.
    ///
    /// # Errors
    /// [`Error::Absent`] if the kernel has no IPVS, else a system call that failed.
    pub fn open() -> Result<Self, Error> {
        Kernel::with_options(&Options::default())
    }

    /// Connects to the IPVS of another network namespace. The calling thread stays in its own.
    ///
    /// # Errors
    /// [`Error::Namespace`] if it cannot be entered; as for [`open`](Self::open).
    pub fn open_in(namespace: Namespace) -> Result<Self, Error> {
        Kernel::with_options(&Options { namespace: Some(namespace), ..Options::default() })
    }

    /// Connects with these options.
    ///
    /// # Errors
    /// As for [`open_in`](Self::open_in).
    pub fn with_options(options: &Options) -> Result<Self, Error> {
        let sockets = match &options.namespace {
            Some(namespace) => namespace.open()?,
            None => Sockets::open().map_err(Error::system("opening a netlink socket"))?,
        };
        let [first, second] = sockets.netlink;
        let lists = sockets.options.map(Lists::new);
        let [large, small] = DATAGRAMS;
        let mut exchanges = [exchange(first, options, large)?, exchange(second, options, small)?];
        let family = resolve(&mut exchanges[0])?;
        let batch = options.batch.clamp(1, BATCH);
        Ok(Kernel { exchanges, lists, family, attempts: options.attempts.max(2), batch })
    }

    /// Version and size of the connection table.
    ///
    /// # Errors
    /// A failed exchange; [`Cause::Permission`](super::Cause::Permission) without CAP_NET_ADMIN.
    pub fn info(&mut self) -> Result<Info, Error> {
        Ok(self.one(Command::GetInfo)?.info)
    }

    /// All three connection timeouts.
    ///
    /// # Errors
    /// As for [`info`](Self::info).
    pub fn timeouts(&mut self) -> Result<Timeouts, Error> {
        Ok(self.one(Command::GetConfig)?.timeouts)
    }

    /// Carries out one request.
    ///
    /// # Errors
    /// [`Error::Refused`] with nothing changed; [`Error::NotInLinux`] with nothing sent; or a failed
    /// exchange.
    pub fn execute_one(&mut self, request: &Request) -> Result<(), Error> {
        match self.execute(std::slice::from_ref(request)) {
            Ok(failures) => match failures.first() {
                Some(failure) => Err(Error::Refused(failure.refused)),
                None => Ok(()),
            },
            Err(stopped) => Err(stopped.error),
        }
    }

    /// Carries out requests in order, many per system call, and returns those that were refused. The kernel
    /// continues after a refusal: a batch is not a transaction.
    ///
    /// # Errors
    /// [`Stopped`] if an exchange failed: it says what is done, what may be done, and what was not tried.
    /// [`Error::NotInLinux`] in it: nothing was sent.
    pub fn execute(&mut self, requests: &[Request]) -> Result<Vec<Failure>, Stopped> {
        self.execute_in(requests, BATCH)
    }

    /// The same with at most `batch` requests per system call, within the limit of the options.
    pub(super) fn execute_in(
        &mut self,
        requests: &[Request],
        batch: usize,
    ) -> Result<Vec<Failure>, Stopped> {
        let mut failures = Vec::new();
        if let Err(error) = requests.iter().try_for_each(Request::check) {
            return Err(Stopped { error, answered: 0, sent: 0, failures });
        }
        let mut bytes = Vec::new();
        let mut answered = 0;
        for chunk in requests.chunks(self.batch.min(batch).max(1)) {
            let sent = answered + chunk.len();
            let count = chunk.len() as u32;
            let first = self.exchanges[0].reserve(count);
            bytes.clear();
            if let Err(error) = encode(chunk, self.family, first, &mut bytes) {
                let error = error.into();
                return Err(Stopped { error, answered, sent: answered, failures });
            }
            let failure = |(place, errno): (usize, i32)| {
                let request: &Request = chunk.get(place)?;
                let refused = Refused::new(request.command(), request.object(), errno);
                Some(Failure { index: answered + place, refused })
            };
            match self.exchanges[0].batch(&bytes, first, count) {
                Ok(refusals) => failures.extend(refusals.into_iter().filter_map(failure)),
                Err(broken) => {
                    failures.extend(broken.refusals.into_iter().filter_map(failure));
                    return Err(Stopped { error: broken.error, answered, sent, failures });
                }
            }
            answered = sent;
        }
        Ok(failures)
    }

    fn one(&mut self, command: Command) -> Result<Message, Error> {
        let mut answer = None;
        self.ask(&Message::new(command), Object::Everything, None, |payload| {
            answer = Some(Message::decode(payload)?);
            Ok(())
        })?;
        Ok(answer.ok_or_else(|| WireError::missing("answer").of(command))?)
    }

    /// Sends a request and passes every message of the answer to `each`. Returns true if objects changed
    /// meanwhile. Dumps with even and odd numbers are split into datagrams at different places.
    pub(super) fn ask(
        &mut self,
        question: &Message,
        object: Object,
        dump: Option<u32>,
        each: impl FnMut(&[u8]) -> Result<(), Error>,
    ) -> Result<bool, Error> {
        let [first, second] = &mut self.exchanges;
        let exchange = if dump.is_some_and(|dump| dump % 2 == 1) { second } else { first };
        match exchange.ask(self.family, question, dump.is_some(), each)? {
            Outcome::Complete { interrupted } => Ok(interrupted),
            Outcome::Refused(errno) => {
                Err(Error::Refused(Refused::new(question.command, object, errno)))
            }
        }
    }
}

fn exchange(socket: Socket, options: &Options, datagram: usize) -> Result<Exchange, Error> {
    let buffer = socket.set_receive_buffer(options.receive_buffer);
    buffer.map_err(Error::system("setting the receive buffer"))?;
    let port = socket.port().map_err(Error::system("reading the port id"))?;
    Ok(Exchange::new(socket, port, options.timeout, datagram))
}

/// Only the last request is acknowledged; refusals are always answered.
fn encode(
    requests: &[Request],
    kind: u16,
    first: u32,
    bytes: &mut Vec<u8>,
) -> Result<(), WireError> {
    let last = requests.len().saturating_sub(1);
    bytes.reserve(requests.len() * USUAL);
    let mut encoder = Encoder::default();
    for (place, request) in requests.iter().enumerate() {
        let flags = if place == last { REQUEST | ACK } else { REQUEST };
        let sequence = first.wrapping_add(place as u32);
        encoder.encode(request, Header { kind, flags, sequence, port: 0 }, bytes)?;
    }
    Ok(())
}

/// Resolves the family's number, which also makes the kernel load the module.
fn resolve(exchange: &mut Exchange) -> Result<u16, Error> {
    let mut question = Vec::new();
    let sequence = exchange.reserve(1);
    encode_family_request(FAMILY_NAME, sequence, &mut question)?;
    let mut family = None;
    let outcome = exchange.ask_bytes(&question, sequence, |payload| {
        family = Some(decode_family(payload)?);
        Ok(())
    })?;
    match (outcome, family) {
        (Outcome::Complete { .. }, Some(family)) => Ok(family),
        (Outcome::Refused(libc::ENOENT), _) => Err(Error::Absent),
        (Outcome::Refused(errno), _) => Err(Error::System {
            step: "looking for the kernel's IPVS",
            source: std::io::Error::from_raw_os_error(errno),
        }),
        (_, None) => Err(WireError::missing("FAMILY_ID").into()),
    }
}

#[cfg(test)]
#[path = "kernel_tests.rs"]
mod tests;
