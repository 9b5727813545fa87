//! How the workers of a director share one service's decisions.

use std::fmt;

/// Whether the workers of a director share scheduling state or each have their own.
///
/// It matters only where that changes picks: sh, dh and mh give every worker the same result, and the
/// address maps of lblc, lblcr and persistence are always shared, as are all counts, thresholds and
/// statistics.
///
/// ```
/// use vsched::config::Sharing;
/// use vsched::{Config, Director, Flow};
/// let config: Config =
///     "-A -t 10.0.0.1:80 -s rr\n-a -t 10.0.0.1:80 -r 10.0.1.1\n-a -t 10.0.0.1:80 -r 10.0.1.2"
///         .parse()?;
/// // Two workers pick in turn, twice each: the servers that the first one gets.
/// let picks = |sharing| {
///     let mut config = config.clone();
///     config.services[0].sharing = sharing;
///     let director = Director::new(&config).expect("a valid config");
///     let service = director.service("tcp 10.0.0.1:80").expect("it runs");
///     let workers = [director.worker(), director.worker()];
///     let pick = |worker: usize| workers[worker].pick_server(service, &Flow::default());
///     [0, 1, 0, 1].map(|worker| pick(worker).expect("two are up").server())
/// };
/// let [first, _, third, _] = picks(Sharing::Exact);
/// assert_eq!(first, third, "one rotation: the other worker got the server in between");
/// let [first, _, third, _] = picks(Sharing::PerWorker);
/// assert_ne!(first, third, "each worker goes around by itself");
/// let [_, second, _, fourth] = picks(Sharing::Chunks(16));
/// assert_ne!(second, fourth, "the other worker has taken the turns that follow");
/// # Ok::<(), vsched::error::RulesError>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
#[non_exhaustive]
pub enum Sharing {
    /// One sequence of picks for all workers: together they pick as one kernel would.
    #[default]
    Exact,
    /// One sequence of picks per worker: a pick writes no word that another worker writes, so its cost
    /// does not depend on the number of workers. A single worker picks as a kernel would. Each of
    /// several workers picks as a kernel that had only this worker's connections, and starts at another
    /// place of the rotation or list, so that they do not all start with the same server.
    ///
    /// - rr and wrr: with n workers a server has at any time had at most n more turns than a single
    ///   rotation with as many picks would have given it.
    /// - lc, wlc, sed and nq count the connections that the worker opened itself (to servers without an upper
    ///   threshold in words that no other worker opens connections in), and an equal part of
    ///   those that belong to no living worker (because they were opened before the service was shared
    ///   this way, or because their worker has gone). Each worker's connections are as even as the
    ///   kernel's, so with equal weights two servers differ by at most n connections.
    /// - twos and p2c draw separate random numbers per worker.
    PerWorker,
    /// In texts `chunks-1` to `chunks-64`, for rr and wrr; with other schedulers a config is invalid. One
    /// sequence of picks for all workers, as with [`Exact`](Self::Exact), of which a worker takes so many turns
    /// at once, a chunk, and then uses one per pick. So only one pick in as many writes a word that other
    /// workers write.
    ///
    /// Workers take chunks if a precomputed schedule is all that decides. Picks are those of `Exact` in a service
    /// that is persistent, is of FTP's port, or has servers without a port or of several priorities, under wrr
    /// with weights so large that it has no schedule, for retries, and for a caller without a worker.
    ///
    /// - Each worker uses its turns in order, and at any time has fewer left than a chunk has: these are all that
    ///   is out of order. So with n workers and chunks of c, a server has had at most n * (c - 1) turns more
    ///   or fewer than a single rotation with as many picks would have given it. An idle worker keeps its
    ///   turns. A single worker picks as with `Exact`, as long as no reload changes its service, the phase
    ///   stays, and fewer than eight servers in a row are unavailable.
    /// - A turn whose server is quiesced, overloaded or down is passed over when its pick comes, as with
    ///   `Exact`. If eight in a row are, the scheduler chooses the next available server after the turns
    ///   that all workers have taken.
    /// - A worker that ends loses no turn: the next worker in its place uses what is left of the chunk. Until
    ///   one comes, those turns count like an idle worker's.
    /// - No turn is lost in a reload that leaves the sequence of servers as it is: each worker uses up its
    ///   chunk. A reload that changes the sequence (other servers, another order, other weights under wrr, another
    ///   scheduler), or after which the service takes no chunks, discards what is left of them, at most
    ///   c - 1 turns per worker.
    Chunks(u8),
}

/// Most turns of a chunk.
pub(crate) const MAX_CHUNK: u8 = 64;
/// The texts of all values, for error messages.
pub(crate) const SHARINGS: &str = "exact, per-worker or chunks-1 to chunks-64";

impl Sharing {
    /// Returns the name without the number of turns: `exact`, `per-worker` or `chunks`. With the number it is
    /// the `Display` text, as in serde texts.
    pub const fn name(self) -> &'static str {
        match self {
            Sharing::Exact => "exact",
            Sharing::PerWorker => "per-worker",
            Sharing::Chunks(_) => "chunks",
        }
    }

    /// The value with this text.
    pub(crate) fn read(text: &str) -> Option<Self> {
        match text {
            "exact" => Some(Sharing::Exact),
            "per-worker" => Some(Sharing::PerWorker),
            _ => {
                // One text per value: no sign, no leading zero.
                let digits = text.strip_prefix("chunks-")?;
                let plain = digits.starts_with(|first: char| ('1'..='9').contains(&first));
                let length: u8 = digits.parse().ok().filter(|_| plain)?;
                (1..=MAX_CHUNK).contains(&length).then_some(Sharing::Chunks(length))
            }
        }
    }
}

impl fmt::Display for Sharing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Sharing::Chunks(length) => write!(f, "chunks-{length}"),
            _ => f.pad(self.name()),
        }
    }
}

#[cfg(feature = "serde")]
impl serde::Serialize for Sharing {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

#[cfg(feature = "serde")]
impl<'de> serde::Deserialize<'de> for Sharing {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = <std::borrow::Cow<'de, str> as serde::Deserialize>::deserialize(deserializer)?;
        let error = || {
            let text = crate::error::Quoted(&text);
            serde::de::Error::custom(format!("sharing `{text}`: expected {SHARINGS}"))
        };
        Sharing::read(&text).ok_or_else(error)
    }
}
