//! Passive ejection, under the director's lock: what workers have ejected is recorded, ends after its
//! time, and stays within the service's share.

use super::Control;
use crate::arena::counts::Limits;
use crate::arena::health::HealthSlot;
use crate::arena::slots::ServerSlot;
use crate::config::{Ejection, RealServer, ServiceKey, Thresholds};
use crate::director::allocator::SlotClaim;
use crate::director::ask::ask;
use crate::director::by_server::ByServer;
use crate::director::control::RunningService;
use crate::director::ejection::{Ejections, Phase, Record, most};
use crate::director::outliers::below;
use crate::director::runtime::Runtime;
use crate::sync::Arc;

/// A server that runs, and its slots.
#[derive(Clone, Copy)]
struct Running<'a> {
    server: &'a RealServer,
    claim: &'a SlotClaim,
    slot: &'a ServerSlot,
    health: &'a HealthSlot,
}

impl Control {
    fn running<'a>(
        &'a self,
        live: &'a RunningService,
    ) -> impl Iterator<Item = Running<'a>> + Clone {
        live.service.servers.iter().zip(&live.claims).filter_map(|(server, claim)| {
            let slot = self.arena.servers.get(claim.id.slot)?;
            Some(Running { server, claim, slot, health: self.arena.health.get(claim.id.slot)? })
        })
    }

    /// Calls `change` with a running service and its runtime.
    fn with_runtime(
        &mut self,
        key: &ServiceKey,
        change: impl FnOnce(&Self, &RunningService, &mut Runtime),
    ) {
        let mut runtime = self.runtimes.remove(key).unwrap_or_default();
        if let Some(live) = self.find(key) {
            change(self, live, &mut runtime);
        }
        let noted = note_reasons(&mut self.ejected, key, &runtime.ejections);
        if !(noted && runtime.is_empty()) {
            self.runtimes.insert(*key, runtime);
        }
    }

    /// True if the service has anything to [`reconcile`](Self::reconcile).
    pub(in crate::director) fn has_runtime(&self, key: &ServiceKey) -> bool {
        self.runtimes.contains_key(key)
            || self.find(key).is_some_and(|live| {
                let slot = self.arena.services.get(live.id.slot);
                live.service.ejection.is_some()
                    || live.service.panic_threshold > 0
                    || slot.is_some_and(|slot| !slot.ejections.is_unused())
            })
    }

    /// Brings states and ejections into line with the config and with each other: after every change
    /// of either. O(servers).
    pub(in crate::director) fn reconcile(&mut self, key: &ServiceKey) {
        self.with_runtime(key, |control, live, runtime| {
            let shape = control.running_shape(live, Some(runtime));
            runtime.panics = shape.is_some_and(|shape| shape.panics);
            let leads = control.leads(live);
            let Some(service) = control.arena.services.get(live.id.slot) else { return };
            service.set_panics(runtime.panics);
            let rule = live.service.ejection;
            let most = match &rule {
                Some(rule) if !runtime.panics => most(rule, live.claims.len()),
                _ => 0,
            };
            if leads {
                service.ejections.allow(rule.map_or(0, |rule| rule.failures), most);
            }
            for at in control.running(live) {
                let state = control.state_of(at.claim.id, key, at.server.address, runtime.panics);
                if control.arena.set_state(at.claim.id, state).is_ok_and(|was| was != state) {
                    live.compiled.changed_for_all(at.claim.id, at.slot);
                }
                match &rule {
                    _ if !leads => {}
                    None => control.forget(runtime, live, at),
                    Some(rule) => control.agree(runtime, live, at, rule),
                }
            }
            if rule.is_none() || !leads {
                runtime.ejections = Default::default();
            }
            if leads {
                control.keep_share(runtime, live, most);
            }
        });
    }

    /// The service ejects no server any more.
    fn forget(&self, runtime: &mut Runtime, live: &RunningService, at: Running<'_>) {
        if self.is_ejected(at.claim) {
            self.bring_back(runtime, live, at, None);
        }
        self.end_trial(runtime, live, at);
    }

    /// Record and mark say the same, except in panic, which ignores the record.
    fn agree(
        &self,
        runtime: &mut Runtime,
        live: &RunningService,
        at: Running<'_>,
        rule: &Ejection,
    ) {
        let address = at.server.address;
        self.note(runtime, at, rule);
        let record = runtime.ejections.records.get(&address);
        let recorded = record.is_some_and(|record| record.since().is_some());
        let marked = self.is_ejected(at.claim);
        if marked && runtime.panics {
            let state = self.state_of(at.claim.id, &live.service.key, address, true);
            self.arena.end_ejection(at.claim.id.slot, state);
            live.compiled.changed_for_all(at.claim.id, at.slot);
        } else if recorded && !marked && !runtime.panics {
            let down = at.slot.counts_relaxed().is_down();
            if self.arena.eject(at.claim.id) {
                live.compiled.changed_for_all(at.claim.id, at.slot);
            } else if !down {
                self.bring_back(runtime, live, at, Some(rule));
            }
        }
    }

    /// Records an ejection by a worker.
    fn note(&self, runtime: &mut Runtime, at: Running<'_>, rule: &Ejection) {
        if !self.is_ejected(at.claim) {
            return;
        }
        let record = runtime.ejections.records.get(&at.server.address);
        if record.is_none_or(|record| record.since().is_none()) {
            let why = match record.map(|record| &record.phase) {
                Some(Phase::Trial { .. }) => "a failure on trial".to_owned(),
                _ => format!("{} failures in a row", at.health.read().consecutive_failures),
            };
            self.record_ejection(runtime, at, rule, &why);
        }
    }

    fn record_ejection(&self, runtime: &mut Runtime, at: Running<'_>, rule: &Ejection, why: &str) {
        let record = runtime.ejections.records.entry(at.server.address).or_default();
        if matches!(record.phase, Phase::Trial { .. }) {
            self.set_trial(at, None);
        }
        record.eject(self.arena.clock(), rule, why);
    }

    /// Ends the ejections that have lasted longest, of more servers than may be ejected.
    fn keep_share(&self, runtime: &mut Runtime, live: &RunningService, most: u32) {
        let Some(service) = self.arena.services.get(live.id.slot) else { return };
        let beyond = service.ejections.taken().0.saturating_sub(most);
        if beyond == 0 {
            return;
        }
        let records = &runtime.ejections.records;
        let since = |at: &Running<'_>| records.get(&at.server.address).and_then(Record::since);
        let mut ejected: Vec<_> =
            self.running(live).filter(|at| self.is_ejected(at.claim)).collect();
        ejected.sort_by_key(since);
        for longest in ejected.into_iter().take(beyond as usize) {
            self.bring_back(runtime, live, longest, live.service.ejection.as_ref());
        }
    }

    /// Ends a server's ejection; with a rule it is on trial then.
    fn bring_back(
        &self,
        runtime: &mut Runtime,
        live: &RunningService,
        at: Running<'_>,
        rule: Option<&Ejection>,
    ) {
        let (key, address, now) = (&live.service.key, at.server.address, self.arena.clock());
        let next = rule.map_or(Phase::In, |rule| self.begin_trial(at, rule, now));
        let state = self.state_of(at.claim.id, key, address, runtime.panics);
        self.arena.end_ejection(at.claim.id.slot, state);
        live.compiled.changed_for_all(at.claim.id, at.slot);
        runtime.ejections.records.entry(address).or_default().end(now, next);
        if live.service.slow_start.is_some() {
            match self.arena.shared_name(at.claim.id.slot) {
                Some(name) => name.set_start(now),
                None => _ = runtime.starts.insert(address, now),
            }
        }
    }

    /// From now on the next failure ejects the server again, and few connections can be opened.
    fn begin_trial(&self, at: Running<'_>, rule: &Ejection, now: u64) -> Phase {
        at.health.set_consecutive(rule.failures.saturating_sub(1));
        self.arena.fold(at.claim.id.slot);
        let upper = at.slot.counts_relaxed().total().saturating_add(rule.trials);
        // The limits come first: they must hold when the server returns.
        self.set_trial(at, Some(upper));
        Phase::Trial { since: now, done: at.health.read().done, upper }
    }

    fn end_trial(&self, runtime: &mut Runtime, live: &RunningService, at: Running<'_>) {
        let Some(record) = runtime.ejections.records.get_mut(&at.server.address) else { return };
        if matches!(record.phase, Phase::Trial { .. }) {
            record.phase = Phase::In;
            at.health.set_consecutive(0);
            if self.set_trial(at, None) {
                live.compiled.changed_for_all(at.claim.id, at.slot);
            }
        }
    }

    /// The limits of a server: on trial those of the trial.
    pub(super) fn limits_of(
        &self,
        key: &ServiceKey,
        server: &RealServer,
        claim: &SlotClaim,
    ) -> Limits {
        if let Some(name) = self.arena.shared_name(claim.id.slot) {
            let trial = name.trial().map(|upper| on_trial(upper, server));
            return trial.unwrap_or(Limits::new(server.thresholds));
        }
        let records = self.runtimes.get(key).map(|runtime| &runtime.ejections.records);
        match records.and_then(|records| records.get(&server.address)).map(|record| &record.phase) {
            Some(Phase::Trial { upper, .. }) => on_trial(*upper, server),
            _ => Limits::new(server.thresholds),
        }
    }

    /// Ends the ejection of a server by hand; false if it is not ejected.
    pub(in crate::director) fn release_ejection(
        &mut self,
        key: &ServiceKey,
        claim: &SlotClaim,
    ) -> bool {
        let mut released = false;
        self.with_runtime(key, |control, live, runtime| {
            let rule = live.service.ejection.as_ref();
            let at = control.running(live).find(|at| at.claim.id == claim.id);
            // In panic there is a record and no mark.
            let recorded = |at: &Running<'_>| {
                let record = runtime.ejections.records.get(&at.server.address);
                record.is_some_and(|record| record.since().is_some())
            };
            if let Some(at) = at.filter(|at| control.is_ejected(at.claim) || recorded(at)) {
                control.bring_back(runtime, live, at, rule);
                released = true;
            }
        });
        released
    }

    /// The services that eject servers, the latest first.
    pub(super) fn ejecting(&self) -> Vec<ServiceKey> {
        let slot = |live: &RunningService| self.arena.services.get(live.id.slot);
        let ejects = |live: &&RunningService| {
            live.service.ejection.is_some()
                || slot(live).is_some_and(|it| !it.ejections.is_unused())
        };
        self.services.values().rev().filter(ejects).map(|live| live.service.key).collect()
    }

    /// Everything that is due: records what workers have ejected, ejects outliers, ends ejections and
    /// trials.
    pub(super) fn tick_ejections_of(&mut self, key: &ServiceKey) {
        let mut agrees = false;
        self.with_runtime(key, |control, live, runtime| {
            if !control.leads(live) {
                // Another owner of the block does, and knows more.
                runtime.ejections = Default::default();
                agrees = true;
            } else if let Some(rule) = &live.service.ejection {
                control.begin_to_lead(runtime, live, rule);
                control.recount_places(runtime, live);
                control.tick_service(runtime, live, rule);
                let taken = control.arena.services.get(live.id.slot);
                agrees = taken.is_none_or(|slot| !slot.ejections.is_exceeded());
            }
        });
        // A worker that took its place before the latest change may mark a server after it.
        if !agrees {
            self.reconcile(key);
        }
    }

    /// At the first tick at which this owner of a block decides: what the one before it was in the middle of is over.
    fn begin_to_lead(&self, runtime: &mut Runtime, live: &RunningService, rule: &Ejection) {
        let slot = self.arena.services.get(live.id.slot);
        let (Some(slot), true) = (slot, self.arena.attached().is_some()) else { return };
        if runtime.ejections.began.is_some() {
            return;
        }
        let most = if runtime.panics { 0 } else { most(rule, live.claims.len()) };
        slot.ejections.allow(rule.failures, most);
        for at in self.running(live) {
            self.set_trial(at, None);
        }
    }

    /// The server may have so many connections, or as many as configured. Owners of a block tell each other.
    fn set_trial(&self, at: Running<'_>, upper: Option<u32>) -> bool {
        let (slot, rule) = (at.claim.id.slot, self.settings.kernel_rules);
        match self.arena.shared_name(slot) {
            Some(name) if name.trial() == upper => return false,
            Some(name) => name.set_trial(upper),
            None => {}
        }
        let limits = match upper {
            Some(upper) => on_trial(upper, at.server),
            None => Limits::new(at.server.thresholds),
        };
        self.arena.limit(slot, limits, rule)
    }

    /// Gives back the places of owners of a block that have died before they marked a server: those that have been
    /// too many since the tick before.
    fn recount_places(&self, runtime: &mut Runtime, live: &RunningService) {
        let slot = self.arena.services.get(live.id.slot);
        let (Some(slot), true) = (slot, self.arena.attached().is_some()) else { return };
        let (taken, _) = slot.ejections.taken();
        let marked = self.running(live).filter(|at| self.is_ejected(at.claim)).count();
        let marked = u32::try_from(marked).unwrap_or(u32::MAX);
        let wrong = (taken != marked).then_some((taken, marked));
        if wrong.is_some() && runtime.ejections.wrong_places == wrong {
            slot.ejections.recount(taken, marked);
        }
        runtime.ejections.wrong_places = wrong;
    }

    /// Ends the ejections of servers that are not configured any more, once their time is over.
    pub(super) fn forget_ejections(&mut self) {
        let now = self.arena.clock();
        for (key, runtime) in &mut self.runtimes {
            runtime.ejections.records.retain(|_, record| {
                if record.is_over(now) {
                    record.end(now, Phase::In);
                }
                !record.is_empty()
            });
            note_reasons(&mut self.ejected, key, &runtime.ejections);
        }
    }

    fn tick_service(&self, runtime: &mut Runtime, live: &RunningService, rule: &Ejection) {
        let now = self.arena.clock();
        let interval = u64::from(rule.interval) * 1000;
        let Some(service) = self.arena.services.get(live.id.slot) else { return };
        for at in self.running(live) {
            // The limit was reached while the budget was used up.
            if service.ejections.is_reached(at.health.read().consecutive_failures)
                && self.arena.eject(at.claim.id)
            {
                live.compiled.changed_for_all(at.claim.id, at.slot);
            }
            self.note(runtime, at, rule);
            let Some(record) = runtime.ejections.records.get(&at.server.address) else { continue };
            match record.phase {
                Phase::Ejected { .. } if record.is_over(now) => {
                    self.bring_back(runtime, live, at, Some(rule));
                }
                Phase::Trial { since, done, .. } => {
                    let passed = now.saturating_sub(since) >= interval;
                    if at.health.read().done > done || passed {
                        self.end_trial(runtime, live, at);
                    }
                }
                _ => {}
            }
        }
        let began = *runtime.ejections.began.get_or_insert(now);
        if now.saturating_sub(began) >= interval {
            self.eject_outliers(runtime, live, rule);
            runtime.ejections.began = Some(now);
            for record in runtime.ejections.records.values_mut() {
                record.interval_over(began);
            }
        }
    }

    /// An interval is over.
    fn eject_outliers(&self, runtime: &mut Runtime, live: &RunningService, rule: &Ejection) {
        let before = std::mem::take(&mut runtime.ejections.totals);
        let Some(outliers) = rule.outliers.filter(|_| !runtime.panics) else { return };
        let share = |at: Running<'_>| {
            let (done, failed) = at.health.totals();
            let (done_before, failed_before) = before.get(&at.server.address)?;
            let (done, failed) =
                (done.wrapping_sub(*done_before), failed.wrapping_sub(*failed_before));
            let enough = done + failed >= u64::from(outliers.least_outcomes);
            let counts = enough && !at.slot.counts_relaxed().is_down();
            counts.then(|| 100.0 * done as f64 / (done + failed) as f64)
        };
        let shares: Vec<Option<f64>> = self.running(live).map(share).collect();
        let found = below(&shares, &outliers);
        for (place, at) in self.running(live).enumerate() {
            runtime.ejections.totals.insert(at.server.address, at.health.totals());
            if found.binary_search(&place).is_ok() && self.arena.eject(at.claim.id) {
                live.compiled.changed_for_all(at.claim.id, at.slot);
                let share = shares.get(place).copied().flatten().unwrap_or(0.0);
                let why = format!("{share:.0} % done, too far below the other servers");
                self.record_ejection(runtime, at, rule, &why);
            }
        }
    }
}

/// Makes what is published of a service's ejections agree with the records: after every change of these.
/// False if there is no memory for it; the next tick tries again.
fn note_reasons(noted: &mut ByServer<Arc<str>>, key: &ServiceKey, ejections: &Ejections) -> bool {
    if ejections.has_reasons(noted.of(key)) {
        return true;
    }
    let count = ejections.reasons().count();
    let is_there = ask(noted.to_change(key, count), String::new).is_ok();
    if is_there {
        let reasons = ejections.reasons().map(|(server, reason)| (server, Arc::clone(reason)));
        noted.replace(key, reasons.collect());
    }
    is_there
}

/// At most `upper` connections, and no more than configured; at one less, one more may be opened.
fn on_trial(upper: u32, server: &RealServer) -> Limits {
    let configured = server.thresholds.upper;
    let upper = if configured == 0 { upper } else { upper.min(configured) };
    Limits::new(Thresholds { upper, lower: upper })
}

#[cfg(test)]
#[path = "ejection_tests.rs"]
mod tests;
