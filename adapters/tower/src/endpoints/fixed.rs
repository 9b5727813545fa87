//! Endpoints that are all known at the start.

use std::collections::HashMap;

use vsched::Pick;

use crate::endpoints::{EndpointKey, Endpoints};

/// A fixed map from keys to inner services: collect one from pairs.
///
/// A server that a reload adds to the config has no endpoint and gets no request; [`PerServer`] makes one.
///
/// [`PerServer`]: crate::PerServer
///
/// ```
/// use vsched_tower::{Fixed, UserData};
/// let endpoints: Fixed<UserData, &str> = [(UserData(1), "a"), (UserData(2), "b")].into_iter().collect();
/// ```
#[derive(Debug, Clone)]
pub struct Fixed<K, S> {
    services: HashMap<K, S>,
}

impl<K: EndpointKey, S> FromIterator<(K, S)> for Fixed<K, S> {
    fn from_iter<I: IntoIterator<Item = (K, S)>>(pairs: I) -> Self {
        Fixed { services: pairs.into_iter().collect() }
    }
}

impl<K: EndpointKey, S: Clone> Endpoints for Fixed<K, S> {
    type Service = S;

    fn service(&self, pick: &Pick) -> Option<S> {
        self.services.get(&K::from_pick(pick)).cloned()
    }
}
