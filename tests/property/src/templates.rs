//! Persistence templates of one service, as the kernel keeps them.

use std::collections::HashMap;

use crate::twins::Name;

/// Templates by client address.
#[derive(Debug, Default)]
pub struct Templates(HashMap<u32, Template>);

#[derive(Debug)]
struct Template {
    id: u64,
    server: Name,
    /// Seconds, like all times here.
    timeout: u64,
    deadline: u64,
    /// Open connections made through it.
    held: u64,
}

impl Templates {
    /// Where a client's template leads.
    pub fn look(&self, client: u32) -> Option<Name> {
        self.0.get(&client).map(|template| template.server)
    }

    /// A new connection goes to this server: by its template, or by one that is made now.
    pub fn connect(&mut self, client: u32, server: Name, timeout: u64, now: u64, id: u64) {
        let known = self.0.get_mut(&client).filter(|template| template.server == server);
        match known {
            Some(template) => template.deadline = now + template.timeout,
            None => {
                let deadline = now + timeout;
                self.0.insert(client, Template { id, server, timeout, deadline, held: 0 });
            }
        }
    }

    /// The client came, and its server was gone.
    pub fn forget(&mut self, client: u32) {
        self.0.remove(&client);
    }

    /// A connection by the client's template opens. Returns the template's id.
    pub fn hold(&mut self, client: u32) -> Option<u64> {
        let template = self.0.get_mut(&client)?;
        template.held += 1;
        Some(template.id)
    }

    /// It closes.
    pub fn let_go(&mut self, client: u32, id: u64) {
        if let Some(template) = self.0.get_mut(&client).filter(|template| template.id == id) {
            template.held -= 1;
        }
    }

    /// Time passes.
    pub fn tick(&mut self, now: u64) {
        self.0.retain(|_, template| {
            while template.deadline <= now {
                if template.held == 0 {
                    return false;
                }
                template.timeout = 60;
                template.deadline += 60;
            }
            true
        });
    }

    /// How many lead to a server.
    pub fn count(&self, server: Name) -> u32 {
        self.0.values().filter(|template| template.server == server).count() as u32
    }
}
