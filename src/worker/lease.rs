//! An open connection as plain data.

use crate::arena::counts::Activity;
use crate::arena::id::ServerId;
use crate::arena::tally::Incarnation;
use crate::arena::worker_state::WorkerTag;
use crate::memory::templates::TemplateId;

/// An open connection, until [`Worker::close`](crate::Worker::close) ends it. Plain data: 32 bytes, no
/// pointer, shared with C.
///
/// A lost lease stays counted; [`Director::set_counts`](crate::Director::set_counts) corrects that.
///
/// The default is an empty lease, which holds no connection.
///
/// ```
/// use vsched::{Activity, ConnectionError};
/// # use vsched::{Config, Director};
/// # let config: Config = "-A -t 10.0.0.1:80\n-a -t 10.0.0.1:80 -r 10.0.1.1".parse()?;
/// # let director = Director::new(&config)?;
/// # let server = director.server(director.service("tcp 10.0.0.1:80")?, "10.0.1.1:80")?;
/// let worker = director.worker();
/// let mut lease = worker.open(server, Activity::Active)?;
/// worker.update(&mut lease, Activity::Inactive)?;
/// assert_eq!(director.counts(server).expect("it runs").inactive, 1);
/// worker.close_in_place(&mut lease)?;
/// assert!(lease.is_empty());
/// assert_eq!(worker.close_in_place(&mut lease), Err(ConnectionError::Stale), "closed once");
/// assert_eq!(director.counts(server).expect("it runs").inactive, 0);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, PartialEq, Eq)]
#[must_use = "a lease that is dropped instead of closed stays counted"]
#[repr(C)]
pub struct Lease {
    pub(super) server: ServerId,
    pub(super) template: TemplateId,
    /// Lowest two bits: the activity, 0 = empty. Above: the incarnation of the worker that opened it.
    /// An integer, not an enum, because C may pass any value.
    code: u32,
    /// Number plus 1 of the worker that counts the connection as its own; 0 = none.
    place: u32,
}

impl Default for Lease {
    fn default() -> Self {
        let server = ServerId { slot: 0, generation: 0 };
        Lease { server, template: TemplateId::default(), code: 0, place: 0 }
    }
}

const INACTIVE: u32 = 1;
const ACTIVE: u32 = 2;
const ACTIVITY: u32 = 3;
const INCARNATION: u32 = 2;

// Every incarnation fits above the activity.
const _: () = assert!(Incarnation::LAST <= u32::MAX >> INCARNATION);

fn code_of(activity: Activity) -> u32 {
    match activity {
        Activity::Inactive => INACTIVE,
        Activity::Active => ACTIVE,
    }
}

impl Lease {
    /// An open connection that no worker counts as its own.
    #[inline(always)]
    pub(super) fn new(server: ServerId, template: TemplateId, activity: Activity) -> Self {
        Lease { server, template, code: code_of(activity), place: 0 }
    }

    #[inline(always)]
    pub(super) fn set_activity(&mut self, activity: Activity) {
        self.code = self.code & !ACTIVITY | code_of(activity);
    }

    pub(super) fn set_tag(&mut self, tag: WorkerTag) {
        self.code = self.code & ACTIVITY | tag.incarnation() << INCARNATION;
        self.place = tag.place();
    }

    /// Checked before [`tag`](Self::tag): most leases have none, so most calls need not assemble one.
    #[inline(always)]
    pub(super) fn has_tag(&self) -> bool {
        self.place != 0
    }

    #[inline(always)]
    pub(super) fn tag(&self) -> WorkerTag {
        WorkerTag::new(self.place, self.code >> INCARNATION)
    }

    /// Returns the server's id.
    pub fn server(&self) -> ServerId {
        self.server
    }

    /// Returns how the connection counts; `None` if the lease is empty.
    #[inline]
    pub fn activity(&self) -> Option<Activity> {
        if self.is_empty() {
            return None;
        }
        // The invalid code 3 reads as active: rejecting it would cost a few instructions, and no count
        // can go below zero anyway.
        Some(if self.code & ACTIVE != 0 { Activity::Active } else { Activity::Inactive })
    }

    /// Returns true if the lease holds no connection: it was closed in place, or never opened.
    #[inline]
    pub fn is_empty(&self) -> bool {
        self.code & ACTIVITY == 0
    }
}

// C names the first field; the rest is private to both.
const _: () = assert!(size_of::<Lease>() == 32 && std::mem::offset_of!(Lease, server) == 0);
