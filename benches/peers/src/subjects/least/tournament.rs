//! A binary tournament in an array: every node has the lesser key of its two children, the root the least.
//! Keys are the load and the position: the first in the list wins a tie. A change of one server plays its
//! matches again, up to the root, without a branch.

use crate::subjects::least::LeastLoaded;
use crate::subjects::least::load::{Load, SERVER_BITS};

pub struct Tournament {
    loads: Vec<Load>,
    /// Node 1 is the root, the children of node k are 2k and 2k + 1; the leaves are the last half.
    nodes: Vec<u64>,
}

impl Tournament {
    fn leaves(&self) -> usize {
        self.nodes.len() / 2
    }

    #[inline(always)]
    fn update(&mut self, server: usize) {
        let mut winner = self.loads[server].key_with(server as u32);
        let mut node = self.leaves() + server;
        let nodes = &mut self.nodes[..];
        nodes[node] = winner;
        while node > 1 {
            winner = winner.min(nodes[node ^ 1]);
            node /= 2;
            nodes[node] = winner;
        }
    }
}

impl LeastLoaded for Tournament {
    fn new(weights: &[u32], connections: &[u32]) -> Self {
        let leaves = weights.len().next_power_of_two();
        assert!(leaves <= 1 << SERVER_BITS, "servers");
        let loads = weights.iter().zip(connections);
        let loads = loads.map(|(weight, connections)| Load::new(*weight, *connections)).collect();
        let mut servers = Tournament { loads, nodes: vec![u64::MAX; 2 * leaves] };
        (0..weights.len()).for_each(|server| servers.update(server));
        servers
    }

    #[inline(always)]
    fn take(&mut self) -> u32 {
        let server = (self.nodes[1] & ((1 << SERVER_BITS) - 1)) as usize;
        self.loads[server].add();
        self.update(server);
        server as u32
    }

    #[inline(always)]
    fn release(&mut self, server: u32) {
        self.loads[server as usize].subtract();
        self.update(server as usize);
    }
}
