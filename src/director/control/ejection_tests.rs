use std::time::Duration;

use crate::config::{Command, Config, Ejection, ServerState};
use crate::{Director, ServerId};

const RULES: &str = "-A -t 10.0.0.1:80 -s rr\n-a -t 10.0.0.1:80 -r 10.0.1.1\n\
                     -a -t 10.0.0.1:80 -r 10.0.1.2\n-a -t 10.0.0.1:80 -r 10.0.1.3\n\
                     -a -t 10.0.0.1:80 -r 10.0.1.4";

struct Running {
    director: Director,
    config: Config,
    servers: Vec<ServerId>,
}

impl Running {
    fn new() -> Self {
        let mut config: Config = RULES.parse().expect("rules");
        config.services[0].ejection = Some(Ejection { max_share: 100, ..Ejection::default() });
        let director = Director::new(&config).expect("valid");
        director.tick(Duration::ZERO);
        let service = director.service("tcp 10.0.0.1:80").expect("it runs");
        let servers = director.servers(service).expect("it runs");
        let servers = servers.iter().map(|(id, _)| *id).collect();
        Running { director, config, servers }
    }

    fn set(&self, ejection: Option<Ejection>) {
        let mut settings = self.config.services[0].settings();
        settings.ejection = ejection;
        self.director.execute(&Command::EditService(settings)).expect("valid");
    }

    /// What a worker does that took its place before the latest change, and marks the server after it.
    fn eject_late(&self, server: usize) {
        let control = self.director.inner.control.lock();
        let live = control.services.values().next().expect("one runs");
        let slot = control.arena.services.get(live.id.slot).expect("it has a slot");
        let (taken, most) = slot.ejections.taken();
        slot.ejections.allow(0, taken + 1);
        assert!(control.arena.eject(self.servers[server]));
        slot.ejections.allow(0, most);
    }

    fn ejected(&self) -> usize {
        let down = |id: &&ServerId| self.director.state(**id) == Some(ServerState::Down);
        self.servers.iter().filter(down).count()
    }
}

#[test]
fn an_ejection_later_than_its_setting_ends_at_the_next_tick() {
    let running = Running::new();
    running.set(None);
    running.eject_late(1);
    assert_eq!(running.ejected(), 1);
    running.director.tick(Duration::from_secs(1));
    assert_eq!(running.ejected(), 0);
}

#[test]
fn ejections_beyond_a_share_that_was_lowered_end_at_the_next_tick() {
    let running = Running::new();
    running.set(Some(Ejection { max_share: 25, ..Ejection::default() }));
    running.eject_late(1);
    running.director.tick(Duration::from_secs(1));
    running.eject_late(2);
    running.eject_late(3);
    assert_eq!(running.ejected(), 3);
    running.director.tick(Duration::from_secs(2));
    assert_eq!(running.ejected(), 1);
    // The latest stays.
    assert_ne!(running.director.state(running.servers[1]), Some(ServerState::Down));
}
