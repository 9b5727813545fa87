//! An open connection as plain data.

use crate::arena::counts::Activity;
use crate::arena::id::ServerId;
use crate::arena::tally::Incarnation;
use crate::arena::worker_state::WorkerTag;
use crate::memory::templates::TemplateId;

/// An open connection, to be given back to [`Worker::close`](crate::Worker::close). Plain values:
/// 32 bytes, no pointer, shared with C.
///
/// A lease that is lost stays counted;
/// [`Director::set_counts`](crate::Director::set_counts) sets that right.
///
/// The default is an empty lease, which is open nowhere.
#[derive(Debug, PartialEq, Eq, Default)]
#[must_use = "a lease that is dropped instead of closed stays counted"]
#[repr(C)]
pub struct Lease {
    pub(super) server: ServerId,
    pub(super) template: TemplateId,
    /// In the lowest bits the activity, 0 = empty. Above, which incarnation of the opener's place it is.
    /// Numbers, because C may hand in any.
    code: u32,
    /// The place of the worker that counts it as its own; 0 = none does.
    place: u32,
}

const INACTIVE: u32 = 1;
const ACTIVE: u32 = 2;
const ACTIVITY: u32 = 3;
const INCARNATION: u32 = 2;

// What an incarnation needs there is.
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

    /// Asked apart: most have none, and need not put one together.
    #[inline(always)]
    pub(super) fn has_tag(&self) -> bool {
        self.place != 0
    }

    #[inline(always)]
    pub(super) fn tag(&self) -> WorkerTag {
        WorkerTag::new(self.place, self.code >> INCARNATION)
    }

    /// The server.
    pub fn server(&self) -> ServerId {
        self.server
    }

    /// How the connection counts; `None` of an empty lease.
    #[inline]
    pub fn activity(&self) -> Option<Activity> {
        if self.is_empty() {
            return None;
        }
        // Of the numbers that no lease has, each is one of the two: a few instructions less than none.
        Some(if self.code & ACTIVE != 0 { Activity::Active } else { Activity::Inactive })
    }

    /// True if no connection is behind it: it was closed in place, or never opened.
    #[inline]
    pub fn is_empty(&self) -> bool {
        self.code & ACTIVITY == 0
    }
}

// C names the first field; the rest is private to both.
const _: () = assert!(size_of::<Lease>() == 32 && std::mem::offset_of!(Lease, server) == 0);
