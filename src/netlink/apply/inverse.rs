//! The rollback of a plan that failed: the inverse steps, in the same phases, so that the rollback does not
//! leave a service without a server either.

use std::collections::HashSet;
use std::net::SocketAddr;

use super::outcome::Status;
use super::step_log::StepLog;
use crate::config::diff;
use crate::config::{RealServer, ServiceKey};
use crate::netlink::plan::{Action, Phase, Removal, Step, refuses_when_quiesced};

const REASON: &str = "taken back";

/// An inverse step, and which step it takes back.
pub(super) struct Undo {
    pub(super) step: Step,
    pub(super) origin: usize,
}

/// The steps that take back what was done, or may have been done. What others did stays.
pub(super) fn inverse(step_log: &StepLog, removal: Removal) -> Vec<Undo> {
    let happened = |status| matches!(status, Status::Done | Status::Unknown);
    let (mut made, mut serving) = (HashSet::new(), HashSet::new());
    for (_, outcome) in step_log.all().filter(|(_, outcome)| happened(outcome.status)) {
        match &outcome.step.action {
            Action::AddService(service) => {
                made.insert(service.key);
            }
            Action::EditService { service, .. } if outcome.step.phase == Phase::NewServices => {
                serving.insert(service.key);
            }
            _ => {}
        }
    }
    let mut back = Reversal { removal, undos: Vec::new(), origin: 0 };
    // In reverse, because order can matter.
    for (origin, outcome) in step_log.all().rev() {
        if !happened(outcome.status) {
            continue;
        }
        back.origin = origin;
        match &outcome.step.action {
            Action::AddServer { service, server } if made.contains(service) => {
                // Deleted with its service, which has no connections because no scheduler was bound to it.
                if serving.contains(service) {
                    back.quiesce(*service, server.clone());
                }
            }
            Action::AddServer { service, server } => back.remove(*service, server.clone()),
            Action::EditService { .. } if outcome.step.phase == Phase::NewServices => {}
            action => back.opposite(action),
        }
    }
    back.undos.sort_by_key(|undo| undo.step.phase);
    back.undos
}

struct Reversal {
    removal: Removal,
    undos: Vec<Undo>,
    origin: usize,
}

impl Reversal {
    fn push(&mut self, phase: Phase, action: Action) {
        let step = Step { phase, action, reason: REASON, risk: None };
        self.undos.push(Undo { step, origin: self.origin });
    }

    fn quiesce(&mut self, service: ServiceKey, before: RealServer) {
        let Removal::Drain(drain) = self.removal else { return };
        let server: SocketAddr = before.address;
        if before.weight > 0 {
            let quiesced = before.clone().with_weight(0);
            self.push(Phase::Shrink, Action::EditServer { service, before, server: quiesced });
        }
        self.push(Phase::Drain, Action::AwaitDrain { service, server, drain });
    }

    fn remove(&mut self, service: ServiceKey, server: RealServer) {
        self.quiesce(service, server.clone());
        let action = Action::DeleteServer { service, server: server.address };
        self.push(Phase::DeleteServers, action);
    }

    fn opposite(&mut self, action: &Action) {
        match action {
            Action::SetTimeouts { before, timeouts } => {
                let action = Action::SetTimeouts { before: *timeouts, timeouts: *before };
                self.push(Phase::Settings, action);
            }
            Action::StartDaemon(daemon) => {
                self.push(Phase::Settings, Action::StopDaemon(daemon.clone()));
            }
            Action::StopDaemon(daemon) => {
                self.push(Phase::Settings, Action::StartDaemon(daemon.clone()));
            }
            Action::AddService(service) => {
                self.push(Phase::DeleteServices, Action::DeleteService(service.key));
            }
            Action::EditService { before, service } => {
                // A scheduler that refuses the clients of quiesced servers is restored once no
                // server is quiesced.
                let late = refuses_when_quiesced(before);
                let phase = if late { Phase::Restore } else { Phase::EditServices };
                let (before, service) = (service.clone(), before.clone());
                self.push(phase, Action::EditService { before, service });
            }
            Action::EditServer { service, before, server } => {
                let phase = diff::edit_phase(server, before).into();
                let (service, before, server) = (*service, server.clone(), before.clone());
                self.push(phase, Action::EditServer { service, before, server });
            }
            // Deletions start only once a rollback is impossible.
            Action::AddServer { .. }
            | Action::AwaitDrain { .. }
            | Action::DeleteServer { .. }
            | Action::DeleteService(_) => {}
        }
    }
}
