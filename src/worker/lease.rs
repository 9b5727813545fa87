//! An open connection as plain data.

use crate::state::counts::Activity;
use crate::state::slots::ServerId;
use crate::state::templates::TemplateId;

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
    /// 0 = empty. A number, because C may hand in any.
    pub(super) activity: u32,
    /// Who counts it by itself; see `state::own`.
    pub(super) opener: u32,
}

const INACTIVE: u32 = 1;
const ACTIVE: u32 = 2;

pub(super) fn code_of(activity: Activity) -> u32 {
    match activity {
        Activity::Inactive => INACTIVE,
        Activity::Active => ACTIVE,
    }
}

impl Lease {
    /// The server.
    pub fn server(&self) -> ServerId {
        self.server
    }

    /// How the connection counts; `None` of an empty lease.
    #[inline]
    pub fn activity(&self) -> Option<Activity> {
        match self.activity {
            INACTIVE => Some(Activity::Inactive),
            ACTIVE => Some(Activity::Active),
            _ => None,
        }
    }

    /// True if no connection is behind it: it was closed in place, or never opened.
    pub fn is_empty(&self) -> bool {
        self.activity().is_none()
    }
}

// C names the first field; the rest is private to both.
const _: () = assert!(size_of::<Lease>() == 32 && std::mem::offset_of!(Lease, server) == 0);
