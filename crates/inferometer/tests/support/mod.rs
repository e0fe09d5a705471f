//! Children of a fork.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::thread;
use std::time::Duration;

/// Forks, does `work` in the child, and fails if that panics or takes a minute.
pub(crate) fn in_a_child(work: impl FnOnce()) {
    // SAFETY: validity: no argument. Aliasing: the child touches its own copy of the memory, and ends by `_exit`.
    let child = unsafe { libc::fork() };
    assert!(child >= 0, "fork failed");
    if child == 0 {
        let code = if catch_unwind(AssertUnwindSafe(work)).is_ok() { 0 } else { 1 };
        // SAFETY: validity: any code will do. Aliasing: no memory is passed.
        unsafe { libc::_exit(code) };
    }
    assert_eq!(wait_for(child), Some(0), "the child failed or hung");
}

/// The child's exit code; `None` when it was killed, by us after a minute or by a signal.
fn wait_for(child: libc::pid_t) -> Option<i32> {
    let mut status = 0;
    for _ in 0..6_000 {
        // SAFETY: validity: `status` is a local that outlives the call. Aliasing: the borrow is exclusive.
        let ended = unsafe { libc::waitpid(child, &raw mut status, libc::WNOHANG) };
        if ended == child {
            return libc::WIFEXITED(status).then(|| libc::WEXITSTATUS(status));
        }
        thread::sleep(Duration::from_millis(10));
    }
    // SAFETY: validity: our own child, which has not been waited for. Aliasing: no memory is passed.
    unsafe { libc::kill(child, libc::SIGKILL) };
    // SAFETY: as above.
    unsafe { libc::waitpid(child, &raw mut status, 0) };
    None
}
