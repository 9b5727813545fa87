//! The kernel's refusals in ipvsadm's words, which scripts look for.

use vsched::netlink::wire::Command;
use vsched::netlink::{Cause, Error, Refused};

/// ipvsadm's message for an error.
pub(crate) fn words(error: &Error) -> String {
    match error {
        Error::Refused(refused) => refusal(refused),
        // IPVS is missing.
        Error::Absent => "Protocol not available".to_owned(),
        other => other.to_string(),
    }
}

fn refusal(refused: &Refused) -> String {
    use Command::{DelDest, NewDaemon, NewDest, SetDest};
    let on_server = matches!(refused.command(), NewDest | SetDest | DelDest);
    let words = match refused.cause() {
        Cause::Exists if refused.command() == NewDaemon => "Daemon has already run",
        Cause::Exists if on_server => "Destination already exists",
        Cause::Exists => "Service already exists",
        Cause::NoService if on_server => "Service not defined",
        Cause::NoService => "No such service",
        Cause::NoServer => "No such destination",
        Cause::NoScheduler => "Scheduler or persistence engine not found",
        Cause::NoDaemon => "No daemon is running",
        Cause::Invalid => {
            "Invalid operation.  Possibly wrong module version, address not unicast, ..."
        }
        Cause::Permission => "Permission denied (you must be root)",
        Cause::Memory => "Memory allocation problem",
        Cause::Family => "Operation not supported with specified address family",
        Cause::Unsupported => "Protocol not available",
        _ => return system(refused.errno()),
    };
    words.to_owned()
}

/// The C library's words, without the number that the standard library adds.
fn system(errno: i32) -> String {
    let text = std::io::Error::from_raw_os_error(errno).to_string();
    text.split(" (os error").next().unwrap_or_default().to_owned()
}
