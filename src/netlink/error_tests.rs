use std::io;
use std::time::Duration;

use super::{Error, Object, Refused};
use crate::config::{NotInLinux, SchedulerKind, ServiceKey};
use crate::netlink::wire::{Command, Message};

fn key() -> ServiceKey {
    "tcp 10.0.0.1:80".parse().expect("a key")
}

/// Each error, its text, and the text of its cause.
#[test]
fn errors_have_texts_that_say_the_cause() {
    let refused = Refused::new(Command::Zero, Object::Everything, 1);
    let wire = Message::decode(&[1]).expect_err("one byte is no message");
    let broken = || io::Error::from(io::ErrorKind::BrokenPipe);
    let cause = broken().to_string();
    let cases = [
        (Error::Absent, "this kernel has no IPVS".to_owned(), None),
        (Error::Refused(refused), refused.to_string(), Some(refused.to_string())),
        (
            Error::NotInLinux {
                object: Object::Service(key()),
                setting: NotInLinux::Scheduler(SchedulerKind::P2c),
            },
            "service tcp 10.0.0.1:80: scheduler: Linux has no p2c".to_owned(),
            None,
        ),
        (
            Error::Timeout(Duration::from_secs(2)),
            "no answer from the kernel within 2s".into(),
            None,
        ),
        (Error::Lost, "answers of the kernel were lost".to_owned(), None),
        (
            Error::Unsettled { object: Object::Timeouts, attempts: 9 },
            "timeouts: changed by others during each of 9 readings".to_owned(),
            None,
        ),
        (Error::from(wire.clone()), wire.to_string(), Some(wire.to_string())),
        (
            Error::System { step: "sending", source: broken() },
            format!("sending: {cause}"),
            Some(cause.clone()),
        ),
        (
            Error::Namespace { path: "/run/netns/x".into(), source: broken() },
            format!("network namespace /run/netns/x: {cause}"),
            Some(cause),
        ),
    ];
    for (error, text, cause) in cases {
        assert!(error.to_string().starts_with(&text), "{error}");
        assert!(error.to_string().contains(&cause.unwrap_or_default()), "{error}");
    }
}
