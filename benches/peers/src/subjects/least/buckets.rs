//! A queue of buckets, for equal weights: all servers in one array, ordered by their connections. A server
//! that gets or loses one moves across the border of two buckets: O(1), whatever their number.

use crate::subjects::least::LeastLoaded;

pub struct Buckets {
    /// Servers by connections.
    order: Vec<u32>,
    /// Where a server is in `order`, and its connections.
    servers: Vec<(u32, u32)>,
    /// Where the bucket of this many connections begins in `order`; after the last, where it ends.
    starts: Vec<u32>,
    /// The connections of the least loaded servers.
    least: usize,
}

impl LeastLoaded for Buckets {
    fn new(weights: &[u32], connections: &[u32]) -> Self {
        assert!(weights.iter().all(|weight| *weight == weights[0]), "equal weights");
        let mut order: Vec<u32> = (0..weights.len() as u32).collect();
        order.sort_by_key(|server| connections[*server as usize]);
        let mut servers = vec![(0, 0); weights.len()];
        for (place, server) in (0..).zip(&order) {
            servers[*server as usize] = (place, connections[*server as usize]);
        }
        let most = *connections.iter().max().expect("a server");
        let below = |count: u32| connections.iter().filter(|known| **known < count).count() as u32;
        let starts = (0..=most + 1).map(below).collect();
        let least = *connections.iter().min().expect("a server") as usize;
        Buckets { order, servers, starts, least }
    }

    /// The last of the least loaded servers, which becomes the first of the next bucket.
    #[inline(always)]
    fn take(&mut self) -> u32 {
        let least = self.least;
        if least + 2 == self.starts.len() {
            self.starts.push(self.order.len() as u32);
        }
        let border = self.starts[least + 1] - 1;
        self.starts[least + 1] = border;
        let server = self.order[border as usize];
        self.servers[server as usize].1 += 1;
        // Below the least, buckets are empty, and begin where the array does.
        self.least += usize::from(border == 0);
        server
    }

    /// The server changes places with the first of its bucket, and becomes the last of the one before.
    #[inline(always)]
    fn release(&mut self, server: u32) {
        let (place, connections) = self.servers[server as usize];
        let border = self.starts[connections as usize];
        self.starts[connections as usize] = border + 1;
        let first = self.order[border as usize];
        self.order[place as usize] = first;
        self.servers[first as usize].0 = place;
        self.order[border as usize] = server;
        self.servers[server as usize] = (border, connections - 1);
        self.least = self.least.min(connections as usize - 1);
    }
}
