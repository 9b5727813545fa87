//! Which director a handle is, and what it says of itself in a log.

use std::fmt;

use crate::director::Director;
use crate::sync::Arc;

impl Director {
    /// Returns true if both handles are one director. Lock-free.
    ///
    /// ```
    /// use vsched::{Config, Director};
    /// let director = Director::new(&Config::new())?;
    /// assert!(director.ptr_eq(&director.clone()));
    /// assert!(!director.ptr_eq(&Director::new(&Config::new())?));
    /// # Ok::<(), vsched::error::ApplyError>(())
    /// ```
    pub fn ptr_eq(&self, other: &Director) -> bool {
        Arc::ptr_eq(&self.inner, &other.inner)
    }
}

impl fmt::Debug for Director {
    /// Writes the numbers of services, servers, workers and publications; waits for no lock: `locked`
    /// stands for them while another thread has it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Some(control) = self.inner.control.try_read() else {
            return f.write_str("Director { locked }");
        };
        let servers: usize = control.services.values().map(|it| it.service.servers.len()).sum();
        let (services, workers) = (control.services.len(), control.shards.workers());
        let publication = control.sequence;
        drop(control);
        f.debug_struct("Director")
            .field("services", &services)
            .field("servers", &servers)
            .field("workers", &workers)
            .field("publication", &publication)
            .finish()
    }
}

#[cfg(test)]
mod tests {
    use super::Director;
    use crate::config::Config;

    #[test]
    fn a_locked_director_says_so() {
        let director = Director::new(&Config::new()).expect("an empty config");
        let held = director.inner.control.lock();
        assert_eq!(format!("{director:?}"), "Director { locked }");
        drop(held);
        assert!(format!("{director:?}").contains("services: 0"));
    }
}
