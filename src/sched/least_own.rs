//! The search of the least loaded for services that are shared `per-worker`: each worker goes by the
//! connections it opened itself, and prefers another server among equals.

use std::sync::OnceLock;

use crate::sched::least::Load;
use crate::state::lanes::{Lanes, NEVER};
use crate::state::min_tree::{MinTree, Restless};
use crate::state::own::{Own, spread};
use crate::state::positions::Positions;
use crate::state::segments::Segments;
use crate::state::servers::{Candidate, Position, Servers};
use crate::state::slots::ServerId;

/// The indexes of all workers, by their numbers.
pub(super) struct OwnIndexes {
    positions: Positions,
    trees: Segments<OnceLock<MinTree>>,
}

/// The list as one worker looks at it: rotated, so that not all workers prefer the same of equals.
#[derive(Clone, Copy)]
pub(super) struct View {
    first: Position,
    length: u32,
}

impl View {
    pub(super) fn of(own: &Own, servers: &Servers) -> Self {
        View { first: spread(own.number(), servers.len()), length: servers.len() }
    }

    /// The position of the server at this place of the view.
    #[inline]
    pub(super) fn position(self, place: u32) -> Position {
        let position = u64::from(self.first) + u64::from(place);
        let length = u64::from(self.length);
        (if position < length { position } else { position - length }) as Position
    }

    #[inline]
    fn place(self, position: Position) -> u32 {
        if position >= self.first {
            position - self.first
        } else {
            position + (self.length - self.first)
        }
    }
}

/// A server with the worker's own counts; its availability is what it is for all.
#[inline]
pub(super) fn look(own: &Own, servers: &Servers, position: Position) -> Option<Candidate> {
    // Again: the index looks by it after it has stored, as that of all does.
    let server = servers.look_again(position)?;
    let counts = own.counts(servers.answer(position)?.server().slot);
    Some(Candidate { counts: counts.with_mark(server.counts.overloaded()), ..server })
}

#[inline]
fn key_of<L: Load>(load: L, server: Option<Candidate>) -> u64 {
    server.map_or(NEVER, |server| load.rule().key(server.weight, server.counts))
}

impl OwnIndexes {
    pub(super) fn of(servers: &Servers) -> Self {
        OwnIndexes { positions: Positions::of(servers), trees: Segments::new() }
    }

    /// Makes or renews the worker's index. Director only.
    pub(super) fn welcome<L: Load>(&self, load: L, servers: &Servers, own: &Own) {
        self.trees.reach(own.number() + 1);
        let Some(tree) = self.trees.get(own.number()) else { return };
        let view = View::of(own, servers);
        let key_at = |place| key_of(load, look(own, servers, view.position(place)));
        tree.get_or_init(|| MinTree::new((0..servers.len()).map(key_at), Lanes::detect()));
        for position in 0..servers.len() {
            self.renew(load, servers, own, position);
        }
    }

    /// `None` if nobody is available as far as the index knows, or others are too busy in it.
    pub(super) fn find<L: Load>(
        &self,
        load: L,
        servers: &Servers,
        own: &Own,
        attempts: usize,
    ) -> Option<Position> {
        let tree = self.trees.get(own.number())?.get()?;
        let view = View::of(own, servers);
        for _ in 0..attempts {
            let found = match tree.least() {
                Ok(found) => found?,
                Err(Restless) => return None,
            };
            let position = view.position(found.index);
            if key_of(load, look(own, servers, position)) == found.key {
                return Some(position);
            }
            self.renew(load, servers, own, position);
        }
        None
    }

    /// A count of this server has changed for this worker, or its availability.
    pub(super) fn load_changed<L: Load>(
        &self,
        load: L,
        servers: &Servers,
        own: &Own,
        server: ServerId,
    ) {
        if let Some(position) = self.positions.get(server.slot) {
            self.renew(load, servers, own, position);
        }
    }

    fn renew<L: Load>(&self, load: L, servers: &Servers, own: &Own, position: Position) {
        let Some(tree) = self.trees.get(own.number()).and_then(OnceLock::get) else { return };
        let place = View::of(own, servers).place(position);
        let current = || look(own, servers, position);
        tree.set(place, current, |server| key_of(load, server));
    }
}
