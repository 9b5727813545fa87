use std::os::unix::net::UnixDatagram;

use super::*;

#[test]
fn an_interrupted_call_is_repeated() {
    let (ours, _theirs) = UnixDatagram::pair().expect("a pair of sockets");
    let socket = Socket::from(OwnedFd::from(ours));
    let mut calls = 0;
    let counted = socket.retried(libc::POLLIN, &Deadline::after(Duration::ZERO), |_| {
        calls += 1;
        if calls < 4 {
            // SAFETY: it points to this thread's own errno.
            unsafe { *libc::__errno_location() = libc::EINTR };
            return -1;
        }
        7
    });
    assert_eq!((counted.expect("at last"), calls), (7, 4));
}
